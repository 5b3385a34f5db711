"""Conversion between the numbers of a statement and arrays, and the limits of an example."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from archcalc.diagnostics import error
from archcalc.executor.kernel import Array
from archcalc.language.values import is_number
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Layer
from archcalc.shape import format_shape

LARGEST = 2**53
"""Whole numbers below this are exact in double precision."""

MOST = 10**6
"""The most values of an example, including padding, and the most products."""

DIGITS = 9
"""The number of decimals to which results in double precision are rounded."""


OfKind = TypeVar("OfKind", bound=Layer)


def layer_of(kind: type[OfKind], *values: Any, **named: Any) -> OfKind:
    """A layer of a worked example. Raises `ArchError`."""
    try:
        return kind(*values, **named)
    except LayerError as problem:
        raise error(problem.message, help=problem.help) from None


def array_of(value: Any, what: str) -> Array:
    """Numbers, or nested lists of numbers, as an array. Raises `ArchError`.

    >>> array_of(((1, 2, 3), (4, 5, 6)), "image").shape, array_of(Fraction(1, 2), "rate").shape
    ((2, 3), ())
    """
    shape = _shape_of(value)
    flat: list[Any] = [value]
    for size in shape:
        if not all(isinstance(item, tuple) and len(item) == size for item in flat):
            raise error(f"the lists of `{what}` have different lengths", help="write `[[1, 0], [0, 1]]`")
        flat = [number for item in flat for number in item]
    if not flat or not all(map(is_number, flat)):
        raise error(f"`{what}` needs numbers, or lists of numbers", help="write `[1, 2.5]`")
    if max(map(abs, flat)) >= LARGEST:
        raise error(f"a number of `{what}` is too large", help="use numbers below 2 ** 53")
    return np.array(list(map(float, flat))).reshape(shape)


def _shape_of(value: Any) -> tuple[int, ...]:
    """The lengths of nested lists, taken from the first item of each."""
    shape = []
    while isinstance(value, tuple):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def fitted(array: Array, shape: tuple[int, ...], what: str) -> Array:
    """An array in a shape that differs from its own only by axes of size 1. A single number fills the shape.

    Raises `ArchError` if it does not fit.
    """
    if array.ndim == 0:
        return np.full(shape, float(array))
    if [n for n in array.shape if n > 1] != [n for n in shape if n > 1]:
        wanted, got = (format_shape(of, cross="x") or "1" for of in (shape, array.shape))
        raise error(f"{what} is {wanted}, not {got}", help="axes of size 1 may be left out")
    return array.reshape(shape)


def listed(array: Array, digits: int) -> Any:
    """An array as lists of exact numbers, rounded to `digits` decimals. Raises `ArchError` if not finite.

    >>> listed(np.array([1.0, -0.25, 1 / 3]), 4)
    (1, Fraction(-1, 4), Fraction(3333, 10000))
    """
    if array.ndim:
        return tuple(listed(item, digits) for item in array)
    if not np.isfinite(array):
        raise error("the result is not a finite number")
    rounded = Fraction(repr(round(float(array), digits)))
    return rounded.numerator if rounded.denominator == 1 else rounded


def checked_digits(digits: Any) -> int:
    """The number of decimals that a statement asks for. Raises `ArchError`."""
    if type(digits) is not int or not 0 <= digits <= DIGITS:
        raise error(f"`digits` is a whole number from 0 to {DIGITS}")
    return digits


def checked_flag(value: Any, name: str) -> bool:
    """A truth value. Raises `ArchError`."""
    if not isinstance(value, bool):
        raise error(f"`{name}` is `true` or `false`")
    return value
