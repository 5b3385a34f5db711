"""The reader of Python code: `package.module:factory` and `file.py:factory`, for PyTorch models.

This is the only form of `NET` that runs code: it imports the module and calls the factory. A factory is
a function or class that returns a `torch.nn.Module`; an existing module instance works too.

For every file it collects, pytest reads `EXPECTATIONS` here, so nothing heavy is imported before
`read` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archcalc.network import Network
    from archcalc.opened import Opened, Shapes

EXPECTATIONS = False


def read(path: Path, shown: str) -> list[Opened]:
    """Return what may build a model in a Python module or file. Raises `ArchError`."""
    from archcalc.importing.torch_export.factory import Factory, factories, import_code
    from archcalc.opened import Opened

    module = import_code(shown, path if shown.endswith(".py") else None)
    found = factories(module)
    names = tuple(name for name, value in found.items() if not Factory(name, value).missing)
    return [
        Opened(
            name=name,
            net=f"{shown}:{name}",
            make=partial(_make, Factory(name, value)),
            path=path if shown.endswith(".py") else None,
            family=path.stem,
            parameters=Factory(name, value).parameters,
            missing=Factory(name, value).missing,
            siblings=names,
        )
        for name, value in found.items()
    ]


def _make(factory: Any, overrides: Mapping[str, Any], inputs: Shapes) -> Network:
    from archcalc.importing.torch_export.convert import to_network

    return to_network(factory.export(overrides, inputs))
