"""The fast path of a run: ways of computing that are not the definition, taken only where they are asked for.

- Dense 3x3 convolutions of stride 1 by Winograd's minimal filtering, where the map is large enough.
- A batch norm with running statistics right behind a convolution is scaled into its weights, if nothing
  else reads what the convolution puts out.

Everything else runs on the reference kernels. What is prepared here depends on the weights alone, so that
several runs can share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from archcalc.executor.kernel import KERNELS, Array, Call, Kernel, each_axis, pads
from archcalc.executor.norm import scale_and_shift
from archcalc.executor.winograd import Filter, convolved, transformed
from archcalc.layers.conv import Conv, Depthwise, Pointwise
from archcalc.layers.norm import BatchNorm
from archcalc.network import Node
from archcalc.shape import Shape


class Shortcut(Struct):
    """What takes the place of a node's kernel and arrays; with `folds`, of the batch norm there too."""

    kernel: Kernel
    weights: Mapping[str, Array]
    folds: int | None = None


FastPath = dict[int, Shortcut]
"""Shortcuts by the index of the node."""


def fast_path(
    nodes: Iterable[Node], weights: Mapping[str, Mapping[str, Array]], fold: bool = True
) -> FastPath:
    """Prepare the fast path of nodes with these weights; without `fold` batch norms stay apart.

    Fold only where the running statistics are final.
    """
    nodes = list(nodes)
    behind = {
        node.inputs[0].index: node
        for node in nodes
        if isinstance(node.layer, BatchNorm) and node.training == node.inputs[0].training
    }
    found: FastPath = {}
    filters: dict[tuple[str, int], Filter] = {}
    for node in nodes:
        if not isinstance(node.layer, Conv | Depthwise | Pointwise):
            continue
        owner = (node.shares or node).name
        arrays = dict(weights[owner])
        kernel = KERNELS[type(node.layer)]
        folds = None
        scale: Array | float = 1.0
        bn = behind.get(node.index) if fold else None
        if bn is not None and isinstance(bn.layer, BatchNorm) and bn.layer.track_running_stats:
            folds = bn.index
            scale, shift = scale_and_shift(bn.layer, weights[(bn.shares or bn).name])
            arrays["bias"] = shift + arrays.get("bias", 0) * scale
        m = tile_size(node)
        if m:
            if (owner, m) not in filters:
                filters[owner, m] = transformed(arrays["weight"], m)
            kernel = _winograd(filters[owner, m].scaled(scale))
        elif folds is not None:
            arrays["weight"] = arrays["weight"] * scale
        if m or folds is not None:
            found[node.index] = Shortcut(kernel, arrays, folds)
    return found


def tile_size(node: Node) -> int:
    """The side of Winograd's tiles for a node, 0 if the reference kernel is better; by the shape alone.

    Below 64 channels the transforms cost more than they save, and so they do on maps of a few tiles.
    Large tiles need many multiplications of each weight to make up for reading four times as many.
    """
    layer = node.layer
    if not isinstance(layer, Conv) or layer.groups != 1 or layer.connections is not None:
        return 0
    source: Shape = node.inputs[0].shape
    if len(source) != 3 or min(source[0], node.shape[0]) < 64:
        return 0
    arguments = (layer.kernel_size, layer.stride, layer.dilation)
    if any(each_axis(given, 2) != (want, want) for given, want in zip(arguments, (3, 1, 1), strict=True)):
        return 0
    smallest = min(node.shape[1:])
    return 4 if smallest >= 28 else 2 if smallest >= 10 else 0


def _winograd(filter: Filter) -> Kernel:
    def conv(layer: Conv, call: Call) -> Array:
        ends = pads(layer.padding, call.x.shape[1:-1], (3, 3), (1, 1), (1, 1))
        return convolved(call.x, filter, ends, call.weights.get("bias"))

    return conv
