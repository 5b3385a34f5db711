"""Runs a sweep on a Dask cluster: workers compute blocks, which become the files of a Parquet data set.

The contents of a block depend only on its number. If a worker is lost, another one recomputes its block. The
process that asked for a block writes its file under a temporary name and then renames it. So no block is lost
or stored twice, and a sweep that was killed continues with the missing blocks.
"""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.render.numbers import grouped, plural
from archcalc.render.progress import Advance, unseen_steps
from archcalc.settings import Settings
from archcalc.sweeping.plan import SweepPlan, plan
from archcalc.sweeping.relations import related
from archcalc.sweeping.rows import resume
from archcalc.sweeping.rows.blocks import SweepAsked, Sweeper
from archcalc.sweeping.rows.parquet import ParquetWriter, pyarrow
from archcalc.sweeping.rows.run import invalid_in_words
from archcalc.sweeping.space import Dimension

MARK = "_archcalc-sweep"
"""The file that says which sweep a data set is of. Readers of data sets leave out names with a `_`."""

AHEAD = 4
"""Blocks queued for each thread of the cluster."""

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of `mallopt(3)`."""


class Job(Struct, frozen=True):
    """Everything that a worker needs. A text network includes its sources: workers may lack the files."""

    net: str
    texts: tuple[tuple[str, str], ...]
    file: str
    dimensions: tuple[Dimension, ...]
    columns: tuple[str, ...]
    computed: tuple[tuple[str, str], ...]
    conditions: tuple[str, ...]
    expectations: tuple[str, ...]
    settings: Settings
    asked: SweepAsked


class ClusterTotals(Struct):
    """Sums over the blocks of a sweep."""

    points: int = 0
    outside: int = 0
    invalid: int = 0
    kept: int = 0
    already: int = 0
    """Blocks that were there before."""


def job_of(
    made: SweepPlan, dimensions: tuple[Dimension, ...], expectations: tuple[str, ...], asked: SweepAsked
) -> Job:
    """Return the job of a plan made from these arguments."""
    computed = tuple((each.name, each.text) for each in made.relations.computed)
    conditions = tuple(condition.text for condition in made.relations.conditions)
    opened = made.opened
    texts = () if opened.built_in or opened.path is None else tuple(sorted(opened.texts().items()))
    file = opened.path.name if opened.path is not None and texts else ""
    return Job(
        made.net, texts, file, dimensions, made.columns, computed, conditions, expectations, made.settings,
        asked,
    )  # fmt: skip


def sweep_on_cluster(
    made: SweepPlan, job: Job, scheduler: str, folder: Path, advance: Advance = unseen_steps
) -> ClusterTotals:
    """Compute all blocks that are missing from the data set. Raises `ArchError`."""
    client_of, completed = _distributed()
    pyarrow()
    blocks = Sweeper(made, job.asked).count
    totals = ClusterTotals()
    _prepare(folder, resume.signature(made, job.asked))
    todo = [block for block in range(blocks) if not _file(folder, block).exists()]
    totals.already = blocks - len(todo)
    for _ in range(totals.already):
        advance(1)
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
            block, data, found = future.result()
            _write(_file(folder, block), data)
            future.release()
            totals.points += found.points
            totals.outside += found.outside
            totals.invalid += found.invalid
            totals.kept += found.kept
            advance(1)
            following = next(waiting, None)
            if following is not None:
                running.add(client.submit(compute, job, following, pure=False, retries=5))
    return totals


def in_words(totals: ClusterTotals) -> str:
    """Describe what was computed."""
    parts = [f"{grouped(totals.points)} points computed", f"{grouped(totals.kept)} valid and kept"]
    if totals.outside:
        parts.insert(1, f"{grouped(totals.points - totals.outside)} that `--where` keeps")
    if totals.invalid:
        parts.append(invalid_in_words(totals.invalid))
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


def compute(job: Job, number: int) -> tuple[int, bytes, ClusterTotals]:
    """Return a block as a Parquet file, with the numbers of its points."""
    sweeper = _opened(job)
    with _kept_memory():
        block = sweeper.block(number)
    stream = io.BytesIO()
    writer = ParquetWriter(sweeper.plan, sweeper.engine, stream)
    writer.write(block.rows)
    writer.close()
    counts = ClusterTotals(block.points, block.outside, block.invalid, block.kept)
    return number, stream.getvalue(), counts


@contextmanager
def _kept_memory() -> Iterator[None]:
    """Let the C library keep memory that is freed while a block is computed.

    Dask's workers return it to the system at once (`MALLOC_TRIM_THRESHOLD_`), and page faults then took 0.11
    of a block's 0.27 seconds. Other tasks of the worker see no change.
    """
    before = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    try:
        adjust = ctypes.CDLL(None).mallopt if before.isdecimal() else None
    except (AttributeError, OSError, TypeError):  # not the GNU C library
        adjust = None
    if adjust is None:
        yield
        return
    adjust(TRIM_THRESHOLD, 2**26)
    adjust(MMAP_THRESHOLD, 2**25)
    try:
        yield
    finally:
        adjust(TRIM_THRESHOLD, int(before))
        adjust(MMAP_THRESHOLD, 2**17)  # what it is where the other one is set


@lru_cache(maxsize=4)
def _opened_as(key: bytes) -> Sweeper:
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
    names = [d.name for d in job.dimensions] + [name for name, _ in job.computed]
    relations = related(dict(job.computed), job.conditions, names)
    made = plan(net.partition("?")[0], job.dimensions, job.columns, job.expectations, job.settings, relations)
    if folder is not None:
        shutil.rmtree(folder)
    return Sweeper(made, job.asked)


def _opened(job: Job) -> Sweeper:
    """Return the sweeper of a job, kept for its other blocks: traces are useful for all of them."""
    import pickle

    return _opened_as(pickle.dumps(job))
