"""The Keras importer: from a model's configuration to a network.

    a .keras file ─ archive.py ─┐
                                ├─▶ configs.py ─ convert.py ─▶ Network
    a model ─ model.py ─────────┘

`configs.py` turns the JSON that Keras writes into the plain records of `records.py`. `archive.py` reads a
file as zip and JSON, without Keras, and runs nothing; `model.py` takes a model in memory.
`convert.py` calls the layers one by one. Each layer class has a function in the file of its family, which
`families.py` lists: to add a class, add a function.
"""
