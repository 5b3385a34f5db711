"""Numbers as text: exact with thousands separators, or short."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.quantities.receptive_field import Field


def grouped(value: int | Fraction) -> str:
    """`138,357,544`."""
    return f"{value.numerator:,}/{value.denominator:,}" if isinstance(value, Fraction) else f"{value:,}"


def plural(count: int, noun: str, number: Callable[[int], str] = grouped) -> str:
    """A count with its noun; `number` writes the count.

    >>> plural(1, "layer"), plural(1234, "layer"), plural(1234, "layer", str)
    ('1 layer', '1,234 layers', '1234 layers')
    """
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def human(value: int | Fraction) -> str:
    """`138.4M`: at most four significant digits, powers of 1000, rounded half up.

    >>> human(138_357_544), human(999_960), human(812)
    ('138.4M', '1M', '812')
    """
    number = Fraction(value)
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        # 999,950 would round to 1000 of the smaller unit, so use the larger unit
        if abs(number) * 10000 >= size * 9999 + size * Fraction(1, 2):
            return _short(number / size) + unit
    return grouped(value)


def _short(number: Fraction) -> str:
    decimals = 1 if abs(number) >= 100 else 2 if abs(number) >= 10 else 3
    scaled = (number * 10**decimals + Fraction(1, 2)) // 1
    whole, rest = divmod(scaled, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0")
    return f"{whole:,}.{fraction}" if fraction else f"{whole:,}"


def percent(part: int, whole: int) -> str:
    """A percentage such as `12.3`; empty if the part or the whole is 0, and `<0.1` for less than that."""
    if not whole or not part:
        return ""
    tenths = (part * 2000 + whole) // (whole * 2)
    return "<0.1" if tenths == 0 else f"{tenths // 10}.{tenths % 10}"


def bar(part: int, whole: int, width: int = 8) -> str:
    """A share as a bar of blocks, to an eighth of a block."""
    eighths = (part * width * 16 + whole) // (whole * 2) if whole else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def byte_size(count: int) -> str:
    """Bytes in both units: `553.4 MB, 527.8 MiB`. Small counts are exact."""
    if count < 10**5:
        return plural(count, "byte")
    return f"{_tenths(count, 10**6)} MB, {_tenths(count, 2**20)} MiB"


def exact_size(count: int) -> str:
    """The exact number of bytes, and the size in both units.

    >>> exact_size(1_404_928), exact_size(553_430_176)
    ('1,404,928 bytes: 1,404.9 kB, 1,372.0 KiB', '553,430,176 bytes: 553.4 MB, 527.8 MiB')
    """
    if count < 1000:
        return plural(count, "byte")
    decimal, binary, prefix = (1000, 1024, "kK") if count < 10**7 else (10**6, 2**20, "MM")
    sizes = f"{_tenths(count, decimal)} {prefix[0]}B, {_tenths(count, binary)} {prefix[1]}iB"
    return f"{plural(count, 'byte')}: {sizes}"


def _tenths(count: int, unit: int) -> str:
    tenths = (count * 20 + unit) // (unit * 2)
    return f"{tenths // 10:,}.{tenths % 10}"


def field_size(field: Field) -> str:
    """A receptive field as text: its size, or `global`; `at most` for an upper bound."""
    if field.is_global:
        return "global"
    return f"{'at most ' if field.at_most else ''}{format_shape(field.size)}"


def decimal(value: int | Fraction, digits: int = 6) -> str:
    """A number as a decimal: exact if `digits` places are enough, otherwise `≈` and `digits` digits.

    >>> decimal(Fraction(7, 2)), decimal(Fraction(62_378_344, 6_998_552)), decimal(Fraction(1, 3000))
    ('3.5', '≈8.91304', '≈0.000333333')
    """
    sign, number = "-" if value < 0 else "", abs(Fraction(value))
    places = digits
    if (number * 10**digits).denominator != 1:
        while places > 1 and number * 10**places >= 10**digits:
            places -= 1
        while number * 10**places < 10 ** (digits - 1):
            places += 1
    scaled = (number * 10**places + Fraction(1, 2)) // 1
    whole, rest = divmod(scaled, 10**places)
    is_exact = Fraction(scaled, 10**places) == number
    fraction = f"{rest:0{places}d}".rstrip("0" if is_exact else "")
    text = f"{sign}{whole:,}.{fraction}" if fraction else f"{sign}{whole:,}"
    return text if is_exact else f"≈{text}"
