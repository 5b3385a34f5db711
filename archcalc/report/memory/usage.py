"""The memory of a network under the conditions that are asked for, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from archcalc.diagnostics import error, unknown
from archcalc.gradients import Gradients
from archcalc.memory.arena import Arena, arena
from archcalc.memory.checkpoint import Checkpoints, best, by_stage, with_checkpoints
from archcalc.memory.eager import Eager, Waste, waste
from archcalc.memory.eager_step import eager_step
from archcalc.memory.inference import IN_PLACE, inference
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import AMP, NOT_TRAINED, Widths, precision, with_weights
from archcalc.memory.saved import Saved
from archcalc.memory.step import hold_parameters
from archcalc.memory.timeline import AT_INFERENCE, IN_TRAINING, Moment, Stretch, Timeline
from archcalc.network import Network
from archcalc.quantities.activations import DTYPES
from archcalc.render.progress import Progress, unseen

CHECKPOINTS = ("none", "stage", "best")

ACCOUNTINGS = {
    "needed": "what gradients need",
    "pytorch": "what eager PyTorch keeps",
}
"""Which tensors count as kept for the backward pass."""

MAX_BATCH = 10**9

TO_RUN = "add `--inference`"

NOT_COUNTED = (
    "kernel workspaces (90 to 200 MB measured with cuDNN, float32, batch 64)",
    "allocator fragmentation (1 to 9% measured, including workspaces)",
    "the device context (a few hundred MB)",
)
"""Memory that a device needs but that does not follow from the network, with sizes measured on an H100."""

NOT_COUNTED_AT_INFERENCE = (
    "kernel workspaces, such as an unfolded input",
    "memory of the runtime itself",
)
"""The same for inference. It is not measured, because it depends on the runtime."""


class MemoryAsked(Struct, frozen=True):
    """The conditions of a training step or, with `is_inference`, of inference."""

    batch: int = 1
    dtype: str = "float32"
    optimizer: str = "sgd"
    heads: bool = False
    is_inference: bool = False
    in_place: tuple[str, ...] = ()
    has_arena: bool = False
    checkpoint: str = "none"
    weights_dtype: str = ""
    """The dtype of parameters at inference, if it differs from `dtype`."""
    accounting: str = "needed"
    """The tensors kept for the backward pass: a name in `ACCOUNTINGS`."""

    def checked(self) -> MemoryAsked:
        """These conditions. Raises `ArchError` if a value is unknown or conditions exclude each other."""
        if type(self.batch) is not int or not 1 <= self.batch <= MAX_BATCH:
            raise error(f"the batch must be a whole number from 1 to 1,000,000,000, got {self.batch}")
        if self.dtype not in (*DTYPES, AMP):
            raise unknown("unknown dtype", self.dtype, (*DTYPES, AMP), listing="dtypes")
        if self.weights_dtype and self.weights_dtype not in DTYPES:
            raise unknown("unknown weights dtype", self.weights_dtype, DTYPES, listing="dtypes")
        if self.weights_dtype and not self.is_inference:
            raise error("`--weights-dtype` needs `--inference`", help=TO_RUN)
        if self.weights_dtype and self.dtype == AMP:
            raise error(
                "`--weights-dtype` cannot be combined with `--dtype amp`",
                help="leave out `--weights-dtype`",
            )
        if self.optimizer not in OPTIMIZERS:
            raise unknown("unknown optimizer", self.optimizer, OPTIMIZERS, listing="optimizers")
        for name in self.in_place:
            if name not in IN_PLACE:
                raise unknown("unknown name for `--in-place`:", name, IN_PLACE, listing="names")
        if self.accounting not in ACCOUNTINGS:
            raise unknown("unknown accounting", self.accounting, ACCOUNTINGS, listing="accountings")
        if self.accounting != "needed" and (self.is_inference or self.checkpoint != "none"):
            option = "--inference" if self.is_inference else "--checkpoint"
            raise error(
                f"`--accounting {self.accounting}` cannot be combined with `{option}`",
                help=f"leave out `{option}`",
            )
        if self.accounting != "needed" and self.dtype == AMP:
            raise error(
                f"`--accounting {self.accounting}` does not support mixed precision",
                help="leave out `--accounting`, or use `--dtype bfloat16`",
            )
        if self.checkpoint not in CHECKPOINTS:
            raise unknown("unknown checkpoint plan", self.checkpoint, CHECKPOINTS, listing="plans")
        if not self.is_inference and (self.in_place or self.has_arena):
            option = "--in-place" if self.in_place else "--arena"
            raise error(f"`{option}` needs `--inference`", help=TO_RUN)
        if self.is_inference and self.checkpoint != "none":
            raise error(
                "`--checkpoint` cannot be combined with `--inference`", help="leave out `--inference`"
            )
        if not self.is_inference and self.dtype in NOT_TRAINED:
            raise error(
                f"training in {self.dtype} is not supported",
                help="use `bfloat16` or `amp`, or add `--inference`",
            )
        return self


class Usage(Struct, frozen=True, eq=False):
    """The result. `plain` is the step without checkpoints, if there is a plan with checkpoints."""

    network: Network
    asked: MemoryAsked
    timeline: Timeline
    placed: Arena | None = None
    plan: Checkpoints | None = None
    plain: Timeline | None = None
    waste: tuple[Waste, ...] = ()
    """The memory that eager PyTorch keeps beyond what gradients need, by cause."""

    @property
    def peak(self) -> tuple[int, int]:
        """The peak in bytes, and its moment."""
        return self.timeline.peak(self.asked.batch)

    @property
    def moment(self) -> Moment:
        return self.timeline.moments[self.peak[1]]

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of memory under these conditions."""
        return AT_INFERENCE if self.asked.is_inference else IN_TRAINING

    @property
    def not_counted(self) -> tuple[str, ...]:
        return NOT_COUNTED_AT_INFERENCE if self.asked.is_inference else NOT_COUNTED

    def at_peak(self) -> dict[str, int]:
        """The bytes of each category at the peak. They add up to it."""
        found = dict.fromkeys(self.categories, 0)
        for tensor in self.timeline.alive(self.peak[1]):
            found[tensor.category] += tensor.size.of(self.asked.batch)
        return found

    def largest(self, top: int, category: str = "") -> Sequence[Stretch]:
        """The largest tensors at the peak, of one category or of all."""
        batch = self.asked.batch
        alive = [tensor for tensor in self.timeline.alive(self.peak[1]) if category in ("", tensor.category)]
        return sorted(alive, key=lambda tensor: -tensor.size.of(batch))[:top]


