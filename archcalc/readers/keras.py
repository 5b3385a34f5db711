"""The reader of `.keras` files, which Keras 3 saves. It does not need Keras."""

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
    """Read the model in a file. If the file is not a Keras file, building the network raises `ArchError`."""
    return [
        Opened(
            name=path.stem,
            net=shown,
            make=partial(_make, path, shown),
            path=path,
            family=path.stem,
            siblings=(path.stem,),
        )
    ]


def _make(path: Path, shown: str, overrides: Mapping[str, Any], inputs: Shapes) -> Network:
    from archcalc.importing.keras_config.archive import read_keras_file
    from archcalc.importing.keras_config.convert import to_network

    if overrides:
        raise error(f"`{shown}` has no parameters: `{min(overrides)}` cannot be set")
    model, variables = read_keras_file(path, shown)
    return to_network(model, variables, shown, path.stem, inputs)
