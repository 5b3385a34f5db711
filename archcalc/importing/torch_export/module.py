"""Exports a `torch.nn.Module` as a graph. This needs PyTorch and runs the module's code."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import operator
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from archcalc.diagnostics import ArchError, Diagnostic, Note, error, shorten, unknown
from archcalc.importing.given import GivenShapes, read_shapes
from archcalc.importing.torch_export.graph import (
    MAX_CONSTANT,
    PRIME_BATCH,
    ExportedGraph,
    ExportedNode,
    ExportedTensor,
    StoredArray,
    TensorName,
    innermost,
    innermost_class,
    is_pytorch,
    labeled,
    module_path,
)
from archcalc.network import Original
from archcalc.render.numbers import plural
from archcalc.shape import Shape

if TYPE_CHECKING:
    import torch

    from archcalc.network import Network

INSTALL = "install it: `pip install 'archcalc[torch]'`"


def require_torch() -> Any:
    """Return the package `torch`. Raises `ArchError` that says what to install."""
    try:
        import torch
        import torch.export
    except ImportError as problem:
        raise error(f"this needs PyTorch: {problem}", help=INSTALL) from None
    return torch


def checked_module(module: Any) -> torch.nn.Module:
    """Return the module. Raises `ArchError` if the object is not a module."""
    if not isinstance(module, require_torch().nn.Module):
        raise error(
            f"a PyTorch module is needed, not a {type(module).__name__}",
            help="write `archcalc.from_torch(model, (3, 224, 224))`",
        )
    return module


def checked_shapes(shapes: GivenShapes) -> Inputs:
    """Return the input shapes. Raises `ArchError` if there are none, or if one is not a shape."""
    if not shapes:
        raise error(
            "the shape of the input is needed", help="channels first, without the batch: `(3, 224, 224)`"
        )
    return read_shapes(shapes)


Inputs = Mapping[str, Shape] | Sequence[Shape]
"""Shapes of inputs, by the names of the arguments of `forward` or in their order."""


def network_of(module: Any, shapes: GivenShapes, name: str = "") -> Network:
    """Return the network of a module for these input shapes. Raises `ArchError`."""
    from archcalc.importing.torch_export.convert import to_network

    return to_network(export_module(checked_module(module), checked_shapes(shapes), name))


Rebuild = Callable[[], "torch.nn.Module"]


def export_module(
    module: torch.nn.Module, inputs: Inputs, name: str = "", rebuild: Rebuild | None = None
) -> ExportedGraph:
    """Export a module for these input shapes, channels first and without the batch.

    The module is exported in evaluation mode and its mode is then restored. `rebuild` makes it again with
    values, if it has none. Raises `ArchError` with the place in the module's code if PyTorch cannot export
    it.
    """
    name = name or type(module).__name__
    program = ModuleExport(module, inputs, name)
    arrays = ModuleArrays(module, rebuild)
    original = Original("PyTorch", OriginalModule(arrays, program).run)
    with _modes_kept(module):
        module.eval()
        graph = ProgramRecords(name, program.run(), arrays).graph()
        if graph.read is not None:
            graph = replace(graph, original=original)
        if module_uses_all(graph):
            return graph
        # auxiliary heads often run only if the module itself, but none of its children, is in training mode
        module.training = True
        try:
            trained = ProgramRecords(name, program.run(), arrays).graph()
        except ArchError:
            return graph
    return with_heads(graph, trained)


def module_uses_all(graph: ExportedGraph) -> bool:
    """Return whether every parameter is read by some operation."""
    read: set[str] = set()
    for node in graph.nodes:
        read.update(value.name for value in _leaves(node.arguments.values()) if isinstance(value, TensorName))
    keys = {graph.arrays[name].key for name in read if name in graph.arrays}
    return all(array.key in keys for array in graph.arrays.values() if array.is_trained)


def with_heads(graph: ExportedGraph, trained: ExportedGraph) -> ExportedGraph:
    """Return the second graph with its extra outputs as heads, if it begins like the first.

    The graphs match if the second one without the operations of the heads equals the first.
    """
    if len(trained.outputs) <= len(graph.outputs):
        return graph
    kept = [trained.outputs[place] for place in range(len(graph.outputs))]
    needed = _needed(trained, [name for name, _ in kept])
    if [node.target for node in needed] != [
        node.target for node in _needed(graph, [n for n, _ in graph.outputs])
    ]:
        return graph
    labels = [label for _, label in graph.outputs]
    heads = [
        (tensor, label if label not in labels else f"head{number}")
        for number, (tensor, label) in enumerate(trained.outputs[len(kept) :], 1)
    ]
    outputs = [(tensor, label) for (tensor, _), label in zip(kept, labels, strict=True)]
    return replace(trained, outputs=outputs, heads=heads, original=graph.original)


def _needed(graph: ExportedGraph, results: Sequence[str]) -> list[ExportedNode]:
    """Return the operations that some results depend on, in order; changes in place are ignored."""
    names = set(results)
    found = []
    for node in reversed(graph.nodes):
        if names.intersection(node.outputs):
            found.append(node)
            names.update(v.name for v in _leaves(node.arguments.values()) if isinstance(v, TensorName))
    return found[::-1]


def _leaves(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


@contextlib.contextmanager
def _modes_kept(module: torch.nn.Module) -> Iterator[None]:
    """Restore the training or evaluation mode of every module afterward."""
    modes = [(each, each.training) for each in module.modules()]
    try:
        yield
    finally:
        for each, mode in modes:
            each.training = mode


# --- Export ------------------------------------------------------------------------------------------


class ModuleExport:
    """Exports a module. The batch size is a prime, and tensors take no memory."""

    def __init__(self, module: torch.nn.Module, inputs: Inputs, name: str) -> None:
        self.torch = require_torch()
        self.module = getattr(module, "_orig_mod", module)  # `torch.compile` wraps it
        self.name = name
        self.inputs = self._named(inputs)

    def _named(self, inputs: Inputs) -> dict[str, Shape]:
        """Return shapes by the names of `forward`'s arguments, in their order. Raises `ArchError`."""
        parameters = inspect.signature(self.module.forward).parameters.values()
        names = [each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
        self.takes_more = more = any(each.kind is each.VAR_POSITIONAL for each in parameters)
        if not isinstance(inputs, Mapping):
            if len(inputs) > len(names) and not more:
                takes = plural(len(names), "input", str)
                raise error(
                    f"`{self.name}` takes {takes}, and {plural(len(inputs), 'shape', str)} were given"
                )
            inputs = dict(zip([*names, *(f"argument{n}" for n in range(len(inputs)))], inputs, strict=False))
        elif list(inputs) == ["input"] and "input" not in names and names:
            inputs = {names[0]: inputs["input"]}
        for name in inputs:
            if name not in names and not more:
                raise unknown(f"`forward` of `{self.name}` has no argument", name, names, listing="arguments")
        needed = [each.name for each in parameters if each.name in names and each.default is each.empty]
        if missing := [name for name in needed if name not in inputs]:
            help = " ".join(f"--input {name}=3x224x224" for name in needed)
            raise error(f"`forward` of `{self.name}` needs `{missing[0]}`", help=f"give shapes: `{help}`")
        return {name: inputs[name] for name in [*names, *inputs] if name in inputs}

    def run(self) -> Any:
        from torch._subclasses.fake_tensor import FakeTensorMode

        torch = self.torch
        arrays = list(_tensors_of(self.module))
        device = arrays[0].device if arrays else torch.device("meta")
        dtype = next((each.dtype for each in arrays if each.is_floating_point()), torch.float32)
        with quiet(), torch.no_grad():
            with FakeTensorMode(allow_non_fake_inputs=True):
                given = {
                    name: torch.empty((PRIME_BATCH, *shape), device=device, dtype=dtype)
                    for name, shape in self.inputs.items()
                }
            placed, named = self.arranged(given)
            try:
                return torch.export.export(self.module, placed, kwargs=named, strict=False)
            except Exception as problem:
                raise _explained(problem, self.name, len(self.inputs)) from None

    def arranged(self, given: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arrange inputs as call arguments: by position until one is omitted, then by name."""
        parameters = inspect.signature(self.module.forward).parameters.values()
        by_name = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
        # values for `*args` have no names
        placed = [
            name
            for name, at in zip_longest(given, (each.name for each in parameters))
            if name not in (None, *by_name) and (self.takes_more or name == at)
        ]
        return tuple(given[name] for name in placed), {
            n: each for n, each in given.items() if n not in placed
        }


def _tensors_of(module: torch.nn.Module) -> Iterator[Any]:
    yield from module.parameters()
    yield from module.buffers()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence PyTorch, since errors are reported once. Output of the model goes to stderr."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.export", "torch._export", "torch.fx")]
    levels = [each.level for each in loggers]
    shown, hidden = sys.stderr, io.StringIO()
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(hidden):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


class NotExportable(ArchError):
    """PyTorch cannot export a module; `is_final` if another device did not help."""

    is_final = False


def _explained(problem: Exception, name: str, given: int) -> NotExportable:
    """Explain in one sentence why PyTorch cannot export a module, with the place in its code."""
    place = user_place(problem)
    text = first_sentence(problem)
    kind = type(problem).__name__
    notes = [Note(f"it is raised at {place}")] if place else []
    help = ""
    is_data_dependent = "DataDependent" in kind or "data-dependent" in str(problem).lower()
    if is_data_dependent:
        text = "what it does depends on the values of a tensor, which are unknown until it runs"
        help = "take the branch or the loop out of `forward`, or give the part before it"
    elif isinstance(problem, TypeError) and "positional argument" in text:
        help = f"{given} inputs were given: `--input 3x224x224`, one for each argument of `forward`"
    elif "size" in text or "shape" in text or "channels" in text:
        help = "does the module take inputs of this shape? Shapes are channels first, without the batch"
    found = NotExportable(Diagnostic(f"`{name}` cannot be exported: {text}", notes=tuple(notes), help=help))
    found.is_final = is_data_dependent
    return found


def first_sentence(problem: BaseException) -> str:
    """Return what an exception says, on one line."""
    text = next((line.strip() for line in str(problem).splitlines() if line.strip()), "")
    return shorten(f"{type(problem).__name__}: {text}" if text else type(problem).__name__, 200)


def user_place(problem: BaseException) -> str:
    """Return the innermost place in a traceback outside Python itself, PyTorch and archcalc."""
    place = ""
    python = sysconfig.get_paths()["stdlib"].replace("\\", "/")
    here = __file__.replace("\\", "/").rpartition("/importing/")[0]
    for frame in traceback.extract_tb(problem.__traceback__):
        file = frame.filename.replace("\\", "/")
        is_python = file.startswith(("<", python)) and "/site-packages/" not in file
        if not (is_python or is_pytorch(file) or file.startswith(here)):
            place = shown_place(file, frame.lineno)
    return place


def shown_place(file: str, line: int | None) -> str:
    """Return a file and line for display, relative to the current folder if the file is inside it."""
    return f"{file.removeprefix(str(Path.cwd()).replace(chr(92), '/') + '/')}:{line}"


# --- Records -----------------------------------------------------------------------------------------


class ModuleArrays:
    """The parameters and buffers of a module by name; names of the same tensor share an entry."""

    def __init__(self, module: torch.nn.Module, rebuild: Rebuild | None = None) -> None:
        self.values: dict[str, Any] = {}
        self._module = module
        self._rebuild = rebuild
        self.keys: dict[str, str] = {}
        self.trained: set[str] = set()
        first: dict[int, str] = {}
        for name, tensor in module.named_parameters(remove_duplicate=False):
            self.trained.add(first.setdefault(id(tensor), name))
            self._add(name, tensor, first)
        for name, tensor in module.named_buffers(remove_duplicate=False):
            self._add(name, tensor, first)

    def _add(self, name: str, tensor: Any, first: dict[int, str]) -> None:
        self.values[name] = tensor
        self.keys[name] = first.setdefault(id(tensor), name)

    def module(self) -> torch.nn.Module:
        """Return the module, made again if its arrays have no values."""
        if self._are_missing and self._rebuild is not None:
            self._module = self._rebuild()
            self.values = ModuleArrays(self._module).values
        return self._module

    def read(self, names: Any) -> Mapping[str, Any]:
        """Read NumPy arrays, in single precision if NumPy does not have their type."""
        self.module()
        found = {}
        for name in names:
            tensor = self.values[name].detach().cpu()
            if tensor.is_floating_point() and tensor.element_size() < 4:
                tensor = tensor.float()
            found[name] = tensor.numpy()
        return found

    @property
    def _are_missing(self) -> bool:
        return any(tensor.is_meta for tensor in self.values.values())

    @property
    def can_be_read(self) -> bool:
        return bool(self.values) and (self._rebuild is not None or not self._are_missing)


class OriginalModule:
    """Runs a module in PyTorch, in evaluation mode."""

    def __init__(self, arrays: ModuleArrays, export: ModuleExport) -> None:
        self._arrays = arrays
        self._export = export

    def run(self, inputs: Sequence[Any]) -> Mapping[str, Any]:
        """Run the module on NumPy arrays, in their precision. Raises `ArchError` if the module fails."""
        torch = require_torch()
        from torch.utils._pytree import tree_flatten_with_path

        module = self._arrays.module()
        given = [torch.from_numpy(array) for array in inputs]
        with _modes_kept(module), torch.no_grad(), warnings.catch_warnings(action="ignore"):
            module.eval()
            dtype = next((each.dtype for each in _tensors_of(module) if each.is_floating_point()), None)
            try:
                if dtype not in (None, given[0].dtype):
                    module = copy.deepcopy(module).to(given[0].dtype)
                placed, named = self._export.arranged(dict(zip(self._export.inputs, given, strict=True)))
                results = module(*placed, **named)
            except Exception as problem:
                raise error(f"PyTorch cannot run it: {first_sentence(problem)}") from None
        leaves, _ = tree_flatten_with_path(results)
        found = {
            str(place): (label_of(path), leaf)
            for place, (path, leaf) in enumerate(leaves)
            if isinstance(leaf, torch.Tensor)
        }
        labels = labeled([(place, label) for place, (label, _) in found.items()])
        return {label: found[place][1].detach().cpu().numpy() for place, label in labels}


class ProgramRecords:
    """Turns an exported program into plain records."""

    def __init__(self, name: str, program: Any, arrays: ModuleArrays) -> None:
        self.name = name
        self.program = program
        self.arrays = arrays
        self.stored: dict[str, StoredArray] = {}
        self.tensors: dict[str, ExportedTensor] = {}
        self.inputs: list[tuple[str, str]] = []
        self.nodes: list[ExportedNode] = []
        self._schemas: dict[Any, list[str]] = {}
        self._constants: dict[str, Any] = {}

    def graph(self) -> ExportedGraph:
        users = [
            spec.arg.name
            for spec in self.program.graph_signature.input_specs
            if spec.kind.name == "USER_INPUT"
        ]
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._declare(node.name, node.meta.get("val"))
                if node.name in users and node.name in self.tensors:
                    self.inputs.append((node.name, node.name))
            elif node.op == "call_function" and node.target is not operator.getitem:
                self._add(node)
        self._add_arrays()
        if len(self.inputs) == 1:
            self.inputs = [(self.inputs[0][0], "input")]
        return ExportedGraph(
            name=self.name,
            batch=PRIME_BATCH,
            nodes=self.nodes,
            tensors=self.tensors,
            inputs=self.inputs,
            outputs=self._outputs(),
            arrays=self.stored,
            read=self._read if self.arrays.can_be_read else None,
            constants={key: array for key in self._constants if (array := self._known(key)) is not None},
        )

    def _known(self, key: str) -> Any:
        """Copy a constant to a NumPy array in double precision; `None` if it has no values."""
        tensor = self._constants[key]
        if tensor is None or tensor.is_meta or tensor.numel() > MAX_CONSTANT:
            return None
        try:
            array = tensor.detach().cpu().numpy().copy()
        except (RuntimeError, TypeError):
            return None  # not a plain array
        return array.astype("float64") if array.dtype.kind == "f" else array

    def _read(self, names: Any) -> Mapping[str, Any]:
        constants = {
            name: self._constants[name].detach().cpu().numpy() for name in names if name in self._constants
        }
        return {**self.arrays.read([name for name in names if name not in constants]), **constants}

    def _declare(self, name: str, value: Any) -> None:
        shape = getattr(value, "shape", None)
        if shape is not None:
            sizes = tuple(int(size) for size in shape)
            self.tensors[name] = ExportedTensor(sizes, bool(value.is_floating_point()))

    def _add_arrays(self) -> None:
        for spec in self.program.graph_signature.input_specs:
            name = getattr(spec.arg, "name", "")
            if spec.kind.name == "USER_INPUT" or name not in self.tensors:
                continue
            key = self.arrays.keys.get(spec.target, spec.target)
            if spec.target not in self.arrays.keys:
                self._constants[key] = self.program.constants.get(spec.target)
            self.stored[name] = StoredArray(key, self.tensors[name].shape or (), key in self.arrays.trained)

    def _add(self, node: Any) -> None:
        arguments = dict(zip(self._names(node.target), node.args, strict=False))
        arguments.update(node.kwargs)
        stack = _stack(node)
        self.nodes.append(
            ExportedNode(
                target=_target(node.target),
                arguments={name: _plain(value) for name, value in arguments.items()},
                outputs=self._named_outputs(node),
                path=module_path(stack),
                origin=innermost(node.meta.get("stack_trace") or ""),
                module=innermost_class(stack),
            )
        )

    def _names(self, target: Any) -> list[str]:
        """Return the names of an operation's arguments."""
        if target not in self._schemas:
            schema = getattr(target, "_schema", None)
            names = [argument.name for argument in schema.arguments] if schema else []
            self._schemas[target] = names or [f"argument{number}" for number in range(100)]
        return self._schemas[target]

    def _named_outputs(self, node: Any) -> tuple[str, ...]:
        """Return an operation's output names: its own, or those of the nodes that each take one output."""
        value = node.meta.get("val")
        if not isinstance(value, list | tuple):
            self._declare(node.name, value)
            return (node.name,) if node.name in self.tensors else ()
        names = [f"{node.name}.{place}" for place in range(len(value))]
        for user in node.users:
            if user.target is operator.getitem:
                names[user.args[1]] = user.name
        for name, each in zip(names, value, strict=True):
            self._declare(name, each)
        return tuple(name for name in names if name in self.tensors)

    def _outputs(self) -> list[tuple[str, str]]:
        """Return the results with their names: the first is `output`, the others keep the model's names."""
        from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

        spec = self.program.call_spec.out_spec
        keys, _ = tree_flatten_with_path(tree_unflatten(list(range(spec.num_leaves)), spec))
        names = [
            getattr(output.arg, "name", None)
            for output in self.program.graph_signature.output_specs
            if output.kind.name == "USER_OUTPUT"
        ]
        labels = [label_of(path) for path, _ in keys]
        if len(labels) != len(names):
            labels = [""] * len(names)
        return labeled(
            [(name, label) for name, label in zip(names, labels, strict=True) if name in self.tensors]
        )


def label_of(path: Sequence[Any]) -> str:
    """Return the model's name for a result: the keys that lead to it."""
    parts = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", "")))) for key in path]
    return "_".join(parts)


def _target(target: Any) -> str:
    """Return `aten.conv2d` for `torch.ops.aten.conv2d.default`."""
    packet = getattr(target, "overloadpacket", None)
    if packet is not None:
        return str(packet).removeprefix("torch.ops.")
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', target)}".removeprefix("_")


def _stack(node: Any) -> list[tuple[str, str, str]]:
    stack = node.meta.get("nn_module_stack") or {}
    return [
        (key, name, kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}")
        for key, (name, kind) in stack.items()
    ]


def _plain(value: Any) -> Any:
    """Convert an argument to plain data; other objects become text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "op") and hasattr(value, "users"):
        return TensorName(value.name)
    return str(value)