def usage_of(network: Network, asked: MemoryAsked, progress: Progress = unseen) -> Usage:
    """The memory of a network. Raises `ArchError` for conditions that exclude each other."""
    asked.checked()
    widths: Widths = precision(asked.dtype, network)
    if asked.weights_dtype:
        widths = with_weights(widths, asked.weights_dtype)
    if asked.is_inference:
        timeline = inference(network, widths, asked.in_place, asked.heads)
        placed = arena(timeline, asked.batch) if asked.has_arena else None
        whole = hold_parameters(timeline, network, widths, asked.heads)
        return Usage(network, asked, whole, placed)
    gradients = Gradients(network, asked.heads)
    if not gradients.needs:
        raise error(
            f"no parameter of `{network.name}` is trained",
            help="freeze less, or add `--inference`",
        )
    if asked.accounting == "pytorch":
        return _of_eager_pytorch(network, asked, gradients, widths)
    saved = Saved(gradients, widths=widths)
    optimizer = OPTIMIZERS[asked.optimizer]
    plain = with_checkpoints(saved, widths, optimizer, [])
    if asked.checkpoint == "none":
        return Usage(network, asked, plain.timeline)
    if asked.checkpoint == "stage":
        plan = with_checkpoints(saved, widths, optimizer, by_stage(gradients))
    else:
        plan = best(saved, widths, optimizer, asked.batch, progress)
    return Usage(network, asked, plan.timeline, None, plan, plain.timeline)


def _of_eager_pytorch(network: Network, asked: MemoryAsked, gradients: Gradients, widths: Widths) -> Usage:
    eager = Eager(gradients)
    found = waste(Saved(gradients), Saved(gradients, eager.backward), eager, widths)
    timeline = eager_step(eager, widths, OPTIMIZERS[asked.optimizer])
    return Usage(network, asked, timeline, waste=tuple(each for each in found if each.size.of(asked.batch)))


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B\s*")


def read_bytes(text: str) -> int:
    """A number of bytes: `24GB`, `24GiB`, `1.5 TB`. Raises `ArchError` for anything else.

    >>> read_bytes("24GB"), read_bytes("24 GiB")
    (24000000000, 25769803776)
    """
    found = _SIZE.fullmatch(text)
    if found is None or len(found[1]) > 20:
        what = f"`{text[:40]}` is not a memory size" if text.strip() else "the memory size is empty"
        raise error(what, help="write `24GB` or `24GiB`")
    base = 1024 if found[3] else 1000
    whole, _, rest = found[1].partition(".")
    unit = int(base ** " KMGT".index(found[2] or " "))
    return int(whole) * unit + int(rest or 0) * unit // int(10 ** len(rest))
