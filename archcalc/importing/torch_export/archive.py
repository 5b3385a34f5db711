"""Reads a `.pt2` file written by `torch.export.save`, a ZIP archive of JSON, without PyTorch.

Nothing in the file is run or unpickled. Weights are read on request.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.torch_export.archive_records import (
    ArgumentRecord,
    NodeRecord,
    PayloadRecord,
    PayloadsRecord,
    ProgramRecord,
    SizeRecord,
    TensorRecord,
    TreeRecord,
)
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
    labeled,
    module_path,
)
from archcalc.importing.torch_export.symbols import evaluate, symbol_of
from archcalc.importing.zip_files import opened_zip, read_entry
from archcalc.network import Original
from archcalc.shape import Shape, format_shape

if TYPE_CHECKING:
    from archcalc.executor.kernel import Array

MAX_JSON = 48_000_000
"""Bytes of JSON. A network of a thousand layers takes one or two million."""

MAX_BYTES = 16 * MAX_CONSTANT
"""Bytes of a constant that is read when its values are followed."""

MAX_TEXT_NAME = 400
"""Characters of a name in a graph."""

MAJOR = 8
"""The version of the format that is read."""

SAVE = 'in PyTorch, write `torch.export.save(torch.export.export(model, (x,)), "model.pt2")`'
PICKLE = "a pickle can run code when it is read, so archcalc does not open it"

FLOATS = {6: "float16", 7: "float32", 8: "float64", 13: "bfloat16"}
WHOLES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 12: "bool"}
"""Types of numbers in the format that are read, by their codes."""

R = TypeVar("R")


def models_in(path: Path, shown: str) -> list[str]:
    """Return the names of the models in a file. Raises `ArchError` for any other kind of file."""
    with _opened(path, shown) as archive:
        names = archive.namelist()
        found = [_model_name(name) for name in names if _model_name(name)]
        if found:
            return found
        inner = {name.partition("/")[2] for name in names}
        if "data.pkl" in inner:
            raise error(f"`{shown}` was written by `torch.save` or `torch.jit.save`: {PICKLE}", help=SAVE)
        if "serialized_exported_program.json" in names:
            raise error(
                f"`{shown}` was written by an old PyTorch, whose weights are a pickle",
                help=f"{SAVE}, in PyTorch 2.8 or later",
            )
        raise error(f"`{shown}` has no exported model", help=SAVE)


def _model_name(name: str) -> str:
    """Return the model whose graph is in this entry of the archive, or an empty string."""
    folder, _, file = name.rpartition("/")
    is_graph = folder.rpartition("/")[2] == "models" and file.endswith(".json")
    return file.removesuffix(".json") if is_graph else ""


def read_model(path: Path, shown: str, model: str, name: str, inputs: Mapping[str, Shape]) -> ExportedGraph:
    """Read the graph of one of the `models_in` a file. `inputs` gives sizes for axes that the file leaves
    open.

    Raises `ArchError`.
    """
    with _opened(path, shown) as archive:
        entry = next(each for each in archive.namelist() if _model_name(each) == model)
        root = entry[: -len(f"models/{model}.json")]
        program = _decoded(archive, entry, ProgramRecord, shown)
        if program.schema_version.major != MAJOR:
            version = f"{program.schema_version.major}.{program.schema_version.minor}"
            raise error(
                f"`{shown}` has version {version} of the format, and archcalc reads version {MAJOR}",
                help="save it with PyTorch 2.8 or later" if program.schema_version.major < MAJOR else "",
            )
        payloads = {}
        for folder in ("constants", "weights"):
            config = f"{root}data/{folder}/{model}_{folder}_config.json"
            if config in archive.NameToInfo:
                stored = _decoded(archive, config, PayloadsRecord, shown).config
                payloads.update({key: (f"{root}data/{folder}/", record) for key, record in stored.items()})
        small = {
            key
            for key, (folder, record) in payloads.items()
            if (info := archive.NameToInfo.get(folder + record.path_name)) and info.file_size <= MAX_BYTES
        }
    return _ProgramReader(program, payloads, small, name, shown, path, inputs).graph()


# --- The archive -------------------------------------------------------------------------------------


def _opened(path: Path, shown: str) -> zipfile.ZipFile:
    def explain(start: bytes) -> ArchError | None:
        return error(f"`{shown}` is a pickle: {PICKLE}", help=SAVE) if start[:1] == b"\x80" else None

    return opened_zip(path, shown, SAVE, explain)


def _decoded(archive: zipfile.ZipFile, entry: str, kind: type[R], shown: str) -> R:
    """Decode a JSON entry. Raises `ArchError` if it is too large, damaged, or of another kind."""
    data = read_entry(archive, entry, shown, MAX_JSON)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise error(f"`{entry[-80:]}` in `{shown}` is not a graph: {shorten(str(problem), 120)}") from None
    except RecursionError:
        raise error(f"`{entry[-80:]}` in `{shown}` is nested too deep") from None


# --- The graph ---------------------------------------------------------------------------------------


class _ProgramReader:
    """Turns a decoded program into plain records."""

    def __init__(
        self,
        program: ProgramRecord,
        payloads: Mapping[str, tuple[str, PayloadRecord]],
        small: Collection[str],
        name: str,
        shown: str,
        path: Path,
        inputs: Mapping[str, Shape],
    ) -> None:
        self.program = program
        self.module = program.graph_module
        self.payloads = payloads
        self.small = small
        self.name, self.shown, self.path = name, shown, path
        self.users = self._user_inputs()
        self.sizes = SymbolSizes(program, [tensor for tensor, _ in self.users], shown)
        self.sizes.set_inputs(self.users, inputs)
        self.tensors: dict[str, ExportedTensor] = {}
        self.keys: dict[tuple[Any, ...], str] = {}

    def graph(self) -> ExportedGraph:
        for name, record in self.module.graph.tensor_values.items():
            self.tensors[name] = ExportedTensor(self.sizes.shape(record.sizes), record.dtype in FLOATS)
        arrays = dict(self._arrays())
        has_values = arrays and all(array.key in self.payloads for array in arrays.values())
        graph = ExportedGraph(
            name=self.name,
            batch=self.sizes.batch,
            nodes=[node for record in self.module.graph.nodes if (node := self._node(record)) is not None],
            tensors=self.tensors,
            inputs=self.users,
            outputs=self._outputs(),
            arrays=arrays,
            read=partial(read_arrays, self.path, self.shown, self.payloads) if has_values else None,
            notes=self.sizes.notes,
            constants=self._constants(arrays),
        )
        if graph.read is None:
            return graph
        return replace(graph, original=Original("PyTorch", partial(run_graph, graph)))

    def _user_inputs(self) -> list[tuple[str, str]]:
        """Return the input tensors with their names; a single input is called `input`."""
        named = [
            spec.user_input.arg.as_tensor.name
            for spec in self.module.signature.input_specs
            if spec.user_input is not None and spec.user_input.arg.as_tensor is not None
        ]
        for name in named:
            self._declared(name)
        return [(named[0], "input")] if len(named) == 1 else [(name, name[:MAX_TEXT_NAME]) for name in named]

    def _declared(self, name: str) -> TensorRecord:
        if name not in self.module.graph.tensor_values:
            raise error(f"`{self.shown}` does not declare the tensor `{shorten(name)}`")
        return self.module.graph.tensor_values[name]

    def _arrays(self) -> Iterator[tuple[str, StoredArray]]:
        for spec in self.module.signature.input_specs:
            record: Any = spec.parameter or spec.buffer or spec.tensor_constant
            if record is None:
                continue
            key = (
                spec.parameter.parameter_name
                if spec.parameter
                else spec.buffer.buffer_name
                if spec.buffer
                else record.tensor_constant_name
            )
            name = record.arg.name
            self._declared(name)
            shape = self.tensors[name].shape
            if shape is None:
                raise error(f"`{shorten(key)}` of `{self.shown}` has no shape in numbers")
            yield name, StoredArray(self._first(key), shape, spec.parameter is not None)

    def _constants(self, arrays: Mapping[str, StoredArray]) -> dict[str, Any]:
        """Read the small constants of the model's code, such as the values that a mask is filled with."""
        names = {
            spec.tensor_constant.arg.name
            for spec in self.module.signature.input_specs
            if spec.tensor_constant
        }
        keys = {
            arrays[name].key
            for name in names
            if arrays[name].key in self.payloads and prod(arrays[name].shape) <= MAX_CONSTANT
        }
        if not keys:
            return {}
        found = read_arrays(self.path, self.shown, self.payloads, keys)
        return {key: a.astype("float64") if a.dtype.kind == "f" else a for key, a in found.items()}

    def _first(self, key: str) -> str:
        """Return the name of an array, or of the first array that shares its memory."""
        if key not in self.payloads:
            return key
        folder, payload = self.payloads[key]
        meta = payload.tensor_meta
        if meta is None:
            return key
        layout = tuple(size.as_int for size in (*meta.sizes, *meta.strides))
        offset = meta.storage_offset.as_int if meta.storage_offset else 0
        return self.keys.setdefault((folder, payload.path_name, offset, meta.dtype, layout), key)

    def _node(self, record: NodeRecord) -> ExportedNode | None:
        outputs = []
        for output in record.outputs:
            listed = output.as_tensors or ([output.as_tensor] if output.as_tensor is not None else [])
            outputs += [tensor.name for tensor in listed]
        if not outputs:
            return None  # an assertion, or a size that is already known
        for name in outputs:
            self._declared(name)
        target = record.target.removeprefix("torch.ops.")
        package, _, rest = target.partition(".")
        stack = _module_stack(record.metadata.nn_module_stack)
        return ExportedNode(
            target=f"{package}.{rest.partition('.')[0]}" if rest else package,
            arguments={argument.name: self._value(argument.arg) for argument in record.inputs},
            outputs=tuple(outputs),
            path=module_path(stack),
            origin=innermost(record.metadata.stack_trace),
            module=innermost_class(stack),
        )

    def _value(self, argument: ArgumentRecord) -> Any:
        if argument.as_tensor is not None:
            return self._named(argument.as_tensor.name)
        if argument.as_tensors is not None:
            return [self._named(tensor.name) for tensor in argument.as_tensors]
        for field in ("as_int", "as_ints", "as_bool", "as_float", "as_floats", "as_string", "as_bools"):
            value = getattr(argument, field)
            if value is not None:
                return value
        if argument.as_none:
            return None
        if argument.as_sym_int is not None:
            return self._number(argument.as_sym_int)
        if argument.as_sym_ints is not None:
            return [self._number(each) for each in argument.as_sym_ints]
        optional = argument.as_optional_tensors
        if optional is None and argument.as_optional_tensor is not None:
            tensor = argument.as_optional_tensor.as_tensor
            return None if tensor is None else self._named(tensor.name)
        if optional is not None:
            return [None if o.as_tensor is None else self._named(o.as_tensor.name) for o in optional]
        return "of another type"

    def _named(self, name: str) -> TensorName:
        self._declared(name)
        return TensorName(name)

    def _number(self, number: Any) -> int | str:
        if number.as_int is not None:
            return int(number.as_int)
        size = self.module.graph.sym_int_values.get(number.as_name or "")
        value = self.sizes.value(size) if size is not None else None
        return "an unknown size" if value is None else value

    def _outputs(self) -> list[tuple[str, str]]:
        specs = [
            spec.user_output for spec in self.module.signature.output_specs if spec.user_output is not None
        ]
        labels = _labels(self.module.module_call_graph[0].signature) if self.module.module_call_graph else []
        if len(labels) != len(specs):
            labels = [""] * len(specs)
        named = []
        for spec, label in zip(specs, labels, strict=True):
            if spec.arg.as_tensor is not None:
                self._declared(spec.arg.as_tensor.name)
                named.append((spec.arg.as_tensor.name, label[:MAX_TEXT_NAME]))
        if not named:
            raise error(f"`{self.shown}` returns no tensor")
        return labeled(named)


