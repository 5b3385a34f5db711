"""Formats a closed form as text and JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from archcalc.render.documents import json_text, plain
from archcalc.render.numbers import grouped, plural
from archcalc.sweeping.closed import ClosedForm
from archcalc.sweeping.plan import SweepPlan
from archcalc.sweeping.run import invalid_in_words
from archcalc.sweeping.space import Dimension, written

MOST_LISTED = 6
"""A longer list of values is described by their number."""


def text(form: ClosedForm) -> str:
    """Return the formula and its known properties."""
    plan = form.plan
    names = ", ".join(_domain(plan))
    lines = [f"{form.quantity} of {plan.net} = {form.text}", ""]
    if form.growth:
        lines.append(f"for large values about {form.growth.removeprefix('≈')}")
    if form.period is not None and form.period > 1:
        step = plan.space.dimensions[0].step
        every = Fraction(form.period) * step
        shown = written(every.numerator if every.denominator == 1 else every)
        lines.append(f"a polynomial for each remainder by {shown}")
    lines.append(_proved(form))
    lines.append(f"for {names}: {_compared(form)}; {plural(form.checked, 'network')} made one by one")
    return "\n".join(lines) + "\n"


def _proved(form: ClosedForm) -> str:
    if not form.box:
        return f"checked by enumeration only: no proof, since {form.unproved}"
    sides = [_side(*each) for each in zip(form.plan.space.dimensions, form.box, strict=True)]
    *others, last = sides
    joined = f"{', '.join(others)}{',' if len(others) > 1 else ''} and {last}" if others else last
    return f"proved from the expressions for {joined}"


def _side(dimension: Dimension, side: tuple[Any, Any]) -> str:
    if dimension.listed:
        return f"every listed {dimension.name}"
    first, last = map(_grouped, side)
    if first == last:
        return f"{dimension.name} = {first}"
    step = f" in steps of {written(dimension.step)}" if dimension.step != 1 else ""
    return f"every {dimension.name} from {first} to {last}{step}"


def _grouped(value: Any) -> str:
    return grouped(value) if isinstance(value, int) else written(value)


def _domain(plan: SweepPlan) -> list[str]:
    return [_values(dimension) for dimension in plan.space.dimensions]


def _values(dimension: Dimension) -> str:
    """Describe the values of a parameter: a range, a short list, or the number of values of a long one."""
    if dimension.listed:
        texts = [written(dimension.value(digit)) for digit in range(min(dimension.count, MOST_LISTED + 1))]
        if len(texts) > MOST_LISTED:
            return f"{grouped(dimension.count)} values of {dimension.name}"
        *others, last = texts
        joined = f"{', '.join(others)}{',' if len(others) > 1 else ''} or {last}" if others else last
        return f"{dimension.name} = {joined}"
    step = f" in steps of {written(dimension.step)}" if dimension.step != 1 else ""
    first, last = written(dimension.value(0)), written(dimension.value(dimension.count - 1))
    return f"{dimension.name} from {first} to {last}{step}"


def _compared(form: ClosedForm) -> str:
    drawn = "points drawn at random" if form.compared < form.plan.space.size else "points"
    valid = form.compared - form.invalid
    also = f", {invalid_in_words(form.invalid)}" if form.invalid else ""
    if not form.excepted:
        return f"equal at {'all ' if not also else ''}{grouped(valid)} {drawn}{also}"
    listed = "; ".join(form.exceptions) + ("; ..." if form.excepted > len(form.exceptions) else "")
    return (
        f"equal at {grouped(valid - form.excepted)} of {grouped(form.compared)} {drawn}{also}, "
        f"another figure at {listed}"
    )


def to_json(form: ClosedForm) -> str:
    """The formula as one JSON object; `schemas/formula.json` describes it."""
    fields: dict[str, Any] = {
        "net": form.plan.net,
        "quantity": form.quantity,
        "formula": form.text,
        "terms": list(form.terms),
        "growth": form.growth,
        "period": form.period,
        "compared": form.compared,
        "different": form.excepted,
        "invalid": form.invalid,
        "made_one_by_one": form.checked,
        "proved": _proved_values(form),
        "not_proved_because": form.unproved,
    }
    return json_text(**fields)


def _proved_values(form: ClosedForm) -> dict[str, Any] | None:
    """The range of an only parameter, or what is proved of each of several."""
    dimensions = form.plan.space.dimensions
    values: dict[str, Any] = {
        dimension.name: {"values": [plain(value) for value in dimension.listed]}
        if dimension.listed
        else {"from": plain(first), "to": plain(last)}
        for dimension, (first, last) in zip(dimensions, form.box, strict=bool(form.box))
    }
    return (values[dimensions[0].name] if len(dimensions) == 1 else values) if values else None
