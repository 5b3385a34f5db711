"""Drawing a network: its structure here, the interactive page in `page/`, figures in `draw/`."""
