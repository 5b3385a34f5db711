"""The report as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.checking.evaluate import check
from archcalc.notes import note_lines, unknown_operations
from archcalc.quantities import QUANTITIES, Selection
from archcalc.render.numbers import plural
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.report.columns import COLUMNS, SHORT, Column, View, by_importance, default
from archcalc.shape import Shape, format_shape


def render(
    rows: Sequence[Selection],
    view: View,
    columns: Sequence[Column],
    width: int,
    heading: Sequence[str],
    colour: bool,
) -> str:
    """Write a heading, the table, and the totals. Without `columns`, show as many columns as fit."""
    from rich.table import Table
    from rich.text import Text

    left_out = ""
    if columns:
        cells = _cells(rows, view, columns)
    else:
        columns, cells = _fitting(rows, view, width)
        left_out = _left_out(columns, view)
    cells = _shortened(cells, columns, view, width)
    widths = [_width(column, lines, view) for column, lines in zip(columns, cells, strict=True)]
    # lines may be too long, but figures are never cut
    console = open_console(max(width, sum(widths) + GAP * (len(widths) - 1)), colour)
    for number, line in enumerate(heading):
        console.print(Text(line, style="bold" if number == 0 else "dim"), overflow="fold")
    for line in note_lines(view.profile.network.notes):
        console.print(Text(line, style="yellow"), overflow="fold")
    whole = sum(len(row.layers) for row in rows) == len(view.profile.layers)
    table = ruled(show_footer=True)
    for column in columns:
        table.add_column(
            column.heading,
            total_cell(column, view, "Total" if whole else PART),
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            style="cyan" if column.bar else "",
        )
    # One row of tall cells prints the same as one row per layer, in a quarter of the time.
    table.add_row(*(Text("\n".join(lines)) for lines in cells))
    totals = Table.grid(padding=(0, 2))
    totals.add_column(no_wrap=True)
    totals.add_column(no_wrap=True, justify="right")
    totals.add_column(style="dim")
    for name, value, words in totals_in_words(view):
        totals.add_row(name, Text(value, style="bold"), Text(words))
    console.print("", table, "", totals, sep="\n")
    for line in remarks(view):
        console.print(Text(line), overflow="fold")
    if left_out:
        console.print(Text(left_out, style="dim"), overflow="fold")
    return printed(console)


def _cells(rows: Sequence[Selection], view: View, columns: Sequence[Column]) -> list[list[str]]:
    return [[column.cell(row, view) for row in rows] for column in columns]


PART = "All layers"
"""The title of the totals if only some layers are shown."""


def total_cell(column: Column, view: View, title: str = "Total") -> str:
    """The cell below a column: the total, or the title of the totals."""
    if column.name == "layer":
        return title
    return view.count(column.total(view)) if column.total is not None else ""


def _width(column: Column, cells: Sequence[str], view: View) -> int:
    return max(map(len, (column.heading, total_cell(column, view, PART), *cells)))


def _shortened(cells: list[list[str]], columns: Sequence[Column], view: View, width: int) -> list[list[str]]:
    """The cells, with paths shortened at the beginning if the table is too wide. Figures are never cut."""
    widths = [_width(column, lines, view) for column, lines in zip(columns, cells, strict=True)]
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    if excess <= 0 or columns[0].name != "layer":
        return cells
    room = max(12, widths[0] - excess)
    paths = [path if len(path) <= room else "…" + path[1 - room :] for path in cells[0]]
    return [paths, *cells[1:]]


GAP = 2
"""Blanks between two columns."""


def _fitting(rows: Sequence[Selection], view: View, width: int) -> tuple[list[Column], list[list[str]]]:
    """The default columns, others that fit, and the cells of all."""
    chosen: dict[str, list[str]] = {}
    room = width + GAP
    always = default(view)
    for name in (*always, *by_importance(view)):
        column = COLUMNS[name]
        (cells,) = _cells(rows, view, [column])
        if not any(cells) and column.total is None:
            continue
        needed = _width(column, cells, view) + GAP
        if name not in always and (
            needed > room or (name == SHORT.get("operation") and "operation" in chosen)
        ):
            continue
        chosen[name] = cells
        room -= needed
    names = [name for name in COLUMNS if name in chosen]
    return [COLUMNS[name] for name in names], [chosen[name] for name in names]


def _left_out(columns: Sequence[Column], view: View) -> str:
    """A sentence that names the columns that do not fit; empty if all fit."""
    shown = {column.name for column in columns}
    shown |= {long for long, short in SHORT.items() if short in shown}
    shown |= {short for long, short in SHORT.items() if long in shown}
    missing = [COLUMNS[name] for name in by_importance(view) if name not in shown]
    names = [column.name for column in missing if not column.bar and not column.name.endswith("_share")]
    return f"columns left out: {', '.join(names)} (see `--columns`)" if names else ""


def heading(view: View, reference: str) -> list[str]:
    """The lines above the table."""
    network = view.profile.network
    inputs = [_input(name, node.shape, view) for name, node in network.inputs.items()]
    about = [*inputs, f"batch {view.profile.batch}", view.profile.dtype]
    if view.profile.heads and network.heads:
        about.append("training heads counted")
    lines = [network.name, ", ".join(about)]
    if reference:
        lines.insert(1, reference)
    return lines + [f"see also {name}: {about}" for name, about in network.see.items()]


def _input(name: str, shape: Shape, view: View) -> str:
    """An input in the heading. A volume is marked, because four axes could also mean a batch."""
    named = "input" if name == "input" else f"input {name}"
    volume = " (3-D)" if len(shape) == 4 else ""
    return f"{named} {format_shape(shape, view.layout)}{volume}"


def totals_in_words(view: View) -> list[tuple[str, str, str]]:
    """The totals: name, value, and a description. The count of a convention comes first."""
    known = sorted(QUANTITIES.values(), key=lambda quantity: not quantity.of_convention)
    lines = (quantity.total(view.profile, view.count) for quantity in known if quantity.total is not None)
    return [line for line in lines if line is not None]


def remarks(view: View) -> list[str]:
    """The lines below the totals: everything else that a reader of the figures must know."""
    profile = view.profile
    network = profile.network
    lines = []
    if profile.counter is not None:
        missing = profile.counter.not_counted([layer.node for layer in profile.layers])
        if missing:
            listed = ", ".join(f"{kind} ({number:,})" for kind, number in missing.items())
            lines.append(f"not counted by {profile.counter.convention.name}: {listed}")
        unseen = profile.counter.unseen([layer.node for layer in profile.layers])
        if unseen:
            listed = ", ".join(f"{code} ({number:,})" for code, number in unseen.items())
            lines.append(f"not seen by {profile.counter.convention.name}: {listed}")
    if profile.training and not network.is_complete:
        unknown = unknown_operations(layer.node for layer in profile.layers)
        lines.append(f"training figures are lower bounds: the cost of {unknown} is unknown")
    if profile.batch > 1:
        lines.append("counts are per sample, byte counts for the whole batch")
    if network.expectations:
        if network.overridden:
            lines.append(
                f"expectations: {len(network.expectations)} not checked, because parameters were set"
            )
        else:
            checks = check(profile)
            held = sum(c.held for c in checks)
            lines.append(f"expectations: {held} of {len(checks)} hold")
            lines += [f"  {c.expect.span}: {c.reason}" for c in checks if not c.held]
    if network.heads and not profile.heads:
        count = sum(node.training for node in network.nodes)
        names = ", ".join(network.heads)
        lines.append(
            f"training heads: {names} ({plural(count, 'layer', str)}) not counted; `--heads` counts them"
        )
    if profile.misalignments:
        lines.append(_misaligned(len(profile.misalignments)))
        lines += [f"  {m}" for m in profile.misalignments[:3]]
        if len(profile.misalignments) > 3:
            lines.append(f"  ... and {len(profile.misalignments) - 3} more (`--format json` lists all)")
    at_most = [layer.name for layer in profile.layers if layer.field.at_most]
    if at_most:
        layers = plural(len(at_most), "layer", str)
        lines.append(f"receptive fields of {layers} are upper bounds, from `{at_most[0]}` on")
    if any(_has_holes(layer) for layer in profile.layers):
        lines.append("dilation leaves holes in receptive fields; their sizes include the holes")
    return lines


def _misaligned(count: int) -> str:
    if count == 1:
        return "1 join has misaligned branches; its receptive field is their union"
    return f"{count:,} joins have misaligned branches; their receptive fields are unions"


def _has_holes(layer: object) -> bool:
    windows = layer.node.facts.windows  # type: ignore[attr-defined]
    return isinstance(windows, tuple) and any(w.dilation > 1 and w.kernel_size > 1 for w in windows)
