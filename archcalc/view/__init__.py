"""Draws networks: the structure is in this folder, the interactive page in `page/`, figures in `draw/`."""
