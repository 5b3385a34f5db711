"""Finds which numbers of similar pieces of text are one parameter, and which are derived from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from archcalc.convert.plan import Formula, Slot, Variable

CHANNELS = frozenset(("out_channels", "out_features", "groups", "num_groups", "num_parameters"))
"""Arguments that count channels: they may be multiples of one another."""

LARGEST_FACTOR = 16
"""A number is written as a multiple of another one up to this factor: `4 * c`."""


class Differences(Struct, eq=False):
    """Differences between similar pieces: variables, their values per piece, and a formula per slot."""

    variables: list[Variable]
    values: list[tuple[Any, ...]]
    formulas: list[Formula | None]


def differences(pieces: Sequence[Sequence[Slot]]) -> Differences:
    """Compare the slots of similar pieces, position by position."""
    columns = [tuple(slot.value for slot in slots) for slots in zip(*pieces, strict=True)]
    names = [slot.name for slot in pieces[0]]
    varying = [index for index, column in enumerate(columns) if _varies(column)]
    # small channel counts first, so that large ones become their multiples
    varying.sort(key=lambda index: _size(columns[index]) if names[index] in CHANNELS else 0)
    known: list[tuple[str, tuple[Any, ...], Variable]] = []
    formulas: list[Formula | None] = [None] * len(columns)
    first: dict[Variable, int] = {}
    for index in varying:
        name, column = names[index], columns[index]
        formula = _from_known(name, column, known)
        if formula is None:
            formula = Formula(Variable(name))
            known.append((name, column, formula.variable))
        formulas[index] = formula
        first[formula.variable] = min(index, first.get(formula.variable, index))
    _halve_kernels(names, columns, formulas, known)
    used = {formula.variable for formula in formulas if formula is not None}
    known = sorted((each for each in known if each[2] in used), key=lambda each: first[each[2]])
    return Differences([v for _, _, v in known], [column for _, column, _ in known], formulas)


def _varies(column: tuple[Any, ...]) -> bool:
    return any(value != column[0] or type(value) is not type(column[0]) for value in column)


def _size(column: tuple[Any, ...]) -> int:
    return sum(value for value in column if isinstance(value, int))


def _from_known(
    name: str, column: tuple[Any, ...], known: Sequence[tuple[str, tuple[Any, ...], Variable]]
) -> Formula | None:
    """Express a column as equal to a known one, or as a multiple of a smaller one."""
    for other_name, other, variable in known:
        alike = other_name == name or (name in CHANNELS and other_name in CHANNELS)
        if alike and other == column:
            return Formula(variable)
    if name not in CHANNELS:
        return None
    for other_name, other, variable in known:
        if other_name not in CHANNELS or not other[0]:
            continue
        factor = column[0] // other[0]
        if 2 <= factor <= LARGEST_FACTOR and all(b == factor * a for a, b in zip(other, column, strict=True)):
            return Formula(variable, "*", factor)
    return None


def _halve_kernels(
    names: list[str],
    columns: list[tuple[Any, ...]],
    formulas: list[Formula | None],
    known: Sequence[tuple[str, tuple[Any, ...], Variable]],
) -> None:
    """Write a padding that is half the kernel as such: `padding=kernel_size // 2`."""
    kernels = [(column, v) for name, column, v in known if name == "kernel_size"]
    for index, formula in enumerate(formulas):
        if formula is None or names[index] != "padding":
            continue
        for column, variable in kernels:
            if all(type(k) is int for k in column) and columns[index] == tuple(k // 2 for k in column):
                formulas[index] = Formula(variable, "//", 2)


def apply(formula: Formula, value: Any) -> Any:
    """Evaluate a formula for a value of its variable."""
    if formula.operator == "*":
        return value * formula.factor
    if formula.operator == "//":
        return value // formula.factor
    return value
