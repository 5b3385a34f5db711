"""Arrays of an ONNX model: their shapes, and their values on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.importing.onnx_graph.records import OnnxTensorRecord, Place
from archcalc.importing.tensors import Unsupported

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array
    from archcalc.importing.onnx_graph.values import OnnxCall

MAX_FOLDED = 1_000_000
"""The most values in an array that the import computes with. Shapes and indices have only a few."""

MAX_AXES = 32
"""The most axes of an array; every version of NumPy supports this many."""

TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16", 21: "uint4", 22: "int4",
}  # fmt: skip
"""The types of numbers that are read, by their codes in the format."""

FLOATS = {1, 10, 11, 16, 17, 18, 19, 20, 23, 24, 27, 28}
"""The floating-point types, including those that are not read."""

_STORED = {"bfloat16": "uint16", "uint4": "uint8", "int4": "uint8"}
"""The NumPy types used for the bytes of types that NumPy does not have."""


class OnnxArray(Struct, eq=False):
    """An array whose values do not depend on the input: stored, or computed from constants.

    `key` identifies the array: uses with the same key are uses of the same array, which `load` reads. It has
    `rank` axes. `dims` gives the stored axis for each axis here, or -1 for an added axis of size 1; so a
    transposed array is still the same array. `is_own` says whether it is stored in the model.
    """

    key: str
    shape: tuple[int, ...]
    is_float: bool
    load: Callable[[], Array]
    dims: tuple[int, ...] | None = None
    rank: int = -1
    is_own: bool = True
    made_from: str = ""
    """The key of the stored array with the same values, if they were rearranged into a different array."""
    is_buffer: bool = False
    """Whether the model says that it is not trained."""
    is_argument: bool = False
    """Whether its values were used during the import, as those of shapes and limits are."""
    is_constant: bool = False
    """Whether it is written as a constant where it is used, not among the arrays of the model."""
    is_made: bool = False
    """Whether it is filled with one number, or made by the exporter. Results of it are not weights."""
    is_parameter: bool = False
    """Whether it is a trained number."""
    recipe: OnnxCall | None = None
    """The node that computes it from trained arrays."""
    bits: int = 0
    """The number of bits of its integers, if that is 4 or 8."""
    _values: Array | None = None

    def __post_init__(self) -> None:
        if self.dims is None:
            self.dims, self.rank = tuple(range(len(self.shape))), len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_trained(self) -> bool:
        """Whether it is trained, if no layer decides that. Single numbers and integers are not."""
        return self.is_own and self.is_float and not self.is_buffer and (self.size > 1 or self.is_parameter)

    @property
    def is_of_few_bits(self) -> bool:
        """Whether it is a quantized weight. Zero points have at most one axis, and indices have more bits."""
        return self.is_own and self.bits > 0 and len(self.shape) > 1 and not self.is_float

    @property
    def is_computed(self) -> bool:
        return self._values is not None

    @property
    def is_fixed(self) -> bool:
        """Whether it is a buffer when used as a tensor or a factor."""
        return self.is_buffer or self.is_constant or not self.is_own

    @property
    def comes_from_trained(self) -> bool:
        return self.recipe is not None or (self.is_trained and not self.is_fixed and not self.is_made)

    @property
    def values(self) -> Array:
        """Return the values of a small array, used as an argument. Raises `Unsupported` for a large one."""
        self.is_argument = True
        if self._values is None:
            if self.size > MAX_FOLDED:
                raise Unsupported(f"it computes with `{shown(self.key)}`")
            try:
                self._values = self.all_values()
            except ArchError:
                raise Unsupported(f"the values of `{shown(self.key)}` cannot be read") from None
        return self._values

    def all_values(self) -> Array:
        return self.load().transpose(self.arranged()).reshape(self.shape)

    def arranged(self, order: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the stored axes in an order given by the axes here, as `ModelArray` needs them."""
        assert self.dims is not None
        kept = [self.dims[axis] for axis in (order or range(len(self.shape))) if self.dims[axis] >= 0]
        return (*kept, *(axis for axis in range(self.rank) if axis not in kept))


def shown(name: str) -> str:
    """Truncate a name from a file."""
    return "".join(c if c.isprintable() else "?" for c in name[:60])


def computed(key: str, values: Any) -> OnnxArray:
    """Return an array that was computed from constants."""
    array = np.asarray(values)
    is_float = array.dtype.kind == "f"
    return OnnxArray(key, array.shape, is_float, lambda: array, is_own=False, _values=array)


