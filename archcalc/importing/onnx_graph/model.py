"""Read a file, or a `ModelProto` in memory, into records. Computes nothing and reads no arrays."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.importing.onnx_graph.arrays import ArrayStore
from archcalc.importing.onnx_graph.records import OnnxGraphRecord, OnnxModelRecord
from archcalc.importing.onnx_graph.wire import WireError, WireReader
from archcalc.network import MAX_NODES

NEWEST_OPSET = 26
"""The newest supported version of ONNX's operators."""

CHECK = "`check-model FILE`, a command of the package `onnx`, may say more"


class OnnxModel(Struct, frozen=True):
    """A model as records, with the place of its arrays. `shown` is its name in messages."""

    record: OnnxModelRecord
    graph: OnnxGraphRecord
    store: ArrayStore
    name: str
    shown: str


def read_file(path: Path, shown: str, name: str = "") -> OnnxModel:
    """Read a model file; the model is named after it. Raises `ArchError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise error(f"`{shown}` is empty")
            # mapped, not read: most of a file is array values, which are not needed
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                record = _decoded(memoryview(data), shown)
    except FileNotFoundError:
        raise error(f"there is no file `{shown}`") from None
    except IsADirectoryError:
        raise error(f"`{shown}` is a folder", help="name an `.onnx` file in it") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else ""
        raise error(f"`{shown}` cannot be read" + (f": {reason}" if reason else "")) from None
    return _model(record, ArrayStore(shown, path=path), name or path.stem, shown)


def read_bytes(data: bytes, name: str) -> OnnxModel:
    """Read a model from the bytes of a file. Raises `ArchError` if they are not a model."""
    shown = name or "the model"
    return _model(_decoded(memoryview(data), shown), ArrayStore(shown, data=data), name or "model", shown)


def read_proto(model: Any, name: str) -> OnnxModel:
    """Read a `ModelProto` of the `onnx` package. Raises `ArchError` for anything else."""
    try:
        data = model.SerializeToString()
    except AttributeError:
        raise error(
            f"a model is a path or an `onnx.ModelProto`, not a {type(model).__name__}",
            help='write `archcalc.from_onnx("model.onnx")`',
        ) from None
    except ValueError:  # Protocol Buffers raises this for more than 2 GB
        raise error("the model is too large to be copied", help="give the path of its file") from None
    return read_bytes(data, name or model.graph.name)


def _decoded(data: memoryview, shown: str) -> OnnxModelRecord:
    try:
        with data:
            return WireReader(data).read(OnnxModelRecord)
    except WireError as problem:
        raise error(f"`{shown}` is not an ONNX model: {problem}", help=CHECK) from None


def _model(record: OnnxModelRecord, store: ArrayStore, name: str, shown: str) -> OnnxModel:
    if record.graph is None:
        raise error(f"`{shown}` is not an ONNX model: it has no graph", help=CHECK)
    if len(record.graph.nodes) > MAX_NODES:
        raise too_many(shown)
    return OnnxModel(record, record.graph, store, name, shown)


def too_many(shown: str) -> ArchError:
    return error(f"`{shown}` has more than {MAX_NODES:,} nodes")
