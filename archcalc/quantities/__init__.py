"""Every quantity archcalc computes: its name, what it is, and where it can be asked for.

Reports, expectations and the JSON contract use these names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from archcalc.diagnostics import Diagnostic, near_miss
from archcalc.language.tokens import UNITS

if TYPE_CHECKING:
    from archcalc.language.syntax import Expect


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


def check_expectation(expect: Expect) -> Diagnostic | None:
    """What is wrong with an expectation before any network is known, if anything."""
    quantity = QUANTITIES.get(expect.quantity)
    if quantity is None:
        help = near_miss(expect.quantity, QUANTITIES) or "quantities: " + ", ".join(QUANTITIES)
        return Diagnostic(f"unknown quantity `{expect.quantity}`", expect.quantity_span, help=help)
    figure = expect.figure
    is_size = isinstance(figure.value, tuple)
    if quantity.sort == "shape" and (figure.unit or expect.relation != "=="):
        message = f"`{quantity.name}` is compared with a size, by `==`"
        return Diagnostic(message, figure.span, help="write `512x7x7`, or `4096` of a vector")
    if quantity.sort in ("count", "bytes") and is_size:
        return Diagnostic(f"`{quantity.name}` is a number, this is a size", figure.span)
    if is_size and expect.relation not in ("==",):
        return Diagnostic(f"a size is compared with `==`, not `{expect.relation}`", figure.span)
    if figure.unit.endswith("B") and quantity.sort != "bytes":
        return Diagnostic(
            f"`{figure.unit}` is a unit of bytes, and `{quantity.name}` is no quantity of bytes",
            figure.span,
            help=f"write `{figure.unit[0]}`, a power of 1000",
        )
    if figure.unit and quantity.sort == "axes":
        return Diagnostic(f"`{quantity.name}` has no unit", figure.span)
    assert not figure.unit or figure.unit in UNITS
    return None
