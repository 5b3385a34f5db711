"""Multiplications of the backward pass: as declared, as the slow path makes them, with the same gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from backward_checks import Applied, needs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import SAMPLES, Sample
from test_kernels import layer_of

from archcalc.executor.backward import Back, run_backward
from archcalc.gradients import backward_of
from archcalc.layers import KINDS, Layer
from archcalc.shape import Shape
from archcalc.verify.counting import COUNTED
from archcalc.verify.counting_backward import COUNTED_BACKWARD, count_backward


def check_count(layer: Layer, shapes: Sequence[Shape]) -> None:
    applied = Applied(layer, shapes)
    for needs in needs_of(layer, shapes):
        back = Back(applied.gradient, applied.inputs, applied.out, applied.kept, applied.weights, needs)
        made, (sent, arrays) = count_backward(layer, back)
        operations = backward_of(layer, applied.facts, needs).operations
        assert made == sum(count.value for category, count in operations if category == "macs")
        expected, of_arrays = run_backward(layer, back)
        assert arrays.keys() >= needs.trained
        pairs = [(sent[i], expected[i]) for i, needed in enumerate(needs.inputs) if needed]
        for slow, fast in [*pairs, *((arrays[name], of_arrays[name]) for name in needs.trained)]:
            assert slow is not None
            assert fast is not None
            scale = float(np.abs(fast).max(initial=0)) or 1.0
            # the biases of keys have a gradient of zero: what is left is rounding of values of 1 to 100
            np.testing.assert_allclose(slow, fast, rtol=1e-9, atol=1e-9 * scale + 1e-11)


def test_every_kind_that_multiplies_is_counted() -> None:
    assert COUNTED_BACKWARD.keys() == COUNTED.keys()


COUNTING = sorted(kind.kind for kind in COUNTED_BACKWARD)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.kind in COUNTING], ids=str)
def test_sample(sample: Sample) -> None:
    check_count(sample.layer, sample.inputs)


@pytest.mark.parametrize("kind", COUNTING)
def test_all_arguments(kind: str) -> None:
    # recurrent layers multiply one product at a time, for every step and every choice of gradients
    slow = KINDS[kind].family == "recurrent"

    @settings(max_examples=4 if slow else 12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: Any) -> None:
        check_count(*data.draw(layer_of(kind)))

    check()
