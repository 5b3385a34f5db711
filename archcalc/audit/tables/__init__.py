"""Published tables: their layout as data, and archcalc's figure for each printed figure."""
