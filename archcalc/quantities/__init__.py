"""Every quantity archcalc computes: its name, what it is, and where it can be asked for.

Reports, expectations and the JSON contract use these names.
"""

from __future__ import annotations

from msgspec import Struct


class Quantity(Struct, frozen=True):
    """`sort` is `count`, `bytes`, `shape`, or `axes` (one length per spatial axis of the input)."""

    name: str
    sort: str
    words: str


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("params", "count", "trainable parameters; shared ones once"),
        Quantity("buffers", "count", "fixed state: running statistics, fixed prototypes"),
        Quantity("weights", "count", "parameters without biases and norms"),
        Quantity("macs", "count", "multiply-accumulates of convolutions and fully connected layers"),
        Quantity("flops", "count", "floating-point operations of every layer"),
        Quantity("activations", "count", "values that layers put out, per sample"),
        Quantity("activations_in_place", "count", "the same without norms and activations, with the input"),
        Quantity("activations_conv", "count", "the same of convolutions only"),
        Quantity("activation_bytes", "bytes", "bytes of the activations, for the whole batch"),
        Quantity("param_bytes", "bytes", "bytes of the parameters"),
        Quantity("count", "count", "what a named convention counts"),
        Quantity("layers", "count", "nodes that are not inputs"),
        Quantity("weighted_layers", "count", "convolutions and fully connected layers"),
        Quantity("depth", "count", "convolutions and fully connected layers on the longest path"),
        Quantity("shape", "shape", "the shape that comes out, per sample"),
        Quantity("receptive_field", "axes", "what one value sees of the input"),
        Quantity("effective_stride", "axes", "the step in the input between neighbours"),
        Quantity("effective_padding", "axes", "how far the first field begins before the input"),
    )
}
