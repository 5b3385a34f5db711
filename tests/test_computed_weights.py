"""The gradients of the arrays behind a computed weight: how many operations they take, counted one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from counted import Tally
from samples import make

from archcalc.executor.backward import computed
from archcalc.gradients import backward_of
from archcalc.layers.backward import Needs
from archcalc.layers.base import facts
from archcalc.layers.computed import COMPUTED

SHAPE = (4, 6, 7)

LAYERS = [
    make("conv", 6, (2, 3), groups=2, bias=False),
    make("depthwise", 3, multiplier=2, bias=False),
    make("pointwise", 5, bias=False),
]


@pytest.mark.parametrize("way", COMPUTED)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_operations(layer: object, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(
        layer.kind, **{name: getattr(layer, name) for name in layer.__struct_fields__} | {"weight": way}
    )
    known = facts(layer, (SHAPE,))
    tally, random = Tally(), np.random.default_rng(1)
    arrays = {weight.name: tally.array(random.standard_normal(weight.shape)) for weight in known.weights}
    gradient = tally.array(random.standard_normal(known.weights[0].shape))
    statistics = tally.array(random.standard_normal(gradient.shape[-1:]))
    # statistics are counted as in the forward pass
    monkeypatch.setattr(computed, "normalized", lambda weight: (weight, statistics))
    trained = frozenset(weight.name for weight in known.weights if weight.role != "buffer")
    computed.of_raw_arrays(layer, {"weight": gradient}, arrays, trained)
    expected: Counter[str] = Counter()
    for category, count in backward_of(layer, known, Needs((False,), trained)).operations:
        if count.label.startswith("weight:"):
            expected[category] += count.value
    if "standardized" in way:
        values, channels = known.weights[0].term.value, gradient.shape[-1]
        expected -= Counter(add=3 * values + channels, mul=2 * values, div=2 * channels, sqrt=channels)
    assert +tally.counts == +expected
