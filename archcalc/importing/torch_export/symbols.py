"""Evaluates size expressions of a `.pt2` file: `Add(Symbol('s53', positive=True), Integer(-2))`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

MAX_TEXT = 100_000
MAX_NESTING = 100
"""Longer and deeper expressions are not evaluated: they come from an untrusted file. Swin-T for images of any
size has 29,000 characters."""

MAX_VALUE, MAX_POWER = 10**15, 50

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|-?\d+|'[^']*'|[(),=])")


def symbol_of(text: str) -> str | None:
    """Return the symbol, if the expression is a single symbol.

    >>> symbol_of("Symbol('s77', positive=True, integer=True)")
    's77'
    """
    found = re.fullmatch(r"Symbol\('(\w+)'[^()]*\)", text)
    return found[1] if found else None


def evaluate(text: str, values: Mapping[str, int]) -> int | None:
    """Evaluate an expression; `None` if it has an unknown symbol or function, or no integer value.

    >>> evaluate("Add(FloorDiv(Symbol('h', integer=True), Integer(2)), Integer(-1))", {"h": 32})
    15
    """
    if len(text) > MAX_TEXT:
        return None
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        return None
    try:
        value = _term(iter([*tokens, ""]), values, 0)
    except (_NoValueError, StopIteration, ZeroDivisionError):
        return None
    return value if abs(value) <= MAX_VALUE else None


class _NoValueError(Exception):
    """The expression has no value."""


def _term(tokens: Iterator[str], values: Mapping[str, int], depth: int) -> int:
    name = next(tokens)
    if depth > MAX_NESTING or next(tokens) != "(":
        raise _NoValueError
    if name == "Symbol":
        symbol = next(tokens).strip("'")
        while next(tokens) != ")":
            pass
        if symbol not in values:
            raise _NoValueError
        return values[symbol]
    if name == "Integer":
        number = next(tokens)
        if next(tokens) != ")" or len(number) > 20 or not number.lstrip("-").isdecimal():
            raise _NoValueError
        return int(number)
    return _function(name, _arguments(tokens, values, depth))


def _arguments(tokens: Iterator[str], values: Mapping[str, int], depth: int) -> list[int]:
    found = []
    end = ","
    while end == ",":
        found.append(_term(tokens, values, depth + 1))
        end = next(tokens)
    if end != ")":
        raise _NoValueError
    return found


def _function(name: str, numbers: list[int]) -> int:
    if any(abs(number) > MAX_VALUE for number in numbers):
        raise _NoValueError
    if name == "Add":
        return sum(numbers)
    if name == "Mul":
        product = 1
        for number in numbers:
            product *= number
            if abs(product) > MAX_VALUE:
                raise _NoValueError
        return product
    if name in ("Max", "Min"):
        return max(numbers) if name == "Max" else min(numbers)
    if name == "Pow" and len(numbers) == 2 and 0 <= numbers[1] <= MAX_POWER:
        power = 1
        for _ in range(numbers[1]):
            power *= numbers[0]
            if abs(power) > MAX_VALUE:
                raise _NoValueError
        return power
    if len(numbers) == 2 and name in ("FloorDiv", "CleanDiv"):
        return numbers[0] // numbers[1]
    if len(numbers) == 2 and name in ("Mod", "PythonMod"):
        return numbers[0] % numbers[1]
    raise _NoValueError
