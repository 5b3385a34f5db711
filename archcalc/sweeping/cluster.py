"""Runs a sweep on a Dask cluster: workers compute blocks, which become the files of a Parquet data set.

The contents of a block depend only on its number. If a worker is lost, another one recomputes its block. The
process that asked for a block writes its file under a temporary name and then renames it. So no block is lost
or stored twice, and a sweep that was killed continues with the missing blocks.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.render.numbers import grouped, plural
from archcalc.settings import Settings
from archcalc.sweeping import resume, run, view
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.run import Found, SweepAsked
from archcalc.sweeping.space import Dimension

MARK = "_archcalc-sweep"
"""The file that says which sweep a data set is of. Readers of data sets leave out names with a `_`."""

AHEAD = 4
"""Blocks queued for each thread of the cluster."""


class Job(Struct, frozen=True):
    """Everything that a worker needs. A text network includes its sources: workers may lack the files."""

    net: str
    texts: tuple[tuple[str, str], ...]
    file: str
    dimensions: tuple[Dimension, ...]
    columns: tuple[str, ...]
    expectations: tuple[str, ...]
    settings: Settings
    asked: SweepAsked


class Totals(Struct):
    """Totals over the blocks of a sweep."""

    computed: int = 0
    invalid: int = 0
    kept: int = 0
    already: int = 0
    """Blocks that were there before."""


def job_of(
    made: SweepPlan, dimensions: tuple[Dimension, ...], expectations: tuple[str, ...], asked: SweepAsked
) -> Job:
    """Return the job of a plan made from these arguments."""
    opened = made.opened
    texts = () if opened.built_in or opened.path is None else tuple(sorted(opened.texts().items()))
    file = opened.path.name if opened.path is not None and texts else ""
    return Job(made.net, texts, file, dimensions, made.columns, expectations, made.settings, asked)


def sweep_on_cluster(
    made: SweepPlan, job: Job, scheduler: str, folder: Path, advance: Callable[[], None] = lambda: None
) -> Totals:
    """Compute all blocks that are missing from the data set. Raises `ArchError`."""
    client_of, completed = _distributed()
    view.pyarrow()
    blocks = run.blocks_of(made, job.asked)
    totals = Totals()
    _prepare(folder, resume.signature(made, job.asked))
    todo = [block for block in range(blocks) if not _file(folder, block).exists()]
    totals.already = blocks - len(todo)
    for _ in range(totals.already):
        advance()
    if not todo:
        return totals
    try:
        client = client_of(scheduler, timeout="10s")
    except (OSError, ValueError) as problem:
        raise error(f"no scheduler answers at `{scheduler}`: {problem}") from None
    with client:
        threads = sum(client.nthreads().values()) or 1
        waiting = iter(todo)
        first = [block for _, block in zip(range(AHEAD * threads), waiting, strict=False)]
        running = completed([client.submit(compute, job, block, pure=False, retries=5) for block in first])
        for future in running:
            block, data, computed, invalid, kept = future.result()
            _write(_file(folder, block), data)
            future.release()
            totals.computed += computed
            totals.invalid += invalid
            totals.kept += kept
            advance()
            following = next(waiting, None)
            if following is not None:
                running.add(client.submit(compute, job, following, pure=False, retries=5))
    return totals


def in_words(totals: Totals) -> str:
    """Describe what was computed."""
    parts = [f"{grouped(totals.computed)} points computed", f"{grouped(totals.kept)} valid and kept"]
    if totals.invalid:
        parts.append(f"{grouped(totals.invalid)} are not valid networks")
    if totals.already:
        parts.append(f"already there: {plural(totals.already, 'block')}")
    return ", ".join(parts)


def _distributed() -> tuple[Any, Any]:
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise error("a cluster needs the package distributed", help="pip install 'archcalc[dask]'") from None
    return Client, as_completed


def _prepare(folder: Path, signed: str) -> None:
    """Prepare the folder for this sweep's data set. Raises `ArchError` if it has another data set."""
    mark = folder / MARK
    try:
        folder.mkdir(exist_ok=True)
        if not mark.exists():
            if any(folder.iterdir()):
                raise error(f"`{folder}` is not empty: a data set needs a new folder")
            mark.write_text(signed)
        elif mark.read_text() != signed:
            raise error(f"`{folder}` has another sweep: a data set needs a new folder")
        for left in folder.glob("*.unfinished"):
            left.unlink()
    except OSError as problem:
        raise error(f"`{folder}` cannot be written: {problem.strerror or problem}") from None


def _file(folder: Path, block: int) -> Path:
    return folder / f"part-{block:08d}.parquet"


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.unfinished")
    temporary.write_bytes(data)
    temporary.replace(path)


# --- On a worker ---------------------------------------------------------------------------------------


def compute(job: Job, block: int) -> tuple[int, bytes, int, int, int]:
    """Return a block as a Parquet file, with its numbers of points, invalid points and rows kept."""
    made, engine = _opened(job)
    rows, invalid, kept, _ = run.compute_block(made, engine, job.asked, block)
    count = min(run.BLOCK, run.points_of(made, job.asked) - block * run.BLOCK)
    found = Found(made, engine, rows, count, invalid, kept, True)
    stream = io.BytesIO()
    view.write_parquet_to(found, stream)
    return block, stream.getvalue(), count, invalid, kept


@lru_cache(maxsize=4)
def _opened_as(key: bytes) -> tuple[SweepPlan, Engine]:
    import pickle

    job: Job = pickle.loads(key)  # made by `_opened`, in this process
    net = job.net
    folder = None
    if job.texts:
        folder = Path(tempfile.mkdtemp(prefix="archcalc-"))
        for name, text in job.texts:
            (folder / name).write_text(text, encoding="utf-8")
        plain, question, rest = job.net.partition("?")
        name = plain.rpartition(":")[2] if ":" in plain else ""
        net = f"{folder / job.file}{f':{name}' if name else ''}{question}{rest}"
    own = job.settings
    made = plan(net.partition("?")[0], job.dimensions, job.columns, job.expectations, own)
    if folder is not None:
        shutil.rmtree(folder)
    return made, made.engine()


def _opened(job: Job) -> tuple[SweepPlan, Engine]:
    """Return the plan and engine of a job, kept for its other blocks: traces are useful for all of them."""
    import pickle

    return _opened_as(pickle.dumps(job))
