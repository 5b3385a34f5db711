"""Closed forms: a figure as a formula of a few parameters, with the values for which it was verified."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.render.numbers import decimal, grouped, plural
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.algebra import Algebra
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.expressions import Atom, Polynomial, Product
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.proof import prove

UP_TO = 4096
"""A parameter without values has those from 1 to this one."""

MOST_TERMS, MOST_INNER = 60, 8
"""A formula with more terms, or with a maximum of more values, is unreadable."""

CHECKED = 96
"""The number of networks that are computed one by one and compared with the formula."""

COMPARED = 1_000_000
"""Points at which the formula is compared with the sweep, at most."""

POWERS = {1: "", 2: "²", 3: "³", 4: "⁴"}

_SINGLE = re.compile(r"(?:[^\W²³⁴]|,)+|[⌊⌈][^⌊⌈⌋⌉]*[⌋⌉]")
"""A number or a name, or a quotient in its brackets."""


class ClosedForm(Struct, frozen=True, eq=False):
    """A figure as a formula."""

    plan: SweepPlan
    quantity: str
    terms: tuple[str, ...]
    period: int | None
    """The formula is a polynomial for each remainder of the only parameter by this number."""
    growth: str
    compared: int
    exceptions: tuple[str, ...]
    """Some points at which the figure is different."""
    excepted: int
    """How many there are."""
    invalid: int
    """Points that are not valid networks."""
    checked: int
    box: tuple[tuple[Any, Any], ...]
    """For each parameter the first and last value for which it follows from the network's expressions."""
    unproved: str
    """Why it is not proved, if it is not."""

    @property
    def proved(self) -> tuple[Any, Any] | None:
        """Return the range of an only parameter in which the formula is proved."""
        return self.box[0] if len(self.box) == 1 else None

    @property
    def text(self) -> str:
        joined = " + ".join(self.terms) if self.terms else "0"
        return joined.replace("+ -", "- ")


def closed_form(plan: SweepPlan, advance: Advance = unseen_steps) -> ClosedForm:
    """Return the formula of the first column of a plan. Raises `ArchError` if there is none.

    `advance` is called with numbers of points that are compared.
    """
    engine = plan.engine()
    engine.advance = advance
    last = [np.array([d.count - 1]) for d in plan.space.dimensions]
    found = engine.evaluate(last)
    if found.errors[0] >= 0:
        raise error(
            f"`{plan.net}` is not a valid network at the end of the range: "
            + engine.problem(int(found.errors[0]), [values[0] for values in last]),
            help=f"end the range of `{plan.space.dimensions[0].name}` earlier",
        )
    quantity = plan.columns[0]
    writer = FormulaWriter(engine.shared.algebra, plan)
    if engine.untraceable:
        raise writer.none(engine.untraceable)
    figure = engine.endings[-1].figures[0]
    terms = writer.terms(figure)
    for axis, dimension in enumerate(plan.space.dimensions):
        if not dimension.listed and _is_alone(engine, figure, axis):
            raise writer.none(f"each value of `{dimension.name}` has another one")
    exceptions, excepted, invalid, compared = _exceptions(engine, figure)
    if 2 * excepted > compared - invalid:
        raise writer.none(f"the one of the last values is wrong at {plural(excepted, 'point')}")
    proof = prove(plan, engine, figure)
    sides = zip(plan.space.dimensions, proof.box, strict=bool(proof.box))
    return ClosedForm(
        plan,
        quantity,
        tuple(terms),
        writer.period(figure) if len(plan.space.dimensions) == 1 else None,
        writer.growth(figure) if all(d.is_numeric for d in plan.space.dimensions) else "",
        compared,
        tuple(exceptions),
        excepted,
        invalid,
        _check(engine, figure),
        tuple((dimension.value(first), dimension.value(last)) for dimension, (first, last) in sides),
        proof.missing,
    )


