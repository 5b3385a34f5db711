"""The tables of a comparison as columns of text. Views decide on the layout."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.comparison import AccountLine, ComparedPart, Comparison, Total
from archcalc.comparison.words import noun_of, phrase, sign, signed
from archcalc.quantities import QUANTITIES, Figures
from archcalc.render.numbers import bar, grouped, human

SHOWN = ("macs", "count", "params", "activations", "layers")
"""The figures of a part, the most important first."""


def title_of(name: str) -> str:
    """The heading of a column of figures."""
    return QUANTITIES[name].heading or QUANTITIES[name].noun.capitalize()


BAR_WIDTH = 8


class CompareView(Struct, frozen=True):
    """The comparison that is shown, and how numbers are written."""

    comparison: Comparison
    human: bool = False

    def count(self, value: int) -> str:
        return human(value) if self.human else grouped(value)

    def difference(self, value: int) -> str:
        return signed(self.count(abs(value)), value)

    @property
    def operations(self) -> str:
        """The figure that comes first: MACs, or what a named convention counts."""
        return "macs" if self.comparison.subjects[0].profile.convention is None else "count"

    @property
    def figures(self) -> list[str]:
        return [name for name in SHOWN if name not in ("macs", "count") or name == self.operations]

    @property
    def totals(self) -> list[Total]:
        """All totals, without the trainable parameters if all parameters are trainable."""
        every = self.comparison["params"].figures
        return [
            total
            for total in self.comparison.totals
            if total.quantity != "trainable_params" or total.figures != every
        ]

    @property
    def names(self) -> list[str]:
        return [subject.name for subject in self.comparison.subjects]


class Cells(Struct, frozen=True):
    """A column: heading, one text per row, and a total if there is one."""

    heading: str
    cells: list[str]
    right: bool = True
    is_bar: bool = False
    total: str = ""
    wraps: bool = False

    @property
    def width(self) -> int:
        lines = [*self.heading.split("\n"), *self.cells, self.total]
        return max(map(len, lines))


Columns = list[Cells]


class ArrangedTable(Struct, frozen=True):
    """A table: title, note, and arrangements, from the widest to the narrowest."""

    title: str
    note: str
    arrangements: list[Columns]


def tables(view: CompareView) -> list[ArrangedTable]:
    """The tables of totals, of stages and of kinds."""
    comparison = view.comparison
    return [
        _totals(view),
        _parts(
            view,
            "By stage",
            "Stage",
            "output resolution relative to the input; head: after global pooling or flatten",
            comparison.stages,
        ),
        _parts(view, "By kind of layer", "Kind", "", comparison.kinds),
    ]


def heading(name: str) -> str:
    """A network's name above a column: overrides below it."""
    return name.replace("?", "\n?", 1)


# --- Totals -----------------------------------------------------------------------------------------


def _totals(view: CompareView) -> ArrangedTable:
    totals = view.totals
    labels = [noun_of(total, view.comparison) for total in totals]
    in_words, in_signs = [[Cells("Total", labels, right=False)] for _ in range(2)]
    for index, name in enumerate(view.names):
        figures = [total.figures[index] for total in totals]
        columns = [Cells(heading(name), [view.count(figure.value) for figure in figures])]
        if index:
            columns.append(Cells("Difference", [view.difference(figure.difference) for figure in figures]))
        in_words += columns
        in_signs += columns
        if index:
            words = [phrase(total.figures[index], total.quantity) for total in totals]
            in_words.append(Cells("", words, right=False))
            in_signs.append(Cells("Factor", list(map(sign, figures))))
    listed = _listed_totals(view, labels)
    return ArrangedTable("Totals", "the largest factor first", [in_words, in_signs, *listed])


def _listed_totals(view: CompareView, labels: Sequence[str]) -> list[Columns]:
    """One line per network below each quantity, if networks do not fit side by side."""
    lines: list[tuple[str, ...]] = []
    for noun, total in zip(labels, view.totals, strict=True):
        lines.append((noun, "", "", "", "", ""))
        most = max(figure.value for figure in total.figures)
        for index, (name, figure) in enumerate(zip(view.names, total.figures, strict=True)):
            compared = ("", "", "")
            if index:
                words = phrase(figure, total.quantity)
                compared = (words, sign(figure), view.difference(figure.difference))
            drawn = bar(figure.value, most, BAR_WIDTH)
            lines.append((f"  {name}", view.count(figure.value), drawn, *compared))
    names, values, bars, phrases, signs, differences = map(list, zip(*lines, strict=True))
    label, value = Cells("Total", names, right=False), Cells("", values)
    picture, word = Cells("", bars, right=False, is_bar=True), Cells("", phrases, right=False)
    factor, difference = Cells("Factor", signs), Cells("Difference", differences)
    return [
        [label, value, picture, difference, word],
        [label, value, picture, difference, factor],
        [label, value, difference, factor],
        [label, value, factor],
    ]


# --- Parts ------------------------------------------------------------------------------------------


