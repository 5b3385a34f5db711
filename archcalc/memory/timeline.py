"""A timeline: the moments of a run, and the range of moments in which each tensor is alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct

from archcalc.network import Node
from archcalc.number import largest


class Size(NamedTuple):
    """Bytes: a constant number, and a number per sample."""

    fixed: int
    per_sample: int = 0

    def of(self, batch: int) -> int:
        return self.fixed + self.per_sample * batch


CATEGORIES = {
    "parameters": "parameters and buffers",
    "optimizer": "optimizer state",
    "gradients": "gradients of parameters",
    "saved": "saved for backward",
    "temporary": "temporary tensors",
    "activations": "activations",
}
"""The categories of memory and their names. Every byte is in one of them."""

IN_TRAINING = ("parameters", "optimizer", "gradients", "saved", "temporary")
"""The categories of a training step."""

AT_INFERENCE = ("activations", "parameters")
"""The categories of running a network once."""


class Moment(NamedTuple):
    """A moment of a run: the phase, and the node that is computed.

    Phases are `forward`, `loss`, `backward`, `recompute`, and `step`. The loss and the step have no node.
    """

    phase: str
    node: Node | None


class Stretch(Struct, eq=False):
    """A piece of memory that is in use from the moment `born` to the moment `last`, both included.

    `name` says what it is: `conv1`, `gradient of conv1`, `relu1 mask`.
    """

    name: str
    category: str
    node: Node | None
    size: Size
    born: int
    last: int = -1


class Timeline(Struct, eq=False, dict=True):
    """All moments of a run, and all tensors."""

    moments: Sequence[Moment]
    tensors: Sequence[Stretch]

    @property
    def words(self) -> Mapping[str, str]:
        """The names of the categories of its tensors."""
        return CATEGORIES

    def bytes_alive(self, batch: int, category: str = "") -> list[int]:
        """The bytes alive at each moment, of one category or in total."""
        changes = [0] * (len(self.moments) + 1)
        for tensor in self.tensors:
            if not category or tensor.category == category:
                size = tensor.size.of(batch)
                changes[tensor.born] += size
                changes[tensor.last + 1] -= size
        return list(accumulate(changes[:-1]))

    def alive(self, moment: int) -> list[Stretch]:
        """The tensors alive at a moment, the oldest first."""
        return [tensor for tensor in self.tensors if tensor.born <= moment <= tensor.last]

    def peak(self, batch: int) -> tuple[int, int]:
        """The most bytes alive at once, and the first moment with this number."""
        alive = self.bytes_alive(batch)
        most = max(alive)
        return most, alive.index(most)

    def most(self, batch: int) -> int:
        """The most bytes alive at once."""
        most: int = largest(self.bytes_alive(batch))
        return most

    @cached_property
    def sizes(self) -> list[Size]:
        """The size of everything alive at each moment, as a function of the batch size."""
        fixed, per_sample = [0] * (len(self.moments) + 1), [0] * (len(self.moments) + 1)
        for tensor in self.tensors:
            for changes, size in ((fixed, tensor.size.fixed), (per_sample, tensor.size.per_sample)):
                changes[tensor.born] += size
                changes[tensor.last + 1] -= size
        return [Size(*pair) for pair in zip(accumulate(fixed[:-1]), accumulate(per_sample[:-1]), strict=True)]

    def largest_batch(self, limit: int) -> int:
        """The largest batch that never takes more than `limit` bytes; 0 if not even one sample fits."""
        batches = [
            (limit - size.fixed) // size.per_sample
            if size.per_sample
            else (0 if size.fixed > limit else None)
            for size in self.sizes
        ]
        return max(0, min(batch for batch in batches if batch is not None))
