"""Importers: turn the model of another tool into a network.

All importers share `assembly.py`: it takes operations one by one, in the model's order and with the
model's axes, and builds the network. Each importer reads a format and maps its operations to layers:
`torch_export/` for PyTorch, `onnx_graph/` for ONNX, `keras_config/` for Keras.
"""
