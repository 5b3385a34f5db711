"""Imports PyTorch models: from a graph made by `torch.export` to a network.

    a module ─ module.py ─┐
                          ├─▶ graph.py ─ convert.py ─▶ Network
    a .pt2 file ─ archive.py ─┘

`graph.py` defines plain records of a graph and does not need PyTorch. `module.py` needs PyTorch and runs the
module's code. `archive.py` reads a file as ZIP and JSON and runs nothing. `convert.py` converts the
operations one by one. Each operation has a function in the file of its family; `families.py` lists the
families. To add an operation, add a function.
"""
