"""Figures as formulas of parameters, and their proofs."""
