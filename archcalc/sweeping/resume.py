"""Stores the blocks of a sweep next to its output until it is written, so that a killed sweep can continue.

Each block is written under a temporary name and then renamed, so a stored block is always complete. A folder
with blocks of another sweep is not used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np

import archcalc
from archcalc.diagnostics import error
from archcalc.sweeping.blocks import Rows, SweepAsked, Sweeper, SweptBlock
from archcalc.sweeping.plan import SweepPlan


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
            raise error(f"`{output}` cannot be written: {problem.strerror or problem}") from None

    def block(self, number: int) -> SweptBlock:
        path = self.folder / f"{number:08d}.npz"
        if path.exists():
            return _read(path)
        found = super().block(number)
        if not found.invalid and found.kept and all(c.dtype != object for c in found.rows.columns):
            _write(path, found)
        return found


def _prepare(folder: Path, signed: str) -> None:
    """Prepare the folder for the blocks of this sweep; blocks of another sweep are removed."""
    mark = folder / "sweep"
    if folder.is_dir() and (not mark.exists() or mark.read_text() != signed):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    mark.write_text(signed)


def _write(path: Path, block: SweptBlock) -> None:
    """Write a complete block or nothing. Blocks with errors are recomputed: their messages are not stored."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    rows = block.rows
    named = {f"d{n}": values for n, values in enumerate(rows.digits)}
    named |= {f"c{n}": values for n, values in enumerate(rows.columns)}
    counts = np.array([block.points, block.outside, block.invalid, block.kept])
    with temporary.open("wb") as stream:
        np.savez(stream, errors=rows.errors, counts=counts, **named)
    temporary.replace(path)


def _read(path: Path) -> SweptBlock:
    try:
        with np.load(path, allow_pickle=False) as found:
            digits = [found[f"d{n}"] for n in range(sum(name[0] == "d" for name in found.files))]
            columns = [found[f"c{n}"] for n in range(sum(name.startswith("c") for name in found.files) - 1)]
            points, outside, invalid, kept = (int(number) for number in found["counts"])
            return SweptBlock(Rows(digits, columns, found["errors"]), points, outside, invalid, kept)
    except (OSError, ValueError, KeyError) as problem:
        raise error(
            f"`{path}` is damaged: {problem}", help="remove the folder that it is in, and sweep again"
        ) from None
