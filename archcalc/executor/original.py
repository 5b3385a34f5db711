"""What an imported model computes in its own framework, beside what a run computed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError
from archcalc.executor.kernel import Array
from archcalc.network import Network

TOLERANCE = {"float16": 1e-1, "float32": 1e-4, "float64": 1e-10}
"""The largest difference of results that count as equal, by the less precise of the two.

In single precision, two orders of summation differ by about 1e-6 in fifty layers. They differ by about 2e-5
if layers enlarge the errors of earlier ones, as in networks that standardize their weights: PyTorch's own
results are then as far from those in double precision. Half precision rounds a thousand times more.
"""


class Agreement(Struct, frozen=True):
    """How far a run is from the original: `difference` is relative to the output's largest value.

    `problem` says why they were not compared.
    """

    framework: str
    difference: float = 0.0
    output: str = ""
    tolerance: float = 0.0
    dtype: str = ""
    """The less precise of the two results that were compared."""
    compared: int = 0
    """How many outputs."""
    problem: str = ""

    @property
    def held(self) -> bool:
        """Are the results equal? Yes if they were not compared."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        if self.problem:
            return f"not compared with {self.framework}: {self.problem}"
        equal = "gives the same" if self.held else f"gives another `{self.output}`"
        allowed = f"{self.tolerance:.0e} is allowed for rounding in {self.dtype}"
        return f"{self.framework} {equal}, to {self.difference:.1e} of the largest value; {allowed}"


def compare_with_original(
    network: Network, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Agreement | None:
    """Run the model that a network was imported from on the same inputs, and compare every output.

    `inputs` and `outputs` have the channels first. `None` if the network was not imported, or if its model
    cannot be run.
    """
    original = network.original
    if original is None:
        return None
    arrays = [np.ascontiguousarray(inputs[name]) for name in network.inputs]
    try:
        expected = original.run(arrays)
    except ArchError as problem:
        return Agreement(original.framework, problem=problem.diagnostics[0].message)
    compared = [name for name in network.outputs if name in expected]
    if not compared:
        return Agreement(original.framework, problem="its outputs have other names")
    differences = {name: _difference(outputs[name], expected[name]) for name in compared}
    worst = max(differences, key=lambda name: differences[name])
    kinds = (str(outputs[worst].dtype), str(np.asarray(expected[worst]).dtype))
    dtype = max(kinds, key=lambda kind: TOLERANCE.get(kind, 0))  # a model can have its own precision
    return Agreement(original.framework, differences[worst], worst, TOLERANCE[dtype], dtype, len(compared))


def _difference(found: Array, expected: Array) -> float:
    """The largest difference, as a part of the largest value; infinite where only one is a number."""
    if found.size != expected.size:
        return float("inf")
    expected = expected.reshape(found.shape).astype(found.dtype)
    finite = np.isfinite(expected)
    if (np.isfinite(found) != finite).any():
        return float("inf")
    found, expected = found[finite], expected[finite]
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    return float(np.abs(found - expected).max(initial=0)) / scale
