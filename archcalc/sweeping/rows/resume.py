"""Stores the blocks of a sweep next to its output until it is written, so that a killed sweep can continue.

Each block is written under a temporary name and then renamed, so a stored block is always complete. A folder
with blocks of another sweep is not used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import archcalc
from archcalc.diagnostics import error
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.rows.blocks import SweepAsked, Sweeper, SweptBlock
from archcalc.sweeping.tracing.engine import Rows


def folder_of(output: Path) -> Path:
    """Return the folder of the blocks."""
    return output.with_name(f".{output.name}.archcalc-blocks")


def forget(output: Path) -> None:
    """Remove the blocks of an output that has been written."""
    shutil.rmtree(folder_of(output), ignore_errors=True)


def signature(plan: SweepPlan, asked: SweepAsked) -> str:
    """Return what a block depends on apart from its number: network texts, values, limits, archcalc."""
    settings = plan.settings
    parts = [
        archcalc.__version__,
        plan.net,
        repr(sorted(plan.opened.texts().items())),
        repr((plan.fixed, plan.space, plan.columns, plan.limits)),
        repr([(each.name, each.text) for each in plan.relations.computed]),
        repr([condition.text for condition in plan.relations.conditions]),
        repr((settings.overrides, settings.inputs, settings.batch, settings.dtype, settings.heads)),
        repr((settings.convention, settings.freeze, settings.optimizer)),
        repr((asked.sample, asked.seed)),
    ]
    path = plan.opened.path
    if path is not None and path.is_file() and not plan.opened.texts():
        parts.append(repr((path.stat().st_size, path.stat().st_mtime_ns)))
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()


class StoringSweeper(Sweeper):
    """Stores blocks next to the output, and reads those that are there. Raises `ArchError`."""

    def __init__(self, plan: SweepPlan, asked: SweepAsked, output: Path) -> None:
        super().__init__(plan, asked)
        self.folder = folder_of(output)
        try:
            _prepare(self.folder, signature(plan, asked))
        except OSError as problem:
            raise error(f"`{self.folder}` cannot be written: {problem.strerror or problem}") from None

    def block(self, number: int) -> SweptBlock:
        path = self.folder / f"{number:08d}.npz"
        found = self._stored(path, number)
        if found is None:
            found = super().block(number)
            if all(column.dtype != object for column in found.rows.columns):
                _write(path, number, found)
        return found

    def _stored(self, path: Path, number: int) -> SweptBlock | None:
        """Read a block; `None` if it is not there, or damaged."""
        try:
            with np.load(path, allow_pickle=False) as found:
                stored, points, outside, invalid, kept = (int(count) for count in found["counts"])
                rows, nearest = _rows(found, "row"), _rows(found, "nearest")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        if stored != number:
            return None
        bad = np.flatnonzero(rows.errors >= 0)
        if len(bad):  # the numbers of errors are those of this process
            rows.errors[bad] = self.engine.evaluate([values[bad] for values in rows.digits]).errors
        self.engine.advance(points)
        return SweptBlock(rows, points, outside, invalid, kept, nearest if nearest.count else None)


def _prepare(folder: Path, signed: str) -> None:
    """Prepare the folder for the blocks of this sweep; blocks of another sweep are removed."""
    mark = folder / "sweep"
    if folder.is_dir() and (not mark.exists() or mark.read_bytes() != signed.encode()):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    mark.write_text(signed)


def _write(path: Path, number: int, block: SweptBlock) -> None:
    """Write a complete block or nothing: a sweep does not end because a block cannot be stored."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    none = block.rows.chosen(np.arange(0))
    counts = [number, block.points, block.outside, block.invalid, block.kept]
    arrays = {
        "counts": np.array(counts),
        **_named(block.rows, "row"),
        **_named(block.nearest or none, "nearest"),
    }
    with suppress(OSError):
        try:
            with temporary.open("wb") as stream:
                np.savez(stream, **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _named(rows: Rows, name: str) -> dict[str, Any]:
    named = {f"{name}-d{n}": values for n, values in enumerate(rows.digits)}
    named |= {f"{name}-c{n}": values for n, values in enumerate(rows.columns)}
    return {**named, f"{name}-errors": rows.errors}


def _rows(found: Mapping[str, Any], name: str) -> Rows:
    """Return rows that `_named` has named. Raises `ValueError` if their lengths differ."""
    digits, columns = (
        [found[f"{name}-{kind}{n}"] for n in range(sum(key.startswith(f"{name}-{kind}") for key in found))]
        for kind in ("d", "c")
    )
    rows = Rows(digits, columns, found[f"{name}-errors"])
    if any(len(values) != rows.count for values in (*digits, *columns)):
        raise ValueError(f"columns of {name} have different lengths")
    return rows
