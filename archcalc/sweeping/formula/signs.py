"""Polynomials with integer coefficients, and the signs of their values for ranges of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import comb, prod

Powers = tuple[int, ...]
"""A polynomial in one variable: the factors of 1, k, k², and so on, without zeros at the end."""

Terms = dict[tuple[int, ...], int]
"""A polynomial in several variables: for the exponents of each product, its factor, which is not zero."""

Span = tuple[int, int]
"""The first and the last of successive integers."""

MOST_STEPS = 500
"""Steps of the attempt to prove that a polynomial in several variables is never negative."""


def added(a: Terms, b: Terms, times: int = 1) -> Terms:
    """`a + times * b`."""
    total = dict(a)
    for exponents, factor in b.items():
        total[exponents] = total.get(exponents, 0) + times * factor
    return {exponents: factor for exponents, factor in total.items() if factor}


def scaled(a: Terms, factor: int) -> Terms:
    return {exponents: factor * own for exponents, own in a.items()} if factor else {}


def multiplied(a: Terms, b: Terms) -> Terms:
    total: Terms = {}
    for first, one in a.items():
        for second, other in b.items():
            joint = tuple([x + y for x, y in zip(first, second, strict=True)])
            total[joint] = total.get(joint, 0) + one * other
    return {exponents: factor for exponents, factor in total.items() if factor}


def value_at(a: Terms, point: Sequence[int]) -> int:
    return sum(
        factor * prod(k**power for k, power in zip(point, exponents, strict=True) if power)
        for exponents, factor in a.items()
    )


def variables(a: Terms) -> list[int]:
    """Return the numbers of the variables that a polynomial depends on."""
    return sorted({place for exponents in a for place, power in enumerate(exponents) if power})


def powers_of(a: Terms, variable: int) -> Powers:
    """Return a polynomial that depends on this variable only, or is constant."""
    degree = max((exponents[variable] for exponents in a), default=0)
    powers = [0] * (degree + 1)
    for exponents, factor in a.items():
        powers[exponents[variable]] = factor
    return tuple(powers)


def _with_value(a: Terms, variable: int, value: int) -> Terms:
    """Return the polynomial with a number in the place of a variable."""
    total: Terms = {}
    for exponents, factor in a.items():
        left = (*exponents[:variable], 0, *exponents[variable + 1 :])
        total[left] = total.get(left, 0) + factor * value ** exponents[variable]
    return {exponents: factor for exponents, factor in total.items() if factor}


def _step(a: Terms, variable: int) -> Terms:
    """Return the change of the polynomial while a variable grows by one."""
    total: Terms = {}
    for exponents, factor in a.items():
        for power in range(exponents[variable]):
            left = (*exponents[:variable], power, *exponents[variable + 1 :])
            total[left] = total.get(left, 0) + factor * comb(exponents[variable], power)
    return {exponents: factor for exponents, factor in total.items() if factor}


def never_negative(a: Terms, spans: Sequence[Span]) -> bool:
    """Return whether it is proved that a polynomial is not negative for any integers in these spans.

    If the change along one variable has one sign, the smallest value is at one end of that variable. This
    change has a lower degree. `False` means only that this proves nothing.

    >>> never_negative({(1, 0): 1, (0, 1): -1}, [(5, 9), (0, 5)])  # k1 - k2
    True
    """
    left = MOST_STEPS

    def proved(a: Terms, spans: Sequence[Span]) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            return False
        asked = variables(a)
        if not asked:
            return all(factor >= 0 for factor in a.values())
        if all(factor > 0 for factor in a.values()) and all(spans[variable][0] >= 0 for variable in asked):
            return True
        if len(asked) == 1:
            (variable,) = asked
            return all(sign >= 0 for _, _, sign in sign_runs(powers_of(a, variable), *spans[variable]))
        ends = [spans[n] if n in asked else (0,) for n in range(len(spans))]
        if any(value_at(a, corner) < 0 for corner in product(*ends)):
            return False
        for variable in asked:
            first, last = spans[variable]
            if first == last:
                return proved(_with_value(a, variable, first), spans)
            shorter = [*spans[:variable], (first, last - 1), *spans[variable + 1 :]]
            change = _step(a, variable)
            if proved(change, shorter):
                return proved(_with_value(a, variable, first), spans)
            if proved(scaled(change, -1), shorter):
                return proved(_with_value(a, variable, last), spans)
        return False

    return proved(a, spans)


def sign_runs(a: Powers, first: int, last: int) -> list[tuple[int, int, int]]:
    """Return the ranges where a polynomial is negative, zero or positive: (first, last, sign), in order.

    Where `a(k+1) - a(k)`, which has a lower degree, has one sign, the values only rise or only fall, so
    bisection finds where their sign changes. All numbers are integers, so nothing is rounded.

    >>> sign_runs((-4, 0, 1), 0, 9)  # k² - 4
    [(0, 1, -1), (2, 2, 0), (3, 9, 1)]
    """
    if len(a) < 2:
        return [(first, last, sign_of(_value(a, 0)))]
    if first == last:
        return [(first, last, sign_of(_value(a, first)))]
    runs: list[tuple[int, int, int]] = []
    start = first
    for _, end, _ in sign_runs(_difference(a), first, last - 1):
        end += 1
        while start <= end:
            sign = sign_of(_value(a, start))
            stop = last_that(lambda k, sign=sign: sign_of(_value(a, k)) == sign, start, end)  # type: ignore[misc]
            if runs and runs[-1][2] == sign:
                runs[-1] = runs[-1][0], stop, sign
            else:
                runs.append((start, stop, sign))
            start = stop + 1
    return runs


def last_that(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the last number for which `holds` is true: it is true for `low` and, once false, stays false."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def sign_of(value: int) -> int:
    return (value > 0) - (value < 0)


def _value(a: Powers, k: int) -> int:
    total = 0
    for factor in reversed(a):
        total = total * k + factor
    return total


def _difference(a: Powers) -> Powers:
    """`a(k + 1) - a(k)`."""
    return tuple(sum(a[n] * comb(n, power) for n in range(power + 1, len(a))) for power in range(len(a) - 1))
