"""Read a `.keras` file as a zip archive with JSON, without Keras. Nothing in it is run.

Variables are in an HDF5 file inside the archive, which `h5py` reads only when they are needed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.given import GivenShapes, named_shapes
from archcalc.importing.keras_config.configs import ConfigReader
from archcalc.importing.keras_config.records import KerasModel
from archcalc.importing.keras_config.variables import StoredVariable
from archcalc.importing.zip_files import opened_zip, read_entry

if TYPE_CHECKING:
    from archcalc.network import Network

CONFIG, METADATA, VARIABLES = "config.json", "metadata.json", "model.weights.h5"

MAX_JSON = 8_000_000
"""The largest JSON in bytes. NASNet, with 800 layers, takes a tenth of this.

Decoded, it takes up to 20 times as much memory.
"""

MAX_ARRAYS = 10_000
"""The most variables of one layer to look at."""

SAVE = 'in Keras 3, write `model.save("model.keras")`'
INSTALL = "install it: `pip install 'archcalc[keras]'`"

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_keras_file(path: Path, shown: str) -> tuple[KerasModel, FileVariables]:
    """Read the model in a file; its variables are read later. Raises `ArchError`."""
    with _opened(path, shown) as archive:
        if CONFIG not in archive.NameToInfo:
            raise error(f"`{shown}` has no `{CONFIG}`: it is not a model that Keras saved", help=SAVE)
        config = _decoded(archive, CONFIG, shown)
        has_values = any(name.startswith(VARIABLES.removesuffix("h5")) for name in archive.NameToInfo)
        metadata = _decoded(archive, METADATA, shown) if METADATA in archive.NameToInfo else {}
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    version = version if isinstance(version, str) else ""
    return ConfigReader(shown, version).model(config), FileVariables(path, shown, has_values)


def network_in_file(shown: str, shapes: GivenShapes, name: str) -> Network:
    """Build the network in a file, for the given input shapes. Raises `ArchError`."""
    from archcalc.importing.keras_config.convert import to_network

    path = Path(shown)
    model, variables = read_keras_file(path, shown)
    inputs = named_shapes([label for label, _ in model.inputs], shapes)
    return to_network(model, variables, shown, name or path.stem, inputs)


def _opened(path: Path, shown: str) -> zipfile.ZipFile:
    def explain(start: bytes) -> ArchError | None:
        if start.startswith(_HDF5):
            return error(f"`{shown}` is an HDF5 file, the older format of Keras", help=SAVE)
        return None

    return opened_zip(path, shown, SAVE, explain)


def _decoded(archive: zipfile.ZipFile, entry: str, shown: str) -> Any:
    data = read_entry(archive, entry, shown, MAX_JSON)
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise error(f"`{entry}` in `{shown}` is not JSON: {shorten(str(problem), 120)}") from None
    except RecursionError:
        raise error(f"`{entry}` in `{shown}` is nested too deep") from None


class FileVariables:
    """The variables in a file. A variable's name is its place in the file: `layers/conv2d/vars/0`."""

    def __init__(self, path: Path, shown: str, has_values: bool = True) -> None:
        self.path, self.shown, self.has_values = path, shown, has_values

    def of_layer(self, address: str) -> Sequence[StoredVariable]:
        """Return the variables of a layer and of the layers inside it. Raises `ArchError` without `h5py`."""
        with self._file() as (h5py, file):
            group = _item(file, address)
            found: list[StoredVariable] = []

            def visit(name: str, item: Any) -> bool | None:
                if isinstance(item, h5py.Dataset) and "/vars/" in f"/{name}" and "seed_generator" not in name:
                    found.append(StoredVariable(f"{address}/{name}", tuple(map(int, item.shape))))
                return True if len(found) > MAX_ARRAYS else None

            if isinstance(group, h5py.Group):
                group.visititems(visit)
        return found

    def read(self, names: Collection[str]) -> Mapping[str, Any]:
        """Read variables by name. Raises `ArchError` if one is missing or damaged."""
        arrays = {}
        with self._file() as (h5py, file):
            import numpy as np

            for name in names:
                dataset = _item(file, name)
                if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
                    raise error(f"`{self.shown}` has no variable `{shorten(name)}`")
                stored = dataset.id.get_storage_size()
                elsewhere = dataset.is_virtual or dataset.external
                bytes_of_values = dataset.size * dataset.dtype.itemsize
                # compressed data, or sizes beyond that of the file, could take any amount of memory
                if elsewhere or not bytes_of_values <= stored <= self.path.stat().st_size:
                    raise error(f"`{shorten(name)}` in `{self.shown}` is stored in a way that is not read")
                values = dataset[()]
                arrays[name] = values.astype(np.float32) if values.dtype.itemsize < 4 else values
        return arrays

    @contextmanager
    def _file(self) -> Iterator[tuple[Any, Any]]:
        """Yield the `h5py` package and the file it has opened."""
        try:
            import h5py
        except ImportError as problem:
            raise error(f"reading variables of `{self.shown}` needs h5py: {problem}", help=INSTALL) from None
        try:
            with _opened(self.path, self.shown) as archive, self.path.open("rb") as file:
                part = self._part(archive, file)
                with h5py.File(io.BufferedReader(part), "r") as opened:
                    yield h5py, opened
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError):
            raise error(f"the variables in `{self.shown}` are damaged") from None

    def _part(self, archive: zipfile.ZipFile, file: BinaryIO) -> FilePart:
        """Return the HDF5 file inside the archive. It is not compressed, so it can be read in place."""
        info = archive.NameToInfo.get(VARIABLES)
        if info is None:
            raise error(
                f"`{self.shown}` has no `{VARIABLES}`: its variables are not in it, or stored otherwise"
            )
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise error(f"`{VARIABLES}` in `{self.shown}` is compressed", help=SAVE)
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
        start = info.header_offset + 30 + sum(int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
        return FilePart(file, start, info.file_size)


def _item(file: Any, name: str) -> Any:
    """Return the item at a name in an HDF5 file, if any. Links are not followed: they may leave the file."""
    import h5py

    item = file
    for part in name.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(part, getlink=True), h5py.HardLink):
            return None
        item = item[part]
    return item


class FilePart(io.RawIOBase):
    """A section of a file as a read-only file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        wanted = max(min(len(buffer), self._size - self._at), 0)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
