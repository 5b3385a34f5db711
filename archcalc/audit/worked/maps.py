"""Worked examples with one map of whole numbers: exact convolutions and max pools."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from archcalc.audit.worked.numbers import LARGEST, MOST, layer_of
from archcalc.builder import NetworkBuilder
from archcalc.diagnostics import error
from archcalc.executor.execute import run
from archcalc.executor.kernel import Array
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Layer
from archcalc.layers.conv import Conv
from archcalc.layers.pool import MaxPool


def correlation(image: Any, kernel: Any, stride: Any = 1, padding: Any = 0) -> Any:
    """The sum of products of kernel and image at each position, which deep learning calls convolution.

    >>> correlation(((1, 2, 3), (4, 5, 6)), ((1, 10),))
    ((21, 32), (54, 65))
    """
    rows = _rows(image, "image")
    weight = _rows(kernel, "kernel")
    layer = layer_of(Conv, 1, weight.shape, stride=stride, padding=padding, bias=False)
    if np.abs(rows).sum() * np.abs(weight).max() >= LARGEST:
        raise error("the numbers are too large for an exact result")
    return _run(layer, rows, {"weight": weight[:, :, None, None]})


def convolution(image: Any, kernel: Any, stride: Any = 1, padding: Any = 0) -> Any:
    """The same with the kernel rotated by 180 degrees, as signal processing defines convolution.

    >>> convolution(((1, 2, 3), (4, 5, 6)), ((1, 10),))
    ((12, 23), (45, 56))
    """
    _rows(kernel, "kernel")
    return correlation(image, tuple(row[::-1] for row in kernel[::-1]), stride, padding)


def max_pool(image: Any, kernel_size: Any, stride: Any = None) -> Any:
    """The largest number in each window. The stride is the size of the window by default.

    >>> max_pool(((1, 5, 2, 0), (3, 4, 8, 7)), 2)
    ((5, 8),)
    """
    return _run(layer_of(MaxPool, kernel_size, stride), _rows(image, "image"), {})


def _rows(value: Any, what: str) -> Array:
    rows = value if isinstance(value, tuple) else ()
    widths = {len(row) if isinstance(row, tuple) else 0 for row in rows}
    numbers = [number for row in rows if isinstance(row, tuple) for number in row]
    if len(widths) != 1 or 0 in widths or not all(type(number) is int for number in numbers):
        help = "write `[[1, 0], [0, 1]]`"
        raise error(f"`{what}` needs rows of whole numbers, all of the same length", help=help)
    if max(map(abs, numbers)) >= LARGEST:
        raise error(f"a number of `{what}` is too large for an exact result")
    return np.array(value, dtype=np.float64)


def _run(layer: Layer, rows: Array, weights: dict[str, Array]) -> Any:
    build = NetworkBuilder("the example", judge=False)
    try:
        node = build.add(layer, build.input((1, *rows.shape)), name="it")
    except LayerError as problem:
        raise error(problem.message, help=problem.help) from None
    windows = node.facts.windows
    assert isinstance(windows, tuple)
    places = prod(int(n + w.before + w.after) for n, w in zip(rows.shape, windows, strict=True))
    if places > MOST or prod(node.shape) * prod(int(w.kernel_size) for w in windows) > MOST:
        raise error(f"the example needs more than {MOST:,} values or products")
    out = run(build.finish(node), rows[None, None], {"it": weights} if weights else {}, dtype=np.float64)[
        "output"
    ]
    return tuple(tuple(int(number) for number in row) for row in out[0, 0])
