"""Published tables: their layout as data, and the computed value of each printed figure."""
