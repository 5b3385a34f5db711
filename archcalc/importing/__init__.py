"""From a model of another tool to a network.

`assembly.py` is what all importers share: it takes operations one by one, in the model's order and with
the model's axes, and makes the network. Each importer reads a format and maps its operations to layers:
`torch_export/` for PyTorch, `onnx_graph/` for ONNX, `keras_config/` for Keras.
"""
