"""Relations between the values of a sweep: computed values, and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import Problems, error
from archcalc.language.standalone import NamedExpression, ValueCondition, condition_of, expression_of
from archcalc.sweeping.space import Dimension, is_one_expression, name_and_values, of_values, parse_dimension


class Computed(Struct, frozen=True, eq=False):
    """A value that is computed at each point from other values: `depth=1.2**phi`."""

    name: str
    text: str
    expression: NamedExpression


class Relations(Struct, frozen=True, eq=False):
    """Computed values, each after those that it uses, and conditions that points must fulfill."""

    computed: tuple[Computed, ...] = ()
    conditions: tuple[ValueCondition, ...] = ()

    def with_computed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a point with those that are computed. Raises `ArchError`."""
        found = dict(values)
        for each in self.computed:
            found[each.name] = each.expression.value(found)
        return found

    def computed_value(self, name: str, values: Mapping[str, Any]) -> Any:
        """Return one computed value. `values` has those that it follows from. Raises `ArchError`."""
        needed, found = self.needed(name), dict(values)
        for each in self.computed:
            if each.name in needed:
                found[each.name] = each.expression.value(found)
        return found[name]

    def needed(self, name: str) -> set[str]:
        """Return the name, and the names of all values that it follows from."""
        found = {name}
        for each in reversed(self.computed):
            if each.name in found:
                found.update(each.expression.uses)
        return found

    def hold(self, values: Mapping[str, Any]) -> bool:
        """Return whether all conditions hold for values with the computed ones. Raises `ArchError`."""
        return all(condition.holds(values) for condition in self.conditions)

    def is_used(self, name: str, by_conditions: bool) -> bool:
        """Return whether a computed value uses a name, or a condition if that counts too."""
        users = [each.expression.uses for each in self.computed]
        users += [condition.uses for condition in self.conditions if by_conditions]
        return any(name in uses for uses in users)


NONE = Relations()


def options(texts: Sequence[str], option: str) -> list[tuple[str, str, str]]:
    """Split `width=0.5,1` of an option into the name and the values. Raises `ArchError`."""
    return [(option, *name_and_values(text, option)) for text in texts]


def given(
    items: Sequence[tuple[str, str, Any]], conditions: Sequence[str] = ()
) -> tuple[list[Dimension], Relations]:
    """Read dimensions, computed values, and conditions. An item has its option, its name, and its values.

    Values are a text, as on the command line, or Python values. A text that uses the name of another item is
    computed from it. Raises `ArchError`.

    >>> dimensions, relations = given([("--set", "k", "1..4"), ("--set", "width", "k / 4")], ["k % 2 == 0"])
    >>> [each.name for each in dimensions], [each.name for each in relations.computed]
    (['k'], ['width'])
    """
    names = [name for _, name, _ in items]
    dimensions: list[Dimension] = []
    computed: dict[str, str] = {}
    problems = Problems()
    for number, (option, name, values) in enumerate(items):
        with problems.collect():
            if name in names[:number]:
                raise error(f"`{option}` gives `{name}` twice")
            if not isinstance(values, str):
                dimensions.append(of_values(name, values))
            elif is_one_expression(values) and expression_of(values, f"{option} {name}", names).uses:
                computed[name] = values
            else:
                dimensions.append(parse_dimension(f"{name}={values}", option))
    problems.raise_any()
    return dimensions, related(computed, conditions, names)


def related(computed: Mapping[str, str], conditions: Sequence[str], names: Sequence[str]) -> Relations:
    """Return the relations that are written in these texts; they can use `names`. Raises `ArchError`."""
    found = {
        name: Computed(name, text, expression_of(text, f"--set {name}", names))
        for name, text in computed.items()
    }
    return Relations(_in_order(found), tuple(condition_of(text, "--where", names) for text in conditions))


def _in_order(computed: Mapping[str, Computed]) -> tuple[Computed, ...]:
    """Return computed values, each after those that it uses. Raises `ArchError`."""
    uses = {
        name: [used for used in each.expression.uses if used in computed] for name, each in computed.items()
    }
    try:
        return tuple(computed[name] for name in TopologicalSorter(uses).static_order())
    except CycleError as cycle:
        path = " uses ".join(f"`{name}`" for name in reversed(cycle.args[1]))
        raise error(f"values are computed from each other: {path}", help="give one of them values") from None
