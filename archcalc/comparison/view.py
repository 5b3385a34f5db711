"""A comparison as tables in the terminal, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.comparison.structure import structure_table
from archcalc.comparison.tables import ArrangedTable, Columns, CompareView, account_table, tables
from archcalc.comparison.words import sentence
from archcalc.notes import note_lines
from archcalc.render.documents import escaped, markdown_table
from archcalc.render.numbers import plural
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Blanks between two columns."""


def sections(view: CompareView) -> list[ArrangedTable]:
    """The tables in order. For two versions of a network, the changes come first."""
    comparison = view.comparison
    if comparison.identical:
        return []
    totals, *parts = tables(view)
    account = [account_table(view)] if comparison.account else []
    if comparison.matching is None or not comparison.matching.alike:
        return [totals, *parts, *account]
    structure = structure_table(comparison.matching, *(s.profile.network for s in comparison.subjects))
    return [totals, structure, *account, *parts]


def title(view: CompareView) -> str:
    """`vgg16 against mobilenet_v1`, the first network last, since the others are compared with it."""
    first, *others = view.names
    return f"{', '.join(others)} against {first}"


def about(view: CompareView) -> list[str]:
    """The publication and input of each network, and the common conditions."""
    named: dict[str, list[str]] = {}
    for subject in view.comparison.subjects:
        inputs = ", ".join(format_shape(node.shape) for node in subject.profile.network.inputs.values())
        reference = f"{subject.reference}; " if subject.reference else ""
        names = named.setdefault(f"{reference}input {inputs}", [])
        if subject.name not in names:
            names.append(subject.name)
    profile = view.comparison.subjects[0].profile
    words = f"batch {profile.batch:,}, {profile.dtype}"
    lines = [f"{', '.join(names)}: {text}" for text, names in named.items()]
    if profile.heads:
        words += ", training heads counted"
    if profile.training:
        words += f", optimizer {profile.optimizer.name}"
    if profile.convention is not None:
        words += f", counted by the rules of {profile.convention.title}"
    return [*lines, words]


def notes(view: CompareView) -> list[str]:
    """The notes on the texts of the networks, once per place."""
    subjects = view.comparison.subjects
    lines = (line for each in subjects for line in note_lines(each.profile.network.notes, each.name))
    return list(dict.fromkeys(lines))


def verdict(view: CompareView) -> list[str]:
    """A sentence on each network, compared with the first."""
    comparison = view.comparison
    if comparison.identical:
        totals = comparison.subjects[0].profile.totals
        params = plural(totals.params, "parameter", view.count)
        macs = plural(totals.macs, "MAC", view.count)
        return [f"No difference: {plural(totals.layers, 'layer')}, {params}, {macs}."]
    return [sentence(comparison, index) for index in range(1, len(comparison.subjects))]


# --- The terminal -----------------------------------------------------------------------------------


def render(view: CompareView, width: int, colour: bool) -> str:
    """Write a comparison, each table in its widest arrangement that fits."""
    from rich.text import Text

    console = open_console(width, colour)
    console.print(Text(title(view), style="bold"), overflow="fold")
    for line in about(view):
        console.print(Text(line, style="dim"), overflow="fold")
    for line in notes(view):
        console.print(Text(line, style="yellow"), overflow="fold")
    console.print()
    for line in verdict(view):
        console.print(Text(line), overflow="fold")
    for section in _fitting(view, width):
        _print(console, section, width)
    return printed(console)


def _fitting(view: CompareView, width: int) -> list[ArrangedTable]:
    """The tables, with short numbers if exact ones do not fit, because a truncated number is wrong."""
    exact = sections(view)
    if all(_width(section.arrangements[-1]) <= width for section in exact):
        return exact
    short = sections(CompareView(view.comparison, human=True))
    return [
        section if _width(section.arrangements[-1]) <= width else shorter
        for section, shorter in zip(exact, short, strict=True)
    ]


def _print(console: Console, section: ArrangedTable, width: int) -> None:
    from rich.text import Text

    columns = next((c for c in section.arrangements if _width(c) <= width), section.arrangements[-1])
    note = f" ({section.note})" if section.note else ""
    console.print()
    console.print(Text.assemble((section.title, "bold"), (note, "dim")), overflow="fold")
    if not columns[0].cells:
        return
    table = ruled(show_footer=any(column.total for column in columns))
    for column, size in zip(columns, _sizes(columns, width), strict=True):
        table.add_column(
            column.heading,
            column.total,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            width=size,
            overflow="fold" if column.wraps else "ellipsis",
            style="cyan" if column.is_bar else "",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def _width(columns: Columns) -> int:
    if any(column.wraps for column in columns):
        return 0
    return sum(column.width + GAP for column in columns) - GAP


def _sizes(columns: Columns, width: int) -> list[int]:
    """The width of each column. Columns that wrap share the remaining width, the narrow ones first."""
    sizes = [column.width for column in columns]
    room = width - sum(size + GAP for size in sizes) + GAP
    wrapping = sorted((i for i, column in enumerate(columns) if column.wraps), key=lambda i: sizes[i])
    if room >= 0 or not wrapping:
        return sizes
    room += sum(sizes[i] for i in wrapping)
    for left, i in zip(range(len(wrapping), 0, -1), wrapping, strict=True):
        sizes[i] = max(1, min(sizes[i], room // left))
        room -= sizes[i]
    return sizes


# --- Markdown ---------------------------------------------------------------------------------------


def to_markdown(view: CompareView) -> str:
    """The same as Markdown: all tables in full, without bars."""
    lines = [f"## {escaped(title(view))}", ""]
    lines += [f"- {escaped(line)}" for line in about(view)]
    lines += ["", *(f"> {escaped(line)}  " for line in notes(view))] if notes(view) else []
    lines += ["", *(f"**{escaped(line)}**  " for line in verdict(view))]
    for section in sections(view):
        lines += ["", f"### {section.title}", ""]
        if section.note:
            lines += [f"{escaped(section.note[0].upper() + section.note[1:])}.", ""]
        if section.arrangements[0][0].cells:
            lines += _markdown_table(section.arrangements[0])
    return "\n".join(lines) + "\n"


def _markdown_table(columns: Columns) -> list[str]:
    columns = [column for column in columns if not column.is_bar]
    headings = [column.heading.replace("\n?", "?").replace("\n", " ") for column in columns]
    rows = [list(map(escaped, row)) for row in zip(*(column.cells for column in columns), strict=True)]
    if any(column.total for column in columns):
        rows.append([f"**{escaped(column.total)}**" if column.total else "" for column in columns])
    right = [number for number, column in enumerate(columns) if column.right]
    return markdown_table(list(map(escaped, headings)), rows, right)
