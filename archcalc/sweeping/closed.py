"""Closed forms: a figure as a formula of a few parameters, with the values for which it was verified."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.render.numbers import decimal, grouped
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
    proved: tuple[Any, Any] | None
    """The smallest and largest value for which it follows from the network's expressions."""
    unproved: str
    """Why it is not proved, if it is not."""

    @property
    def text(self) -> str:
        joined = " + ".join(self.terms) if self.terms else "0"
        return joined.replace("+ -", "- ")


def closed_form(plan: SweepPlan) -> ClosedForm:
    """Return the formula of the first column of a plan. Raises `ArchError` if there is none."""
    engine = plan.engine()
    last = [np.array([d.count - 1]) for d in plan.space.dimensions]
    found = engine.evaluate(last)
    if found.errors[0] >= 0:
        raise error(
            f"`{plan.net}` is not a valid network at the end of the range: "
            + engine.problem(int(found.errors[0]), [values[0] for values in last]),
            help="give a range that is valid: `--set image=32..1024`",
        )
    quantity = plan.columns[0]
    if engine.untraceable:
        raise error(
            f"`{plan.net}` has no formula: it is not made from parameters",
            help="an `.arch` text has parameters; `archcalc convert` writes one",
        )
    figure = engine.endings[-1].figures[0]
    writer = FormulaWriter(engine.shared.algebra, plan)
    terms = writer.terms(figure)
    exceptions, excepted, invalid, compared = _exceptions(engine, figure)
    proof = prove(plan, engine, figure)
    shown = plan.space.dimensions[0].value
    return ClosedForm(
        plan,
        quantity,
        tuple(terms),
        writer.period(figure) if len(plan.space.dimensions) == 1 else None,
        writer.growth(figure) if len(plan.space.dimensions) == 1 else "",
        compared,
        tuple(exceptions),
        excepted,
        invalid,
        _check(engine, figure),
        None if proof.missing else (shown(proof.first), shown(proof.last)),
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
            raise self._none(f"it has {len(a.terms)} terms")
        ordered = sorted(a.terms, key=lambda term: (-len(term[0]), [self._order(n) for n in term[0]]))
        texts = [self._term(product, factor) for product, factor in ordered]
        return texts + ([grouped(a.const)] if a.const or not texts else [])

    def _none(self, why: str) -> ArchError:
        return error(
            f"`{self.quantity}` has no closed form that is short: {why}",
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
            return f"({self._sum(atom.args[0])})"
        if atom.kind in ("most", "least"):
            if len(atom.args) > MOST_INNER:
                raise self._none(f"it is the extreme of {len(atom.args)} values")
            name = "max" if atom.kind == "most" else "min"
            return f"{name}({', '.join(self._sum(arg) for arg in atom.args)})"
        if atom.kind == "choice":
            raise self._none("the network chooses a value by a condition, as rounding to multiples does")
        numerator, by = atom.args
        if not isinstance(by, int):
            return f"⌊({self._sum(numerator)})/({self._sum(by)})⌋"
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

    # -- properties of a formula of one parameter

    def _inner(self, a: Polynomial) -> set[int]:
        """Return all atoms that an expression is computed from."""
        waiting = [number for product, _ in a.terms for number in product]
        found: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self.algebra.atoms[number].needs
        return found

    def period(self, a: Polynomial) -> int | None:
        """Return the number of steps after which the quotients repeat; `None` if there are other atoms."""
        periods = dict.fromkeys(self._inner(a), 1)
        for number in sorted(periods):
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
        """Return the highest power of the parameter, with its factor for large values."""
        powers = self._leading(a)
        if powers is None or not powers or max(powers) == 0:
            return ""
        power = max(powers)
        name = self.dimensions[0].name
        factor = decimal(powers[power] * Fraction(self.dimensions[0].divisor) ** power)
        return f"{factor}·{name}{POWERS.get(power) or f'^{power}' if power > 1 else ''}"

    def _leading(self, a: Polynomial) -> dict[int, Fraction] | None:
        """Return the sum by powers of the parameter, with quotients taken as exact: correct in the limit."""
        total: dict[int, Fraction] = {0: Fraction(a.const)}
        for product, factor in a.terms:
            part = {0: Fraction(factor)}
            for number in product:
                inner = self._leading_of(self.algebra.atoms[number])
                if inner is None:
                    return None
                multiplied: dict[int, Fraction] = {}
                for first, one in part.items():
                    for second, other in inner.items():
                        multiplied[first + second] = multiplied.get(first + second, Fraction(0)) + one * other
                part = multiplied
            for power, value in part.items():
                total[power] = total.get(power, Fraction(0)) + value
        return {power: value for power, value in total.items() if value}

    def _leading_of(self, atom: Atom) -> dict[int, Fraction] | None:
        if atom.kind == "parameter":
            return {1: Fraction(1)}
        if atom.kind == "whole":
            return self._leading(atom.args[0])
        if atom.kind == "floor" and isinstance(atom.args[1], int):
            inner = self._leading(atom.args[0])
            return None if inner is None else {p: value / atom.args[1] for p, value in inner.items()}
        return None


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
