"""The `archcalc run` command: reads files, runs the network, and prints a table."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archcalc.diagnostics import ArchError, error, unknown
from archcalc.executor import view
from archcalc.executor.arrays import check_kind, open_arrays, read_array
from archcalc.executor.execute import RunOptions, execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.kernel import Array
from archcalc.executor.limits import refuse_too_large
from archcalc.executor.original import compare_with_original
from archcalc.executor.weights import Weights, load_weights
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.render import output as out
from archcalc.render.progress import progress_bar
from archcalc.shape import Shape, format_shape


def run_and_print(
    load: Callable[[list[str]], Network],
    given: Sequence[str],
    *,
    batch: int,
    dtype: str,
    seed: int,
    weights: Path | None,
    keep: Sequence[str],
    output: Path | None,
    train: bool,
    heads: bool,
    fast: bool = False,
) -> bool:
    """Run a network as the command line asks. Print one line per layer, and the totals.

    Returns False if the network is an imported model and its own framework computes something else.
    """
    named = [pair for pair in map(_named, given) if _is_file(pair[1])]
    files = dict(named)
    if len(files) < len(named):
        raise error("`--input` gives an input twice", help="for a named input: `left=x.npy`")
    network = load([text for text in given if not _is_file(_named(text)[1])])
    if output is not None and output.suffix != ".npz":
        raise error(f"`{output}` does not end in `.npz`", help="tensors are written as an `.npz` archive")
    if output is not None and not output.parent.is_dir():
        raise error(f"`{output}` cannot be written: there is no folder `{output.parent}`")
    refuse_too_large(network, batch, dtype, heads)
    arrays = {name: _read_input(network, name, Path(file), batch) for name, file in files.items()}
    if arrays and len(arrays) < len(network.inputs):
        missing = next(name for name in network.inputs if name not in arrays)
        raise error(f"the input `{missing}` is not given", help=f"add `--input {missing}=FILE`")
    loaded, whose = _weights(network, weights, dtype, heads)
    if whose == OWN and not arrays:
        arrays = drawn_inputs(network, batch, seed, dtype)  # the original model gets the same
    layers = [node for node in network.nodes if heads or not node.training]
    try:
        with progress_bar(len(layers), f"Running {network.name}") as advance:
            options = RunOptions(
                keep=keep, batch=batch, seed=seed, dtype=dtype, train=train, heads=heads, fast=fast,
                watch=lambda step: advance(1),
            )  # fmt: skip
            run = execute(network, arrays or None, loaded, options)
    except MemoryError:
        raise error(
            f"a run of `{network.name}` with a batch of {batch:,} does not fit in memory",
            help="use a smaller batch or a smaller input",
        ) from None
    if output is not None:
        write_arrays(run.outputs, output)
    agreement = compare_with_original(network, arrays, run.outputs) if whose == OWN and not train else None
    how = view.How(f"batch {batch}, {dtype}{', by the fast path' if fast else ''}", whose, agreement)
    profile = analyze(network, batch=batch, heads=True)
    out.write(view.render(run, profile, how, out.width(), out.colour()), None)
    return agreement is None or agreement.held


OWN = "the model's own"
"""The source of an imported model's weights."""


def _weights(network: Network, path: Path | None, dtype: str, heads: bool) -> tuple[Weights | None, str]:
    """The weights of a run, and their source; `None` for random weights."""
    if path is not None:
        return load_weights(network, path, dtype, heads), f"from `{path}`"
    if network.trained is not None:
        return network.trained(), OWN
    return None, "random"


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    return (name, value) if equals else ("input", text)


def _is_file(value: str) -> bool:
    return not value.replace("x", "").isdigit()


def _read_input(network: Network, name: str, path: Path, batch: int) -> Array:
    """The array of an input file, as `(batch, C, H, W)`. One sample is repeated for the whole batch."""
    if name not in network.inputs:
        raise unknown(f"`{network.name}` has no input", name, network.inputs, listing="its inputs")
    shape = network.inputs[name].shape
    if path.suffix in (".npy", ".npz"):
        array = _read_array(path, name, shape, batch)
    else:
        array = _read_image(path, shape)
    if array.shape == shape:
        array = array[None]
    if array.ndim and array.shape[0] == 1 and batch > 1:
        array = np.repeat(array, batch, axis=0)
    return array


def _read_array(path: Path, name: str, shape: Shape, batch: int) -> Array:
    """The array of a file: a batch, or one sample with or without a batch axis."""

    def check(found: Shape, dtype: Any) -> None:
        want = found if found in (shape, (1, *shape)) else (batch, *shape)
        check_kind(found, dtype, want, f"the input `{name}`")

    if path.suffix == ".npy":
        return read_array(path, check)
    with open_arrays(path) as stored:
        key = next(iter(stored.kinds)) if len(stored.kinds) == 1 else name
        if key not in stored.kinds:
            listed = ", ".join(sorted(stored.kinds)[:8])
            raise error(f"`{path}` has no array `{name}`", help=f"it has {listed}")
        check(*stored.kinds[key])
        return stored.read(key)


MAX_PIXELS = 50_000_000
"""A larger picture is not read. Unpacked, it would take up to eight bytes per pixel, several times."""


def _read_image(path: Path, shape: Shape) -> Array:
    """A picture, resized to the input and scaled to zero mean and unit variance."""
    try:
        from PIL import Image
    except ImportError:
        raise error(
            "reading a picture needs the package Pillow", help="pip install 'archcalc[images]'"
        ) from None
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise error(f"a picture has 1 or 3 channels, but the input is {format_shape(shape, cross='x')}")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            # warnings are about large pictures and damaged metadata
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise error(
                    f"`{path}` is a picture of {width:,}x{height:,}, over the limit of {MAX_PIXELS:,} pixels"
                )
            wide = picture.mode[0] in "IF"  # more than 8 bits per value, and one channel
            converted = picture.convert("F" if wide else "L" if shape[0] == 1 else "RGB")
            resized = converted.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise error(f"there is no file `{path}`") from None
    except (ArchError, MemoryError):
        raise
    except Exception as problem:  # a damaged picture raises exceptions of Pillow's parts
        raise error(f"`{path}` is not a picture that can be read: {problem}") from None
    values = np.asarray(resized, np.float64).reshape(shape[1], shape[2], -1)
    values = np.broadcast_to(values, (shape[1], shape[2], shape[0]))
    spread = values.std() if np.ptp(values) else 1  # for a single color, the deviation is only rounding
    normal: Array = ((values - values.mean()) / spread).astype(np.float32)
    return np.moveaxis(normal, -1, 0)


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write an `.npz` archive completely, or not at all. Raises `ArchError`."""
    # not `np.savez`, which does not accept a tensor called `file`
    with out.whole(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
