"""Open the network that a `NET` names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from archcalc.catalog import complete_names, open_shipped, shipped_files
from archcalc.diagnostics import did_you_mean, error
from archcalc.elsewhere import find_elsewhere
from archcalc.language.limits import MAX_DEPTH
from archcalc.language.standalone import constant
from archcalc.network import Network
from archcalc.opened import Opened, Shapes, choose
from archcalc.readers import reader, suffix_of, suffixes

Read = Callable[[str, Path, str], Sequence[Opened]]
"""Reads a file with the reader for a suffix; the text is the path as the user wrote it."""

LANGUAGE, PYTHON = ".arch", ".py"

INSTEAD = "write the network as an `.arch` file; `archcalc spec resnet50` shows one to start from"
EXPORT = 'in PyTorch, write `torch.export.save(torch.export.export(model, (x,)), "model.pt2")`'
KERAS = 'in Keras 3, write `keras.models.load_model("model.h5").save("model.keras")`'
_PICKLES = (".pth", ".pt", ".ckpt")
_HDF5 = (".h5", ".hdf5")
_WEIGHTS = "holds weights, not the layers and shapes that archcalc counts"
FOREIGN = {
    **dict.fromkeys(
        _PICKLES, "is a pickle: a pickle can run code when it is read, so archcalc does not open it"
    ),
    **dict.fromkeys((".safetensors", ".caffemodel", ".npz"), _WEIGHTS),
    **dict.fromkeys(_HDF5, "is a Keras model in the older format, which archcalc does not read"),
    ".prototxt": "is a Caffe network, which archcalc does not read",
    ".pb": "is a TensorFlow graph, which archcalc does not read",
    ".tflite": "is a TensorFlow Lite model, which archcalc does not read",
}
"""Files of other tools that have no reader, by suffix."""
_REMEDIES = dict.fromkeys(_PICKLES, EXPORT) | dict.fromkeys(_HDF5, KERAS)


def read_file(suffix: str, path: Path, shown: str) -> Sequence[Opened]:
    """Read the networks in a file. Raises `ArchError` if it cannot be read."""
    return reader(suffix).read(path, shown)


def remembering(read: Read = read_file) -> Read:
    """Return a function that reads each file only once, for work that opens many networks of one file."""
    known: dict[tuple[str, str], Sequence[Opened]] = {}

    def read_once(suffix: str, path: Path, shown: str) -> Sequence[Opened]:
        key = (suffix, shown)
        if key not in known:
            known[key] = read(suffix, path, shown)
        return known[key]

    return read_once


def open_net(net: str, read: Read = read_file) -> tuple[Opened, dict[str, Any]]:
    """Open a `NET`, and return it with the overrides after its `?`.

    A `NET` is a built-in name, a path, or `path:net`; the path may be `-`, a pipe, or in a git revision. If a
    file has several networks and none is named, the one without missing values is used. `read` reads
    the file. Raises `ArchError`.

    >>> opened, overrides = open_net("mobilenet_v1?resolution=160")
    >>> opened.year, overrides
    (2017, {'resolution': 160})
    """
    plain, overrides = split_overrides(net)
    if plain in shipped_files():
        return open_shipped(plain), overrides
    found = find_elsewhere(plain)
    return choose(*found) if found is not None else open_in_file(plain, read), overrides


def open_in_file(net: str, read: Read = read_file) -> Opened:
    """Open the network at a path or `path:net`. Raises `ArchError`."""
    place, _, name = net.rpartition(":") if ":" in net else (net, "", "")
    suffix = _suffix(place, name)
    if not suffix:
        known = _listed(suffixes())
        help = f"`archcalc list` shows the built-in networks; a file ends in {known}"
        raise error(f"there is no network `{net}`", help=did_you_mean(complete_names(net)) or help)
    return choose(read(suffix, Path(place), place), place, name)


def _suffix(place: str, name: str) -> str:
    """Return the suffix for the text before a `:`; empty if it is neither a file nor a module."""
    if suffix := suffix_of(place):
        return suffix
    # `Path.is_file` and `Path.exists` raise an error if a name is too long
    if os.path.isfile(place):  # noqa: PTH113
        known_as = Path(place).suffix.lower()
        if known := FOREIGN.get(known_as):
            raise error(f"`{place}` {known}", help=_REMEDIES.get(known_as, INSTEAD))
        help = f"archcalc reads {_listed(suffixes())} files"
        raise error(f"`{place}` is in no format that archcalc reads", help=help)
    if place and ("/" in place or os.path.exists(place)):  # noqa: PTH110
        return LANGUAGE  # a folder, a pipe, or nothing at all: its reader says which
    is_module = name and all(part.isidentifier() for part in place.split("."))
    return PYTHON if is_module and PYTHON in suffixes() else ""


def _listed(suffixes: Sequence[str]) -> str:
    *others, last = (f"`{suffix}`" for suffix in suffixes)
    return f"{', '.join(others)} or {last}" if others else last


def split_overrides(net: str) -> tuple[str, dict[str, Any]]:
    """Split a `NET` with overrides, such as `mobilenet_v1?width=0.5&resolution=160`.

    Raises `ArchError` for a part that is not `name=value`.

    >>> split_overrides("mobilenet_v1?resolution=160")
    ('mobilenet_v1', {'resolution': 160})
    """
    name, question, rest = net.partition("?")
    overrides: dict[str, Any] = {}
    for text in rest.split("&") if question else []:
        parameter, equals, value = text.partition("=")
        if not equals or not parameter:
            raise error(f"`{net}`: `{text}` sets nothing", help=f"write `{name}?width=0.5&classes=10`")
        if parameter in overrides:
            raise error(f"`{net}` sets `{parameter}` twice")
        overrides[parameter] = constant(value, f"{name}?{parameter}")
    return name, overrides


def open_network(
    net: str, overrides: Mapping[str, Any] | None = None, inputs: Shapes | None = None
) -> tuple[Opened, Network]:
    """Open a `NET` and build its network, with additional overrides and other input shapes.

    Raises `ArchError`, for example if an override is given in both places.
    """
    opened, own = open_net(net)
    twice = own.keys() & (overrides or {}).keys()
    if twice:
        raise error(f"`{min(twice)}` is set twice")
    return opened, opened.network({**own, **_exact(overrides)}, inputs)


def load(
    net: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Shapes | Sequence[int] | None = None,
) -> Network:
    """Load a built-in network by name, or one from a file by `path` or `path:net`; all accept `?name=value`.

    `overrides` sets its parameters: numbers (a float is read as the decimal that `repr` shows),
    booleans, strings, lists. `inputs` replaces input shapes, by name, or the shape of the
    only input: `(3, 160, 160)`. Shapes are channels first, without the batch. Raises `ArchError`.

    >>> from archcalc import load
    >>> load("mobilenet_v1", {"width": 0.5}, inputs=(3, 160, 160)).name
    'mobilenet_v1'
    """
    return open_network(os.fspath(net), overrides, by_name(inputs))[1]


def loads(
    text: str,
    net: str = "",
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Shapes | Sequence[int] | None = None,
) -> Network:
    """Load a network from text; `net` selects one if the text declares several. Raises `ArchError`.

    >>> from archcalc import loads
    >>> loads("net tiny { input(3x8x8) conv(4, 3) }")["conv1"].shape
    Traceback (most recent call last):
        ...
    archcalc.diagnostics.ArchError: error: expected the end of the line, found `conv`
    ...
    """
    from archcalc.readers import arch

    return choose(arch.read_text(text), "<text>", net).network(_exact(overrides), by_name(inputs))


def by_name(inputs: Shapes | Sequence[int] | None) -> Shapes:
    """Return input shapes by name; a single shape is that of `input`. Raises `ArchError`."""
    if inputs is None or isinstance(inputs, Mapping):
        return inputs or {}
    if isinstance(inputs, str) or not all(isinstance(n, int) for n in inputs):
        raise error(
            f"`inputs` is not a shape: {inputs!r}",
            help="write `inputs=(3, 224, 224)`, or a dictionary by name",
        )
    return {"input": tuple(inputs)}


def _exact(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: exact(value) for name, value in (values or {}).items()}


def exact(value: Any, _depth: int = 0) -> Any:
    """Convert a Python value to a value of the language. Raises `ArchError` if that is impossible."""
    if _depth > MAX_DEPTH:
        raise error(f"lists are nested more than {MAX_DEPTH} deep")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise error(f"a parameter cannot be {value}")
        value = Fraction(repr(float(value)))  # the `repr` of a NumPy float is different
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else value
    if isinstance(value, list | tuple):
        return tuple(exact(item, _depth + 1) for item in value)
    if isinstance(value, bool | int | str):
        return value
    raise error(f"a parameter cannot be a {type(value).__name__}")
