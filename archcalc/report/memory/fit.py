"""The largest batch that fits into some memory."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from archcalc.memory.timeline import Timeline
from archcalc.network import Network
from archcalc.render.numbers import byte_size, plural
from archcalc.render.progress import Progress, unseen
from archcalc.report.memory.usage import MAX_BATCH, MemoryAsked, Usage, usage_of


def largest_batch(
    network: Network, asked: MemoryAsked, limit: int, shown: str, progress: Progress = unseen
) -> tuple[Usage, dict[str, Any], list[str]]:
    """The largest batch whose peak is at most `limit` bytes: its memory, and the answer as JSON and as text.

    Memory at each moment grows linearly with the batch, so one timeline gives the largest batch. A `best`
    plan of checkpoints depends on the batch, so both are recomputed until they no longer
    change. If not even one sample fits, the result has a batch of 1.
    """
    search = _Search(network, asked, progress)
    batch = search.largest(limit)
    usage = search.usage(max(1, batch))
    next_peak = search.timeline(batch + 1).peak(batch + 1)[0] if batch < MAX_BATCH else None
    found = {
        "limit": limit,
        "batch": batch,
        "peak_bytes": usage.peak[0] if batch else None,
        "next_peak_bytes": next_peak,
    }
    return usage, found, [_sentence(usage, batch, next_peak, shown)]


def _sentence(usage: Usage, batch: int, next_peak: int | None, shown: str) -> str:
    at_least = "at least " if not usage.network.is_complete else ""
    if not batch:
        takes = byte_size(usage.peak[0])
        return f"not even one sample fits into {shown}: it takes {at_least}{takes}; a batch of 1 is shown"
    samples = plural(batch, "sample")
    if next_peak is None:
        return (
            f"{samples} fit into {shown}, {at_least}{byte_size(usage.peak[0])}; larger batches are not tried"
        )
    if at_least:
        samples = f"at most {samples}"
    takes = f"{at_least}{byte_size(next_peak)}"
    return f"the largest batch in {shown}: {samples}, {byte_size(usage.peak[0])}; one more takes {takes}"


class _Search:
    """The memory of one network for several batches, from one timeline unless plans differ."""

    def __init__(self, network: Network, asked: MemoryAsked, progress: Progress) -> None:
        self.network, self.asked, self.progress = network, asked, progress
        self.planned: dict[int, Usage] = {}

    def usage(self, batch: int) -> Usage:
        """The memory for one batch."""
        asked = replace(self.asked, batch=batch)
        if asked.checkpoint != "best" and self.planned:
            return replace(next(iter(self.planned.values())), asked=asked)
        if batch not in self.planned:
            self.planned[batch] = usage_of(self.network, asked, self.progress)
        return self.planned[batch]

    def timeline(self, batch: int) -> Timeline:
        return self.usage(batch).timeline

    def largest(self, limit: int) -> int:
        batch = min(MAX_BATCH, self.timeline(self.asked.batch).largest_batch(limit))
        if self.asked.checkpoint != "best":
            return batch
        fits = 0
        for _ in range(8):  # a plan for a larger batch may allow an even larger one; this soon ends
            other = min(MAX_BATCH, self.timeline(max(1, batch)).largest_batch(limit))
            if other >= batch:
                fits = max(fits, batch)
            if other in (batch, fits):
                break
            batch = other
        return fits
