"""Comparisons of networks as data: totals, stages, kinds of layers, changes, and the sum of their effects.

They read only profiles. Views are in separate files.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.comparison.account import AccountLine, account
from archcalc.comparison.matching import Matching, match
from archcalc.comparison.parts import ComparedPart, by_kind, by_stage
from archcalc.comparison.subjects import ComparedNetwork, open_subjects
from archcalc.diagnostics import error
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES

__all__ = [
    "AccountLine",
    "Compared",
    "ComparedNetwork",
    "ComparedPart",
    "Comparison",
    "Total",
    "compare",
    "open_subjects",
]


class Compared(Struct, frozen=True):
    """A value compared with the value of the first network, `base`."""

    value: int
    base: int

    @property
    def difference(self) -> int:
        return self.value - self.base

    @property
    def ratio(self) -> Fraction | None:
        """The value divided by the base, exactly; `None` if the base is 0."""
        return Fraction(self.value, self.base) if self.base else None

    @property
    def factor(self) -> Fraction:
        """The factor, up or down: at least 1, or 0 if one of the two is 0."""
        if not self.value or not self.base:
            return Fraction(int(self.value == self.base))
        return Fraction(max(self.value, self.base), min(self.value, self.base))


class Total(Struct, frozen=True):
    """A quantity of whole networks, each compared with the first, including the first itself.

    For a maximum, `reached_at` names the layer of each network that reaches it.
    """

    quantity: str
    figures: tuple[Compared, ...]
    reached_at: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[bool, Fraction]:
        """Sorts by factor, largest first, then quantities that one network lacks, then equal quantities."""
        differs = any(figure.difference for figure in self.figures)
        return not differs, -max(figure.factor for figure in self.figures)


class Comparison(Struct, frozen=True, eq=False):
    """A whole comparison. Only comparisons of two networks have `matching` and `account`.

    The lines of the account always add up to the difference of the totals exactly.
    """

    subjects: tuple[ComparedNetwork, ...]
    totals: tuple[Total, ...]
    stages: tuple[ComparedPart, ...]
    kinds: tuple[ComparedPart, ...]
    matching: Matching | None = None
    account: tuple[AccountLine, ...] = ()

    def __getitem__(self, quantity: str) -> Total:
        """The totals of a quantity. Raises `KeyError` if it has none."""
        by_name = {total.quantity: total for total in self.totals}
        return by_name[quantity]

    def __str__(self) -> str:
        """The text that `archcalc compare` prints."""
        from archcalc.comparison.tables import CompareView
        from archcalc.comparison.view import render
        from archcalc.render import output

        return render(CompareView(self), output.width(), False).removesuffix("\n")

    @property
    def identical(self) -> bool:
        """Are there two networks with equal layers, connections, results, and figures?"""
        first, second = self.subjects[0], self.subjects[-1]
        results = [
            {name: node.name for name, node in subject.profile.network.outputs.items()}
            for subject in (first, second)
        ]
        alike = self.matching is not None and self.matching.identical and not self.account
        return alike and results[0] == results[1]


def compare(subjects: Sequence[ComparedNetwork]) -> Comparison:
    """Compare networks, each with the first. Raises `ArchError` for fewer than two.

    >>> comparison = compare(open_subjects(["vgg16", "resnet50"]))
    >>> {total.quantity: total.figures[1].difference for total in comparison.totals}["params"]
    -112800512
    """
    if len(subjects) < 2:
        raise error("a comparison needs at least two networks", help="name another network")
    profiles = [subject.profile for subject in subjects]
    stages, kinds = by_stage(profiles), by_kind(profiles)
    matching = None
    lines: list[AccountLine] = []
    if len(profiles) == 2:
        before, after = profiles
        matching = match(before, after)
        lines = account(before, after, matching, stages)
    return Comparison(tuple(subjects), _totals(profiles), tuple(stages), tuple(kinds), matching, tuple(lines))


def _totals(profiles: Sequence[Profile]) -> tuple[Total, ...]:
    totals = [_total(name, profiles) for name in profiles[0].totals]
    return tuple(sorted(totals, key=lambda total: total.rank))


def _total(name: str, profiles: Sequence[Profile]) -> Total:
    values = [profile.totals[name] for profile in profiles]
    at = QUANTITIES[name].at
    reached_at = tuple(at(profile) for profile in profiles) if at is not None else ()
    return Total(name, tuple(Compared(value, values[0]) for value in values), reached_at)
