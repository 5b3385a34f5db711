"""The plan of a sweep: the network, what varies, the figures of each point, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.checking.bounds import Bound, parse_bounds
from archcalc.checking.evaluate import describe, measure, rounding
from archcalc.diagnostics import ArchError, error, near_miss, unknown
from archcalc.expect import Expect
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
from archcalc.sweeping.points import SAFE
from archcalc.sweeping.space import BATCH, INPUT, Dimension, Space, fixed_and_varied, with_sides

TRIED_SIDES = (193, 257)
"""Two unusual sides: an input that has both, one after the other, has the size that was given."""

MOST_TRIED = 20
"""The most parameters that are tried, because each try makes networks."""

DEFAULT_COLUMNS = ("params", "macs", "flops", "activations")


class Limit(Struct, frozen=True):
    """A limit on a number: the smallest and largest value allowed; `not` allows the others instead."""

    text: str
    quantity: str
    path: str
    heads: bool
    low: int | None
    high: int | None
    negated: bool = False

    @property
    def is_upper(self) -> bool:
        return not self.negated and self.low is None and self.high is not None

    def holds(self, values: Any) -> Any:
        """Return whether the limit holds for a value, or for each value of an array."""
        inside: Any = True
        if self.low is not None:
            inside = values >= self.low
        if self.high is not None:
            inside = inside & (values <= self.high)
        return inside != self.negated

    def misses(self, value: int) -> Fraction:
        """Return how far a value is outside the limit, relative to it; 0 if the limit holds."""
        if self.holds(value):
            return Fraction(0)
        ends = [end for end in (self.low, self.high) if end is not None]
        if self.negated:
            return Fraction(1)
        return min((Fraction(abs(value - end), max(1, abs(end))) for end in ends), default=Fraction(1))


class SweepPlan(Struct, frozen=True, eq=False):
    """A checked sweep: everything except the figures."""

    net: str
    opened: Opened
    fixed: Mapping[str, Any]
    space: Space
    columns: tuple[str, ...]
    limits: tuple[Limit, ...]
    settings: Settings
    input_name: str = INPUT
    """The name of the input that the dimension `input` is of."""

    def engine(self) -> Engine:
        """Return the engine: its figures are the columns, then the numbers that have limits."""
        figures = len(self.columns) + len(self.limits)
        engine = Engine(self.space, self.measure, figures, with_windows=bool(self.settings.convention))
        if not self.is_traceable:
            engine.untraceable = f"`{self.net}` is not made from a text"
        return engine

    @property
    def is_traceable(self) -> bool:
        """Return whether networks can be traced. Importers of other formats require plain integer sizes."""
        return _from_text(self.opened) or [dimension.name for dimension in self.space.dimensions] == [BATCH]

    def profile(self, values: Mapping[str, Any]) -> Profile:
        """Return the profile of one network. Raises `ArchError`."""
        given = {**self.fixed, **values}
        settings = self.settings
        if BATCH in given and BATCH not in self.opened.parameters:
            settings = replace(settings, batch=given.pop(BATCH))
        inputs = dict(settings.inputs)
        if INPUT in given:
            shape = given.pop(INPUT)
            inputs[self.input_name] = shape if isinstance(shape, tuple) else (shape,)
        network = self.opened.network({**settings.overrides, **given}, inputs)
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
) -> SweepPlan:
    """Check the request and return its plan. Raises `ArchError`, for example for unknown names."""
    settings = settings or Settings()
    opened, own = open_net(net)
    given = [d.name for d in dimensions]
    for name in given:
        if name in own or name in settings.overrides:
            raise error(f"`{name}` is set twice")
    settings = replace(settings, overrides={**own, **settings.overrides})
    for dimension in dimensions:
        others = {d.name: d.value(0) for d in dimensions if d is not dimension}
        check_name(dimension, opened, {**settings.overrides, **others})
        low, high = dimension.bounds() if dimension.is_numeric else (0, 0)
        if max(abs(low), abs(high)) >= SAFE:
            raise error(f"the values of `{dimension.name}` are too large", help="give smaller numbers")
        if dimension.name == BATCH and BATCH not in opened.parameters:
            _check_batch(dimension)
    limits = tuple(_limit(bound) for bound in parse_bounds(expectations, settings))
    names = tuple(dict.fromkeys(columns or _default_columns(limits, settings)))
    for name in names:
        _check_column(name, settings)
    found = SweepPlan(net, opened, {}, Space(tuple(dimensions)), names, limits, settings)
    shaped, input_name = _with_sides(found, dimensions)
    fixed, varied = fixed_and_varied(shaped)
    return replace(found, fixed=fixed, space=Space(tuple(varied)), input_name=input_name)


def _default_columns(limits: Sequence[Limit], settings: Settings) -> list[str]:
    whole = [limit.quantity for limit in limits if not limit.path and not limit.heads]
    names = [*DEFAULT_COLUMNS, *(name for name in whole if name not in DEFAULT_COLUMNS)]
    return [*names, "count"] if settings.convention and "count" not in names else names


def check_name(dimension: Dimension, opened: Opened, others: Mapping[str, Any]) -> None:
    """Raise `ArchError` unless the name is a parameter, the input or the batch. `others` are also given."""
    name = dimension.name
    if name in opened.parameters or name in (INPUT, BATCH):
        return
    known = [*opened.parameters, INPUT, BATCH]
    has = ", ".join(f"`{each}`" for each in opened.parameters)
    help = f"it has {has}" if has else "it has none"
    if _from_text(opened) and not near_miss(name, known):
        tried = [each for each in opened.parameters if each not in others][:MOST_TRIED]
        size = next((each for each in tried if _is_size(each, opened, others)), None)
        help = help if size is None else f"`{size}` sets the size of its input; {help}"
    raise unknown(
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


def _limit(bound: Bound) -> Limit:
    """Return an expectation as a range of integers. Raises `ArchError` if it is not about one number."""
    expect = bound.expect
    quantity = QUANTITIES.get(expect.quantity)
    if quantity is None or not quantity.is_number or isinstance(expect.figure.value, tuple):
        raise error(
            f"`{describe(expect)}` is not one number of a network, and a sweep bounds only numbers",
            expect.quantity_span,
            help="`archcalc check` tests it for one network",
        )
    figure: Any = expect.figure.value
    if expect.ratio is not None:
        theirs = measure(bound.open(expect.ratio), expect.quantity)
        figure = expect.ratio.factor * theirs
    low, high = _ends(expect, figure)
    return Limit(bound.text, expect.quantity, expect.path, expect.training, low, high, expect.negated)


def _ends(expect: Expect, figure: Any) -> tuple[int | None, int | None]:
    """Return the smallest and largest integers that satisfy the relation."""
    relation = expect.relation
    if relation == "within":
        distance = abs(Fraction(figure)) * Fraction(expect.percent) / 100
        return ceil(figure - distance), floor(figure + distance)
    if relation == "~":
        low, high = rounding(figure, expect.figure.step)
        return ceil(low), ceil(high) - 1
    return {
        "==": (ceil(figure), floor(figure)),
        "<": (None, ceil(figure) - 1),
        "<=": (None, floor(figure)),
        ">": (floor(figure) + 1, None),
        ">=": (ceil(figure), None),
    }[relation]


def _with_sides(found: SweepPlan, dimensions: Sequence[Dimension]) -> tuple[list[Dimension], str]:
    """Return the dimensions and the input's name. Numbers given for an input's shape are sides."""
    candidates = [
        d for d in dimensions if d.is_numeric and (d.name == INPUT or d.name in found.opened.parameters)
    ]
    if not candidates:
        return list(dimensions), INPUT
    others = {d.name: d.value(0) for d in dimensions if d not in candidates}
    missing = {d.name: d.value(0) for d in candidates if d.name in found.opened.missing}
    try:
        network = found.profile({**others, **missing}).network
    except ArchError:
        if any(d.name == INPUT for d in candidates):
            raise
        return list(dimensions), INPUT  # each point reports its own error
    shapes = {node.shape for node in network.inputs.values()}
    result = []
    for dimension in dimensions:
        default = network.parameters.get(dimension.name)
        if dimension.name == INPUT and dimension in candidates:
            if len(network.inputs) != 1:
                raise error(
                    f"`{found.net}` has {len(network.inputs)} inputs, and `input` is the side of an only one",
                    help="`--input` gives a shape to each",
                )
            (default,) = shapes
        if dimension in candidates and default in shapes:
            dimension = with_sides(dimension, default)
        result.append(dimension)
    return result, next(iter(network.inputs), INPUT)
