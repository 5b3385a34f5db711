"""The memory limit of a run."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from archcalc.diagnostics import error
from archcalc.executor.arrays import MAX_BYTES
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.render.numbers import byte_size
from archcalc.shape import Shape


def refuse_too_large(network: Network, batch: int, dtype: str, heads: bool) -> None:
    """Predict the memory of a run before it is allocated. Raises `ArchError` if it is too much."""
    totals = analyze(network, dtype=dtype, heads=heads).totals
    size = np.dtype(dtype).itemsize
    widest = max(_values(node.shape) + sum(_values(s.shape) for s in node.inputs) for node in network.nodes)
    needed = totals.param_bytes + totals.buffers * size + widest * size * batch
    most = min(MAX_BYTES, _memory())
    if needed > most:
        raise error(
            f"a run of `{network.name}` with a batch of {batch:,} needs at least {byte_size(needed)}, "
            f"over the limit of {byte_size(most)}",
            help="use a smaller batch or a smaller input",
        )


def _memory() -> int:
    """The available memory in bytes, if the system reports it."""
    with suppress(OSError, ValueError, IndexError):  # Linux
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):  # other Unixes
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return MAX_BYTES


def _values(shape: Shape) -> int:
    count = 1
    for n in shape:
        count *= n
    return count
