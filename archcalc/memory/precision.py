"""The bytes of a value: everything in one dtype, or mixed precision."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from archcalc.network import Network, Node
from archcalc.quantities.activations import DTYPES

AMP = "amp"
"""Mixed precision as in `torch.autocast` on a GPU: 16 bits for products, and 32 for long sums."""

NOT_TRAINED = frozenset({"int8", "float8"})
"""Dtypes that have no defined training step: their gradients would need scales."""

IN_16_BITS = frozenset({"conv", "linear", "attention", "recurrent", "prelu"})
"""Kinds and families that autocast computes in 16 bits. It casts their inputs and arrays."""

IN_32_BITS = frozenset(
    {
        "softmax", "log_softmax", "logsigmoid", "softplus", "exp", "log", "rsqrt", "pow", "square",
        "layer_norm", "group_norm", "grn", "lrn", "lppool", "reduce", "upsample",
    }
)  # fmt: skip
"""Kinds that autocast computes in 32 bits. All other kinds use the widest of their inputs.

Source: the documentation of `torch.amp`, "CUDA Ops that can autocast to float16" and "to float32".
"""


class Widths(Struct, frozen=True):
    """The bytes of a value, for activations, and for parameters, their gradients, and the optimizer's state.

    In mixed precision, `outputs` has the bytes of each node's output, by node index. `casts` has the numbers
    of the inputs that a node casts to 16 bits.
    """

    name: str
    activations: int
    parameters: int
    outputs: Mapping[int, int] | None = None
    casts: Mapping[int, tuple[int, ...]] | None = None

    @property
    def mixed(self) -> bool:
        return self.outputs is not None

    def of_output(self, node: Node) -> int:
        """The bytes of each value that a node outputs."""
        return self.activations if self.outputs is None else self.outputs[node.index]

    def of_own(self, node: Node) -> int:
        """The bytes of each value that a node keeps of its own. Statistics stay in 32 bits."""
        return self.parameters if self.mixed and node.layer.family == "norm" else self.of_output(node)

    def cast_inputs(self, node: Node) -> tuple[int, ...]:
        return self.casts.get(node.index, ()) if self.casts is not None else ()

    def copies_arrays(self, node: Node) -> bool:
        """Does a node compute with 16-bit copies of its arrays?"""
        return self.mixed and _in_16_bits(node)


def with_weights(widths: Widths, dtype: str) -> Widths:
    """The same with parameters in another dtype, like quantized weights with floating-point activations."""
    return replace(widths, parameters=DTYPES[dtype])


def precision(dtype: str, network: Network | None = None) -> Widths:
    """The bytes of values in a dtype, or in mixed precision (`"amp"`) for a network.

    >>> import archcalc
    >>> network = archcalc.loads("net n { input(3x8x8) -> conv(4, 3) -> bn -> flatten -> fc(10) -> softmax }")
    >>> widths = precision("amp", network)
    >>> [widths.of_output(node) for node in network.nodes]
    [4, 2, 2, 2, 2, 4]
    """
    if dtype != AMP:
        return Widths(dtype, DTYPES[dtype], DTYPES[dtype])
    assert network is not None
    outputs: dict[int, int] = {}
    casts: dict[int, tuple[int, ...]] = {}
    for node in network.nodes:
        incoming = [outputs[source.index] for source in node.inputs]
        if _in_16_bits(node):
            outputs[node.index] = 2
            casts[node.index] = tuple(number for number, width in enumerate(incoming) if width != 2)
        elif not incoming or node.kind in IN_32_BITS:
            outputs[node.index] = 4
        else:
            outputs[node.index] = max(incoming)
    return Widths(AMP, 2, 4, outputs, casts)


def _in_16_bits(node: Node) -> bool:
    """An embedding only looks values up, without products, so it is not cast."""
    return bool({node.kind, node.layer.family} & IN_16_BITS) and not node.layer.stops_gradients
