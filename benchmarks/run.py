"""Measure archcalc against its limits and print a table: `python benchmarks/run.py`.

Machines are noisy, so a limit is either on a ratio of two times measured in turn or leaves ample room. The
exit status is 1 if a limit is exceeded.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

T = TypeVar("T")

EMPTY_TYPER = """
import typer
app = typer.Typer()
@app.command()
def main() -> None:
    pass
app()
"""
ARCHCALC = "from archcalc.cli import main; main()"


def seconds(command: list[str]) -> float:
    """The wall time of a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "120"})
    return time.perf_counter() - start


def ratio(command: list[str], baseline: list[str], runs: int) -> tuple[float, float]:
    """The median ratio of the times of two commands, run in turn, and the median time of the first."""
    seconds(command), seconds(baseline)  # warm-up: reads files into the cache
    pairs = [(seconds(command), seconds(baseline)) for _ in range(runs)]
    return statistics.median(a / b for a, b in pairs), statistics.median(a for a, _ in pairs)


def per_node(runs: int) -> float:
    """Microseconds per node, from the text of ResNet-152 to all its quantities, in this process."""
    from archcalc.catalog import shipped_files
    from archcalc.language.elaborate import elaborate
    from archcalc.language.loader import load_file
    from archcalc.layers.base import facts
    from archcalc.profile import analyze

    path = shipped_files()["resnet152"]
    times = []
    for _ in range(runs):
        facts.cache_clear()
        gc.collect()
        start = time.perf_counter()
        network = elaborate(load_file(path).nets["resnet152"])
        assert analyze(network).totals.params
        times.append(time.perf_counter() - start)
    return statistics.median(times) / len(network.nodes) * 1e6


def all_specs() -> float:
    """Seconds for all built-in networks, from text to profile, in one process."""
    code = (
        "import time; s = time.perf_counter()\n"
        "from archcalc.catalog import shipped\n"
        "from archcalc.profile import analyze\n"
        "n = [analyze(opened.network()).totals for opened in shipped()]\n"
        "print(time.perf_counter() - s)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(printed.stdout)


def chain(layers: int, written_out: bool, folder: Path) -> tuple[float, float, float]:
    """Seconds and MiB of a process that computes the totals of a chain, and microseconds per layer in it."""
    if written_out:
        body = "\n".join(["  conv(8, 3, padding=1)"] * layers)
    else:
        body = f"  repeat {layers} {{ conv(8, 3, padding=1) }}"
    path = folder / f"chain{layers}{written_out}.arch"
    path.write_text(f"net chain {{\n  input(8x32x32)\n{body}\n}}\n")
    code = (
        "import gc, sys, time; gc.disable()\n"
        "import archcalc, archcalc.opening, archcalc.profile\n"
        "s = time.perf_counter()\n"
        f"t = archcalc.profile.analyze(archcalc.opening.load({str(path)!r})).totals\n"
        f"assert t.depth == {layers} and t.params == {layers} * 584\n"
        "print(time.perf_counter() - s)"
    )
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    inside = float(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return time.perf_counter() - start, usage.ru_maxrss / unit, inside / layers * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="runs of each command (default 9)")
    runs = parser.parse_args().runs
    console = Console()
    table = Table(title="archcalc benchmark", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in (("Measure", "left"), ("Value", "right"), ("Limit", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    failed = []

    def row(measure: str, value: float, limit: float | None, unit: str, note: str = "") -> None:
        over = limit is not None and value > limit
        if over:
            failed.append(measure)
        shown = "" if limit is None else f"{limit:g} {unit}"
        table.add_row(measure, f"{value:.2f} {unit}", shown, "OVER THE LIMIT" if over else note)

    python = [sys.executable, "-c"]
    report = [*python, ARCHCALC, "report", "resnet152"]
    with tempfile.TemporaryDirectory() as name, Progress(console=Console(stderr=True), transient=True) as bar:
        folder = Path(name)
        empty = folder / "empty.py"
        empty.write_text(EMPTY_TYPER)
        baseline = [sys.executable, str(empty)]
        task = bar.add_task("measuring", total=8)

        def step(measure: Callable[[], T]) -> T:
            result = measure()
            bar.advance(task)
            return result

        for label, command, limit in (
            ("report resnet152 --format json", [*report, "--format", "json"], 1.5),
            ("report resnet152, a table", report, 2.2),
            ("--version", [*python, ARCHCALC, "--version"], 1.1),
        ):
            value, wall = step(lambda command=command: ratio(command, baseline, runs))  # type: ignore[misc]
            row(label, value, limit, "x empty typer", f"{wall * 1000:.0f} ms")
        row("text to profile, resnet152", step(lambda: per_node(max(runs, 20))), 20, "µs per node")
        row("all built-in specs", step(all_specs), 3, "s")
        chain(1000, False, folder)
        small = step(lambda: statistics.median(chain(1000, False, folder)[2] for _ in range(5)))
        wall, memory, each = step(lambda: chain(100_000, False, folder))
        row("chain of 100,000, a loop", wall, 3, "s")
        row("  its memory", memory, 250, "MiB")
        row("  per layer, relative to a chain of 1,000", each / small, 1.3, "x", f"{each:.1f} µs")
        wall, memory, each = step(lambda: chain(100_000, True, folder))
        row("chain of 100,000, written out", wall, None, "s")
        row("  its memory", memory, None, "MiB")
    console.print(table)
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        console.print("PYTHONDONTWRITEBYTECODE is set: modules without bytecode are compiled at every start")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
