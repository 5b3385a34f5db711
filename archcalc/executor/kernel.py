"""Kernels, and the registry of all kernels.

Arrays are channels-last: a map of C×H×W is an array of shape `(batch, H, W, C)`, and a vector is
`(batch, N)`. In this layout a convolution is one matrix product per block of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from archcalc.executor.memory import empty
from archcalc.layers.base import KINDS, Layer
from archcalc.shape import AXES

Array = NDArray[Any]


class Call(Struct):
    """One application of a layer: its inputs, its arrays, and how the network is run.

    With `train`, batch statistics and dropout are used, with `random` as the source of randomness. `kept`
    receives random decisions, and intermediate results for the backward pass. `spare` is the first input if
    nothing else reads it, so a kernel can write its result there. `batch` is the number of samples, for
    kernels that do not read a tensor.
    """

    inputs: Sequence[Array]
    weights: Mapping[str, Array]
    train: bool = False
    random: np.random.Generator | None = None
    spare: Array | None = None
    batch: int = 1
    kept: dict[str, Array] | None = None

    @property
    def x(self) -> Array:
        return self.inputs[0]


class BadValues(ValueError):
    """Values that a kernel does not accept. The message follows the name of the layer."""


Kernel = Callable[[Any, Call], Array]
K = TypeVar("K", bound=Kernel)

KERNELS: dict[type[Layer], Kernel] = {}
"""The kernel of each layer kind."""


def kernel(*kinds: type[Layer]) -> Callable[[K], K]:
    """Register a function as the kernel of layer kinds."""

    def register(function: K) -> K:
        for kind in kinds:
            if kind in KERNELS:
                raise TypeError(f"layer kind `{kind.kind}` has two kernels")
            KERNELS[kind] = function
        return function

    return register


def check_complete() -> None:
    """Refuse to run if a layer kind has no kernel."""
    missing = [name for name, kind in KINDS.items() if kind not in KERNELS]
    if missing:
        raise TypeError(f"layer kinds without a kernel: {', '.join(missing)}")


# --- How NumPy is used ------------------------------------------------------------------------

BUFFER = 4096
"""The number of values that NumPy can copy together to make its loops longer."""
# NumPy copies and joins rows of up to half this many values. Its default of 8,192 includes rows of 2,048 to
# 4,096 values, which are long enough: `np.maximum` takes 1.2 times as long on rows of 3,072 to 4,096 (NumPy
# 2.4, Zen 4). With 1,024 or 2,048 MobileNet v1 is not faster.


@contextmanager
def computing() -> Iterator[None]:
    """Settings for running kernels. Infinities and NaNs are ordinary results."""
    with np.errstate(all="ignore"):
        before = np.setbufsize(BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


def along_row(x: Array, values: Array | float) -> Array:
    """A value per channel, or one for all channels, repeated for a row of the map `x`.

    NumPy then works on long stretches of memory, and never on single numbers, with which it is slow.
    """
    return np.full(x.shape[-2:], values, x.dtype)


# --- Windows, by their definition and without the shape rules ----------------------------------------


def axis_of(dim: str, x: Array) -> int:
    """The axis of an array that a `dim` argument names."""
    return x.ndim - 1 if dim == "channels" else 1 + AXES[x.ndim - 2].index(dim)


def each_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """One value per spatial axis."""
    return value if isinstance(value, tuple) else (value,) * rank


def pads(
    padding: Any,
    sizes: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """Zeros before and after each axis.

    For `same`, as few as give a window at every `stride`-th place. An odd zero is added at the end, or with
    `same_lower` at the beginning.
    """
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding not in ("same", "same_lower"):
        return [p if isinstance(p, tuple) else (p, p) for p in each_axis(padding, len(sizes))]
    found = []
    for n, k, s, d in zip(sizes, kernel_size, stride, dilation, strict=True):
        last_start = (n - 1) // s * s
        needed = max(0, last_start + (k - 1) * d + 1 - n)
        half = needed // 2
        found.append((half, needed - half) if padding == "same" else (needed - half, half))
    return found


def starts(n: int, k: int, s: int, d: int, before: int, after: int, ceil_mode: bool = False) -> int:
    """The number of windows. One starts at every `s`-th place if it fits into the padded axis.

    In ceil mode the axis is extended by less than a stride, so that the remaining places get a window too,
    unless this window would start in the padding at the end.
    """
    room = n + before + after - (d * (k - 1) + 1) + (s - 1 if ceil_mode else 0)
    count = len(range(0, room + 1, s))
    if ceil_mode and count and (count - 1) * s >= n + before:
        count -= 1
    return count


def padded(x: Array, ends: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """An array with `value` around its spatial axes, or the array itself if nothing is added."""
    if not any(before or after for before, after in ends):
        return x
    shape = (x.shape[0], *(n + b + a for n, (b, a) in zip(x.shape[1:-1], ends, strict=True)), x.shape[-1])
    out = empty(shape, x.dtype)
    for axis, (before, after) in enumerate(ends, start=1):
        whole = (slice(None),) * axis
        out[(*whole, slice(0, before))] = value
        out[(*whole, slice(shape[axis] - after, None))] = value
    inner = tuple(slice(b, b + n) for n, (b, _) in zip(x.shape[1:-1], ends, strict=True))
    out[(slice(None), *inner)] = x
    return out


def windows_of(
    x: Array,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    counts: Sequence[int],
) -> Array:
    """A view of shape `(batch, *places, *kernel, channels)`: every window of a padded array."""
    rank = len(kernel_size)
    spatial = x.strides[1 : 1 + rank]
    shape = (x.shape[0], *counts, *kernel_size, x.shape[-1])
    strides = (
        x.strides[0],
        *(s * step for s, step in zip(spatial, stride, strict=True)),
        *(s * step for s, step in zip(spatial, dilation, strict=True)),
        x.strides[-1],
    )
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