class SymbolSizes:
    """The sizes of a program's tensors, with a number for each symbol."""

    def __init__(self, program: ProgramRecord, inputs: Sequence[str], shown: str) -> None:
        self.program = program
        self.shown = shown
        self.symbols: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self._known: dict[str, int | None] = {}
        if not inputs:
            raise error(f"`{shown}` takes no tensor")
        sizes = program.graph_module.graph.tensor_values[inputs[0]].sizes
        first = sizes[0] if sizes else SizeRecord()
        symbol = symbol_of(first.as_expr.expr_str) if first.as_expr else None
        self.batch = PRIME_BATCH if symbol else first.as_int or 0
        if symbol:
            self.symbols[symbol] = PRIME_BATCH

    def set_inputs(self, inputs: Sequence[tuple[str, str]], given: Mapping[str, Shape]) -> None:
        """Assign numbers to the symbols in input shapes: the given ones, or else those of the example."""
        names = [label for _, label in inputs]
        for label in given:
            if label not in names:
                known = ", ".join(f"`{name}`" for name in names)
                raise error(f"`{self.shown}` has no input `{label}`", help=f"it has {known}")
        assumed = []
        for tensor, label in inputs:
            sizes = self.program.graph_module.graph.tensor_values[tensor].sizes[1:]
            wanted = given.get(label)
            if wanted is not None and len(wanted) != len(sizes):
                raise self._differs(label, sizes, wanted)
            for place, size in enumerate(sizes):
                want = wanted[place] if wanted is not None else None
                symbol = symbol_of(size.as_expr.expr_str) if size.as_expr else None
                if symbol is None:
                    if want is not None and want != self.value(size):
                        raise self._differs(label, sizes, wanted or ())
                elif symbol not in self.symbols:
                    self.symbols[symbol] = self._chosen(symbol, size, want, label)
                    if want is None:
                        assumed.append(label)
                elif want is not None and want != self.symbols[symbol]:
                    raise self._differs(label, sizes, wanted or ())
        if assumed:
            self.notes = (f"sizes of `{assumed[0]}` that the file leaves open are those of its example",)

    def _chosen(self, symbol: str, size: SizeRecord, want: int | None, label: str) -> int:
        assert size.as_expr is not None
        hint = size.as_expr.hint.as_int if size.as_expr.hint else None
        value = want if want is not None else hint
        if value is None:
            raise error(f"a size of the input `{label}` is open", help="give its shape: `--input 3x224x224`")
        limits = self.program.range_constraints.get(symbol)
        low, high = (limits.min_val or 0, limits.max_val) if limits is not None else (0, None)
        if value < low or (high is not None and value > high):
            takes = f"at least {low}" if high is None else f"from {low} to {high}"
            raise error(f"a size of the input `{label}` is {takes} in `{self.shown}`, not {value}")
        return value

    def _differs(self, label: str, sizes: Sequence[SizeRecord], wanted: Shape) -> ArchError:
        shown = "x".join("any" if size.as_int is None else str(size.as_int) for size in sizes)
        return error(
            f"the input `{label}` of `{self.shown}` is {shown}, not {format_shape(wanted, cross='x')}",
            help="export the model with this shape, or with `dynamic_shapes`",
        )

    def value(self, size: SizeRecord) -> int | None:
        if size.as_int is not None:
            return size.as_int
        if size.as_expr is None:
            return None
        text = size.as_expr.expr_str
        if text not in self._known or symbol_of(text):
            self._known[text] = evaluate(text, self.symbols)
        return self._known[text]

    def shape(self, sizes: Sequence[SizeRecord]) -> tuple[int, ...] | None:
        values = [self.value(size) for size in sizes]
        return None if None in values else tuple(value for value in values if value is not None)


