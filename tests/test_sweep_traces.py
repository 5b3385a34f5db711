"""Traces of every layer kind: figures from symbolic numbers are those of networks made without them.

A size or an argument of each case in `samples.py` becomes a symbolic number. Its values are on both sides of
the thresholds of figures: a single step, or 256 places, whose numbers fit into a byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from samples import SAMPLES, Sample, make

from archcalc.builder import NetworkBuilder
from archcalc.conventions import conventions
from archcalc.diagnostics import ArchError, error
from archcalc.layers import KINDS
from archcalc.layers.arguments import LayerError
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.quantities import QUANTITIES
from archcalc.settings import Settings
from archcalc.sweeping.plan import plan
from archcalc.sweeping.space import Dimension, Space, parse_dimension
from archcalc.sweeping.tracing.engine import Engine, Measure

EVERY = [name for name, quantity in QUANTITIES.items() if quantity.is_number and name != "count"]
SIZES = (1, 2, 9, 101, 256, 257)
DTYPES = ("bfloat16", "float64", "float16")
OPTIMIZERS = ("adam", "momentum", "none", "adamw")

Place = tuple[Any, ...]
"""An axis of an input (its number and the axis), or an entry of an argument (its name, and places in it)."""


# --- A case with one number replaced -----------------------------------------------------------------


class Case(NamedTuple):
    """A sample, and the places of the number that varies."""

    sample: Sample
    places: tuple[Place, ...]

    def __str__(self) -> str:
        return f"{self.sample} at {self.places}"


def _entries(value: Any) -> Iterator[tuple[int, ...]]:
    if type(value) is int or isinstance(value, Fraction):
        yield ()
    elif type(value) is tuple:
        yield from ((number, *rest) for number, item in enumerate(value) for rest in _entries(item))


def _arguments(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample.layer, name) for name in sample.layer.__struct_fields__}


def cases_of(sample: Sample) -> list[Case]:
    """Equal sizes vary together, and so do all axes after the channels, and the numbers of an argument."""
    axes = [(number, axis) for number, shape in enumerate(sample.inputs) for axis in range(len(shape))]
    found: list[list[Place]] = [[place for place in axes if place[1] > 0]]
    sizes = sorted({size for shape in sample.inputs for size in shape})
    found += [[place for place in axes if sample.inputs[place[0]][place[1]] == size] for size in sizes]
    for name, value in _arguments(sample).items():
        entries: list[Place] = [(name, *entry) for entry in _entries(value)]
        found += [entries, entries[-1:]]
    return [Case(sample, places) for places in dict.fromkeys(map(tuple, found)) if places]


def _replaced(value: Any, entry: Sequence[int], by: Any) -> Any:
    if not entry:
        return by
    first, *rest = entry
    return (*value[:first], _replaced(value[first], rest, by), *value[first + 1 :])


def network(case: Case, size: Any) -> Network:
    """The layer after trained scales, whose inputs therefore need gradients, and before an activation."""
    sample, given = case.sample, _arguments(case.sample)
    shapes: list[Any] = list(sample.inputs)
    for first, *rest in case.places:
        if isinstance(first, str):
            given[first] = _replaced(given[first], rest, size)
        else:
            shapes[first] = _replaced(shapes[first], rest, size)
    build = NetworkBuilder("case", judge=False)
    try:
        layer = KINDS[sample.kind](**given)
        inputs = [build.input(shape, f"input{number}") for number, shape in enumerate(shapes)]
        nodes = [build.add(make("relu" if layer.stops_gradients else "scale"), node) for node in inputs]
        if not nodes and not layer.is_source:
            nodes = [build.input((3,))]
        return build.finish(build.add(make("relu"), build.add(layer, *nodes)))
    except LayerError as problem:
        raise error(problem.message) from None


def measured(case: Case, columns: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> Measure:
    def measure(values: Mapping[str, Any]) -> list[Any]:
        made = network(case, values["size"])
        profiles = [analyze(made, **each) for each in settings]
        return [QUANTITIES[name].measure(profile.whole) for profile in profiles for name in columns]

    return measure


# --- Traces against networks without symbolic numbers --------------------------------------------------


def differences(engine: Engine, orders: Sequence[Sequence[int]]) -> list[str]:
    """Points whose figures or messages differ, in one engine that evaluates points in several orders."""

    def digits_of(point: int) -> list[int]:
        return [int(digit[0]) for digit in engine.space.digits(np.asarray([point]))]

    @cache
    def expected(point: int) -> list[int] | str:
        try:
            return [int(figure) for figure in engine.measure(engine.space.values(digits_of(point)))]
        except ArchError as problem:
            return problem.diagnostics[0].message

    wrong = []
    for order in orders:
        found = engine.evaluate(engine.space.digits(np.asarray(order)))
        if engine.untraceable:
            return [f"computed one by one: {engine.untraceable}"]
        for place, point in enumerate(order):
            number = int(found.errors[place])
            figures = [int(column[place]) for column in found.columns]
            got = figures if number < 0 else engine.problem(number, digits_of(point))
            if got != expected(point):
                wrong.append(f"{engine.space.values(digits_of(point))}: {got} for {expected(point)}")
    return wrong


def orders(points: int) -> list[list[int]]:
    """Some points, then all of them upward, then downward: each makes traces for the next."""
    every = list(range(points))
    return [every[points // 2 :: 2], every, every[::-1]]


def wrong_in_case(
    case: Case, columns: Sequence[str], settings: Sequence[Mapping[str, Any]], sizes: Sequence[int]
) -> list[str]:
    space = Space((Dimension("size", len(sizes), tuple(sizes)),))
    figures = len(columns) * len(settings)
    engine = Engine(space, measured(case, columns, settings), figures, with_windows="count" in columns)
    return [f"{case}: {wrong}" for wrong in differences(engine, orders(len(sizes)))]


def cases_of_kind(kind: str, most: int) -> list[Case]:
    """At most so many cases of a kind, evenly spread over its samples."""
    cases = [case for sample in SAMPLES if sample.kind == kind for case in cases_of(sample)]
    return cases[:: -(-len(cases) // most)]


SAMPLED = sorted({sample.kind for sample in SAMPLES})


def test_every_kind_has_cases() -> None:
    assert {*SAMPLED, "opaque"} == set(KINDS)  # which is in a text below


@pytest.mark.parametrize("kind", SAMPLED)
def test_every_quantity_of_every_kind(kind: str) -> None:
    """The questions that figures ask must not be lost for the next trace, in this sweep or another one."""
    for number, case in enumerate(cases_of_kind(kind, 10)):
        dtype, optimizer = DTYPES[number % 3], OPTIMIZERS[number % 4]
        other = {"dtype": dtype, "optimizer": optimizer, "heads": True, "batch": 3, "training": True}
        assert not wrong_in_case(case, EVERY, [{}, other], SIZES)
        if number % 4 == 0:
            assert not wrong_in_case(case, EVERY[number // 4 % 3 :: 3], [other], SIZES[::-2])


@pytest.mark.parametrize("kind", SAMPLED)
def test_every_convention_of_every_kind(kind: str) -> None:
    settings = [{"convention": name} for name in conventions()]
    for case in cases_of_kind(kind, 3):
        assert not wrong_in_case(case, ["count"], settings, (14, 1, 9))


# --- Texts and built-in networks -----------------------------------------------------------------------

TEXTS = {
    "lstm": ["input([3, s])", "pointwise(3) -> lstm(6)"],
    "gru": ["input([3, s])", "pointwise(3) -> gru(6, 2, return_sequences=false) -> fc(2)"],
    "heads": [
        "input([3, s, s])",
        "conv(8, 3, padding=1)",
        "aux early = global_maxpool -> flatten -> fc(s)",
        "frozen { conv(8, 3, padding=1) -> bn -> relu }",
        "concat(adaptive_maxpool(4), adaptive_avgpool(4)) -> upsample(size=[s, s]) -> global_maxpool",
    ],
    "opaque": ["input([3, s, s])", 'conv(8, 1) -> opaque(identity, op="roll", shape=[8, s, s])'],
    "invalid": ["input([3, s, s])", "add(conv(8, 2), conv(8, 3, padding=1, stride=2))"],
    "power": ["input([3, 5])", "pointwise(4) -> pow(s) -> pow(s / 2) -> pow(-s)"],
    "connections": ["input([9, 9, 9])", "conv(2, 3, connections=[[0, s], [1, s, 2]])"],
    "resized": [
        "input([3, s, s])",
        "conv(8, 3, padding=1) -> adaptive_avgpool(7)",
        'upsample(scale_factor=2) -> upsample(scale_factor=2, mode="bilinear")',
    ],
}
"""The statements of networks, whose size is `s`."""


def text_of(name: str, folder: Path) -> str:
    path = folder / f"{name}.arch"
    path.write_text("\n".join(["net n(s=4) {", *TEXTS[name], "}", ""]))
    return str(path)


def wrong_in_net(net: str, size: str, columns: Sequence[str] = EVERY, **options: Any) -> list[str]:
    made = plan(net, [parse_dimension(size, "--set")], columns, (), Settings(allow_unknown=True, **options))
    return differences(made.engine(), orders(made.space.size))


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, tmp_path: Path) -> None:
    path = text_of(name, tmp_path)
    sizes = "s=1,2,3,9,101,256,257"
    assert not wrong_in_net(path, sizes, ["saved_bytes", "training_peak_bytes"], training=True)
    assert not wrong_in_net(path, sizes, heads=True, optimizer="adam", training=True)
    assert not wrong_in_net(path, sizes, ["arena_bytes", "saved_bytes"], dtype="float16", batch=5)
    assert not wrong_in_net(path, sizes, ["count", "backward_macs"], convention="thop")


@pytest.mark.parametrize(
    ("net", "size"),
    [
        ("cbam_resnet50", "image=68,135,226,255,258"),
        ("crnn", "classes=1,2,9,37"),
        ("googlenet", "image=224,257"),
        ("swin_t", "image=224,256"),
    ],
)
def test_built_in_networks(net: str, size: str) -> None:
    assert not wrong_in_net(net, size, ["arena_bytes", "saved_bytes"])
    assert not wrong_in_net(net, size, heads=True, optimizer="momentum", freeze=("*1*",))


# --- One trace for many points, and nothing that outlives it ---------------------------------------------


@pytest.mark.parametrize(("columns", "convention"), [(["training_macs"], ""), (["count"], "fvcore")])
def test_few_traces_are_enough(columns: list[str], convention: str, tmp_path: Path) -> None:
    sizes = [parse_dimension("s=1..400", "--set")]
    made = plan(text_of("resized", tmp_path), sizes, columns, (), Settings(convention=convention))
    engine = made.engine()
    engine.evaluate(made.space.digits(np.arange(400)))
    assert not engine.untraceable
    assert len(engine.endings) < 20


def test_traces_use_no_cache_of_the_process() -> None:
    """A cache would keep a result without its questions, and symbolic numbers of a sweep that has ended."""
    made = plan("cbam_resnet50", [parse_dimension("image=64,96", "--set")], EVERY)
    caches = {
        f"{module}.{name}": value
        for module, loaded in list(sys.modules.items())
        if module.startswith("archcalc")
        for name, value in vars(loaded).items()
        if hasattr(value, "cache_info")
    }
    assert {"archcalc.layers.base.kept_facts", "archcalc.gradients._kept"} <= set(caches)
    before = {name: value.cache_info() for name, value in caches.items()}
    engine = made.engine()
    engine.evaluate(made.space.digits(np.arange(made.space.size)))
    assert engine.endings
    after = {name: value.cache_info() for name, value in caches.items()}
    assert {name: info for name, info in after.items() if info != before[name]} == {}
