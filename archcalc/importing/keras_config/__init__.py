"""Keras: from the configuration of a model to a network.

    a .keras file ─ archive.py ─┐
                                ├─▶ configs.py ─ convert.py ─▶ Network
    a model ─ model.py ─────────┘

`configs.py` turns the JSON that Keras writes into the plain records of `records.py`. `archive.py` reads a
file as the zip and JSON that it is, without Keras, and runs nothing; `model.py` takes a model in memory.
`convert.py` calls the layers one by one. Each class of layers is a function in the file of its family, which
`families.py` lists: to add a class, add a function.
"""
