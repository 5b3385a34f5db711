"""Show how time grows with size: `python benchmarks/growth.py [NAME ...]`.

Each case runs with one size and with twice that size. The exponent is the base-2 logarithm of the ratio of
the times: 1 is linear, 2 is quadratic. Times are processor times, the shortest of three runs.
"""

from __future__ import annotations

import argparse
import gc
import math
import time
from collections.abc import Callable

import growth_locks  # the folder of this script is on the path
import growth_reconcile
from rich.console import Console
from rich.table import Table

RUNS = 3


def expectations_with_a_pattern(n: int) -> None:
    """`n` expectations that bound each of `n` convolutions."""
    from archcalc import analyze, loads
    from archcalc.checking.evaluate import check

    bounds = "\n".join(f'expect receptive_field("conv*") <= {2 * n + 1 + i}' for i in range(n))
    network = loads(f"net n {{\n input(1x8x8)\n repeat {n} {{ conv(1, 3, padding=1) }}\n {bounds}\n}}")
    assert all(outcome.held for outcome in check(analyze(network)))


def run_of_a_wide_concat(n: int) -> None:
    """A concatenation of `n` tensors, computed."""
    from archcalc import NetworkBuilder
    from archcalc.executor.execute import run
    from archcalc.layers import KINDS

    build = NetworkBuilder("wide")
    source = build.input((1, 2, 2))
    branches = [build.add(KINDS["relu"](), source) for _ in range(n)]
    run(build.finish(build.add(KINDS["concat"](), *branches)))


def fields_after_an_enlargement(n: int) -> None:
    """Receptive fields of `n` convolutions after an upsampling with a thousand different fields."""
    from archcalc import analyze, loads

    network = loads(
        "net n {\n input(1x4x4x4)\n upsample(scale_factor=1000/999)\n"
        f" repeat {n} {{ conv(1, 3, padding=1) }}\n}}"
    )
    assert analyze(network)[n].field.size


CASES: dict[str, Callable[[int], None]] = {
    "expectations with a pattern": expectations_with_a_pattern,
    "run of a wide concat": run_of_a_wide_concat,
    "fields after an enlargement": fields_after_an_enlargement,
    **growth_locks.CASES,
    **growth_reconcile.CASES,
}


def seconds(case: Callable[[int], None], n: int) -> float:
    """The shortest of several runs."""
    times = []
    for _ in range(RUNS):
        gc.collect()
        start = time.process_time()
        case(n)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a case (default: all)")
    parser.add_argument("--size", type=int, default=1000, help="the smaller size (default: %(default)s)")
    arguments = parser.parse_args()
    n = arguments.size
    table = Table("Case", f"n = {n:,}", f"n = {2 * n:,}", "Exponent")
    for name in arguments.names or CASES:
        once, twice = seconds(CASES[name], n), seconds(CASES[name], 2 * n)
        table.add_row(name, f"{once:.3f} s", f"{twice:.3f} s", f"{math.log2(twice / once):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
