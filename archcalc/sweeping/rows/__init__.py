"""Computes the points of a sweep, and shows and writes them as rows."""
