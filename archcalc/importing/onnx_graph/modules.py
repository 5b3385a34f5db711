"""Find the PyTorch module that a node comes from, if the file says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archcalc.importing.assembly import Path
from archcalc.importing.onnx_graph.records import OnnxNodeRecord
from archcalc.importing.torch_export.graph import module_path

SCOPES = "pkg.torch.onnx.name_scopes"
CLASSES = "pkg.torch.onnx.class_hierarchy"
RULES = "pkg.onnxscript.rewriter.rule_name"
SOURCE = "pkg.torch.onnx.fx_node"

FUSED = "FuseBatchNormInto"
"""The newer exporter's name for the rule that folds a batch norm into a convolution."""

_QUOTED = re.compile(r"'([^'\\]*)'")
_DEPTH = 40


def metadata(node: OnnxNodeRecord, key: str) -> str:
    return next((entry.value for entry in node.metadata if entry.key == key), "")


def path_of(node: OnnxNodeRecord) -> Path:
    """Return the modules that contain a node, outermost first, with their classes if these are known.

    The newer exporter writes both in the node's metadata; the older one puts the modules in the node's name.
    """
    scopes = _QUOTED.findall(metadata(node, SCOPES))[:_DEPTH]
    if scopes:
        classes = _QUOTED.findall(metadata(node, CLASSES))[:_DEPTH]
        classes += ["group"] * (len(scopes) - len(classes))
        return module_path([(name, name, kind) for name, kind in zip(scopes[:-1], classes, strict=False)])
    return path_in_name(node.name)


def path_in_name(name: str) -> Path:
    """Parse a name of the older exporter, which gives each module's full path or its last part.

    >>> path_in_name("/layer1/layer1.0/conv1/Conv")
    (('layer1', 'group'), ('0', 'group'), ('conv1', 'group'))
    """
    if not name.startswith("/"):
        return ()
    path: list[tuple[str, str]] = []
    above = ""
    for part in name[1:].split("/")[:-1][:_DEPTH]:
        own = part.removeprefix(above + ".") if above else part
        path += [(each, "group") for each in own.split(".")[:_DEPTH] if each]
        above = part
    return tuple(path)


def convolution_path(path: Path, weight: str) -> Path:
    """Return the path of a convolution that has its batch norm's path, from the name of its weight."""
    *names, last = weight.split(".")[:_DEPTH]
    if last != "weight" or not names or not path or [part for part, _ in path[:-1]] != names[:-1]:
        return path
    return (*path[:-1], (names[-1], "Conv2d"))


def numbered(paths: Sequence[Path]) -> list[Path]:
    """Number the repeated calls of a module without submodules, from the second call on: `relu@1`.

    The newer exporter writes the same path for all calls; a call of another module separates them.

    >>> [path[-1][0] for path in numbered([(("relu", "ReLU"),), (("conv", "Conv2d"),), (("relu", "ReLU"),)])]
    ['relu', 'conv', 'relu@1']
    """
    outer = {path[:depth] for path in paths for depth in range(1, len(path))}
    calls: dict[Path, int] = {}
    found: list[Path] = []
    before: Path = ()
    for path in paths:
        if path != before:
            calls[path] = calls.get(path, -1) + 1
        before = path
        if path and path not in outer and calls[path]:
            name, kind = path[-1]
            path = (*path[:-1], (f"{name}@{calls[path]}", kind))
        found.append(path)
    return found
