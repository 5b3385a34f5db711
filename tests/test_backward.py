"""The backward pass of every kind: against central differences, with NaN in what is not declared."""

from __future__ import annotations

from typing import Any

import pytest
from backward_checks import check_backward, check_minimal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import SAMPLES, Sample
from test_kernels import layer_of

from archcalc.executor.backward.register import BACKWARD
from archcalc.layers import KINDS, Layer

BACK = sorted(name for name, kind in KINDS.items() if kind.backward is not Layer.backward)
"""The kinds that say what their backward pass does."""


def test_every_kind_has_a_backward_pass() -> None:
    assert set(BACK) == KINDS.keys()
    assert {kind.kind for kind in BACKWARD} == KINDS.keys() - {"opaque"}  # what it computes is unknown


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.kind in BACK and s.kind != "opaque"], ids=str)
class TestSample:
    def test_gradients(self, sample: Sample) -> None:
        check_backward(sample.layer, sample.inputs)

    def test_what_is_kept_is_needed(self, sample: Sample) -> None:
        check_minimal(sample.layer, sample.inputs)


@pytest.mark.parametrize("kind", [kind for kind in BACK if kind != "opaque"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_all_arguments(kind: str, data: Any) -> None:
    layer, shapes = data.draw(layer_of(kind))
    check_backward(layer, shapes)
