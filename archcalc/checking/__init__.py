"""What `archcalc check` and `archcalc lock` do: find networks, check their figures, and say what moved."""
