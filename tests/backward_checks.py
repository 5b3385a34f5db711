"""Holds the backward pass of a layer against central differences, and what it keeps against NaN."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from test_kernels import BATCH, drawn, tensors

from archcalc.executor.backward import Back, kept_by, run_backward
from archcalc.executor.computed import with_computed_weight
from archcalc.executor.kernel import KERNELS, Call, computing
from archcalc.gradients import backward_of
from archcalc.layers import Layer
from archcalc.layers.backward import OUTPUT, Backward, Needs
from archcalc.layers.base import facts

Array = np.ndarray
Shape = tuple[int, ...]

STEP = 1e-5
"""Half the distance of a central difference, whose error is of the order of its square."""

DIRECTIONS = 3
"""Random directions in which derivatives are compared: a wrong entry shows in every one of them."""


class Applied:
    """A layer in training on given tensors, as a function of its inputs and arrays.

    With `rounded` inputs, to multiples of a half, values are equal, or lie where a function has a kink.
    """

    def __init__(self, layer: Layer, shapes: Sequence[Shape], seed: int = 3, rounded: bool = False) -> None:
        self.layer = layer
        self.facts = facts(layer, tuple(shapes))
        first = tensors(layer, shapes, BATCH, seed)
        first = [np.round(2 * x) / 2 if rounded else where_it_is_smooth(layer, x) for x in first]
        self.inputs = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in first]
        self.weights = drawn(layer, tuple(shapes))
        self.out, self.kept = self.forward(self.inputs, self.weights)
        self.gradient = np.random.default_rng(seed + 1).standard_normal(self.out.shape)

    def forward(self, inputs: Sequence[Array], weights: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        call = Call(
            [x.copy() for x in inputs],
            with_computed_weight(self.layer, weights),
            train=True,
            random=np.random.default_rng(11),
            batch=BATCH,
            kept={},
        )
        with computing():
            out = np.array(KERNELS[type(self.layer)](self.layer, call))
            return out, kept_by(self.layer, call, out)

    def loss(self, inputs: Sequence[Array], weights: dict[str, Array]) -> float:
        return float((self.forward(inputs, weights)[0] * self.gradient).sum())

    def slope(self, number: int | str, direction: Array, step: float = STEP) -> float:
        """The derivative of the loss along a direction of an input or an array, by central differences."""
        ends = []
        for sign in (1, -1):
            inputs, weights = list(self.inputs), dict(self.weights)
            if isinstance(number, int):
                inputs[number] = inputs[number] + sign * step * direction
            else:
                weights[number] = weights[number] + sign * step * direction
            ends.append(self.loss(inputs, weights))
        return (ends[0] - ends[1]) / (2 * step)

    def backward(
        self, needs: Needs, does: Backward, graph_instead: bool, poisoned: str = ""
    ) -> dict[int | str, Array]:
        """The gradients, by number and name, if only what is declared is there.

        With `graph_instead`, what a tensor of the graph says as well is read there. `poisoned` is the name of
        one tensor that is declared and is NaN all the same.
        """
        declared: set[int] = set()
        own = {}
        for kept in does.kept:
            if kept.values is None:
                declared |= set() if kept.name == poisoned else {kept.input}
            elif graph_instead and kept.instead is not None:
                declared |= set() if kept.name == poisoned else {kept.instead}
            else:
                own[kept.name] = _nan(self.kept[kept.name]) if kept.name == poisoned else self.kept[kept.name]
        back = Back(
            self.gradient,
            [x if i in declared else _nan(x) for i, x in enumerate(self.inputs)],
            self.out if OUTPUT in declared else _nan(self.out),
            own,
            self.weights,
            needs,
        )
        with computing():
            sent, arrays = run_backward(self.layer, back)
        assert set(arrays) >= needs.trained, "a gradient of an array is missing"
        found: dict[int | str, Array] = {
            i: array
            for i, (array, needed) in enumerate(zip(sent, needs.inputs, strict=True))
            if needed and array is not None
        }
        assert len(found) == sum(needs.inputs), "a gradient of an input is missing"
        return {**found, **{name: arrays[name] for name in needs.trained}}


def where_it_is_smooth(layer: Layer, x: Array) -> Array:
    """Values at which a logarithm, a root, a power or a quotient is a number, and not so near to 0 that
    differences are too coarse for its derivative."""
    if layer.kind in ("log", "sqrt", "rsqrt"):
        return np.abs(x) + 0.5
    if layer.kind == "div":
        return np.sign(x) * (np.abs(x) + 0.5)
    if layer.kind == "pow":
        whole = float(layer.exponent).is_integer()
        return np.sign(x) * (np.abs(x) + 0.5) if whole else np.abs(x) + 0.5
    return x


def _nan(array: Array) -> Array:
    """An array of this shape that says nothing. Whole numbers and truth values say something wrong."""
    if array.dtype.kind == "f":
        return np.full(array.shape, np.nan, array.dtype)
    return ~array if array.dtype.kind in "bu" else array + 1


def needs_of(layer: Layer, shapes: Sequence[Shape]) -> list[Needs]:
    """Every choice of inputs (all, each alone, none), with arrays trained and frozen."""
    known = facts(layer, tuple(shapes))
    trained = frozenset(w.name for w in known.weights if w.role != "buffer")
    numbers = range(0 if layer.stops_gradients else len(shapes))
    able = [i for i in numbers if i not in layer.without_gradient]
    choices = [(False,) * len(shapes)]
    if able:
        choices += [tuple(i == j for j in range(len(shapes))) for i in able]
        choices += [tuple(j in able for j in range(len(shapes)))]
    arrays = [frozenset[str](), trained, *(frozenset({name}) for name in sorted(trained))]
    found = [Needs(inputs, names) for inputs, names in product(choices, arrays)]
    return [needs for needs in dict.fromkeys(found) if needs.any_input or needs.trained]


def check_backward(layer: Layer, shapes: Sequence[Shape], seed: int = 3) -> None:
    """Gradients are right with what is declared alone, and sizes of what is kept are as declared."""
    applied = Applied(layer, shapes, seed)
    if not applied.out.size or not np.isfinite(applied.out).all():
        return  # a maximum over padding alone
    random = np.random.default_rng(seed + 2)
    rounding = 1e-15 * float(np.abs(applied.out * applied.gradient).sum()) / STEP
    slopes: dict[int | str, list[tuple[Array, float]]] = {}
    for needs in needs_of(layer, shapes):
        does = backward_of(layer, applied.facts, needs)
        for kept in does.kept:
            if kept.values is None:
                continue
            array = applied.kept[kept.name]
            count = kept.values.value * (1 if kept.per_batch else BATCH)
            assert array.size == count, (kept.name, array.shape, count)
            assert array.itemsize == (kept.value_bytes or applied.out.itemsize), (kept.name, array.dtype)
        for graph_instead in (False, True):
            for key, gradient in applied.backward(needs, does, graph_instead).items():
                target = applied.inputs[key] if isinstance(key, int) else applied.weights[key]
                assert gradient.shape == target.shape, (key, gradient.shape, target.shape)
                assert gradient.dtype == target.dtype
                if key not in slopes:
                    directions = [random.standard_normal(target.shape) for _ in range(DIRECTIONS)]
                    slopes[key] = [(d, applied.slope(key, d)) for d in directions]
                for direction, slope in slopes[key]:
                    along = float((gradient * direction).sum())
                    scale = float(np.abs(gradient * direction).sum()) + abs(slope) + 1e-3
                    if (
                        abs(along - slope) > 1e-6 * scale + rounding
                    ):  # curved: a quotient, a norm of few values
                        nearer = applied.slope(key, direction, STEP / 10)
                        assert abs(along - nearer) <= 1e-6 * scale + 10 * rounding, (
                            needs,
                            key,
                            along,
                            nearer,
                        )
        for number in does.passes:
            if needs.inputs[number]:
                gradient = applied.backward(needs, does, False)[number]
                assert gradient.size == applied.gradient.size or layer.kind in ("concat", "stack")


def check_minimal(layer: Layer, shapes: Sequence[Shape], seed: int = 3) -> None:
    """Every tensor that is declared is needed: gradients change without it."""
    applied = Applied(layer, shapes, seed)
    for needs in needs_of(layer, shapes):
        does = backward_of(layer, applied.facts, needs)
        right = applied.backward(needs, does, False)
        for kept in does.kept:
            wrong = applied.backward(needs, does, False, poisoned=kept.name)
            same = all(np.array_equal(right[key], wrong[key], equal_nan=True) for key in right)
            assert not same, f"{layer.kind} does not need {kept.name} for {needs}"
