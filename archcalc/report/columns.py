"""The columns of a report: one place for their names, headings, values and order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error, near_miss
from archcalc.profile import Profile
from archcalc.render.numbers import axes, bar, field_size, grouped, human, percent
from archcalc.report.rows import Row
from archcalc.shape import format_shape


class View(Struct, frozen=True):
    """What a report shows, and how it writes numbers."""

    profile: Profile
    layout: str = "chw"
    human: bool = False

    def count(self, value: int) -> str:
        return human(value) if self.human else grouped(value)


class Column(Struct, frozen=True):
    """`raw` is the value for programs, `text` for people (by default the value itself)."""

    name: str
    heading: str
    raw: Callable[[Row, View], Any]
    text: Callable[[Row, View], str] | None = None
    right: bool = True
    total: Callable[[View], int] | None = None

    def cell(self, row: Row, view: View) -> str:
        return self.text(row, view) if self.text is not None else str(self.raw(row, view))


def _total(view: View, name: str) -> int:
    return view.profile.count if name == "count" else int(getattr(view.profile.totals, name))


def _count(name: str, heading: str) -> Column:
    return Column(
        name,
        heading,
        lambda row, view: getattr(row, name),
        lambda row, view: view.count(getattr(row, name)) if getattr(row, name) else "0",
        total=lambda view: _total(view, name),
    )


def _share(name: str, heading: str, draw: Callable[[int, int], str]) -> Column:
    def text(row: Row, view: View) -> str:
        return draw(getattr(row, name), _total(view, name))

    def raw(row: Row, view: View) -> float:
        total = _total(view, name)
        return round(getattr(row, name) / total, 6) if total else 0.0

    return Column(f"{name}_{'bar' if draw is bar else 'share'}", heading, raw, text, right=draw is not bar)


def _field(view: View, row: Row) -> Any:
    return view.profile.entries[row.output.index].field


def _bytes(row: Row, view: View) -> int:
    return row.activations * view.profile.bytes_per_value * view.profile.batch


COLUMNS = {
    column.name: column
    for column in (
        Column("layer", "Layer", lambda row, view: row.name, right=False),
        Column("kind", "Kind", lambda row, view: row.kind, right=False),
        Column("operation", "Operation", lambda row, view: row.operation, right=False),
        Column("inputs", "Inputs", lambda row, view: " ".join(row.inputs), right=False),
        Column(
            "output",
            "Output",
            lambda row, view: format_shape(row.output.shape, view.layout, "x"),
            lambda row, view: format_shape(row.output.shape, view.layout),
        ),
        Column(
            "receptive_field",
            "Field",
            lambda row, view: field_size(_field(view, row)).replace("×", "x"),
            lambda row, view: field_size(_field(view, row)),
        ),
        Column(
            "effective_stride",
            "Stride",
            lambda row, view: axes(_field(view, row).stride, "x"),
            lambda row, view: axes(_field(view, row).stride),
        ),
        Column(
            "effective_padding",
            "Padding",
            lambda row, view: axes(_field(view, row).padding, "x"),
            lambda row, view: axes(_field(view, row).padding),
        ),
        _count("params", "Params"),
        _share("params", "%", percent),
        _share("params", "", bar),
        _count("buffers", "Buffers"),
        _count("weights", "Weights"),
        _count("macs", "MACs"),
        _share("macs", "%", percent),
        _share("macs", "", bar),
        _count("count", "Count"),
        _share("count", "%", percent),
        _share("count", "", bar),
        _count("flops", "FLOPs"),
        _share("flops", "%", percent),
        _count("activations", "Activations"),
        Column(
            "activation_bytes",
            "Bytes",
            _bytes,
            lambda row, view: view.count(_bytes(row, view)),
            total=lambda view: view.profile.totals.activation_bytes,
        ),
        Column("source", "Source", lambda row, view: _place(row), right=False),
    )
}
"""Every column, in the order in which they stand."""

DEFAULT = ("layer", "output", "params", "macs", "macs_share")
"""What every report shows, however narrow."""

BY_IMPORTANCE = (
    "params_share",
    "macs_bar",
    "receptive_field",
    "operation",
    "activations",
    "flops",
    "activation_bytes",
    "effective_stride",
)
"""What a wider report adds, the most important first, as far as there is room."""

UNDER_A_CONVENTION = ("count", "count_share", "count_bar")
"""What only a named convention fills."""


def default(view: View) -> tuple[str, ...]:
    return _counted(DEFAULT) if view.profile.convention is not None else DEFAULT


def by_importance(view: View) -> tuple[str, ...]:
    return (*_counted(BY_IMPORTANCE), "macs") if view.profile.convention is not None else BY_IMPORTANCE


def _counted(names: Sequence[str]) -> tuple[str, ...]:
    """What a convention counts in the place of multiply-adds."""
    return tuple(name.replace("macs", "count") for name in names)


def for_programs(view: View) -> list[str]:
    """Every column that says something, but for bars."""
    hidden = UNDER_A_CONVENTION if view.profile.convention is None else ()
    return [name for name in COLUMNS if not name.endswith("_bar") and name not in hidden]


def _place(row: Row) -> str:
    span = row.group.span if row.group is not None else row.output.span
    return str(span) if span is not None else ""


def choose(names: Sequence[str], convention: bool = True) -> list[Column]:
    """The columns of these names, in the order given.

    Raises `ArchError` for an unknown one, and for one that only a named convention fills.
    """
    for name in names:
        if name in UNDER_A_CONVENTION and not convention:
            raise error(f"column `{name}` is what a convention counts", help="add `--convention NAME`")
        if name not in COLUMNS:
            help = near_miss(name, COLUMNS) or "columns: " + ", ".join(COLUMNS)
            raise error(f"there is no column `{name}`", help=help)
    return [COLUMNS[name] for name in names]
