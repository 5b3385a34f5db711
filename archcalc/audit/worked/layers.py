"""Worked examples with any layers: their output, their gradient, and what one input value affects."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc.audit.worked.numbers import (
    DIGITS,
    MOST,
    array_of,
    checked_digits,
    checked_flag,
    fitted,
    listed,
)
from archcalc.diagnostics import error
from archcalc.executor.execute import RunOptions, execute
from archcalc.executor.kernel import Array
from archcalc.executor.weights import Weights, owners, random_weights
from archcalc.network import Network
from archcalc.opening import loads
from archcalc.profile import analyze
from archcalc.render.numbers import plural
from archcalc.shape import format_shape

STEP = 2.0**-17
"""The step to each side for a derivative. A power of two is exact for linear layers."""

A_LAYER = 100
"""The overhead of running a layer, as a number of operations."""

MOST_RUNS = 1_000
"""The most runs for a derivative, which takes two for each value."""

RESULT = "output"


def forward(
    layers: Any, input: Any, weights: Any = (), train: Any = False, batch: Any = False, digits: Any = DIGITS
) -> Any:
    """The output of layers, written as in the body of a network, in double precision.

    `input` is a list of numbers for a vector, rows for one map, or a list of maps. With `batch`, it is a list
    of such inputs. `weights` has the arrays of the layers, in order. With `train`, batch normalization uses
    the statistics of the batch. Results are rounded to `digits` decimals. A result of one map is given as
    rows. Raises `ArchError`.

    >>> forward("conv(1, 1x2, bias=false) -> relu", ((1, 2, 3), (4, 5, 6)), ((-10, 1),))
    ((0, 0), (0, 0))
    >>> forward("softmax", (1, 2), digits=4)
    (Fraction(2689, 10000), Fraction(7311, 10000))
    """
    places, is_batch = checked_digits(digits), checked_flag(batch, "batch")
    example = _example(layers, array_of(input, "input"), weights, is_batch)
    out = _rows(example.run(train=checked_flag(train, "train")))
    return listed(out if is_batch else out[0], places)


def gradient(
    layers: Any, input: Any, upstream: Any = 1, weights: Any = (), by: Any = 0, digits: Any = 6
) -> Any:
    """The derivative of the sum of `upstream * output` with respect to each input value: central differences.

    `upstream` has the shape of the output, or is one number for all of it. With `by=1`, the derivative is
    with respect to the first array of `weights`, and so on. Only the forward pass runs, twice for each value.
    At a kink, such as that of a ReLU at 0, the result is the mean of the slopes on both sides. Raises
    `ArchError`.

    >>> gradient("square", (3, -2))
    (6, -4)
    >>> gradient("fc(1, bias=false)", (3, -2), 1, ((5, 7),), by=1)
    (3, -2)
    """
    places = checked_digits(digits)
    values = array_of(input, "input")
    example = _example(layers, values, weights, False)
    arrays = [example.input, *example.arrays]
    if type(by) is not int or not 0 <= by < len(arrays):
        help = f"write 0 for the input, or the number of an array: there are {len(arrays) - 1}"
        raise error(f"`by` is not the number of an array: {by!r}", help=help)
    moved = arrays[by]
    if 2 * moved.size > MOST_RUNS or 2 * moved.size * example.cost > MOST:
        raise error(
            f"a derivative with respect to {plural(moved.size, 'value')} takes too long",
            help="use fewer values, or layers that compute less",
        )
    shape = example.network.outputs[RESULT].shape
    factors = fitted(array_of(upstream, "upstream"), shape, "`upstream`")[None]
    slopes = np.zeros(moved.shape)
    for at in np.ndindex(moved.shape):
        before = moved[at]
        sides = []
        for step in (STEP, -STEP):
            moved[at] = before + step
            sides.append((factors * example.run()).sum())
        moved[at] = before
        with np.errstate(invalid="ignore"):  # values that are not finite are refused below
            slopes[at] = (sides[0] - sides[1]) / (2 * STEP)
    # the shape in which the statement gives the array
    given = values if by == 0 else array_of(weights[by - 1], "weights")
    return listed(slopes.reshape(given.shape) if given.ndim else slopes, places)


def affected(layers: Any, shape: Any, place: Any) -> Any:
    """1 for each output that depends on one input value, 0 for the others: a NaN in the input makes it NaN.

    `shape` is the shape of the input, rows by columns for one map. `place` has an index for each axis,
    counted from 0. Raises `ArchError`.

    >>> affected("conv(1, 1x3)", (2, 5), (1, 1))
    ((0, 0, 0), (1, 1, 0))
    """
    sizes = (shape,) if type(shape) is int else shape
    at = (place,) if type(place) is int else place
    if not _are_whole(sizes, 1) or prod(sizes) > MOST:
        raise error(f"`shape` is a size of at most {MOST:,} values", help="write `7x6`")
    inside = _are_whole(at, 0) and len(at) == len(sizes)
    if not inside or any(index >= size for index, size in zip(at, sizes, strict=True)):
        help = "write an index for each axis, from 0 and below its size: `[2, 3]`"
        raise error("`place` is outside the input", help=help)
    values = np.zeros(sizes)
    values[at] = np.nan
    example = _example(layers, values, None, False)
    return listed(_rows(np.isnan(example.run(finite=False)).astype(float))[0], 0)


def _are_whole(values: Any, least: int) -> bool:
    return isinstance(values, tuple) and bool(values) and all(type(n) is int and n >= least for n in values)


class _Example(Struct):
    """A network, its input, its arrays in order, and an upper bound for the cost of a run."""

    network: Network
    input: Array
    weights: Weights
    arrays: list[Array]
    cost: int

    def run(self, train: bool = False, finite: bool = True) -> Array:
        """The output, with the axis of the samples."""
        options = RunOptions(batch=len(self.input), dtype=np.float64, train=train, finite=finite)
        return execute(self.network, self.input, self.weights, options).outputs[RESULT]


def _example(layers: Any, values: Array, weights: Any, is_batch: bool) -> _Example:
    """The layers on an input, with the given weights or, for `None`, with random ones."""
    if not isinstance(layers, str):
        raise error("`layers` is a string", help='write `"conv(1, 3) -> relu"`')
    samples = values if is_batch else values[None]
    if not 2 <= samples.ndim <= 4 or 0 in samples.shape:
        raise error("`input` is a list of numbers, rows, or a list of maps", help="write `[[1, 0], [0, 1]]`")
    if samples.ndim == 3:
        samples = samples[:, None]
    sizes = ", ".join(map(str, samples.shape[1:]))
    network = loads(f"net example {{\n  input([{sizes}])\n  {layers}\n}}")
    if [*network.outputs] != [RESULT]:
        raise error("the layers have named results", help="leave out `output`")
    cost = _cost(network) * len(samples) + A_LAYER * len(network.nodes)
    if cost > MOST:
        raise error(f"the example needs more than {MOST:,} values or operations", help="use smaller sizes")
    if weights is None:
        return _Example(network, samples, random_weights(network, dtype=np.float64), [], cost)
    wanted = [(node.name, array) for node in owners(network) for array in node.own_weights]
    if not isinstance(weights, tuple) or len(weights) != len(wanted):
        shapes = (f"`{name}.{one.name}` ({format_shape(one.shape, cross='x')})" for name, one in wanted[:6])
        help = f"give a list of values for {', '.join(shapes)}" if wanted else "leave out `weights`"
        has = f"`weights` has {len(weights)}" if isinstance(weights, tuple) else "`weights` is not a list"
        raise error(f"the layers have {plural(len(wanted), 'array')}, but {has}", help=help)
    given: Weights = {node.name: {} for node in owners(network)}
    for (name, one), value in zip(wanted, weights, strict=True):
        array = fitted(array_of(value, "weights"), one.shape, f"`{name}.{one.name}`")
        given[name][one.name] = array
    return _Example(network, samples, given, [given[name][one.name] for name, one in wanted], cost)


def _cost(network: Network) -> int:
    """The values, operations, and padded values of a run with one sample."""
    totals = analyze(network).totals
    padded = 0
    for node in network.nodes:
        windows = node.facts.windows
        if isinstance(windows, tuple):
            channels, *axes = node.inputs[0].shape
            padded += channels * prod(int(n + w.before + w.after) for n, w in zip(axes, windows, strict=True))
    return int(totals.activations + totals.params + totals.buffers + totals.flops + padded)


def _rows(out: Array) -> Array:
    """The output without the channel axis if there is a single map."""
    return out[:, 0] if out.ndim == 4 and out.shape[1] == 1 else out
