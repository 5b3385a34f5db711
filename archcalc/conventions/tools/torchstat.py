"""torchstat: its "Flops", its "MAdd", and its memory."""

from __future__ import annotations

import math

from archcalc.conventions import Bug, Convention, Counter
from archcalc.conventions.measures import (
    ADDITIONS,
    AS_TORCHVISION,
    BIAS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    KERNEL,
    MACS,
    MODULES,
    MODULES_ONLY,
    NOTHING,
    OUTPUTS,
    PADDED_INPUTS,
    PLACES,
    Measure,
    each,
    kernel_area,
    on_images,
    scaled,
)
from archcalc.network import Network, Node


class _LastCalls(Counter):
    """Counts only the last call of a module.

    In torchvision's ResNets, a block has one ReLU, which is called after each batch norm and after the sum.
    """

    def __init__(self, convention: Convention, network: Network) -> None:
        super().__init__(convention, network)
        self.lost: set[int] = set()
        for group in network.groups:
            last = group.output
            if last.kind == "relu" and last.inputs[0].kind == "add" and last.inputs[0].index >= group.start:
                members = network.nodes[group.start : group.stop]
                self.lost |= {n.index for n in members if n.kind == "relu" and n.inputs[0].kind == "bn"}

    def _summands(self, node: Node) -> list[tuple[str, int, str, int]]:
        return [] if node.index in self.lost else super()._summands(node)


class _Torchstat(Convention, frozen=True, eq=False):
    def counter(self, network: Network) -> Counter:
        return _LastCalls(self, network)


def _transposed(node: Node) -> int:
    """As for a convolution, at the input places."""
    products = node.shape[0] * math.prod(node.facts.inputs[0][1:])
    bias = products if BIAS.of(node) else 0
    return 2 * MACS.of(node) - products + bias


def _comparisons(node: Node) -> int:
    return (kernel_area(node) - 1) * OUTPUTS.of(node)


_CHANNEL = Measure("places of one channel", PLACES.of)

_SOURCE = "https://github.com/Swall0w/torchstat/blob/master/torchstat/"
_MOVES = ("concat", "pad", "crop", "slice", *FREE)
_NOTES = (
    "only modules over images count, not operators and functions, nor layers over one or three axes",
    "it prints `is not supported!` for a module that it does not know",
    AS_TORCHVISION,
)
_LOST = Bug(
    ("relu",),
    "only the last call of a module counts: torchvision calls the ReLU of a residual block after each norm "
    "and after the sum",
    _SOURCE + "model_hook.py",
)

CONVENTIONS = (
    _Torchstat(
        name="torchstat",
        title="torchstat's Flops",
        unit="MACs",
        logits=True,
        written=MODULES_ONLY,
        calls_it="Flops",
        version="0.0.7",
        source=_SOURCE + "compute_flops.py",
        rules=each(CONVOLUTIONS, on_images(MACS + BIAS))
        | each(["fc"], MACS)
        | each(["bn"], on_images(scaled(INPUTS, 2, 1)))
        | each(["relu", "relu6", "leaky_relu", "prelu", "elu"], INPUTS)
        | each(["maxpool", "avgpool"], on_images(PADDED_INPUTS))
        | each(["upsample"], _CHANNEL)
        | each(_MOVES, NOTHING),
        notes=(
            "the bias of a convolution counts, and that of a fully connected layer does not",
            "a batch norm without scale and shift counts 1·inputs",
            *_NOTES,
        ),
        bugs=(
            _LOST,
            Bug(("upsample",), "only one of the channels counts", _SOURCE + "compute_flops.py"),
        ),
    ),
    _Torchstat(
        name="torchstat-madd",
        title="torchstat's MAdd",
        unit="FLOPs",
        logits=True,
        written=MODULES_ONLY,
        calls_it="MAdd",
        version="0.0.7",
        source=_SOURCE + "compute_madd.py",
        rules=each(CONVOLUTIONS, on_images(MACS + ADDITIONS))
        | each(["conv_transpose"], on_images(Measure("MACs + additions", _transposed)))
        | each(["fc"], MACS + Measure("additions", lambda node: MACS.of(node) - OUTPUTS.of(node)))
        | each(["bn"], on_images(4 * INPUTS))
        | each(["relu", "relu6"], INPUTS)
        | each(["softmax"], Measure("3·inputs - 1", lambda node: 3 * INPUTS.of(node) - 1))
        | each(["maxpool"], on_images(Measure("(kernel - 1)·outputs", _comparisons)))
        | each(["avgpool"], on_images(KERNEL * OUTPUTS))
        | each(_MOVES, NOTHING),
        notes=(
            "multiplications plus additions: twice its Flops, minus one per output",
            "the bias of a convolution counts, and that of a fully connected layer does not",
            *_NOTES,
        ),
        bugs=(_LOST,),
    ),
    _Torchstat(
        name="torchstat-memory",
        title="torchstat's total memory",
        unit="bytes",
        logits=True,
        written=MODULES_ONLY,
        version="0.0.7",
        source=_SOURCE + "model_hook.py",
        rules=each(MODULES, OUTPUTS) | each(["flatten", "reshape"], NOTHING),
        notes=(
            "the output of each module counts once, in place or not, even if the module does nothing",
            "the outputs of operators and functions are left out",
            AS_TORCHVISION,
        ),
        bugs=(_LOST,),
        value_bytes=4,
        megabyte=2**20,
    ),
)
