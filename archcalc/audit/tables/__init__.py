"""Published tables: their layout as data, and beside each printed figure the one that archcalc computes."""
