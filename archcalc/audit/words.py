"""Values and verdicts of the audit as text."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from archcalc.audit.finding import AuditFinding
from archcalc.audit.statement import StatementOutcome
from archcalc.language.values import is_number
from archcalc.render.documents import plain
from archcalc.render.numbers import decimal, grouped
from archcalc.shape import format_shape


def value_text(value: Any, is_size: bool = False) -> str:
    """A value as text: digits in groups of three, fractions as decimals, sizes with crosses.

    A list of one item is shown as that item. Semicolons separate items whose digits are grouped by commas.

    >>> value_text((96, 55, 55), is_size=True), value_text((64, 128)), value_text(Fraction(49, 27))
    ('96×55×55', '[64, 128]', '≈1.81481')
    >>> value_text((8, 62_357_608)), value_text(((1024, 7, 7), (1024, 1, 1)), is_size=True)
    ('[8; 62,357,608]', '[1024×7×7, 1024×1×1]')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return grouped(value)
    if isinstance(value, Fraction):
        return decimal(value)
    if isinstance(value, str):
        return value
    if is_size and value and not any(isinstance(item, tuple | str) for item in value):
        return format_shape(value)
    if len(value) == 1:
        return value_text(value[0], is_size)
    items = [value_text(item, is_size) for item in value]
    is_grouped = any("," in text for text, item in zip(items, value, strict=True) if is_number(item))
    return f"[{('; ' if is_grouped else ', ').join(items)}]"


def shown_value(finding: AuditFinding) -> str:
    """The value that archcalc computes for a printed figure. For a comparison, both sides."""
    return outcome_text(finding.shown) if finding.shown is not None else ""


def outcome_text(outcome: StatementOutcome) -> str:
    text = value_text(outcome.left, outcome.is_size)
    if outcome.is_computed and not outcome.equal:
        text += f" against {value_text(outcome.right, outcome.is_size)}"
    return text


def reason(finding: AuditFinding) -> str:
    """The reason for a verdict. A convention is named first."""
    variant = f"{finding.variant}: " if finding.verdict == "convention" and finding.variant else ""
    return f"{variant}{finding.explanation}"


def cell(value: Any, is_size: bool = False) -> str:
    """A value in CSV: a number without commas, a size with `x`, a list as JSON.

    >>> cell(138_357_544), cell((96, 55, 55), is_size=True), cell(("conv", "relu"))
    ('138357544', '96x55x55', '["conv", "relu"]')
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, tuple) and is_size and all(isinstance(item, int) for item in value):
        return format_shape(value, cross="x")
    return json.dumps(plain(value))
