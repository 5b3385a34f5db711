"""A network as one HTML file that opens offline: its graph, its figures, and where each comes from.

Python decides what there is, in `data.py`, and writes it as JSON into the file. The scripts in `assets/`
place and draw what is open and in the window. No request leaves the page.
"""
