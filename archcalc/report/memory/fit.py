"""The largest batch that fits into some memory."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from archcalc.memory.timeline import Timeline
from archcalc.network import Network
from archcalc.render.numbers import byte_size, plural
from archcalc.report.memory.usage import Asked, usage_of

MAX_BATCH = 10**9


def largest_batch(network: Network, asked: Asked, limit: int, shown: str) -> tuple[dict[str, Any], list[str]]:
    """The largest batch whose peak is at most `limit` bytes, as JSON has it, and in words.

    What is alive at any moment grows with the batch in a straight line, so the largest batch follows from one
    timeline. A `best` plan of checkpoints depends on the batch: each answer is planned again until it stays.
    """
    batch = _search(network, asked, limit)
    peak = _timeline(network, replace(asked, batch=max(1, batch))).peak(batch)[0]
    more = _timeline(network, replace(asked, batch=batch + 1)).peak(batch + 1)[0]
    found = {
        "limit": limit,
        "batch": batch,
        "peak_bytes": peak if batch else None,
        "next_peak_bytes": more,
    }
    if not batch:
        need = byte_size(more)
        return found, [f"not even one sample fits into {shown}: it takes {need}; shown is a batch of 1"]
    samples = plural(batch, "sample")
    return found, [
        f"the largest batch in {shown}: {samples}, {byte_size(peak)}; one more takes {byte_size(more)}"
    ]


def _search(network: Network, asked: Asked, limit: int) -> int:
    batch = min(MAX_BATCH, _timeline(network, asked).largest_batch(limit))
    if asked.checkpoint != "best":
        return batch
    for _ in range(8):  # a plan for a larger batch may fit a still larger one; it soon stays the same
        planned = _timeline(network, replace(asked, batch=max(1, batch)))
        better = min(MAX_BATCH, planned.largest_batch(limit))
        if better <= batch:
            return batch
        batch = better
    return batch


def _timeline(network: Network, asked: Asked) -> Timeline:
    return usage_of(network, replace(asked, has_arena=False)).timeline
