"""Reuses memory for tensors, because getting new pages from the system takes longer than filling them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 1 << 16
"""Smaller arrays are not kept for later use."""
# The search for a free buffer takes about 4 microseconds longer than `np.empty`, and filling 64 KiB takes 1
# microsecond. The time of ResNet-50 does not depend on this number between 4 KiB and 1 MiB.

LINE = 64
"""Buffers begin at a multiple of this: the size of an AVX-512 register and of most cache lines."""
# Loading a whole register from such a buffer never crosses two cache lines.

WASTE = 4
"""An array uses a free buffer of at most this many times its size."""
# For VGG-16 the buffers take 94 MB with 1 (only exact fits), 60 MB with 2, 48 MB with 4, 44 MB without a
# limit; for Inception v3 to 67, 26, 21 and 22 MB. With a larger limit, small arrays occupy large buffers.


class Memory:
    """Buffers for arrays. A buffer is free when no needed tensor lies in it.

    Several runs can use it one after the other. It keeps the buffers that they needed.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._lent: dict[int, Array] = {}
        self._recent: list[int] = []
        """The buffers lent since the last reclaim. Some of them are for intermediate results."""

    def empty(self, shape: Collection[int], dtype: Any) -> Array:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALL:
            return np.empty(tuple(shape), dtype)
        fitting = [i for i, buffer in enumerate(self._free) if size <= buffer.nbytes <= WASTE * size]
        if fitting:
            buffer = self._free.pop(min(fitting, key=lambda i: self._free[i].nbytes))
        else:
            buffer = _aligned(size)
        key = id(owner(buffer))
        self._lent[key] = buffer
        self._recent.append(key)
        array: Array = buffer[:size].view(dtype).reshape(shape)
        return array

    def reclaim(self, released: Iterable[int], held: Container[int]) -> None:
        """Take back the buffers that nothing needs: released ones, and those of intermediate results.

        `released` and `held` name buffers by the `id` of their owner. Buffers in `held` stay lent.
        """
        for key in {*released, *self._recent}:
            if key in self._lent and key not in held:
                self._free.append(self._lent.pop(key))
        self._recent.clear()

    def owns(self, array: Array) -> bool:
        return id(owner(array)) in self._lent

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let `empty` use this memory. At the end, buffers that are still needed belong to their arrays."""
        token = _used.set(self)
        try:
            yield
        finally:
            _used.reset(token)
            self._lent.clear()
            self._recent.clear()


_used: ContextVar[Memory | None] = ContextVar("memory", default=None)


def empty(shape: Collection[int], dtype: Any) -> Array:
    """Like `np.empty`, but from the memory in use, if any. Only the result may keep a reference to it."""
    memory = _used.get()
    return np.empty(tuple(shape), dtype) if memory is None else memory.empty(shape, dtype)


@contextmanager
def ordinary() -> Iterator[None]:
    """Let `empty` be `np.empty`, for a kernel with too many intermediate arrays to keep until its end."""
    token = _used.set(None)
    try:
        yield
    finally:
        _used.reset(token)


class LiveTensors:
    """The tensors that are still needed, by the index of the node that outputs them.

    `bytes` is their size, and `peak_bytes` the largest size so far. An array under two indices counts once.
    """

    def __init__(self, memory: Memory) -> None:
        self.bytes = self.peak_bytes = 0
        self._memory = memory
        self._arrays: dict[int, Array] = {}
        # how many indices an array is under, and how many arrays an owner has: both by `id`. Counting them in
        # every step would take time that is quadratic in the number of tensors.
        self._indices: Counter[int] = Counter()
        self._owners: Counter[int] = Counter()

    def __getitem__(self, index: int) -> Array:
        return self._arrays[index]

    def add(self, index: int, array: Array) -> None:
        if not self._indices[id(array)]:
            self.bytes += array.nbytes
        self._indices[id(array)] += 1
        self._owners[id(owner(array))] += 1
        self._arrays[index] = array
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def remove(self, indices: Iterable[int]) -> None:
        """Remove tensors that are no longer needed, so that their memory can be used again."""
        released = []
        for index in indices:
            array = self._arrays.pop(index)
            if _discard(self._indices, id(array)):
                self.bytes -= array.nbytes
            if _discard(self._owners, id(owner(array))):
                released.append(id(owner(array)))
        self._memory.reclaim(released, self._owners)

    def spare(self, reads: Sequence[Array]) -> Array | None:
        """The first array, if it owns its memory: it is not a view, and is not stored under two indices."""
        array = reads[0]
        holder = owner(array)
        if not (holder is array or self._memory.owns(array)) or not array.flags.writeable:
            return None
        if any(other is array for other in reads[1:]):
            return None
        return array if self._owners[id(holder)] == 1 else None


def _discard(counts: Counter[int], key: int) -> bool:
    """Reduce a count by one. Was it the last?"""
    counts[key] -= 1
    if counts[key]:
        return False
    del counts[key]
    return True


def _aligned(size: int) -> Array:
    room = np.empty(size + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size]


def owner(array: Array) -> Any:
    """The owner of an array's memory: the end of its chain of bases, or the array itself."""
    holder: Any = array
    while getattr(holder, "base", None) is not None:
        holder = holder.base
    return holder
