"""The space of a sweep: the dimensions that vary, and their values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import error
from archcalc.language.standalone import constant
from archcalc.layers.arguments import format_argument

_RANGE = re.compile(r"^(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(?::(?P<step>.+))?$")

MOST_VALUES = 10**9
"""Values of a single parameter."""

FEW_VALUES = 1_000_000
"""Values that are written out: those of a list, and of a union with ranges."""

HUNDREDTH = Fraction(1, 100)
"""The step of a range of fractions, if none is given."""

INPUT, BATCH = "input", "batch"
"""What can be varied in addition to the parameters of a network."""

Number = int | Fraction
Digits = Sequence[Any]
"""The number of the value of each dimension: integers for one point, arrays for many."""


class Dimension(Struct, frozen=True):
    """A parameter and its values: a list, or a sequence from `start` in steps of `step`."""

    name: str
    count: int
    listed: tuple[Any, ...] = ()
    start: Number = 0
    step: Number = 1

    @property
    def is_numeric(self) -> bool:
        return not self.listed or all(_is_number(value) for value in self.listed)

    def value(self, digit: int) -> Any:
        """Return a value by its number."""
        return _exact(self.listed[digit] if self.listed else self.start + digit * self.step)

    @property
    def divisor(self) -> int:
        """Return a number that makes all values of the dimension integers when multiplied by it."""
        if not self.listed:
            return math.lcm(Fraction(self.start).denominator, Fraction(self.step).denominator)
        return math.lcm(*(Fraction(value).denominator for value in self.listed))

    def numerators(self, digits: Any) -> Any:
        """Return the values times the divisor, as integers, for an array of digits."""
        divisor = self.divisor
        if not self.listed:
            return int(self.start * divisor) + digits * int(self.step * divisor)
        table = np.array([int(value * divisor) for value in self.listed], dtype=np.int64)
        return table[digits]

    def bounds(self) -> tuple[int, int]:
        """Return the smallest and largest numerators."""
        divisor = self.divisor
        if self.listed:
            numbers = [int(value * divisor) for value in self.listed]
            return min(numbers), max(numbers)
        return int(self.start * divisor), int((self.start + (self.count - 1) * self.step) * divisor)


class Space(Struct, frozen=True):
    """All combinations of the values of some dimensions; the first dimension changes slowest."""

    dimensions: tuple[Dimension, ...]

    @property
    def size(self) -> int:
        return math.prod(dimension.count for dimension in self.dimensions)

    def digits(self, points: Any) -> list[Any]:
        """Return, for point numbers, the index of the value in each dimension."""
        found: list[Any] = []
        for dimension in reversed(self.dimensions):
            found.append(points % dimension.count)
            points = points // dimension.count
        return found[::-1]

    def drawn(self, count: int, seed: int, block: int) -> list[Any]:
        """Return the digits of random points; all combinations are equally likely."""
        random = np.random.default_rng([seed, block])
        return [random.integers(0, d.count, count, dtype=np.int32) for d in self.dimensions]

    def values(self, digits: Digits) -> dict[str, Any]:
        """Return the values of one point by name."""
        return {d.name: d.value(int(digit)) for d, digit in zip(self.dimensions, digits, strict=True)}

    def shown(self, digits: Digits) -> list[str]:
        """Return the values of one point as users write them."""
        return [written(d.value(int(n))) for d, n in zip(self.dimensions, digits, strict=True)]


def written(value: Any) -> str:
    """Return a value as written in the language, but strings without quotes."""
    return value if isinstance(value, str) else format_argument(value)


def _is_number(value: object) -> bool:
    return type(value) is int or isinstance(value, Fraction)


def _exact(value: Any) -> Any:
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def parse_dimension(text: str, option: str) -> Dimension:
    """Parse `width=0.25..1.4:0.05`, `image=128,160,192`, `kind="a","b"`. Raises `ArchError`.

    >>> parse_dimension("width=0.25..1:0.25", "--set").count
    4
    """
    name, values = name_and_values(text, option)
    parts = _split(values)
    if len(parts) == 1 and (found := _RANGE.match(parts[0])):
        return _range(name, found, option)
    listed: list[Any] = []
    for part in parts:
        found = _RANGE.match(part)
        if found is None:
            listed.append(_constant(part, option, name))
            continue
        several = _range(name, found, option)
        if len(listed) + several.count > FEW_VALUES:
            raise error(
                f"`{option} {name}` lists more than {FEW_VALUES:,} values", help="give one range, with a step"
            )
        listed += [several.value(digit) for digit in range(several.count)]
    seen: set[tuple[type, Any]] = set()
    for value in listed:  # the type too, because `true` equals 1
        if (type(value), value) in seen:
            raise error(
                f"`{option} {name}` has the value {written(value)} twice", help="give each value once"
            )
        seen.add((type(value), value))
    return Dimension(name, len(listed), tuple(listed))


def name_and_values(text: str, option: str) -> tuple[str, str]:
    """Split `width=0.5,1` at the `=`. Raises `ArchError`."""
    name, equals, values = text.partition("=")
    name, values = name.strip(), values.strip()
    if not equals or not name or not values:
        raise error(
            f"`{option} {text}` gives no values", help=f"write `{option} {name or 'width'}=0.25..1:0.05`"
        )
    return name, values


def is_one_expression(values: str) -> bool:
    """Is it a single value, and neither a range nor a list?"""
    return len(_split(values)) == 1 and ".." not in values


def of_values(name: str, given: Any) -> Dimension:
    """Make a dimension from Python values that are not a text: a `range`, a sequence, or one value."""
    from archcalc.opening import exact

    if isinstance(given, range):
        if not given or given.step < 1:
            raise error(f"the range of `{name}` is empty or falls", help="give it from the least value up")
        return Dimension(name, len(given), (), given.start, given.step)
    if isinstance(given, list | tuple | np.ndarray):
        values = given.tolist() if isinstance(given, np.ndarray) else given
        if not len(values):
            raise error(f"`{name}` has no values", help="give at least one value")
        return Dimension(name, len(values), tuple(exact(value) for value in values))
    return Dimension(name, 1, (exact(given),))


def _split(text: str) -> list[str]:
    """Split at commas that are not inside brackets or quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "[(":
            depth += 1
        elif not quoted and letter in "])":
            depth -= 1
        elif letter == "," and not quoted and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _constant(text: str, option: str, name: str) -> Any:
    if not text:
        raise error(f"`{option} {name}` has an empty value", help="put one comma between two values")
    if ".." in text and '"' not in text:
        raise error(
            f"`{text}` of `{option} {name}` is not a range",
            help=f"a range has two ends, and maybe a step: `{name}=1..9:2`",
        )
    return constant(text, f"{option} {name}")


