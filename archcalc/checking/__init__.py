"""`archcalc check` and `archcalc lock`: find networks, check their figures, and report what moved."""
