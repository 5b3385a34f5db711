"""Python code that makes a module: imported, called and exported. Only this file runs the user's code."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archcalc.diagnostics import ArchError, Diagnostic, Note, error, unknown
from archcalc.importing.torch_export.module import (
    NotExportable,
    export_module,
    first_sentence,
    require_torch,
    shown_place,
    user_place,
)

if TYPE_CHECKING:
    import torch

    from archcalc.importing.torch_export.graph import ExportedGraph
    from archcalc.shape import Shape

KINDS = {int: "a whole number", float: "a number", bool: "`true` or `false`", str: "a text"}
"""The types of arguments that are compared with a signature."""


def import_code(shown: str, file: Path | None) -> ModuleType:
    """Import a module by name or file. As in Python, the current folder is searched too.

    Raises `ArchError` if it does not exist, or if it fails, with the place of the failure.
    """
    require_torch()
    _add_to_path(Path.cwd())
    if file is not None and not file.is_file():
        raise error(f"`{shown}` is not a file" if file.exists() else f"there is no file `{shown}`")
    try:
        with calm():
            return importlib.import_module(shown) if file is None else _import_file(file)
    except ModuleNotFoundError as problem:
        if problem.name and (shown == problem.name or shown.startswith(f"{problem.name}.")):
            help = "`archcalc list` shows built-in networks; modules are looked for as in Python"
            raise error(f"there is no network and no Python module `{shown}`", help=help) from None
        raise _failed(f"`{shown}` cannot be imported", problem) from None
    except (Exception, SystemExit) as problem:
        raise _failed(f"`{shown}` cannot be imported", problem) from None


def _import_file(file: Path) -> ModuleType:
    _add_to_path(file.resolve().parent)
    taken = sys.modules.get(file.stem)
    is_other = taken is not None and getattr(taken, "__file__", None) != str(file.resolve())
    name = f"{file.stem}_of_archcalc" if is_other else file.stem
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # like a real import, for code that looks itself up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@contextlib.contextmanager
def calm() -> Iterator[None]:
    """Send what the user's code prints to stderr: stdout is for reports."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


def factories(module: ModuleType) -> dict[str, Any]:
    """Return everything that may make a model, by name: functions, module classes and modules."""
    torch = require_torch()
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        is_class = isinstance(value, type) and issubclass(value, torch.nn.Module)
        if is_class or inspect.isfunction(value) or isinstance(value, torch.nn.Module):
            found[name] = value
    return found


class Factory:
    """Something that makes a module, or is one."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value
        self.is_module = not callable(value) or not (isinstance(value, type) or inspect.isroutine(value))
        self._signature = None if self.is_module else _signature(value)

    @property
    def _arguments(self) -> dict[str, inspect.Parameter]:
        given = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        listed = self._signature.parameters.values() if self._signature else ()
        return {each.name: each for each in listed if each.kind in given}

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self._arguments)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the arguments without a default."""
        return tuple(n for n, each in self._arguments.items() if each.default is inspect.Parameter.empty)

    def export(self, overrides: Mapping[str, Any], inputs: Mapping[str, Shape]) -> ExportedGraph:
        """Export the module for these arguments and input shapes. Raises `ArchError`."""
        arguments = self._given(overrides)
        if not inputs:
            raise error(
                f"`{self.name}` needs the shape of its input",
                help="give it, channels first and without the batch: `--input 3x224x224`",
            )
        rebuild = partial(self._real, arguments)
        try:
            return export_module(self._made(arguments), inputs, self.name, rebuild)
        except NotExportable as problem:
            if self.is_module or problem.is_final:
                raise
        # a `forward` that makes tensors of its own cannot be exported on the meta device
        return export_module(self._real(arguments), inputs, self.name, rebuild)

    def _given(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Convert arguments to Python values. Raises `ArchError` if one is not in the signature."""
        if self.is_module and overrides:
            raise error(f"`{self.name}` is a module that exists already: `{min(overrides)}` cannot be set")
        takes_any = self._signature is None or any(
            each.kind is inspect.Parameter.VAR_KEYWORD for each in self._signature.parameters.values()
        )
        known = self._arguments
        given = {name: _as_python(value) for name, value in overrides.items()}
        for name, value in given.items():
            if name not in known and not takes_any:
                raise unknown(f"`{self.name}` has no argument", name, known, listing="arguments")
            wanted = known[name].annotation if name in known else None
            if wanted in KINDS and not _fits(value, wanted):
                raise error(f"`{name}` of `{self.name}` needs {KINDS[wanted]}, not {value!r}")
        left = [name for name in self.missing if name not in given]
        if left:
            names = "&".join(f"{name}=..." for name in left)
            raise error(
                f"`{self.name}` needs {', '.join(f'`{name}`' for name in left)}", help=f"add `?{names}`"
            )
        return given

    def _made(self, arguments: Mapping[str, Any]) -> torch.nn.Module:
        """Build the module, without memory for its arrays where possible."""
        if self.is_module:
            return self._checked(self.value)
        torch = require_torch()
        try:
            with calm(), torch.device("meta"):
                return self._checked(self.value(**arguments))
        except (Exception, SystemExit):
            return self._real(arguments)

    def _real(self, arguments: Mapping[str, Any]) -> torch.nn.Module:
        torch = require_torch()
        torch.manual_seed(0)  # two runs of a model with random weights give the same result
        try:
            with calm():
                made = self.value(**arguments)
        except (Exception, SystemExit) as problem:
            raise _failed(f"`{self.name}` fails", problem) from None
        return self._checked(made)

    def _checked(self, made: Any) -> torch.nn.Module:
        if not isinstance(made, require_torch().nn.Module):
            raise error(
                f"`{self.name}` returns {_kind(made)}, not a `torch.nn.Module`",
                help="name a function or a class that makes the module",
            )
        return made


def _signature(value: Any) -> inspect.Signature | None:
    for evaluated in (True, False):
        try:
            return inspect.signature(value, eval_str=evaluated)
        except Exception:  # an annotation can be any object
            continue
    return None


def _as_python(value: Any) -> Any:
    """Convert a value of the language to Python."""
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple):
        return tuple(_as_python(item) for item in value)
    return value


def _fits(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _failed(what: str, problem: BaseException) -> ArchError:
    place = user_place(problem)
    if isinstance(problem, SyntaxError) and problem.filename:
        place = shown_place(problem.filename, problem.lineno)
    notes = (Note(f"it is raised at {place}"),) if place else ()
    return ArchError(Diagnostic(f"{what}: {first_sentence(problem)}", notes=notes))
