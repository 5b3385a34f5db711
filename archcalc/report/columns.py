"""The columns of a report: one place for their names, headings, values and order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import error, unknown
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Quantity, Selection
from archcalc.render.numbers import bar, grouped, human, percent
from archcalc.shape import format_shape


class View(Struct, frozen=True):
    """The profile that a report shows, and how numbers are written."""

    profile: Profile
    layout: str = "chw"
    human: bool = False

    def count(self, value: int) -> str:
        return human(value) if self.human else grouped(value)


class Column(Struct, frozen=True):
    """A column. `raw` is the value for programs, `text` the value for people (by default the same).

    `total` is the figure of the whole network. A `bar` is drawn. A column `for_people` repeats values of
    other columns, so programs do not get it.
    """

    name: str
    heading: str
    raw: Callable[[Selection, View], Any]
    text: Callable[[Selection, View], str] | None = None
    right: bool = True
    total: Callable[[View], int] | None = None
    bar: bool = False
    for_people: bool = False
    of_convention: bool = False
    of_training: bool = False

    def cell(self, row: Selection, view: View) -> str:
        return self.text(row, view) if self.text is not None else str(self.raw(row, view))


def columns_of(quantity: Quantity) -> list[Column]:
    """The columns of a quantity: its figures, their shares, and bars."""
    if not quantity.heading:
        return []
    if not quantity.is_number:
        return [_lengths(quantity)]
    columns = {"share": _share, "bar": _bar}
    return [_number(quantity), *(columns[kind](quantity) for kind in quantity.drawn)]


def _number(quantity: Quantity) -> Column:
    name = quantity.name

    def text(row: Selection, view: View) -> str:
        return "?" if quantity.is_unknown(row) else view.count(quantity.adds(row))

    return Column(
        name,
        quantity.heading,
        lambda row, view: "" if quantity.is_unknown(row) else quantity.adds(row),
        text,
        total=lambda view: view.profile.totals[name],
        of_convention=quantity.of_convention,
        of_training=quantity.of_training,
    )


def _share(quantity: Quantity) -> Column:
    name = quantity.name

    def raw(row: Selection, view: View) -> float:
        total = view.profile.totals[name]
        return round(quantity.adds(row) / total, 6) if total else 0.0

    def text(row: Selection, view: View) -> str:
        return percent(quantity.adds(row), view.profile.totals[name])

    return Column(f"{name}_share", "%", raw, text, of_convention=quantity.of_convention)


def _bar(quantity: Quantity) -> Column:
    name = quantity.name

    def text(row: Selection, view: View) -> str:
        return bar(quantity.adds(row), view.profile.totals[name])

    return Column(
        f"{name}_bar",
        "",
        text,
        text,
        right=False,
        bar=True,
        for_people=True,
        of_convention=quantity.of_convention,
    )


def _lengths(quantity: Quantity) -> Column:
    name = quantity.name

    def text(row: Selection, cross: str) -> str:
        if quantity.is_unknown(row):
            return "?"
        value = quantity.measure(row)
        if value == "global":
            return "global" if name == "receptive_field" else ""
        return format_shape(value, cross=cross)

    return Column(name, quantity.heading, lambda row, view: text(row, "x"), lambda row, view: text(row, "×"))


IN_ORDER = sorted(QUANTITIES.values(), key=lambda quantity: quantity.is_number)
"""Shapes come first, beside the output shape, then numbers."""

COLUMNS = {
    column.name: column
    for column in (
        Column("layer", "Layer", lambda row, view: row.name, right=False),
        Column("kind", "Kind", lambda row, view: row.kind, right=False),
        Column("operation", "Operation", lambda row, view: row.operation, right=False),
        Column("kernel", "Kernel", lambda row, view: kernel(row), right=False, for_people=True),
        Column("inputs", "Inputs", lambda row, view: " ".join(row.inputs), right=False),
        Column(
            "output",
            "Output",
            lambda row, view: format_shape(row.output.shape, view.layout, "x"),
            lambda row, view: format_shape(row.output.shape, view.layout),
        ),
        *(column for quantity in IN_ORDER for column in columns_of(quantity)),
        Column("source", "Source", lambda row, view: _place(row), right=False),
    )
}
"""Every column, in the order in which they are shown."""

DEFAULT = ("layer", "output", "params", "macs", "macs_share")
"""The columns of every report, however narrow."""

BY_IMPORTANCE = (
    "params_share",
    "macs_bar",
    "receptive_field",
    "operation",
    "kernel",
    "activations",
    "flops",
    "activation_bytes",
    "effective_stride",
)
"""The columns that a wider report adds, the most important first."""

SHORT = {"operation": "kernel"}
"""A narrow column that is shown if the column does not fit."""

INSTEAD = {"macs": "count", "macs_share": "count_share", "macs_bar": "count_bar"}
"""The columns of what a convention counts, which replace MACs."""


TRAINING = ("layer", "output", "params", "macs", "backward_macs", "saved_bytes")
"""The columns of every report of training, however narrow."""

BY_IMPORTANCE_IN_TRAINING = ("operation", "kernel", "trainable_params", "gradient_bytes", "backward_flops")


def default(view: View) -> tuple[str, ...]:
    if view.profile.training:
        return TRAINING
    return _counted(DEFAULT) if view.profile.convention is not None else DEFAULT


def by_importance(view: View) -> tuple[str, ...]:
    if view.profile.training:
        return BY_IMPORTANCE_IN_TRAINING
    return (*_counted(BY_IMPORTANCE), "macs") if view.profile.convention is not None else BY_IMPORTANCE


def _counted(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(INSTEAD.get(name, name) for name in names)


def for_programs(view: View) -> list[str]:
    """The columns for programs."""
    has_convention, training = view.profile.convention is not None, view.profile.training
    return [
        c.name
        for c in COLUMNS.values()
        if not c.for_people and (has_convention or not c.of_convention) and (training or not c.of_training)
    ]


def kernel(row: Selection) -> str:
    """The window of a convolution or pool in a few characters: `7×7 s2 d2 g32`. Ones are left out."""
    node = row.output
    windows = node.facts.windows
    if row.group is not None or node.layer.family not in ("conv", "pool") or not isinstance(windows, tuple):
        return ""
    words = [format_shape(tuple(window.kernel_size for window in windows))]
    for letter, lengths in (
        ("s", [window.stride for window in windows]),
        ("d", [window.dilation for window in windows]),
    ):
        if any(length != 1 for length in lengths):
            same = len(set(lengths)) == 1
            words.append(letter + (str(lengths[0]) if same else format_shape(tuple(lengths))))
    groups = node.inputs[0].shape[0] if node.kind == "depthwise" else getattr(node.layer, "groups", 1)
    return " ".join([*words, f"g{groups}"] if groups > 1 else words)


def _place(row: Selection) -> str:
    span = row.group.span if row.group is not None else row.output.span
    return str(span) if span is not None else ""


def choose(names: Sequence[str], convention: bool = True, training: bool = True) -> list[Column]:
    """The columns of these names, in the order given.

    Raises `ArchError` for an unknown column, and for one that needs a convention or training.
    """
    for name in names:
        if name not in COLUMNS:
            raise unknown("there is no column", name, COLUMNS, listing="columns")
        if COLUMNS[name].of_convention and not convention:
            raise error(f"column `{name}` needs a convention", help="add `--convention NAME`")
        if COLUMNS[name].of_training and not training:
            raise error(f"column `{name}` needs `--training`", help="add `--training`")
    return [COLUMNS[name] for name in names]
