"""The plan of a sweep: the network, what varies, the figures of each point, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc import number
from archcalc.checking.bounds import parse_bounds
from archcalc.checking.evaluate import measure
from archcalc.diagnostics import ArchError, error, near_miss, unknown
from archcalc.freezing import with_frozen
from archcalc.language.elaborate import elaborate
from archcalc.network import Network
from archcalc.notes import unknown_operations
from archcalc.opened import Opened
from archcalc.opening import open_net
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Quantity
from archcalc.settings import Settings
from archcalc.sweeping.engine import Engine
from archcalc.sweeping.limits import Limit, limit_of
from archcalc.sweeping.points import SAFE
from archcalc.sweeping.relations import NONE, Relations
from archcalc.sweeping.space import BATCH, INPUT, Dimension, Space, fixed_and_varied, written

TRIED_SIDES = (193, 257)
"""Two unusual sides: an input that has both, one after the other, has the size that was given."""

MOST_TRIED = 20
"""The most parameters or points that are tried, because each try makes networks."""

DEFAULT_COLUMNS = ("params", "macs", "flops", "activations")


class Sides(Struct, frozen=True):
    """A shape whose sides are equal: the sizes before them, and their number."""

    before: tuple[int, ...]
    count: int

    def shape(self, side: Any) -> Any:
        """Return the shape with this side; a value that is not a number is a shape already."""
        return (*self.before, *[side] * self.count) if number.is_exact(side) else side


class SweepPlan(Struct, frozen=True, eq=False):
    """A checked sweep: everything except the figures."""

    net: str
    opened: Opened
    fixed: Mapping[str, Any]
    space: Space
    columns: tuple[str, ...]
    limits: tuple[Limit, ...]
    settings: Settings
    relations: Relations = NONE
    sides: Mapping[str, Sides] = {}
    """The shapes that are given by their side: parameters, and `input`."""
    input_name: str = INPUT
    """The name of the input that `input` means."""

    def engine(self) -> Engine:
        """Return the engine: its figures are the columns, then the numbers that have limits."""
        return Engine(
            self.space,
            self.measure,
            len(self.columns) + len(self.limits),
            with_windows=bool(self.settings.convention),
            doubts=not self.is_from_text,
        )

    def conditions(self) -> Engine | None:
        """Return an engine whose only figure is 1 at points where all conditions hold, and 0 elsewhere."""
        if not self.relations.conditions:
            return None
        relations, fixed = self.relations, self.fixed
        return Engine(
            self.space, lambda values: [int(relations.hold(relations.with_computed({**fixed, **values})))], 1
        )

    @property
    def is_from_text(self) -> bool:
        """Return whether a text declares the network. Traces of importers are not trusted unseen."""
        return _from_text(self.opened)

    def profile(self, values: Mapping[str, Any]) -> Profile:
        """Return the profile of one network. Raises `ArchError`."""
        given = self.relations.with_computed({**self.fixed, **values})
        for name, sides in self.sides.items():
            given[name] = sides.shape(given[name])
        settings, parameters = self.settings, self.opened.parameters
        if BATCH in given and BATCH not in parameters:
            settings = replace(settings, batch=_batch(given[BATCH]))
        inputs = dict(settings.inputs)
        if INPUT in given and INPUT not in parameters:
            inputs.pop(INPUT, None)  # which means the same input
            shape = given[INPUT]
            inputs[self.input_name] = shape if isinstance(shape, tuple) else (shape,)
        own = {name: value for name, value in given.items() if name in parameters}
        network = self.opened.network({**settings.overrides, **own}, inputs)
        return settings.profile(with_frozen(network, settings.freeze))

    def measure(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the figures of one network. Raises `ArchError`."""
        profile = self.profile(values)
        if not (self.settings.allow_unknown or profile.network.is_complete):
            self._check_complete(profile.network)
        figures = [QUANTITIES[name].measure(profile.whole) for name in self.columns]
        sources = {profile.heads: profile}
        for limit in self.limits:
            heads = limit.heads or profile.heads
            if heads not in sources:
                sources[heads] = replace(self.settings, heads=True, batch=profile.batch).profile(
                    profile.network
                )
            figures.append(measure(sources[heads], limit.quantity, limit.path))
        return figures

    def _check_complete(self, network: Network) -> None:
        names = [*self.columns, *(limit.quantity for limit in self.limits)]
        incomplete = [name for name in names if QUANTITIES[name].of_operations]
        missing = unknown_operations(network.nodes) if incomplete else ""
        if missing:
            raise error(f"`{incomplete[0]}` is incomplete without {missing}")


