"""The ONNX importer: from a model file to a network. It needs only NumPy, and runs nothing.

    a file, or a ModelProto ─ wire.py, model.py ─▶ records.py ─ convert.py ─▶ Network

`wire.py` reads the Protocol Buffers encoding but not the values of arrays; `arrays.py` reads those when
they are needed. `convert.py` converts the nodes one by one. Anything computed from constants alone
is computed by `constants.py`. Every other operation has a function in the file of its family, which
`families.py` lists: to add an operation, add a function.
"""
