"""Comparisons in words: `32.7 times fewer parameters`."""

from __future__ import annotations

from fractions import Fraction

from archcalc.comparison import Compared, Comparison, Total
from archcalc.quantities import QUANTITIES
from archcalc.render.numbers import grouped

IN_PERCENT = Fraction(11, 10)
"""Smaller factors are given in percent."""


def noun_of(total: Total, comparison: Comparison) -> str:
    """The noun of a total; with a convention, `fvcore MACs`."""
    convention = comparison.subjects[0].profile.convention
    if total.quantity == "count" and convention is not None:
        return f"{convention.name} {convention.unit}"
    return QUANTITIES[total.quantity].noun


def times(factor: Fraction) -> str:
    """A factor to three digits, rounded half up; a whole one is exact.

    >>> times(Fraction(3269, 100)), times(Fraction(2)), times(Fraction(200_001, 100_000))
    ('32.7', '2', '2.00')
    """
    if factor.denominator == 1:
        return f"{factor.numerator:,}"
    decimals = 2
    scaled = (factor * 100 + Fraction(1, 2)) // 1
    while decimals and scaled >= 1000:
        decimals -= 1
        scaled = (factor * 10**decimals + Fraction(1, 2)) // 1
    whole, rest = divmod(scaled, 10**decimals)
    return f"{whole:,}.{rest:0{decimals}d}" if decimals else f"{whole:,}"


def phrase(figure: Compared, quantity: str = "") -> str:
    """How a value compares with the first network's.

    >>> phrase(Compared(4_231_976, 138_357_544)), phrase(Compared(106, 100))
    ('32.7 times fewer', '6.0% more')
    >>> phrase(Compared(28, 16), "depth")
    '1.75 times as deep'
    """
    same, more, less = QUANTITIES[quantity].comparatives if quantity else MANY
    if not figure.difference:
        return "the same"
    if not figure.base:
        return "from none"
    if not figure.value:
        return "none"
    is_more = figure.difference > 0
    if figure.factor < IN_PERCENT:
        return f"{_percent(figure)} {more if is_more else less}"
    return f"{times(figure.factor)} times {same if is_more else less}"


MANY = ("as many", "more", "fewer")


def sign(figure: Compared) -> str:
    """The same in a few characters.

    >>> sign(Compared(4_231_976, 138_357_544)), sign(Compared(106, 100)), sign(Compared(28, 16))
    ('÷32.7', '+6.0%', '×1.75')
    """
    if not figure.difference or not figure.value or not figure.base:
        return "=" if not figure.difference else ""
    is_more = figure.difference > 0
    if figure.factor < IN_PERCENT:
        mark = "+" if is_more else "-"
        tenths = _tenths(figure)
        return f"{mark}{tenths // 10}.{tenths % 10}%" if tenths else f"<{mark}0.1%"
    return f"{'×' if is_more else '÷'}{times(figure.factor)}"


def _tenths(figure: Compared) -> int:
    """The difference in tenths of a percent, rounded half up."""
    return (abs(figure.difference) * 2000 + figure.base) // (figure.base * 2)


def _percent(figure: Compared) -> str:
    tenths = _tenths(figure)
    return f"{tenths // 10}.{tenths % 10}%" if tenths else "<0.1%"


def sentence(comparison: Comparison, index: int) -> str:
    """A sentence that compares a network with the first, the largest factor first.

    `mobilenet_v1 has 32.7 times fewer parameters and 1.90 times fewer activations; it is 1.75 times as deep.`
    """
    ranked = sorted(
        (
            Total(t.quantity, (t.figures[index],))
            for t in comparison.totals
            if QUANTITIES[t.quantity].headline
        ),
        key=lambda total: total.rank,
    )
    parts, same, deep = [], [], ""
    for total in ranked:
        (figure,) = total.figures
        noun = noun_of(total, comparison)
        words = phrase(figure, total.quantity)
        if QUANTITIES[total.quantity].comparatives != MANY:
            deep = (
                f"; it is {words if figure.difference else 'equally deep'}"
                if figure.value and figure.base
                else ""
            )
        elif not figure.difference:
            same.append(noun)
        elif not figure.base:
            parts.append(f"{grouped(figure.value)} {noun} instead of none")
        else:
            parts.append(f"{'no' if words == 'none' else words} {noun}")
    if same:
        parts.append(f"the same number of {_listed(same)}")
    return f"{comparison.subjects[index].name} has {_listed(parts)}{deep}."


def _listed(words: list[str]) -> str:
    if len(words) < 3:
        return " and ".join(words)
    return ", ".join(words[:-1]) + f", and {words[-1]}"


def signed(text: str, value: int) -> str:
    """A difference with its sign; `text` is its size as it is written."""
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{text}"
