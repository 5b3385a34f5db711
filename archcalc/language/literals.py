"""The values of NUMBER, SIZE, and STRING tokens."""

from __future__ import annotations

from fractions import Fraction

from archcalc.diagnostics import Diagnostic, Source, Span
from archcalc.language.cursor import Mistake
from archcalc.language.limits import MAX_AXES, MAX_DIGITS
from archcalc.language.syntax import Number
from archcalc.language.tokens import Token


def read_number(source: Source, token: Token) -> Number:
    """The exact value of a NUMBER token."""
    span = Span(source, token.start, token.end)
    text = span.text.replace("_", "")
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent) if len(exponent) <= 4 and exponent else (10**4 if exponent else 0)
    if len(whole) + len(decimals) > MAX_DIGITS or abs(power) > MAX_DIGITS:
        problem = Diagnostic(f"a number has more than {MAX_DIGITS} digits", span)
        raise Mistake(problem)
    value = int(whole + decimals)
    shift = power - len(decimals)
    if shift >= 0:
        whole_number: int = value * 10**shift
        return whole_number
    exact = Fraction(value, 10**-shift)
    return exact.numerator if exact.denominator == 1 else exact


def read_size(source: Source, token: Token) -> tuple[int, ...]:
    """The lengths in a SIZE token, one per axis."""
    span = Span(source, token.start, token.end)
    parts = span.text.split("x")
    if len(parts) > MAX_AXES or max(map(len, parts)) > MAX_DIGITS:
        raise Mistake(Diagnostic(f"a size has more than {MAX_AXES} axes, or too many digits", span))
    return tuple(map(int, parts))


def read_string(source: Source, token: Token) -> str:
    """The text of a STRING token, without its quotes and escapes."""
    return source.text[token.start + 1 : token.end - 1].replace('\\"', '"').replace("\\\\", "\\")