def plan(
    net: str,
    dimensions: Sequence[Dimension],
    columns: Sequence[str] = (),
    expectations: Sequence[str] = (),
    settings: Settings | None = None,
    relations: Relations = NONE,
) -> SweepPlan:
    """Check the request and return its plan. Raises `ArchError`, for example for unknown names."""
    settings = settings or Settings()
    opened, own = open_net(net)
    given = [*(d.name for d in dimensions), *(each.name for each in relations.computed)]
    if not given:
        raise error("nothing varies", help="give a parameter several values: `--set width=0.25..1:0.25`")
    for name in given:
        is_batch = name == BATCH and BATCH not in opened.parameters and settings.batch != 1
        if name in own or name in settings.overrides or is_batch:
            raise error(f"`{name}` is set twice")
    settings.check()
    settings = replace(settings, overrides={**own, **settings.overrides})
    _check_names(opened, dimensions, relations, settings.overrides)
    for dimension in dimensions:
        low, high = dimension.bounds() if dimension.is_numeric else (0, 0)
        if max(abs(low), abs(high)) >= SAFE:
            raise error(f"the values of `{dimension.name}` are too large", help="give smaller numbers")
        if dimension.name == BATCH and BATCH not in opened.parameters:
            _check_batch(dimension)
    limits = tuple(limit_of(bound, BATCH in given) for bound in parse_bounds(expectations, settings))
    names = tuple(dict.fromkeys(columns or _default_columns(limits, settings)))
    for name in names:
        _check_column(name, settings)
    fixed, varied = fixed_and_varied(dimensions)
    found = SweepPlan(net, opened, fixed, Space(tuple(varied)), names, limits, settings, relations)
    return _with_sides(found)


def _default_columns(limits: Sequence[Limit], settings: Settings) -> list[str]:
    whole = [limit.quantity for limit in limits if not limit.path and not limit.heads]
    names = [*DEFAULT_COLUMNS, *(name for name in whole if name not in DEFAULT_COLUMNS)]
    return [*names, "count"] if settings.convention and "count" not in names else names


def _check_names(
    opened: Opened, dimensions: Sequence[Dimension], relations: Relations, overrides: Mapping[str, Any]
) -> None:
    """Raise `ArchError` unless each name is a parameter, the input, the batch, or used by a relation."""
    known = [*opened.parameters, INPUT, BATCH]
    computed = [each.name for each in relations.computed]
    given = [*(d.name for d in dimensions), *computed]
    for name in given:
        if name not in known and not relations.is_used(name, by_conditions=name in computed):
            others = {d.name: d.value(0) for d in dimensions if d.name != name}
            raise _unknown_parameter(name, opened, known, {**overrides, **others})
    lacking = [name for name in opened.missing if name not in given and name not in overrides]
    if lacking:
        opened.network({**overrides, **dict.fromkeys(given, 1)})  # raises an error that says what is missing


def _unknown_parameter(
    name: str, opened: Opened, known: Sequence[str], others: Mapping[str, Any]
) -> ArchError:
    has = ", ".join(f"`{each}`" for each in opened.parameters)
    help = f"it has {has}" if has else "it has none"
    if _from_text(opened) and not near_miss(name, known):
        tried = [each for each in opened.parameters if each not in others][:MOST_TRIED]
        size = next((each for each in tried if _is_size(each, opened, others)), None)
        help = help if size is None else f"`{size}` sets the size of its input; {help}"
    return unknown(
        f"`{opened.net}` has no parameter", name, known, help=f"{help}; `input` and `batch` can be varied too"
    )