def _module_stack(text: str) -> list[tuple[str, str, str]]:
    """Parse `key,path,class;key,path,class`, outermost module first."""
    found = []
    for entry in text[:20_000].split(";"):
        parts = entry.split(",")
        if len(parts) >= 3:
            found.append((parts[0], parts[1], parts[2]))
    return found


def _labels(signature: Any) -> list[str]:
    """Return the model's names for its results: dictionary keys, or positions in a list."""
    try:
        _, tree = msgspec.json.decode(signature.out_spec, type=tuple[int, TreeRecord])
        return ["_".join(keys) for keys in _leaf_keys(tree, ())]
    except (msgspec.MsgspecError, RecursionError, AttributeError):
        return []


def _leaf_keys(tree: TreeRecord, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if tree.type is None:
        yield keys
        return
    names = [str(place) for place in range(len(tree.children_spec))]
    if isinstance(tree.context, str) and "ict" in tree.type:
        try:
            listed = msgspec.json.decode(tree.context)
        except msgspec.MsgspecError:
            listed = None
        if isinstance(listed, list) and len(listed) == len(names):
            names = [str(name)[:MAX_TEXT_NAME] for name in listed]
    for name, child in zip(names, tree.children_spec, strict=True):
        yield from _leaf_keys(child, (*keys, name))


# --- Values ------------------------------------------------------------------------------------------


def run_graph(graph: ExportedGraph, arrays: Sequence[Any]) -> Mapping[str, Any]:
    """Compute the outputs with PyTorch. Raises `ArchError` if it is not installed."""
    from archcalc.importing.torch_export.interpret import GraphInterpreter

    return GraphInterpreter(graph).run(arrays)


def read_arrays(
    path: Path, shown: str, payloads: Mapping[str, tuple[str, PayloadRecord]], names: Collection[str]
) -> dict[str, Array]:
    """Read arrays of a file by name. Raises `ArchError` if one is missing, damaged or a pickle."""
    with _opened(path, shown) as archive:
        return {name: _array(archive, name, *payloads[name], shown) for name in names}


def _array(archive: zipfile.ZipFile, name: str, folder: str, payload: PayloadRecord, shown: str) -> Array:
    import numpy as np

    meta = payload.tensor_meta
    if payload.use_pickle or meta is None:
        raise error(f"`{shorten(name)}` in `{shown}` is a pickle: {PICKLE}")
    stored = {**FLOATS, **WHOLES}.get(meta.dtype)
    info = archive.NameToInfo.get(folder + payload.path_name)
    if stored is None or info is None or info.compress_type != zipfile.ZIP_STORED:
        help = "its values are stored in a way that archcalc does not read" if info else ""
        raise error(f"`{shorten(name)}` in `{shown}` cannot be read", help=help)
    try:
        values = np.frombuffer(archive.read(info), np.uint16 if stored == "bfloat16" else stored)
        array = _strided(values, meta)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, MemoryError):
        raise error(f"`{shorten(name)}` in `{shown}` is damaged") from None
    if stored == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if stored == "float16" else array


def _strided(values: Array, meta: TensorRecord) -> Array:
    """Return a strided view of a flat array. Raises `ValueError` if it does not lie within the array."""
    import numpy as np

    sizes, strides = ([size.as_int or 0 for size in listed] for listed in (meta.sizes, meta.strides))
    offset = (meta.storage_offset.as_int or 0) if meta.storage_offset else 0
    if len(strides) != len(sizes) or min([offset, *sizes, *strides]) < 0:
        raise ValueError
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if last >= len(values) and 0 not in sizes:
        raise ValueError
    steps = [stride * values.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(values[offset:], sizes, steps, writeable=False)