def _parts(
    view: CompareView, title: str, first: str, note: str, parts: Sequence[ComparedPart]
) -> ArrangedTable:
    wide = _side_by_side(view, first, parts)
    return ArrangedTable(title, note, [*wide, *_listed_parts(view, first, parts)])


def _side_by_side(view: CompareView, first: str, parts: Sequence[ComparedPart]) -> list[Columns]:
    """Arrangements with a column for each figure of each network, each with fewer figures."""
    drawn = view.operations
    most = max((amounts.get(drawn, 0) for part in parts for amounts in part.amounts), default=0)

    def arranged(names: Sequence[str], with_bars: bool = True) -> Columns:
        shown = _with(names, parts)
        columns = [Cells(first, [part.name for part in shown], right=False)]
        for name in names:
            for index, network in enumerate(view.names):
                column = [part.amounts[index] for part in shown]
                columns.append(Cells(f"{title_of(name)}\n{heading(network)}", _counts(view, column, name)))
                if name == drawn and with_bars:
                    bars = [bar(amounts.get(drawn, 0), most, BAR_WIDTH) for amounts in column]
                    columns.append(Cells("", bars, right=False, is_bar=True))
        return columns

    figures = view.figures
    return [arranged(figures), arranged(figures[:3]), arranged(figures[:2]), arranged(figures[:2], False)]


def _counts(view: CompareView, column: Sequence[Figures], name: str) -> list[str]:
    """The cells of a figure. They are empty for a part without layers."""
    return [view.count(amounts.get(name, 0)) if amounts.layers else "" for amounts in column]


def _listed_parts(view: CompareView, first: str, parts: Sequence[ComparedPart]) -> list[Columns]:
    """Arrangements with one line per network below each part, each with fewer figures."""
    drawn = view.operations
    most = max((amounts.get(drawn, 0) for part in parts for amounts in part.amounts), default=0)

    def arranged(names: Sequence[str], with_bars: bool = True) -> Columns:
        lines: list[tuple[str, Figures | None]] = []
        for part in _with(names, parts):
            lines.append((part.name, None))
            members = zip(view.names, part.amounts, strict=True)
            lines += [(f"  {name}", amounts) for name, amounts in members if amounts.layers]
        columns = [Cells(first, [name for name, _ in lines], right=False)]
        for name in names:
            cells = ["" if a is None else view.count(a.get(name, 0)) for _, a in lines]
            columns.append(Cells(title_of(name), cells))
            if name == drawn and with_bars:
                bars = ["" if a is None else bar(a.get(drawn, 0), most, BAR_WIDTH) for _, a in lines]
                columns.append(Cells("", bars, right=False, is_bar=True))
        return columns

    figures = view.figures
    return [arranged(figures), arranged(figures[:3]), arranged(figures[:2]), arranged(figures[:2], False)]


def _with(names: Sequence[str], parts: Sequence[ComparedPart]) -> list[ComparedPart]:
    """The parts that have something to show."""
    return [part for part in parts if any(a.get(name, 0) for a in part.amounts for name in names)]


# --- The account ------------------------------------------------------------------------------------


def account_table(view: CompareView) -> ArrangedTable:
    """The parts of the difference, with their sum below."""
    comparison = view.comparison
    lines = comparison.account
    figures = (view.operations, "params", "activations")
    drawn = next((name for name in figures if any(_of(line, name) for line in lines)), figures[0])
    most = max((abs(_of(line, drawn)) for line in lines), default=0)
    differences = {total.quantity: total.figures[-1].difference for total in comparison.totals}

    def figure(name: str) -> Cells:
        texts = [view.difference(_of(line, name)) for line in lines]
        return Cells(title_of(name), texts, total=view.difference(differences[name]))

    is_staged = comparison.matching is not None and not comparison.matching.alike
    names = Cells("Stage" if is_staged else "Part", list(map(_name, lines)), right=False, total="Difference")
    what = Cells("Layers", [view.difference(_of(line, "layers")) for line in lines])
    if not is_staged:
        what = Cells("Layers", list(map(_what, lines)), right=False)
    bars = Cells("", [bar(abs(_of(line, drawn)), most, BAR_WIDTH) for line in lines], False, True)
    count, params, activations = map(figure, figures)
    columns = [count, params, activations]
    columns.insert(figures.index(drawn) + 1, bars)
    note = "affected: same layer, different input shape" if any(line.affected for line in lines) else ""
    if is_staged:
        note = "by stage, because the networks have few layers in common"
    return ArrangedTable(
        "Where the difference comes from",
        note,
        [
            [names, *columns, what],
            [names, *columns],
            [names, count, params, activations],
            [names, count, params],
        ],
    )


def _of(line: AccountLine, name: str) -> int:
    return line.difference.get(name, 0)


def _name(line: AccountLine) -> str:
    return line.name or f"{line.lines:,} other parts"


def _what(line: AccountLine) -> str:
    counts = ("added", line.added), ("removed", line.removed), ("changed", line.changed)
    parts = [f"{count:,} {word}" for word, count in (*counts, ("affected", line.affected)) if count]
    return ", ".join(parts)
