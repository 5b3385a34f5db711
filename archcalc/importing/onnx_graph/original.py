"""Run an ONNX model in onnxruntime, to compare it with archcalc's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.onnx_graph.inputs import OnnxInput

PRECISIONS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
"""The names that onnxruntime uses for input types."""

QUIET = 4
"""The onnxruntime log level for fatal errors only; other errors are raised."""


class OnnxOriginal(Struct, frozen=True):
    """Where a model is, its inputs, and its results' names in archcalc mapped to those in the model."""

    source: Path | bytes
    inputs: Sequence[OnnxInput]
    labels: Mapping[str, str]
    batch_axes: Mapping[str, int] = {}
    """The place of the batch, for results in which it is not first, by their names here."""

    def run(self, arrays: Sequence[Any]) -> Mapping[str, Any]:
        """Run the model on NumPy arrays. Raises `ArchError` if onnxruntime is missing or cannot run it."""
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
        except Exception as problem:  # onnxruntime's exceptions have no narrower base class
            raise error(f"it cannot run the model: {shorten(str(problem), 200)}") from None
        return {
            label: np.moveaxis(result, self.batch_axes[label], 0) if label in self.batch_axes else result
            for label, result in zip(self.labels.values(), results, strict=True)
        }
