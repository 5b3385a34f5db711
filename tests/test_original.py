"""A run beside the model that was imported: equal, different, or not comparable. No framework is needed."""

from __future__ import annotations

import numpy as np
import pytest

import archcalc
from archcalc.diagnostics import error
from archcalc.executor.execute import run as execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.original import compare_with_original
from archcalc.network import Network, Original
from archcalc.verify.prove import verify


def doubling(x: np.ndarray, by: float = 2.0) -> dict[str, np.ndarray]:
    """What the network below computes, in NumPy: the two halves of the channels, added."""
    return {"output": (x[:, :2] + x[:, 2:]) * (by / 2)}


def network(run) -> Network:
    made = archcalc.loads("net halves {\n input(4x5x7)\n add(slice(0, 2), slice(2, 4))\n}")
    made.original, made.trained = Original("NumPy", lambda inputs: run(inputs[0])), dict
    return made


def agreement(run, dtype: str = "float32"):
    net = network(run)
    inputs = drawn_inputs(net, 3, 7, dtype)
    return compare_with_original(net, inputs, execute(net, inputs, batch=3, dtype=dtype))


def test_the_same_outputs_agree() -> None:
    found = agreement(doubling)
    assert (found.held, found.difference, found.compared) == (True, 0.0, 1)
    allowed = "1e-04 is allowed for rounding in float32"
    assert str(found) == f"NumPy gives the same, to 0.0e+00 of the largest value; {allowed}"


@pytest.mark.parametrize(("dtype", "factor"), [("float32", 1 + 1e-3), ("float64", 1 + 1e-9)])
def test_another_output_is_said(dtype: str, factor: float) -> None:
    found = agreement(lambda x: doubling(x, 2 * factor), dtype)
    assert not found.held
    assert found.difference == pytest.approx(factor - 1, rel=1e-2)
    assert str(found).startswith("NumPy gives another `output`, to ")


@pytest.mark.parametrize(("ours", "theirs", "factor", "held"), [
    ("float64", "float32", 1 + 1e-5, True),  # a model in single precision, run in double
    ("float64", "float32", 1 + 1e-3, False),
    ("float64", "float64", 1 + 1e-5, False),
    ("float32", "float16", 1 + 1e-2, True),
    ("float32", "float64", 1 + 1e-5, True),
])  # fmt: skip
def test_the_less_precise_of_the_two_says_what_is_equal(
    ours: str, theirs: str, factor: float, held: bool
) -> None:
    found = agreement(
        lambda x: {name: array.astype(theirs) for name, array in doubling(x, 2 * factor).items()}, ours
    )
    assert found.held == held
    assert found.dtype == min(ours, theirs)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_in_one_of_them_is_a_difference(wrong: float) -> None:
    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        out = doubling(x)
        out["output"][1, 0, 2, 3] = wrong
        return out

    assert not agreement(run).held


def test_another_shape_is_a_difference() -> None:
    assert not agreement(lambda x: {"output": doubling(x)["output"][:, :, 1:]}).held


def test_a_model_that_cannot_be_run_is_not_compared() -> None:
    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        raise error("it needs a GPU")

    found = agreement(run)
    assert (found.held, found.compared) == (True, 0)
    assert str(found) == "not compared with NumPy: it needs a GPU"


def test_outputs_of_other_names_are_not_compared() -> None:
    assert "its outputs have other names" in agreement(lambda x: {"result": x}).problem


def test_verify_has_a_verdict_on_it() -> None:
    proof = verify(network(doubling))
    assert [(v.figure, v.measured, v.held) for v in proof.verdicts][-1] == ("original", 1, True)
    wrong = verify(network(lambda x: doubling(x, 2.1)))
    assert not wrong.held
    assert (wrong.verdicts[-1].predicted, wrong.verdicts[-1].measured) == (1, 0)
