"""The fast path of a run: methods that differ from the definition, used only on request.

- Dense 3x3 convolutions of stride 1 use Winograd's minimal filtering if the map is large enough.
- A batch norm with running statistics directly after a convolution is folded into its weights, if nothing
  else reads the output of the convolution.

Everything else runs on the reference kernels. The preparation depends on the weights alone, so several runs
can share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from msgspec import Struct

from archcalc.executor.kernel import KERNELS, Array, Call, Kernel, each_axis, pads
from archcalc.executor.norm import scale_and_shift
from archcalc.executor.weights import arrays_of
from archcalc.executor.winograd import Filter, convolved, transformed
from archcalc.layers.conv import Conv, Depthwise, Pointwise
from archcalc.layers.norm import BatchNorm
from archcalc.network import Node
from archcalc.shape import Shape

# The comments give the time of Winograd over that of the reference kernel, for layers with as many output
# channels as input channels, on one thread of Zen 4 with AVX-512.

LEAST_CHANNELS = 64
"""Least number of channels for Winograd. With fewer, the transforms cost more than they save."""
# 32 channels: 1.7 on 14x14, 1.1 on 28x28, 0.7 to 0.9 on 56x56 and 112x112. 64 channels: 0.9, 0.8 and 0.5.

SMALL_TILES = 10
"""Least side of a map for tiles of 2x2 outputs. On smaller maps the transforms cost more than they save."""
# 128 to 512 channels: 0.8 to 1.3 on 6x6 to 8x8, 0.9 to 1.0 on 10x10, 0.7 to 0.95 on 12x12. 64 channels: 1.3
# on 10x10 and 12x12, 0.9 on 14x14.

LARGE_TILES = 28
"""Least side of a map for tiles of 4x4 outputs, which read four times as many weights."""
# 128 to 512 channels, tiles of 4x4 against tiles of 2x2: 0.9 to 1.1 against 0.8 on 14x14, 0.35 to 0.5 against
# 0.5 to 0.75 on 24x24 and 28x28. In between it depends on the layer.


class Shortcut(Struct):
    """Replaces the kernel and the arrays of a node. With `folds`, it includes the batch norm after it."""

    kernel: Kernel
    weights: Mapping[str, Array]
    folds: int | None = None


FastPath = dict[int, Shortcut]
"""Shortcuts by the index of the node."""


def fast_path(
    nodes: Iterable[Node], weights: Mapping[str, Mapping[str, Array]], fold: bool = True
) -> FastPath:
    """Prepare the fast path of nodes with these weights. Without `fold`, batch norms are not folded.

    Fold only if the running statistics are final.
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
        arrays = dict(arrays_of(node, weights))
        kernel = KERNELS[type(node.layer)]
        folds = None
        scale: Array | float = 1.0
        bn = behind.get(node.index) if fold else None
        if bn is not None and isinstance(bn.layer, BatchNorm) and bn.layer.track_running_stats:
            folds = bn.index
            scale, shift = scale_and_shift(bn.layer, arrays_of(bn, weights))
            arrays["bias"] = shift + arrays.get("bias", 0) * scale
        m = tile_size(node)
        if m:
            if (owner, m) not in filters:
                filters[owner, m] = transformed(arrays["weight"], m)
            kernel = _winograd(filters[owner, m].scaled(scale))
        elif folds is not None:
            arrays["weight"] = arrays["weight"] * _per_weight(node.layer, scale)
        if m or folds is not None:
            found[node.index] = Shortcut(kernel, arrays, folds)
    return found


def _per_weight(layer: Conv | Depthwise | Pointwise, scale: Array | float) -> Array | float:
    """A factor for each output channel, in the layout of the last axis of the weights."""
    if isinstance(layer, Conv) and layer.connections is not None:
        return np.repeat(scale, [len(row) for row in layer.connections])  # one weight per connected pair
    return scale


def tile_size(node: Node) -> int:
    """The side of Winograd's tiles for a node, or 0 for the reference kernel. It depends on shapes alone."""
    layer = node.layer
    if not isinstance(layer, Conv) or layer.groups != 1 or layer.connections is not None:
        return 0
    source: Shape = node.inputs[0].shape
    if len(source) != 3 or min(source[0], node.shape[0]) < LEAST_CHANNELS:
        return 0
    arguments = (layer.kernel_size, layer.stride, layer.dilation)
    if any(each_axis(given, 2) != (want, want) for given, want in zip(arguments, (3, 1, 1), strict=True)):
        return 0
    smallest = min(node.shape[1:])
    return 4 if smallest >= LARGE_TILES else 2 if smallest >= SMALL_TILES else 0


def _winograd(filter: Filter) -> Kernel:
    def conv(layer: Conv, call: Call) -> Array:
        ends = pads(layer.padding, call.x.shape[1:-1], (3, 3), (1, 1), (1, 1))
        return convolved(call.x, filter, ends, call.weights.get("bias"))

    return conv
