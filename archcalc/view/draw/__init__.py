"""Drawings of a network: SVG, PDF and PNG figures, and texts for Mermaid, Graphviz and GraphML."""
