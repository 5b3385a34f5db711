"""Compute operations on constants alone: shapes, indices, and rearranged arrays.

A function takes the arrays that a node reads and returns the one it computes. An array that is too large
to compute with is replaced by a stand-in of the same shape, and the function is applied to its values
when they are read: only functions that move values, `MOVES`, accept one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from archcalc.importing.onnx_graph.arrays import MAX_FOLDED, TYPES
from archcalc.importing.tensors import Unsupported

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array
    from archcalc.importing.onnx_graph.values import OnnxCall

Compute = Callable[["OnnxCall", list[Any]], Any]
"""Computes an array from arrays; a missing input is `None`."""

CONSTANTS: dict[str, Compute] = {}
MOVES: set[str] = set()
"""The operations of `CONSTANTS` that only move values, so they can return a view of any array."""

SAME_ARRAY = frozenset({"Cast", "Identity", "Squeeze", "Transpose", "Unsqueeze"})
"""The operations of `MOVES` whose result is still the same array, in another arrangement."""


def on_constants(*names: str, moves: bool = False) -> Callable[[Compute], Compute]:
    def register(function: Compute) -> Compute:
        CONSTANTS.update(dict.fromkeys(names, function))
        if moves:
            MOVES.update(names)
        return function

    return register


def stand_in(shape: tuple[int, ...], is_float: bool) -> Array:
    """Return an array of a shape that takes no memory. Raises `Unsupported` for a shape NumPy cannot have."""
    value = np.zeros((), np.float32 if is_float else np.int64)
    try:
        return np.broadcast_to(value, shape)
    except ValueError:
        raise Unsupported("an array has an impossible shape") from None


def numpy_type(code: int) -> Any:
    """Return the NumPy type for an ONNX type. Raises `Unsupported`."""
    name = TYPES.get(code, "")
    if name in ("bfloat16", ""):
        name = "float32" if name else ""
    if not name or name in ("uint4", "int4"):
        raise Unsupported("it has a data type that archcalc does not read")
    return np.dtype(name)


def bounded(size: int) -> None:
    """Raise `Unsupported` for an array that is too large to create."""
    if not 0 <= size <= MAX_FOLDED:
        raise Unsupported("it computes a large array")


# --- Arrays that are arranged in another way -----------------------------------------------------------


@on_constants("Identity", moves=True)
def identity(call: OnnxCall, inputs: list[Any]) -> Any:
    return inputs[0]


@on_constants("Cast", moves=True)
def cast(call: OnnxCall, inputs: list[Any]) -> Any:
    call.unused("saturate", "round_mode")
    kind = numpy_type(call.whole("to", 0))
    x = inputs[0]
    # a stand-in must stay one: `astype` would allocate it
    return np.broadcast_to(np.zeros((), kind), x.shape) if _is_stand_in(x) else x.astype(kind)


def _is_stand_in(x: Array) -> bool:
    return x.size > MAX_FOLDED and not any(x.strides)


@on_constants("Transpose", moves=True)
def transpose(call: OnnxCall, inputs: list[Any]) -> Any:
    return inputs[0].transpose(call.wholes("perm"))


def target_shape(shape: tuple[int, ...], want: list[int], allow_zero: bool) -> list[int]:
    """Return the result shape of `Reshape`: 0 keeps a size, -1 is inferred. Raises `Unsupported`."""
    found = list(want)
    for place, size in enumerate(want):
        if size == 0 and not allow_zero:
            if place >= len(shape):
                raise Unsupported("it keeps a size that its input does not have")
            found[place] = shape[place]
    if found.count(-1) == 1:
        rest = -math.prod(found)
        if rest <= 0 or math.prod(shape) % rest:
            raise Unsupported("its sizes do not match")
        found[found.index(-1)] = math.prod(shape) // rest
    if min(found, default=0) < 0 or math.prod(found) != math.prod(shape):
        raise Unsupported("its sizes do not match")
    return found


@on_constants("Reshape", moves=True)
def reshape(call: OnnxCall, inputs: list[Any]) -> Any:
    x = inputs[0]
    want = call.wholes("shape") if call.has("shape") else [int(n) for n in inputs[1]]
    return x.reshape(target_shape(x.shape, want or [], bool(call.whole("allowzero", 0))))


@on_constants("Flatten", moves=True)
def flatten(call: OnnxCall, inputs: list[Any]) -> Any:
    x = inputs[0]
    axis = flattened_from(call, x.ndim)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def flattened_from(call: OnnxCall, rank: int) -> int:
    """Return the first axis of the second group that `Flatten` makes; that group may be empty."""
    axis = call.whole("axis", 1)
    return axis if axis == rank else axis_in(axis, rank)


def axis_in(axis: int, rank: int) -> int:
    """Return an axis counted from the start. Raises `Unsupported` if it does not exist."""
    if not -rank <= axis < rank:
        raise Unsupported(f"there is no axis {axis}")
    return axis % rank


@on_constants("Squeeze", moves=True)
def squeeze(call: OnnxCall, inputs: list[Any]) -> Any:
    axes = call.axes()
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


@on_constants("Unsqueeze", moves=True)
def unsqueeze(call: OnnxCall, inputs: list[Any]) -> Any:
    return np.expand_dims(inputs[0], tuple(call.axes() or ()))


@on_constants("Slice", moves=True)
def slice_(call: OnnxCall, inputs: list[Any]) -> Any:
    x = inputs[0]
    kept = [slice(None)] * x.ndim
    for axis, start, end, step in slices(call, x.shape):
        kept[axis] = slice(start, end, step)
    return x[tuple(kept)]


def slices(call: OnnxCall, shape: tuple[int, ...]) -> list[tuple[int, int, int | None, int]]:
    """Return the axes that `Slice` cuts, with start, end and step as in Python's slices."""
    if call.has("starts"):
        starts, ends, axes = (call.wholes(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends, axes, steps = (call.whole_constants(place) for place in (1, 2, 3, 4))
    if starts is None or ends is None:
        raise Unsupported("an input is missing")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step == 0:
            raise Unsupported("its step is 0")
        # going backward past the first value: Python has no number for this end
        last = None if step < 0 and end < -shape[axis_in(axis, len(shape))] else end
        found.append((axis_in(axis, len(shape)), start, last, step))
    return found


@on_constants("Split", moves=True)
def split(call: OnnxCall, inputs: list[Any]) -> Any:
    x = inputs[0]
    axis = axis_in(call.whole("axis", 0), x.ndim)
    ends = np.cumsum(split_sizes(call, x.shape[axis]))
    return np.split(x, ends[:-1], axis)


def split_sizes(call: OnnxCall, size: int) -> list[int]:
    """Return the sizes of the pieces that `Split` makes of an axis. Raises `Unsupported`."""
    sizes = call.wholes("split") if call.has("split") else call.whole_constants(1)
    count = len(call.node.outputs)
    if sizes is None:
        given = call.whole("num_outputs", count)
        each = -(-size // given) if call.has("num_outputs") else size // count
        sizes = [each] * (count - 1)
        sizes.append(size - sum(sizes))
    if len(sizes) != count or min(sizes) < 0 or sum(sizes) != size:
        raise Unsupported("its pieces are not the whole")
    return sizes


@on_constants("Expand")
def expand(call: OnnxCall, inputs: list[Any]) -> Any:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(n) for n in inputs[1]))
    if inputs[0].size != 1:  # one number for all takes no memory
        bounded(math.prod(shape))
    return np.broadcast_to(inputs[0], shape)


@on_constants("Tile")
def tile(call: OnnxCall, inputs: list[Any]) -> Any:
    times = [int(n) for n in inputs[1]]
    if min(times, default=1) < 0 or len(times) != inputs[0].ndim:
        raise Unsupported("its sizes do not match")
    bounded(inputs[0].size * math.prod(times))
    return np.tile(inputs[0], times)


@on_constants("Concat")
def concat(call: OnnxCall, inputs: list[Any]) -> Any:
    return np.concatenate(inputs, call.whole("axis", 1))


@on_constants("Gather")
def gather(call: OnnxCall, inputs: list[Any]) -> Any:
    x, indices = inputs
    axis = axis_in(call.whole("axis", 0), x.ndim)
    bounded(indices.size * x.size // max(x.shape[axis], 1))
    return np.take(x, indices.astype(np.int64), axis)


@on_constants("ScatterND")
def scatter_nd(call: OnnxCall, inputs: list[Any]) -> Any:
    """Overwrite values at given places."""
    call.must_be("reduction", "none")
    x, places, values = inputs
    bounded(x.size)
    found = x.copy()
    found[tuple(np.moveaxis(places, -1, 0))] = values
    return found


# --- Arrays that are made ------------------------------------------------------------------------------


@on_constants("ConstantOfShape")
def constant_of_shape(call: OnnxCall, inputs: list[Any]) -> Any:
    """A view of one number, whatever its size: some files store arrays without their values in this way."""
    value = call.attribute("value")
    number = np.zeros((), np.float32) if value is None else call.graph.stored(value).values.reshape(())
    return np.broadcast_to(number, tuple(int(n) for n in inputs[0]))


@on_constants("Range")
def range_(call: OnnxCall, inputs: list[Any]) -> Any:
    start, limit, step = (x.reshape(()) for x in inputs)
    bounded(max(0, math.ceil((float(limit) - float(start)) / float(step))))
    return np.arange(start, limit, step, dtype=start.dtype)


# --- Arithmetic ----------------------------------------------------------------------------------------


def _divided(a: Array, b: Array) -> Array:
    """Integers are divided toward zero."""
    if a.dtype.kind != "f":
        return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)) if np.all(b) else np.zeros_like(a)
    return a / b


