"""Computes figures of many networks at once: `archcalc sweep`, `solve` and `formula`."""
