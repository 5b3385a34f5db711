"""Boxes: a range for each of several parameters, in all of whose points conditions hold.

A condition of one parameter limits the range of that one. For a condition that mixes parameters there is no
single largest box. The search grows a box from a point: first toward smaller values, which include those that
were requested, then toward larger ones. In each direction all sides grow together, then one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from archcalc.sweeping.formula.signs import Span, Terms, last_that, never_negative, variables

MOST_ROUNDS, AT_ONCE = 12, 8
"""Rounds of the search, and how many conditions a round adds to those that it looks at."""

PARTS = 1 << 12
"""All sides move down together in this many parts of their way."""


class Condition(Struct, frozen=True):
    """`over >= 0` for the indices that have these remainders, as a polynomial in their quotients."""

    over: Terms
    remainders: tuple[int, ...]

    def holds(self, box: Sequence[Span], counts: Sequence[int]) -> bool:
        """Return whether it is proved for all points of a box of indices."""
        spans = [
            (max(0, -((remainder - first) // count)), (last - remainder) // count)
            for (first, last), count, remainder in zip(box, counts, self.remainders, strict=True)
        ]
        if any(spans[n][0] > spans[n][1] for n in variables(self.over)):
            return True  # the box has no such point
        return never_negative(self.over, spans)


def largest_box(
    limits: Sequence[Span], start: Sequence[Span], conditions: Sequence[Condition], counts: Sequence[int]
) -> list[Span] | None:
    """Return a box within limits around `start` for which all conditions are proved, or `None`.

    Most conditions hold within the limits or follow from a few others. So the box is searched with a few
    conditions, and those that it violates are added, until there are none.
    """
    active: list[Condition] = []
    for _ in range(MOST_ROUNDS):

        def holds(box: Sequence[Span], active: Sequence[Condition] = tuple(active)) -> bool:
            return all(each.holds(box, counts) for each in active)

        found = _grown(limits, start, holds)
        if found is None:
            return None
        violated = [each for each in conditions if not each.holds(found, counts)]
        if not violated:
            return found
        active += violated[:: -(-len(violated) // AT_ONCE)]
    return None


Holds = Callable[[Sequence[Span]], bool]


def _grown(limits: Sequence[Span], start: Sequence[Span], holds: Holds) -> list[Span] | None:
    """Return a box within limits that holds and cannot grow; `None` if not even the start holds."""
    box = list(limits)
    if holds(box):
        return box
    box = list(start)
    if not holds(box):
        return None
    for end in (0, 1):
        box = _moved_together(box, limits, end, holds)
        for axis in range(len(box)):
            box = _moved(box, axis, end, limits[axis][end], holds)
    return box


def _moved_together(box: list[Span], limits: Sequence[Span], end: int, holds: Holds) -> list[Span]:
    """Move the first (0) or last (1) values of all sides outward, by equal parts or equal doublings."""

    def after(steps: int) -> list[Span]:
        if end:
            return [
                (first, max(last, min(limit, ((last + 1) << steps) - 1)))
                for (first, last), (_, limit) in zip(box, limits, strict=True)
            ]
        return [
            (first - (first - limit) * steps // PARTS, last)
            for (first, last), (limit, _) in zip(box, limits, strict=True)
        ]

    most = max(limit for _, limit in limits).bit_length() if end else PARTS
    return after(last_that(lambda steps: holds(after(steps)), 0, most))


def _moved(box: list[Span], axis: int, end: int, limit: int, holds: Holds) -> list[Span]:
    """Move the first (0) or last (1) value of one side outward while the conditions hold."""
    first, last = box[axis]

    def after(steps: int) -> list[Span]:
        side = (first, last + steps) if end else (first - steps, last)
        return [*box[:axis], side, *box[axis + 1 :]]

    return after(last_that(lambda steps: holds(after(steps)), 0, abs(limit - box[axis][end])))
