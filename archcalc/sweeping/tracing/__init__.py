"""Runs the language and the layers once for many networks, with symbolic numbers."""
