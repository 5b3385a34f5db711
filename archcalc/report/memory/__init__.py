"""`archcalc memory`: the conditions, the result as data, and its views."""
