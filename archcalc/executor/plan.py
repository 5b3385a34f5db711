"""The plan of a run: the tensors and the kernel of each node, and the tensors that can be freed after it.

A plan is made before any tensor is computed. It depends only on the network, the weights, and the options.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from archcalc.executor.fast import FastPath
from archcalc.executor.kernel import KERNELS, Array, Call, Kernel
from archcalc.executor.weights import Weights, arrays_of
from archcalc.layers.base import Layer
from archcalc.network import Node


class PlannedStep(Struct, frozen=True):
    """How one node is computed. Tensors are named by the index of the node that outputs them.

    `kernel` is `None` for an input of the network. `frees` are the tensors that are no longer needed after
    this step. With `may_overwrite`, the first tensor in `reads` is one of them, and the kernel can write its
    result there if no other tensor shares its memory. With `calibrates`, the running statistics in `weights`
    are set to those of the first tensor in `reads`.
    """

    node: Node
    kernel: Kernel | None
    weights: Mapping[str, Array]
    reads: tuple[int, ...]
    frees: tuple[int, ...]
    may_overwrite: bool
    calibrates: bool


class Plan(Struct, frozen=True):
    """The steps of a run in order, and the nodes whose outputs it returns, by name."""

    steps: Sequence[PlannedStep]
    results: Mapping[str, Node]


def make_plan(
    nodes: Sequence[Node],
    weights: Weights,
    results: Mapping[str, Node],
    fast: FastPath,
    *,
    overwrite: bool,
    calibrate: bool,
) -> Plan:
    """Plan a run of `nodes`, which are in topological order.

    `fast` are the shortcuts to use where possible. `overwrite` lets kernels write into tensors that are no
    longer needed. `calibrate` sets the running statistics during the run.
    """
    kept = {node.index for node in results.values()}
    shortcuts = _possible(fast, nodes, kept)
    folded = {shortcut.folds for shortcut in shortcuts.values()}
    steps = []
    for node, frees in zip(nodes, _last_uses(nodes, kept), strict=True):
        kernel = KERNELS.get(type(node.layer))
        arrays = arrays_of(node, weights)
        if node.index in shortcuts:
            kernel, arrays = shortcuts[node.index].kernel, shortcuts[node.index].weights
        elif node.index in folded:
            kernel = _pass_on
        steps.append(
            PlannedStep(
                node,
                kernel,
                arrays,
                tuple(source.index for source in node.reads),
                tuple(frees),
                # the memory of an input can belong to the caller
                overwrite and any(s.index in frees and not s.is_input for s in node.inputs[:1]),
                calibrate and "running_mean" in arrays,
            )
        )
    return Plan(steps, results)


def _possible(fast: FastPath, nodes: Sequence[Node], kept: Collection[int]) -> FastPath:
    """The shortcuts, without those whose convolution output is needed before the batch norm."""
    if not fast:
        return fast
    uses = Counter(source.index for node in nodes for source in node.reads)
    return {
        index: shortcut
        for index, shortcut in fast.items()
        if shortcut.folds is None or (uses[index] == 1 and index not in kept)
    }


def _pass_on(layer: Layer, call: Call) -> Array:
    """The kernel of a batch norm that was folded into the convolution before it."""
    return call.x


def _last_uses(nodes: Sequence[Node], kept: Collection[int]) -> list[list[int]]:
    """For each node, the tensors that are not needed after it. Tensors in `kept` are always needed."""
    last: dict[int, int] = {}
    for place, node in enumerate(nodes):
        last[node.index] = place
        for source in node.reads:
            last[source.index] = place
    frees: list[list[int]] = [[] for _ in nodes]
    for index, place in last.items():
        if index not in kept:
            frees[place].append(index)
    return frees