def _number(text: str, option: str, name: str) -> Number:
    value = _constant(text.strip(), option, name)
    if not _is_number(value):
        raise error(
            f"`{option} {name}`: `{text.strip()}` is not a number",
            help="a range has numbers at both ends; list other values with commas",
        )
    number: Number = value
    return number


def _range(name: str, found: re.Match[str], option: str) -> Dimension:
    low, high = (_number(found[end], option, name) for end in ("low", "high"))
    if found["step"] is not None:
        step = _number(found["step"], option, name)
    elif isinstance(low, int) and isinstance(high, int):
        step = 1
    else:
        digits = max(_decimals(found["low"]), _decimals(found["high"]))
        step = min(HUNDREDTH, Fraction(1, 10**digits))
    if step <= 0:
        raise error(f"the step of `{option} {name}` is {written(step)}", help="give a step above 0")
    if high < low:
        raise error(
            f"the range of `{option} {name}` is empty: {written(low)} is above {written(high)}",
            help=f"write `{name}={found['high'].strip()}..{found['low'].strip()}`",
        )
    count = int((high - low) // step) + 1
    if count > MOST_VALUES:
        raise error(
            f"`{option} {name}` has {count:,} values, over {MOST_VALUES:,}", help="give a larger step"
        )
    return Dimension(name, count, (), low, step)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].strip())


def fixed_and_varied(dimensions: Sequence[Dimension]) -> tuple[Mapping[str, Any], list[Dimension]]:
    """Separate dimensions with one value from the others; if all have one, the first counts as varied."""
    varied = [d for d in dimensions if d.count > 1] or list(dimensions[:1])
    return {d.name: d.value(0) for d in dimensions if d not in varied}, varied