class FormulaWriter:
    """Writes polynomials with the names of the parameters."""

    def __init__(self, algebra: Algebra, plan: SweepPlan) -> None:
        self.algebra = algebra
        self.dimensions = plan.space.dimensions
        self.quantity = plan.columns[0]

    def terms(self, a: Polynomial) -> list[str]:
        """Write the terms of a sum, highest powers first. Raises `ArchError` if there is no closed form."""
        if len(a.terms) > MOST_TERMS:
            raise self.none(f"it has {len(a.terms)} terms")
        ordered = sorted(a.terms, key=lambda term: (-len(term[0]), [self._order(n) for n in term[0]]))
        texts = [self._term(product, factor) for product, factor in ordered]
        return texts + ([grouped(a.const)] if a.const or not texts else [])

    def none(self, why: str) -> ArchError:
        return error(
            f"`{self.quantity}` has no short formula: {why}",
            help="`archcalc sweep` computes it for any values",
        )

    def _order(self, number: int) -> tuple[int, int]:
        atom = self.algebra.atoms[number]
        divisor = atom.args[1] if atom.kind == "floor" and isinstance(atom.args[1], int) else 0
        return divisor, number

    def _term(self, product: Product, factor: int) -> str:
        coefficient = Fraction(factor)
        parts: list[str] = []
        for number in dict.fromkeys(product):
            atom, power = self.algebra.atoms[number], product.count(number)
            if atom.kind == "parameter":
                dimension = self.dimensions[atom.args[0]]
                coefficient *= Fraction(dimension.divisor) ** power
                text = dimension.name
            else:
                text = self._atom(atom)
            parts.append(text + (POWERS.get(power) or f"^{power}" if power > 1 else ""))
        sign = "-" if coefficient < 0 else ""
        size = abs(coefficient)
        shown = [grouped(size.numerator)] if size.denominator == 1 else [str(size)]
        return sign + "·".join((shown if size != 1 else []) + parts)

    def _atom(self, atom: Atom) -> str:
        if atom.kind == "whole":
            return _enclosed(self._sum(atom.args[0]))
        if atom.kind in ("most", "least"):
            if len(atom.args) > MOST_INNER:
                raise self.none(f"it is the extreme of {len(atom.args)} values")
            name = "max" if atom.kind == "most" else "min"
            return f"{name}({', '.join(self._sum(arg) for arg in atom.args)})"
        if atom.kind == "choice":
            raise self.none("the network chooses a value by a condition, as rounding to multiples does")
        numerator, by = atom.args
        if not isinstance(by, int):
            return f"⌊{_enclosed(self._sum(numerator))}/{_enclosed(self._sum(by))}⌋"
        return self._quotient(numerator, by)

    def _sum(self, a: Polynomial) -> str:
        return " + ".join(self.terms(a)).replace("+ -", "- ")

    def _quotient(self, numerator: Polynomial, by: int) -> str:
        """Write `⌊n/2⌋`, or `⌈n/2⌉` if that is simpler."""
        opening, closing, const = "⌊", "⌋", numerator.const
        common = gcd(by, *(factor for _, factor in numerator.terms))
        if const and const >= by - common:  # floor((x + by - common)/by) is the ceiling of x/by
            opening, closing, const = "⌈", "⌉", const - (by - common)
        inner = self.algebra.polynomial(const, dict(numerator.terms))
        scaled = self._scaled(inner, by)
        if scaled is not None:
            return f"{opening}{scaled}{closing}"
        text = self._sum(inner)
        return f"{opening}{text if len(inner.terms) + bool(const) == 1 else f'({text})'}/{by}{closing}"

    def _scaled(self, a: Polynomial, by: int) -> str | None:
        """Write `32·width` for a parameter with a denominator, divided by the divisor."""
        if a.const or len(a.terms) != 1 or len(a.terms[0][0]) != 1:
            return None
        ((number,), factor) = a.terms[0]
        atom = self.algebra.atoms[number]
        if atom.kind != "parameter":
            return None
        dimension = self.dimensions[atom.args[0]]
        ratio = Fraction(factor * dimension.divisor, by)
        if ratio.denominator == 1:
            return dimension.name if ratio == 1 else f"{ratio}·{dimension.name}"
        return f"{'' if ratio.numerator == 1 else f'{ratio.numerator}·'}{dimension.name}/{ratio.denominator}"

    # -- properties of a formula

    def period(self, a: Polynomial) -> int | None:
        """Return the number of steps after which quotients repeat; `None` if there are other atoms."""
        periods = dict.fromkeys(self.algebra.inner(a), 1)
        for number in periods:
            atom = self.algebra.atoms[number]
            if atom.kind == "parameter":
                continue
            if atom.kind != "floor" or not isinstance(atom.args[1], int):
                return None
            inner = lcm(1, *(periods[needed] for needed in atom.needs))
            common = gcd(atom.args[1], *(factor for _, factor in atom.args[0].terms))
            periods[number] = inner * (atom.args[1] // common)
        return lcm(1, *periods.values())

    def growth(self, a: Polynomial) -> str:
        """Return the highest powers of the parameters, with their factors for large values.

        A product is left out if another one has at least its power of each parameter. If roundings may
        matter, or if products may cancel each other, the answer is empty.
        """
        found = self._leading(a)
        if found is None:
            return ""
        valued = [powers for powers, factor in found.items() if factor]
        highest = [powers for powers in valued if not any(_exceeds(other, powers) for other in valued)]
        if not any(map(any, highest)):
            return ""
        if len(highest) > 1 and min(found[powers] for powers in highest) < 0:
            return ""
        if not all(any(powers == top or _exceeds(top, powers) for top in highest) for powers in found):
            return ""  # products that cancel in the limit leave what was rounded off
        texts = []
        for powers in sorted(highest, reverse=True):
            factor, names = found[powers], []
            for dimension, power in zip(self.dimensions, powers, strict=True):
                factor *= Fraction(dimension.divisor) ** power
                if power:
                    names.append(dimension.name + (POWERS.get(power) or f"^{power}" if power > 1 else ""))
            texts.append("·".join([decimal(factor), *names] if factor != 1 or not names else names))
        mark = "≈" if any(text.startswith("≈") for text in texts) else ""
        return mark + " + ".join(text.removeprefix("≈") for text in texts)

    def _leading(self, a: Polynomial) -> dict[tuple[int, ...], Fraction] | None:
        """Return the sum by powers of the parameters, with quotients taken as exact: correct in the limit.

        Powers whose factors cancel are kept with a factor of 0.
        """
        none = (0,) * len(self.dimensions)
        total = {none: Fraction(a.const)}
        for product, factor in a.terms:
            part = {none: Fraction(factor)}
            for number in product:
                inner = self._leading_of(self.algebra.atoms[number])
                if inner is None:
                    return None
                multiplied: dict[tuple[int, ...], Fraction] = {}
                for first, one in part.items():
                    for second, other in inner.items():
                        powers = tuple([x + y for x, y in zip(first, second, strict=True)])
                        multiplied[powers] = multiplied.get(powers, Fraction(0)) + one * other
                part = multiplied
            for powers, value in part.items():
                total[powers] = total.get(powers, Fraction(0)) + value
        return total

    def _leading_of(self, atom: Atom) -> dict[tuple[int, ...], Fraction] | None:
        if atom.kind == "parameter":
            return {tuple([int(n == atom.args[0]) for n in range(len(self.dimensions))]): Fraction(1)}
        if atom.kind == "whole":
            return self._leading(atom.args[0])
        if atom.kind == "floor" and isinstance(atom.args[1], int):
            inner = self._leading(atom.args[0])
            return None if inner is None else {p: value / atom.args[1] for p, value in inner.items()}
        return None


def _enclosed(text: str) -> str:
    """Return an expression in parentheses, unless it is a single number, name, or quotient.

    >>> _enclosed("61"), _enclosed("stride"), _enclosed("⌊x/2⌋"), _enclosed("x + 1"), _enclosed("2·x")
    ('61', 'stride', '⌊x/2⌋', '(x + 1)', '(2·x)')
    """
    return text if _SINGLE.fullmatch(text) else f"({text})"


def _exceeds(powers: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Return whether one product has at least the powers of another one, and more of some parameter."""
    return powers != others and all(x >= y for x, y in zip(powers, others, strict=True))


def _is_alone(engine: Engine, figure: Polynomial, axis: int) -> bool:
    """Return whether the values before the last have another formula, as numbers of layers have."""
    counts = [d.count for d in engine.space.dimensions]
    steps = range(1, min(counts[axis], 4))
    digits = [np.array([count - 1 - (n == axis) * step for step in steps]) for n, count in enumerate(counts)]
    found = engine.evaluate(digits)
    other = engine.values(digits, figure) != found.columns[0]
    return bool(len(other)) and bool(np.all(other & (found.errors < 0)))


def _exceptions(engine: Engine, figure: Polynomial) -> tuple[list[str], int, int, int]:
    """Points of the space at which the sweep has another figure: some, how many, those that are not valid
    networks, and how many points were compared."""
    space = engine.space
    count = min(space.size, COMPARED)
    texts: list[str] = []
    excepted = invalid = 0
    for start in range(0, count, 65_536):
        points = np.arange(start, min(start + 65_536, count))
        digits = space.digits(points) if space.size <= COMPARED else space.drawn(len(points), 0, start)
        found = engine.evaluate(digits)
        invalid += int((found.errors >= 0).sum())
        other = (found.errors < 0) & (engine.values(digits, figure) != found.columns[0])
        places = np.flatnonzero(other)
        excepted += len(places)
        for place in places[: 6 - len(texts)].tolist():
            shown = space.shown([values[place] for values in digits])
            texts.append(", ".join(f"{d.name}={t}" for d, t in zip(space.dimensions, shown, strict=True)))
    return texts, excepted, invalid, count


def _check(engine: Engine, figure: Polynomial) -> int:
    """Check the formula against networks that are built and measured one by one; return how many."""
    space = engine.space
    points = np.unique(np.linspace(0, space.size - 1, min(CHECKED, space.size)).astype(np.int64))
    digits = space.digits(points)
    found = engine.evaluate(digits)
    formula = engine.values(digits, figure)
    compared = 0
    for place in range(len(points)):
        if found.errors[place] >= 0 or int(np.ravel(formula)[place]) != int(found.columns[0][place]):
            continue  # an exception, reported as one
        values = space.values([each[place] for each in digits])
        computed = int(engine.measure(values)[0])
        assert computed == int(found.columns[0][place]), (values, computed)
        compared += 1
    return compared


def named_only(sets: Sequence[str]) -> list[str]:
    """Return options as ranges: a bare name means the values from 1 on."""
    return [option if "=" in option else f"{option}=1..{UP_TO}" for option in sets]
