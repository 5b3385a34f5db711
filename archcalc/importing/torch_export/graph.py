"""Plain records of an exported graph: ATen operations, the tensors they name, and the model's arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from archcalc.importing.assembly import Path
from archcalc.importing.weights import ReadArrays
from archcalc.network import Original

PRIME_BATCH = 1009
"""The batch that a module is exported with: an axis divisible by this prime holds the batch."""

MAX_CONSTANT = 2**16
"""The most values of a constant of the code that is followed."""


_PYTORCH = re.compile(r"-packages/torch/|/torch/(nn/modules/|nn/functional\.py|_)")


class TensorName(Struct, frozen=True):
    """A tensor that an operation reads, by its name in the graph."""

    name: str


class ExportedTensor(Struct, frozen=True):
    """The graph's declaration of a tensor. `shape` is `None` if the graph does not give it in numbers."""

    shape: tuple[int, ...] | None
    is_float: bool = True


class ExportedNode(Struct, frozen=True):
    """An operation: `target` is its name without the overload, such as `aten.conv2d`.

    `arguments` holds the arguments that are written out, by their names in the schema: numbers, strings,
    lists, `None`, or `TensorName`. `outputs` are the names of the output tensors. `path` and `origin` are
    those of `importing.tensors.Operation`.
    """

    target: str
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...]
    path: Path = ()
    origin: str = ""
    module: str = ""
    """The class of the innermost module, with its package."""


class StoredArray(Struct, frozen=True):
    """A parameter, a buffer or a constant tensor of the model.

    `key` is its name in the model: `layer1.0.conv1.weight`. Arrays that share memory share a key.
    """

    key: str
    shape: tuple[int, ...]
    is_trained: bool
    own_shape: tuple[int, ...] = ()
    """The shape in the model, if this is a view of it with another one."""
    factor: float = 1
    """A number that the model multiplies it by."""

    @property
    def is_view(self) -> bool:
        return self.own_shape not in ((), self.shape)


class ExportedGraph(Struct, frozen=True, kw_only=True):
    """A graph. Tensors are identified by their names; `tensors` declares all of them.

    `inputs` and `outputs` are pairs of a tensor and the model's name for it. `arrays` has all arrays of the
    model, used or not. `batch` is the batch size in every shape.
    """

    name: str
    batch: int
    nodes: Sequence[ExportedNode]
    tensors: Mapping[str, ExportedTensor]
    inputs: Sequence[tuple[str, str]]
    outputs: Sequence[tuple[str, str]]
    arrays: Mapping[str, StoredArray]
    heads: Sequence[tuple[str, str]] = ()
    """Results that are used in training only, as `outputs`."""
    read: ReadArrays | None = None
    """Reads arrays by their keys, if the model has values."""
    original: Original | None = None
    constants: Mapping[str, Any] = {}
    """NumPy arrays that are part of the model's code, by key; `arrays` has them too."""
    notes: tuple[str, ...] = ()
    """Notes for readers of the network."""


def innermost_class(stack: Sequence[tuple[str, str, str]]) -> str:
    """Return the class, with its package, of the innermost module being called."""
    return stack[-1][2] if stack else ""


def module_path(stack: Sequence[tuple[str, str, str]]) -> Path:
    """Return the modules around an operation, from the stack of modules being called.

    Each has its key, with `@n` for repeated calls, its full path, and its class with the package. A container
    that is skipped, such as a list of modules, is a `group`.

    >>> module_path([("L__self__", "", "net.Net"), ("L__self__a.0@1", "a.0", "net.Block")])
    (('a', 'group'), ('0@1', 'Block'))
    """
    path: list[tuple[str, str]] = []
    above, called = "", ""
    for key, name, kind in stack:
        if not name:
            continue
        own = name.removeprefix(above + ".") if above else name
        *passed, last = own.split(".")
        call = key.partition("@")[2]
        # inside a module that is called again, its modules are called again too
        last = f"{last}@{call}" if call and call != called else last
        path += [(part, "group") for part in passed]
        path.append((last, kind.rpartition(".")[2]))
        above, called = name, call
    return tuple(path)


def innermost(trace: str) -> str:
    """Return the place of the model's own code, not PyTorch's, in a stack trace: `resnet.py:143`.

    >>> innermost('File "/net.py", line 7, in forward\\n  x\\nFile "/torch/nn/modules/a.py", line 9, in b')
    'net.py:7'
    """
    place = ""
    for line in trace.splitlines():
        line = line.strip()
        if not line.startswith('File "'):
            continue
        file, _, rest = line[len('File "') :].partition('", line ')
        if is_pytorch(file):
            continue
        number = rest.partition(",")[0]
        place = f"{file.replace(chr(92), '/').rpartition('/')[2]}:{number}"
    return place


def is_pytorch(file: str) -> bool:
    """Return whether this file is part of PyTorch."""
    return _PYTORCH.search(file.replace(chr(92), "/")) is not None


def labeled(outputs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the results names of their own: the first one is `output`."""
    found: dict[str, str] = {}
    for place, (name, label) in enumerate(outputs):
        label = "output" if not place else f"output{place + 1}" if not label or label.isdecimal() else label
        while label in found:
            label += "_"
        found[label] = name
    return [(name, label) for label, name in found.items()]
