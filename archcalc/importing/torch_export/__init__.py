"""PyTorch: from the graph that `torch.export` makes to a network.

    a module ─ module.py ─┐
                          ├─▶ graph.py ─ convert.py ─▶ Network
    a .pt2 file ─ archive.py ─┘

`graph.py` has plain records of a graph, which need no PyTorch. `module.py` needs it and runs the module's
code; `archive.py` reads a file as the zip and JSON that it is, and runs nothing. `convert.py` takes the
operations one by one. Each of them is a function in the file of its family, which `families.py` lists: to
add an operation, add a function.
"""
