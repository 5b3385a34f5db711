"""The layer kinds, a family a file. Adding a kind is adding a class to the file of its family."""

from archcalc.layers import activation, conv, linear, merge, norm, pool, reshape, resize
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import FACTS, KINDS, Layer, facts
from archcalc.layers.terms import Facts

__all__ = [
    "FACTS",
    "KINDS",
    "Facts",
    "Layer",
    "LayerError",
    "activation",
    "conv",
    "facts",
    "linear",
    "merge",
    "norm",
    "pool",
    "reshape",
    "resize",
]