def _from_text(opened: Opened) -> bool:
    return getattr(opened.make, "func", None) is elaborate


def _is_size(name: str, opened: Opened, others: Mapping[str, Any]) -> bool:
    """Return whether a parameter is the size of an input, by making networks with two of its values."""
    given = {key: value for key, value in others.items() if key in opened.parameters}
    for side in TRIED_SIDES:
        for value in (side, (3, side, side)):
            try:
                network = opened.network({**given, name: value}, {})
            except ArchError:
                continue
            if any(side in node.shape[1:] for node in network.inputs.values()):
                break
        else:
            return False
    return True


def _batch(value: Any) -> int:
    batch = number.as_whole(value)
    if batch is None or batch < 1:
        raise error(f"`batch` needs a whole number of at least 1, got {written(value)}")
    return batch  # type: ignore[no-any-return]


def _check_batch(dimension: Dimension) -> None:
    values = dimension.listed or (dimension.start, dimension.step)
    if not all(type(value) is int for value in values) or (dimension.bounds()[0] < 1):
        raise error("`batch` needs whole numbers of at least 1", help="write `batch=1..256`")


def _check_column(name: str, settings: Settings) -> None:
    if name not in QUANTITIES:
        raise unknown("unknown quantity", name, QUANTITIES, listing="quantities")
    quantity: Quantity = QUANTITIES[name]
    if not quantity.is_number:
        raise error(
            f"`{name}` is not one number, so it cannot be a column of a sweep",
            help="`archcalc report` shows it for one network",
        )
    if quantity.of_convention and not settings.convention:
        raise error(f"`{name}` is what a convention counts", help="add `--convention NAME`")


def _tried_points(space: Space) -> list[Any]:
    """Return a few points: some of them may be networks that are not valid."""
    ends = [[0] * len(space.dimensions), [d.count - 1 for d in space.dimensions]]
    drawn = zip(*space.drawn(MOST_TRIED, 0, 0), strict=True)
    return [*ends, *([int(digit) for digit in digits] for digits in drawn)]


def _with_sides(found: SweepPlan) -> SweepPlan:
    """Return the plan, which then knows the shapes that are given by their side, and the input's name.

    A number for a parameter that is the shape of an input is its side. Its default says the channels.
    """
    opened = found.opened
    numeric = {d.name for d in found.space.dimensions if d.is_numeric}
    numeric |= {name for name, value in found.fixed.items() if number.is_exact(value)}
    numeric |= {each.name for each in found.relations.computed}
    candidates = [name for name in (*opened.parameters, INPUT) if name in numeric]
    if not candidates:
        return found
    problems: list[ArchError] = []
    for digits in _tried_points(found.space):
        try:
            values = found.relations.with_computed({**found.fixed, **found.space.values(digits)})
            needed = [name for name in values if name not in candidates or name in opened.missing]
            own = {name: values[name] for name in needed if name in opened.parameters}
            network = opened.network({**found.settings.overrides, **own}, found.settings.inputs)
            break
        except ArchError as problem:
            problems.append(problem)
    else:
        if INPUT in candidates:
            raise problems[0]
        return found  # each point reports its own error
    shapes = {node.shape for node in network.inputs.values()}
    if INPUT in candidates and INPUT not in opened.parameters and len(network.inputs) != 1:
        raise error(
            f"`{found.net}` has {len(network.inputs)} inputs, and `input` is the side of an only one",
            help="`--input` gives a shape to each",
        )
    sides: dict[str, Sides] = {}
    for name in candidates:
        default = network.parameters.get(name) if name in opened.parameters else next(iter(shapes))
        if default in shapes and len(default) > 1 and all(type(size) is int for size in default):
            sides[name] = Sides(default[:1], len(default) - 1)
    return replace(found, sides=sides, input_name=next(iter(network.inputs), INPUT))
