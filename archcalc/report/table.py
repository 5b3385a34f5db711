"""The report as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from archcalc.analyses.cost import FLOPS_CONVENTION, MACS_CONVENTION
from archcalc.analyses.memory import ACCOUNTINGS, DTYPES
from archcalc.checks import check
from archcalc.report.columns import BY_IMPORTANCE, COLUMNS, DEFAULT, Column, View
from archcalc.report.numbers import axes, megabytes
from archcalc.report.rows import Row
from archcalc.shape import format_shape


def render(
    rows: Sequence[Row],
    view: View,
    columns: Sequence[Column],
    width: int,
    heading: Sequence[str],
    file: IO[str],
    colour: bool,
) -> None:
    """Write a heading, the table and the totals. Without `columns`, as many as fit are shown."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(
        file=file, width=width, no_color=not colour, force_terminal=colour, highlight=False, soft_wrap=False
    )
    if columns:
        cells = _cells(rows, view, columns)
    else:
        columns, cells = _fitting(rows, view, width)
    for number, line in enumerate(heading):
        console.print(Text(line, style="bold" if number == 0 else "dim"), overflow="fold")
    if heading:
        console.print()
    whole = all(row.layers for row in rows) and sum(len(r.layers) for r in rows) == len(view.profile.layers)
    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        footer = ""
        if column.name == "layer":
            footer = "Total" if whole else "Total of all layers"
        elif column.total is not None:
            footer = view.count(column.total(view))
        table.add_column(
            column.heading,
            footer,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            style="cyan" if column.name.endswith("_bar") else "",
            footer_style="bold",
        )
    for line in zip(*cells, strict=True):
        table.add_row(*line)
    console.print(table)
    for line in footnotes(view):
        console.print(Text(line), overflow="fold")


def _cells(rows: Sequence[Row], view: View, columns: Sequence[Column]) -> list[list[str]]:
    return [[column.text(row, view) if column.text else str(column.raw(row, view)) for row in rows] for column in columns]


def _fitting(rows: Sequence[Row], view: View, width: int) -> tuple[list[Column], list[list[str]]]:
    """The default columns, and of the others what fits into the width; and their cells."""
    chosen: dict[str, list[str]] = {}
    room = width
    for name in (*DEFAULT, *BY_IMPORTANCE):
        column = COLUMNS[name]
        (cells,) = _cells(rows, view, [column])
        footer = view.count(column.total(view)) if column.total is not None else ""
        needed = max(map(len, (column.heading, footer, *cells))) + 2
        if name in DEFAULT or needed <= room:
            chosen[name] = cells
            room -= needed
    names = [name for name in COLUMNS if name in chosen]
    return [COLUMNS[name] for name in names], [chosen[name] for name in names]


def heading(view: View, reference: str) -> list[str]:
    """What the table speaks of."""
    network = view.profile.network
    inputs = [
        f"input {format_shape(node.shape, view.layout)}"
        if name == "input"
        else f"input {name} {format_shape(node.shape, view.layout)}"
        for name, node in network.inputs.items()
    ]
    about = [*inputs, f"batch {view.profile.batch}", view.profile.dtype]
    if view.profile.heads and network.heads:
        about.append("training heads counted")
    lines = [network.name, ", ".join(about)]
    if reference:
        lines.insert(1, reference)
    return lines


def footnotes(view: View) -> list[str]:
    """The totals, each with its convention in words."""
    profile = view.profile
    totals = profile.totals
    count = view.count
    size = DTYPES[profile.dtype]
    lines = [
        _line("parameters", count(totals.params), _parameters(view)),
        _line("multiply-adds", count(totals.macs), MACS_CONVENTION),
        _line("FLOPs", count(totals.flops), FLOPS_CONVENTION),
        _line(
            "activations",
            count(totals.activations),
            f"{ACCOUNTINGS['activations']}, {megabytes(totals.activation_bytes)} as {profile.dtype}"
            + (f" for a batch of {profile.batch:,}" if profile.batch > 1 else ""),
        ),
        _line(
            "  in place",
            count(totals.activations_in_place),
            f"{ACCOUNTINGS['activations_in_place']}, "
            f"{megabytes(totals.activations_in_place * size * profile.batch)}",
        ),
        _line("depth", str(totals.depth), _depth(view)),
    ]
    field = _widest_field(view)
    if field:
        lines.append(field)
    lines += _remarks(view)
    return lines


def _line(name: str, value: str, words: str) -> str:
    return f"{name:<14} {value:>15}  {words}".rstrip()


def _parameters(view: View) -> str:
    totals = view.profile.totals
    words = [megabytes(totals.param_bytes), f"{view.count(totals.weights)} of them weights"]
    if totals.buffers:
        words.append(f"{view.count(totals.buffers)} buffers besides")
    return ", ".join(words)


def _depth(view: View) -> str:
    totals = view.profile.totals
    return (
        f"convolutions and fully connected layers on the longest path; {totals.weighted_layers:,} in all, "
        f"{totals.layers:,} layers"
    )


def _widest_field(view: View) -> str:
    """The last field that is not yet the whole input."""
    for layer in reversed(view.profile.layers):
        field = layer.field
        if not field.is_global and field.stride:
            words = f"of `{layer.name}`, effective stride {axes(field.stride)}, padding {axes(field.padding)}"
            return _line("field", axes(field.size), words)
    return ""


def _remarks(view: View) -> list[str]:
    profile = view.profile
    network = profile.network
    lines = []
    if network.expectations:
        if network.overridden:
            lines.append(f"expectations: {len(network.expectations)} not checked, since parameters were set")
        else:
            checks = check(profile)
            held = sum(c.held for c in checks)
            lines.append(f"expectations: {held} of {len(checks)} hold")
            lines += [f"  {c.expect.span}: {c.reason}" for c in checks if not c.held]
    if network.heads and not profile.heads:
        count = sum(node.training for node in network.nodes)
        names = ", ".join(network.heads)
        lines.append(f"training heads: {names} ({count} layers) not counted; `--heads` counts them")
    if profile.misalignments:
        lines.append(f"unaligned branches: {len(profile.misalignments)}; the fields given there are hulls")
        lines += [f"  {m}" for m in profile.misalignments[:3]]
        if len(profile.misalignments) > 3:
            lines.append(f"  ... and {len(profile.misalignments) - 3} more (`--format json` lists all)")
    if any(_has_holes(layer) for layer in profile.layers):
        lines.append("dilation leaves holes in receptive fields: hulls are given")
    return lines


def _has_holes(layer: object) -> bool:
    windows = layer.node.facts.windows  # type: ignore[attr-defined]
    return isinstance(windows, tuple) and any(w.dilation > 1 and w.kernel_size > 1 for w in windows)
