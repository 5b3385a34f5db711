"""A sweep on a real Dask cluster, whose workers are processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")
parquet = pytest.importorskip("pyarrow.parquet")

from archcalc.sweeping.plan import plan  # noqa: E402
from archcalc.sweeping.relations import given, options  # noqa: E402
from archcalc.sweeping.rows import cluster  # noqa: E402
from archcalc.sweeping.rows.blocks import BLOCK, SweepAsked, Sweeper  # noqa: E402
from archcalc.sweeping.rows.run import sweep_rows  # noqa: E402
from archcalc.sweeping.space import parse_dimension  # noqa: E402

TEXT = "net small(n=8, k=3) {\n  input([3, n, n]) -> conv(n, k, padding=1)\n}\n"
SETS = ("n=1..2000", "k=1..400")


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as local,
        distributed.Client(local) as client,
    ):
        yield local, client


def whole(made: Any) -> Any:
    return sweep_rows(Sweeper(made, SweepAsked())).rows


def test_nothing_is_lost_or_doubled_when_a_worker_is_killed(workers: Any, tmp_path: Path) -> None:
    local, client = workers
    path = tmp_path / "small.arch"
    path.write_text(TEXT)
    dimensions = tuple(parse_dimension(text, "--set") for text in SETS)
    made = plan(str(path), dimensions, ["macs", "params"])
    job = cluster.job_of(made, dimensions, (), SweepAsked())
    path.unlink()  # workers have the text from the job
    blocks = Sweeper(made, job.asked).count
    assert blocks >= 6
    done: list[int] = []

    def killed(_: int) -> None:
        done.append(1)
        if len(done) == 2:
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)

    folder = tmp_path / "data"
    totals = cluster.sweep_on_cluster(made, job, local.scheduler_address, folder, killed)
    assert len(done) == blocks
    assert totals.points == made.space.size == 800_000
    found = parquet.read_table(folder).to_pydict()
    points = np.array(found["n"]) * 1000 + np.array(found["k"])
    assert len(np.unique(points)) == len(points) == made.space.size
    order = np.argsort(points)
    expected = whole(made)
    macs = np.array([-1 if value is None else value for value in found["macs"]])[order]
    assert (macs == np.where(expected.errors >= 0, -1, expected.columns[0])).all()
    assert totals.invalid == int((expected.errors >= 0).sum()) > 0
    assert not list(folder.glob("*.unfinished"))

    (folder / "part-00000003.parquet").unlink()
    again = cluster.sweep_on_cluster(made, job, local.scheduler_address, folder)
    assert (again.already, again.points) == (blocks - 1, BLOCK)
    assert parquet.read_table(folder).num_rows == made.space.size


def test_computed_values_and_conditions_travel_with_the_work(workers: Any, tmp_path: Path) -> None:
    local, _ = workers
    path = tmp_path / "small.arch"
    path.write_text(TEXT)
    dimensions, relations = given(options(["t=1..300000", "k=3", "n=t // 1000 + 8"], "--set"), ["t % 2 == 0"])
    made = plan(str(path), dimensions, ["macs"], relations=relations)
    job = cluster.job_of(made, tuple(dimensions), (), SweepAsked())
    folder = tmp_path / "data"
    totals = cluster.sweep_on_cluster(made, job, local.scheduler_address, folder)
    assert (totals.points, totals.outside, totals.kept) == (300_000, 150_000, 150_000)
    table = parquet.read_table(folder)
    assert table.num_rows == 150_000
    found = table.to_pydict()
    assert found["n"][:3] == [t // 1000 + 8 for t in found["t"][:3]]
    assert found["macs"][:3] == [27 * int(n) ** 3 for n in found["n"][:3]]
