"""Lecture slides: the memory of a table's rows."""

from archcalc.conventions import Convention
from archcalc.conventions.measures import CONVOLUTIONS, FREE, NOTHING, OUTPUTS, each

CONVENTIONS = (
    Convention(
        name="slides-memory",
        title="slides: input and outputs of conv, pool and fc",
        unit="bytes",
        version="",
        source="Stanford CS231n, Convolutional Networks, Case studies: the VGG-16 table",
        rules=each(["input", *CONVOLUTIONS, "local", "conv_transpose", "pool", "linear"], OUTPUTS)
        | each(["activation", "norm", *FREE], NOTHING),
        notes=(
            "activations and norms are in place; the rows are added up here, which for VGG-16 is less than "
            "the total printed beneath them, 24M values",
        ),
        value_bytes=4,
    ),
)
