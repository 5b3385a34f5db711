"""The rows of a report: layers, or whole blocks, filtered, sorted, and limited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archcalc.diagnostics import unknown
from archcalc.layers.base import FAMILIES, KINDS
from archcalc.profile import LayerProfile, Profile
from archcalc.quantities import QUANTITIES, Selection


def select_rows(
    profile: Profile,
    *,
    depth: int | None = None,
    only: Sequence[str] = (),
    sort: str = "",
    top: int | None = None,
) -> list[Selection]:
    """The rows of a report.

    `depth` makes each block at that depth one row, `only` keeps kinds or families of layers, `sort` orders
    by a quantity, the largest first, and `top` keeps the first rows. Raises `ArchError` for unknown names.
    """
    layers: Iterable[LayerProfile] = profile.layers
    if only:
        layers = _only(profile.layers, only)
    rows = profile.rolled_up(layers, depth)
    if sort:
        known = sortable(profile)
        if sort not in known:
            raise unknown("rows cannot be sorted by", sort, known, help="sort by " + ", ".join(known))
        rows.sort(key=lambda row: -QUANTITIES[sort].adds(row))
    return rows if top is None else rows[:top]


def sortable(profile: Profile) -> list[str]:
    """The quantities by which rows can be sorted: the numbers that have a column."""
    return [
        quantity.name
        for quantity in QUANTITIES.values()
        if quantity.is_number
        and quantity.heading
        and (profile.convention or not quantity.of_convention)
        and (profile.training or not quantity.of_training)
    ]


def _only(layers: Iterable[LayerProfile], names: Sequence[str]) -> list[LayerProfile]:
    known = {*KINDS, *FAMILIES}
    for name in names:
        if name not in known:
            help = "families: " + ", ".join(sorted(FAMILIES - {"input"}))
            raise unknown("there is no layer kind or family", name, known, help=help)
    wanted = set(names)
    return [la for la in layers if la.node.layer.kind in wanted or la.node.layer.family in wanted]
