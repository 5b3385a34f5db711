"""The form of explanations: formulas, their numbers, and sums that add up line by line."""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.quantities.quantity import Quantity, Selection, Summand
from archcalc.render.numbers import grouped


def of_terms(name: str, terms: Sequence[Summand], value: int) -> list[str]:
    """A sum of weighted terms with their numbers, one per line; a single term has no sum."""
    if not terms:
        return [f"{name} = 0"]
    if len(terms) == 1:
        factor, only, _ = terms[0]
        weight = f"{factor} × " if factor != 1 else ""
        return [f"{name} = {weight}{only.formula}", f"  = {weight}{only.numbers} = {grouped(value)}"]
    weights = [f"{factor} × " if factor != 1 else "" for factor, _, _ in terms]
    lines = [f"{name} = " + " + ".join(w + t.formula for w, (_, t, _) in zip(weights, terms, strict=True))]
    numbers = [w + t.numbers for w, (_, t, _) in zip(weights, terms, strict=True)]
    values = [grouped(factor * t.value) for factor, t, _ in terms]
    left, right = max(map(len, numbers)), max(len(grouped(value)), *map(len, values))
    for text, result, (_, _, words) in zip(numbers, values, terms, strict=True):
        lines.append(f"  {text:<{left}} = {result:>{right}}  {words}".rstrip())
    lines.append(f"  {'sum':<{left}} = {grouped(value):>{right}}")
    return lines


def of_parts(title: str, parts: Sequence[tuple[str, int]]) -> list[str]:
    """Parts by name, one per line, and their sum."""
    total = sum(value for _, value in parts)
    left = max([len("sum"), *(len(name) for name, _ in parts)])
    right = len(grouped(total))
    lines = [title]
    lines += [f"  {name:<{left}}   {grouped(value):>{right}}" for name, value in parts]
    lines.append(f"  {'sum':<{left}} = {grouped(total):>{right}}")
    return lines


def of_selection(quantity: Quantity, selection: Selection, before: Sequence[Selection] = ()) -> list[str]:
    """The values of a quantity for the parts of a selection; `before` are parts outside it."""
    parts = [(part.name, quantity.adds(part)) for part in (*before, *selection.parts())]
    parts = [(name, value) for name, value in parts if value]
    if not parts:
        return [f"{quantity.name} of {selection.name} = 0"]
    return of_parts(f"{quantity.name} of {selection.name} = the sum over its parts", parts)