_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divided,
    "Pow": lambda a, b: np.power(a, b).astype(a.dtype),
    "Min": np.minimum,
    "Max": np.maximum,
    "Mod": np.mod,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}

_ONE: dict[str, Callable[[Any], Any]] = {
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Sign": np.sign,
    "Not": np.logical_not,
    "Exp": np.exp,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "Relu": lambda x: np.maximum(x, 0),
}


@on_constants(*_TWO)
def two(call: OnnxCall, inputs: list[Any]) -> Any:
    call.must_be("fmod", 0)
    if len(inputs) not in (1, 2) and call.node.op not in ("Min", "Max"):
        raise Unsupported("it has too many inputs")
    bounded(math.prod(np.broadcast_shapes(*(x.shape for x in inputs))))
    total = inputs[0]
    for x in inputs[1:]:
        total = _TWO[call.node.op](total, x)
    return total


@on_constants(*_ONE)
def one(call: OnnxCall, inputs: list[Any]) -> Any:
    return _ONE[call.node.op](inputs[0])


@on_constants("Clip")
def clip(call: OnnxCall, inputs: list[Any]) -> Any:
    """The limits are attributes before version 11, and inputs since then."""
    low, high = (
        inputs[place] if place < len(inputs) and inputs[place] is not None else call.attribute(name)
        for place, name in ((1, "min"), (2, "max"))
    )
    x = inputs[0] if low is None else np.maximum(inputs[0], low)
    return (x if high is None else np.minimum(x, high)).astype(inputs[0].dtype)


@on_constants("Where")
def where(call: OnnxCall, inputs: list[Any]) -> Any:
    bounded(math.prod(np.broadcast_shapes(*(x.shape for x in inputs))))
    return np.where(*inputs)


_REDUCED: dict[str, Callable[..., Any]] = {
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
    "ReduceMin": np.min,
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
}


@on_constants(*_REDUCED)
def reduce(call: OnnxCall, inputs: list[Any]) -> Any:
    axes, keep = call.axes(), bool(call.whole("keepdims", 1))
    if not axes and call.whole("noop_with_empty_axes", 0):
        return inputs[0]
    x = inputs[0]
    return _REDUCED[call.node.op](x, axis=tuple(axes) if axes else None, keepdims=keep).astype(x.dtype)
