"""The table of a run, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from archcalc.executor.original import Agreement
from archcalc.notes import note_lines
from archcalc.profile import Profile
from archcalc.render.numbers import grouped, plural
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.executor.execute import Run


class How(Struct, frozen=True):
    """How a network ran: batch and precision in words, the source of its weights, and the original."""

    settings: str
    weights: str
    agreement: Agreement | None = None


def render(run: Run, profile: Profile, how: How, width: int, colour: bool) -> str:
    """Write one line per layer with shapes, time, speed, and bytes, then the totals and `how` it ran."""
    from rich.text import Text

    console = open_console(width, colour)
    table = ruled()
    table.add_column("Layer", no_wrap=True, overflow="ellipsis")
    for heading in ("Predicted", "Actual", "ms", "GFLOP/s", "Bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    columns: list[list[str]] = [[] for _ in range(6)]
    macs = 0
    for step in run.steps:
        flops = 2 * profile.entries[step.node.index].macs * profile.batch
        macs += flops // 2
        rate = f"{flops / step.seconds / 1e9:.1f}" if flops and step.seconds else ""
        cells = (
            step.node.name, format_shape(step.node.shape), format_shape(step.shape),
            f"{step.seconds * 1e3:.2f}", rate, grouped(step.bytes),
        )  # fmt: skip
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    table.add_row(*("\n".join(column) for column in columns))  # one row: rich is slow with thousands
    for line in note_lines(profile.network.notes):
        console.print(Text(line, style="yellow"))
    console.print(table)
    seconds = sum(step.seconds for step in run.steps)
    total = sum(step.bytes for step in run.steps if not step.node.is_input)
    speed = 2 * macs / max(seconds, 1e-9) / 1e9
    console.print(
        f"\n{profile.network.name}: {plural(len(run.steps), 'node')}, every shape as predicted; "
        f"{how.settings}\n"
        f"time         {seconds * 1e3:,.1f} ms, {speed:.1f} GFLOP/s at 2 FLOPs per MAC\n"
        f"activations  {plural(total, 'byte')} in all, at most {grouped(run.peak_bytes)} alive at once\n"
        f"weights      {plural(run.weight_bytes, 'byte')}, {how.weights}"
    )
    if how.agreement is not None:
        console.print(f"compared     {how.agreement}")
    return printed(console)