class ArrayStore:
    """Knows where the bytes of arrays are: in the model's file, in memory, or in other files beside it."""

    def __init__(self, shown_as: str, data: bytes | None = None, path: Path | None = None) -> None:
        self.shown_as = shown_as
        self.path = path
        self._data = data

    @property
    def source(self) -> Path | bytes | None:
        """Return the whole model: its file, or its bytes."""
        return self.path if self.path is not None else self._data

    def array(self, record: OnnxTensorRecord, key: str) -> OnnxArray:
        """Return an array with its shape. Raises `ArchError` if its size does not match its values."""
        shape = tuple(record.dims)
        if len(shape) > MAX_AXES or any(size < 0 for size in shape):
            raise error(f"`{shown(key)}` in `{self.shown_as}` has an impossible shape")
        kind = TYPES.get(record.data_type, "")
        if kind and record.raw is not None and not record.external:
            _, start, end = record.raw
            have, want = end - start, _bytes_of(kind, math.prod(shape))
            if have not in (0, want):  # files without values are useful, too
                raise error(f"`{shown(key)}` in `{self.shown_as}` has {have:,} bytes of values, not {want:,}")
        load = partial(self._load, record, key)
        bits = {"uint4": 4, "int4": 4, "uint8": 8, "int8": 8}.get(kind, 0)
        return OnnxArray(key, shape, record.data_type in FLOATS, load, bits=bits)

    def _load(self, record: OnnxTensorRecord, key: str) -> Array:
        kind, count = TYPES.get(record.data_type, ""), math.prod(record.dims)
        if not kind:
            raise error(f"`{shown(key)}` in `{self.shown_as}` has a data type that archcalc does not read")
        if record.location == 1 or record.external:
            values = self._external(record, key, kind, count)
        elif record.raw is not None:
            values = _from_raw(self._bytes(*record.raw[1:]), kind, count)
        else:
            values = self._from_fields(record, kind)
        if values.size != count:
            raise error(f"`{shown(key)}` in `{self.shown_as}` has {values.size:,} values, not {count:,}")
        return values.reshape(record.dims)

    def _bytes(self, start: int, end: int) -> bytes:
        if self._data is not None:
            return self._data[start:end]
        assert self.path is not None
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _external(self, record: OnnxTensorRecord, key: str, kind: str, count: int) -> Array:
        entries = {entry.key: entry.value for entry in record.external}
        location = entries.get("location", "")
        if self.path is None:
            raise error(
                f"the values of `{shown(key)}` are in `{shown(location)}`, whose folder is unknown",
                help="give the path of the model",
            )
        folder = self.path.parent.resolve()
        try:
            file = (folder / location).resolve()
            offset = int(entries.get("offset") or 0)
            length = int(entries.get("length") or _bytes_of(kind, count))
        except (ValueError, OSError):
            raise error(f"`{self.shown_as}` has no valid place for the values of `{shown(key)}`") from None
        if not location or folder not in file.parents:
            raise error(f"the values of `{shown(key)}` are outside the folder of `{self.shown_as}`")
        try:
            size = file.stat().st_size
            if offset < 0 or length != _bytes_of(kind, count) or offset + length > size:
                raise error(f"`{location}` does not have the {count:,} values of `{shown(key)}`")
            with file.open("rb") as opened:
                opened.seek(offset)
                return _from_raw(opened.read(length), kind, count)
        except OSError as problem:
            raise error(f"`{location}` cannot be read: {problem.strerror or problem}") from None

    def _from_fields(self, record: OnnxTensorRecord, kind: str) -> Array:
        if kind == "float32":
            return self._packed(record.floats, "<f4")
        if kind == "float64":
            return self._packed(record.doubles, "<f8")
        if kind == "int64":
            return self._wholes(record.int64s).view(np.int64)
        if kind in ("uint32", "uint64"):
            return self._wholes(record.uint64s).astype(kind)
        wholes = self._wholes(record.int32s).view(np.int64)
        if kind == "float16":
            return wholes.astype(np.uint16).view(np.float16)
        if kind in _STORED:
            return _from_raw(wholes.astype(_STORED[kind]).tobytes(), kind, math.prod(record.dims))
        return wholes.astype(kind)

    def _packed(self, places: Sequence[Place], dtype: str) -> Array:
        return np.frombuffer(b"".join(self._bytes(start, end) for _, start, end in places), dtype)

    def _wholes(self, places: Sequence[Place]) -> Array:
        """Read variable-length integers as unsigned 64-bit numbers."""
        parts = []
        for wire, start, end in places:
            if wire == 0:  # a single value, which was already read
                parts.append(np.array([start], np.uint64))
                continue
            read = np.frombuffer(self._bytes(start, end), np.uint8)
            if not read.size:
                continue
            ends = np.flatnonzero(read < 128)
            if not ends.size or ends[-1] != read.size - 1:
                raise error(f"`{self.shown_as}` is damaged")
            begins = np.concatenate([[0], ends[:-1] + 1])
            place = np.arange(read.size) - np.repeat(begins, ends - begins + 1)
            if place.max() > 9:
                raise error(f"`{self.shown_as}` is damaged")
            shifted = (read & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
            parts.append(np.add.reduceat(shifted, begins))
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _bytes_of(kind: str, count: int) -> int:
    if kind in ("uint4", "int4"):
        return (count + 1) // 2
    return count * np.dtype(_STORED.get(kind, kind)).itemsize


def _from_raw(data: bytes, kind: str, count: int) -> Array:
    stored = np.dtype(_STORED.get(kind, kind)).newbyteorder("<")
    if len(data) % stored.itemsize:
        return np.zeros(0)
    read = np.frombuffer(data, stored)
    if kind == "bfloat16":
        return (read.astype(np.uint32) << 16).view(np.float32)
    if kind in ("uint4", "int4"):
        halves = np.stack([read & 15, read >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
        return np.where(halves > 7, halves - 16, halves).astype(np.int8) if kind == "int4" else halves
    return read
