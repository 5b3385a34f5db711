"""The reader of `.onnx` files. It does not need the `onnx` package or a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from archcalc.diagnostics import error
from archcalc.network import Network
from archcalc.opened import Opened, Shapes

EXPECTATIONS = False


def read(path: Path, shown: str) -> list[Opened]:
    """Read the model in a file. Raises `ArchError` if it is not an ONNX model."""
    from archcalc.importing.onnx_graph.model import read_file

    model = read_file(path, shown)
    return [
        Opened(
            name=path.stem,
            net=shown,
            make=partial(_make, model),
            path=path,
            family=path.stem,
            siblings=(path.stem,),
        )
    ]


def _make(model: Any, overrides: Mapping[str, Any], inputs: Shapes) -> Network:
    from archcalc.importing.onnx_graph.convert import to_network

    if overrides:
        raise error(f"`{model.shown}` has no parameters: `{min(overrides)}` cannot be set")
    return to_network(model, inputs)
