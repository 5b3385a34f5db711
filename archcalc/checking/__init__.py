"""What `archcalc check` and `archcalc lock` do: find networks, hold them to figures, and say what moved."""
