"""An ONNX model as onnxruntime runs it, to compare a run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.onnx_graph.inputs import OnnxInput

PRECISIONS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
"""What onnxruntime calls the types of inputs."""

QUIET = 4
"""The level of onnxruntime at which it logs nothing but what ends it; errors are raised."""


class OnnxOriginal(Struct, frozen=True):
    """Where a model is, what it takes, and the names of its results here by those in the model."""

    source: Path | bytes
    inputs: Sequence[OnnxInput]
    labels: Mapping[str, str]
    batch_axes: Mapping[str, int] = {}
    """Places of the batch in results, by their names here, where it is not first."""

    def run(self, arrays: Sequence[Any]) -> Mapping[str, Any]:
        """Its results for arrays of NumPy. Raises `ArchError` if onnxruntime is missing, or cannot run it."""
        try:
            import numpy as np
            import onnxruntime
        except ImportError:
            raise error("it is not installed; `pip install 'archcalc[onnx]'`") from None
        source = self.source if isinstance(self.source, bytes) else str(self.source)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        try:
            session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
            types = {each.name: each.type for each in session.get_inputs()}
            given = {}
            for each, array in zip(self.inputs, arrays, strict=True):
                kind = types.get(each.name, "")
                if kind not in PRECISIONS:
                    raise error(f"its input `{shorten(each.name)}` does not take floating-point numbers")
                placed = np.moveaxis(array, 0, each.batch_axis) if each.has_batch else array[0]
                given[each.name] = placed.astype(PRECISIONS[kind])
            results = session.run(list(self.labels), given)
        except ArchError:
            raise
        except Exception as problem:  # onnxruntime's own classes have no other base
            raise error(f"it cannot run the model: {shorten(str(problem), 200)}") from None
        return {
            label: np.moveaxis(result, self.batch_axes[label], 0) if label in self.batch_axes else result
            for label, result in zip(self.labels.values(), results, strict=True)
        }
