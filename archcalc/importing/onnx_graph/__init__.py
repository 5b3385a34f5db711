"""ONNX: from a model file to a network. Nothing but NumPy is needed, and nothing is run.

    a file, or a ModelProto ─ wire.py, model.py ─▶ records.py ─ convert.py ─▶ Network

`wire.py` reads the encoding of Protocol Buffers, and leaves the values of arrays where they are; `arrays.py`
reads these on request. `convert.py` takes the nodes one by one. What is computed from constants alone
is computed by `constants.py`. Each other operation is a function in the file of its family, which
`families.py` lists: to add an operation, add a function.
"""
