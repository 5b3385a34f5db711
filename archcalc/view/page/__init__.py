"""Writes a network as one HTML file that opens offline: its graph, its figures, and how each one is derived.

Python decides what the page contains, in `data.py`, and writes it into the file as JSON. The scripts in
`assets/` place and draw what is open and in the window. The page makes no requests.
"""
