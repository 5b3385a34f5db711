"""Files of arrays: `.npy`, `.npz`, and `.safetensors`. Nothing in them is ever unpickled.

The shape and the dtype of an array are checked before the array is read, because a file of a few kilobytes
can unpack to gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.executor.kernel import Array
from archcalc.shape import Shape

MAX_BYTES = 8 * 2**30
"""An archive that unpacks to more bytes is not read."""

Check = Callable[[Shape, Any], None]
"""Called with a shape and a dtype before an array is read. Raises `ArchError` if the array is not usable."""


class Stored(Struct):
    """The arrays of an open file: shapes and dtypes by name, and a function that reads one."""

    kinds: Mapping[str, tuple[Shape, Any]]
    read: Callable[[str], Array]


@contextmanager
def open_arrays(path: Path) -> Iterator[Stored]:
    """The arrays of an `.npz` or `.safetensors` file. Raises `ArchError`, also while they are read."""
    with _reading(path), _safetensors(path) if path.suffix == ".safetensors" else _npz(path) as stored:
        yield stored


def read_array(path: Path, check: Check) -> Array:
    """The array of an `.npy` file. Raises `ArchError`."""
    with _reading(path):
        with path.open("rb") as stream:
            if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                stream.seek(0)
                shape, dtype = _kind(stream)
                if min(shape, default=0) >= 0:  # NumPy itself refuses negative sizes
                    check(shape, dtype)
        array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        array.close()
        raise error(f"`{path}` is an archive of several arrays", help="name it `.npz`")
    return array


def check_kind(shape: Shape, dtype: Any, want: Shape, what: str) -> None:
    """Refuse an array that does not contain numbers, or has the wrong shape. Raises `ArchError`."""
    if dtype.kind not in "fiub":
        raise error(f"{what} contains {dtype}, not numbers")
    if shape != want:
        have, needed = ("x".join(map(str, s)) or "a single number" for s in (shape, want))
        raise error(f"{what} is {have}, but {needed} is needed")


@contextmanager
def _npz(path: Path) -> Iterator[Stored]:
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise error(f"`{path}` contains one array, not named arrays", help="save an `.npz` archive")
    with archive:
        size = sum(member.file_size for member in archive.zip.infolist())
        if size > MAX_BYTES:
            raise error(f"`{path}` unpacks to {size:,} bytes, over the limit of {MAX_BYTES:,}")
        members = set(archive.zip.namelist())
        kinds = {}
        for name in archive.files:
            with archive.zip.open(f"{name}.npy" if f"{name}.npy" in members else name) as stream:
                if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                    raise ValueError(f"`{name}` in it is not an array")
                stream.seek(0)
                kinds[name] = _kind(stream)

        def read(name: str) -> Array:
            array: Array = archive[name]
            return array

        yield Stored(kinds, read)


def _kind(stream: IO[bytes]) -> tuple[Shape, Any]:
    """The shape and the dtype in the header of an `.npy` file."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its format has the version {version[0]}.{version[1]}")
    # version 3 differs from 2 only in the encoding of field names, and arrays with fields are not usable
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    if dtype.hasobject:
        raise ValueError("it contains objects, which would have to be unpickled")
    return shape, dtype


@contextmanager
def _safetensors(path: Path) -> Iterator[Stored]:
    try:
        from safetensors import safe_open
    except ImportError:
        raise error(
            "reading `.safetensors` needs the package safetensors", help="pip install 'archcalc[weights]'"
        ) from None
    with safe_open(path, framework="numpy") as file:
        kinds = {}
        for name in file.keys():  # noqa: SIM118 - the file itself cannot be iterated over
            # its dtypes have other names, and all of them are numbers
            kinds[name] = (tuple(file.get_slice(name).get_shape()), np.dtype(np.float32))
        yield Stored(kinds, file.get_tensor)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A damaged file raises exceptions of NumPy's parts: of zip, of zlib, or of Python's tokenizer."""
    try:
        yield
    except ArchError:
        raise
    except FileNotFoundError:
        raise error(f"there is no file `{path}`") from None
    except MemoryError:
        raise error(f"`{path}` is not a readable array file: its stated size is larger than memory") from None
    except Exception as problem:
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise error(f"`{path}` is not a readable array file: {reason[:200]}") from None
