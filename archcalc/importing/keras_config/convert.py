"""Convert the records of a Keras model to a network, layer by layer."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.assembly import Assembly, Path
from archcalc.importing.keras_config.activations import activated, function_name, is_activation
from archcalc.importing.keras_config.configs import declared_input
from archcalc.importing.keras_config.families import KEEP_SHAPE, LAYERS, WITHOUT_VARIABLES
from archcalc.importing.keras_config.records import DeclaredShape, KerasLayer, KerasModel, KerasTensor
from archcalc.importing.keras_config.values import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CalledLayer,
    KerasContext,
    axes_of,
    is_number,
    tensors_in,
)
from archcalc.importing.keras_config.variables import StoredVariable, Variables
from archcalc.importing.tensors import BATCH, ModelArray, Tensor, Unsupported
from archcalc.layers.arguments import LayerError
from archcalc.network import Network
from archcalc.shape import Shape, format_shape

LAMBDA = "it is Python code, which archcalc does not run"


def to_network(
    model: KerasModel, variables: Variables, shown: str, name: str, inputs: Mapping[str, Shape]
) -> Network:
    """Convert a model to a network. `inputs` has the input shapes, channels first, and sets the open sizes.

    Raises `ArchError` if the graph has a cycle or lacks a result, or if the shape of a layer is unknown.
    """
    return ModelConverter(model, variables, shown, name).network(inputs)


class ModelConverter:
    """Calls the layers of a model, and of the models inside it, in the order of their results."""

    def __init__(self, model: KerasModel, variables: Variables, shown: str, name: str) -> None:
        self.model = model
        self.variables = variables
        self.shown = shown
        self.assembly = Assembly(name)
        self.context = KerasContext(
            assembly=self.assembly, data_format=_data_format(model), is_keras_2=model.is_keras_2
        )

    def network(self, inputs: Mapping[str, Shape]) -> Network:
        results = self._run(self.model, (), self._inputs(inputs))
        outputs: dict[str, Tensor] = {}
        for (label, _), result in zip(self.model.outputs, results, strict=True):
            name = label if outputs else "output"
            while name in outputs:
                name += "_2"
            outputs[name] = self._as_channels_first(result)
        for note in self.model.notes:
            self.assembly.note(note)
        return self.assembly.finish(outputs, read=self._read if self.variables.has_values else None)

    def _as_channels_first(self, result: Tensor) -> Tensor:
        """Return the result with channels first and the other axes in the model's order, like the inputs."""
        self.assembly.path, self.assembly.origin = (), ""
        return self.assembly.aligned(result, axes_of(result.rank - 1, self.context.data_format))

    def _read(self, names: Collection[str]) -> Mapping[str, Any]:
        """Read arrays of the model: variables, and values from the configuration."""
        import numpy as np

        constants, least = self.context.constants, self.context.least
        parts = {name: self.context.parts[name] for name in names if name in self.context.parts}
        stored = [name for name in names if name not in constants and name not in parts]
        whole = self.variables.read({*stored, *(part.variable for part in parts.values())})
        arrays = {name: whole[name] for name in stored if name in whole}
        for name, part in parts.items():
            if part.variable in whole:
                values = whole[part.variable] if part.row is None else whole[part.variable][part.row]
                gates = np.split(values, len(part.gates), axis=-1)
                arrays[name] = np.concatenate([gates[gate] for gate in part.gates], axis=-1)
        arrays |= {name: np.array(constants[name]) for name in names if name in constants}
        return {
            name: np.maximum(array, np.array(least[name], array.dtype)) if name in least else array
            for name, array in arrays.items()
        }

    # --- Inputs -------------------------------------------------------------------------------------

    def _inputs(self, given: Mapping[str, Shape]) -> list[Tensor]:
        labels = ["input"] if len(self.model.inputs) == 1 else [label for label, _ in self.model.inputs]
        for label in given:
            if label not in labels:
                known = ", ".join(f"`{shorten(name)}`" for name in labels)
                raise error(f"`{self.shown}` has no input `{label}`", help=f"it has {known}")
        layers = {layer.name: layer for layer in self.model.layers}
        found = []
        for label, (_, result) in zip(labels, self.model.inputs, strict=True):
            layer = layers.get(result.layer)
            if layer is None or layer.kind != "InputLayer":
                raise error(f"the input `{shorten(label)}` of `{self.shown}` is not an input layer")
            found.append(self._input(label, declared_input(layer.config), given.get(label)))
        return found

    def _input(self, label: str, declared: DeclaredShape | None, given: Shape | None) -> Tensor:
        data_format = self.context.data_format
        rank = len(given) if declared is None and given is not None else len(declared or ()) - 1
        if rank < 1:
            raise error(
                f"`{self.shown}` does not say the shape of its input `{shorten(label)}`",
                help="give it, channels first: `--input 3x224x224`",
            )
        axes = axes_of(rank, data_format)
        places = [axes.index(axis) for axis in range(rank)]
        sizes: list[int | None] = [None] * rank
        if declared is not None:
            sizes = [declared[place] for place in places]
        if given is not None:
            fits = len(given) == rank and all(
                size in (None, want) for size, want in zip(sizes, given, strict=True)
            )
            if not fits:
                shown = "x".join("any" if size is None else str(size) for size in sizes)
                raise error(
                    f"the input `{shorten(label)}` of `{self.shown}` is {shown}, channels first, "
                    f"not {format_shape(given, cross='x')}"
                )
            sizes = [*given]
        if None in sizes:
            shown = "x".join("any" if size is None else str(size) for size in sizes)
            raise error(
                f"`{self.shown}` leaves sizes of its input `{shorten(label)}` open: {shown}, channels first",
                help=f"give them: `--input {shown.replace('any', '224')}`",
            )
        try:
            return self.assembly.input(label, tuple(size or 0 for size in sizes), axes)
        except LayerError as problem:
            text = problem.message.removeprefix("`input` ")
            raise error(f"the input `{shorten(label)}` {text}", help=problem.help) from None

    # --- Models -------------------------------------------------------------------------------------

    def _run(self, model: KerasModel, path: Path, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Run a model on these inputs and return its results."""
        if len(inputs) != len(model.inputs):
            raise error(
                f"`{shorten(model.name)}` in `{self.shown}` takes {len(model.inputs)} inputs, "
                f"and is called with {len(inputs)}"
            )
        values = {result.key: tensor for (_, result), tensor in zip(model.inputs, inputs, strict=True)}
        graph = CallGraph(model, self.shown)
        for layer, number in graph.in_order(values):
            call = layer.calls[number]
            args = [_resolved(value, values) for value in call.args]
            kwargs = {name: _resolved(value, values) for name, value in call.kwargs.items()}
            label = f"{layer.name}@{number}" if number else layer.name
            here = (*path, (label, layer.kind))
            results: Sequence[Tensor]
            if layer.model is not None:
                results = self._run(layer.model, here, list(tensors_in([args, kwargs])))
            else:
                declared = graph.declared.get((layer.name, number), {})
                results = self._call(CalledLayer(self.context, layer, args, kwargs, here), declared)
            for output, tensor in enumerate(results):
                values[layer.name, number, output] = tensor
        return [_resolved(result, values) for _, result in model.outputs]

    # --- Layers -------------------------------------------------------------------------------------

    def _call(self, call: CalledLayer, declared: Mapping[int, DeclaredShape | None]) -> Sequence[Tensor]:
        self.assembly.path = call.path
        self.assembly.origin = f"layer {shorten(call.layer.name)}"
        given = tensors_in([list(call.args), dict(call.kwargs)])
        read = list({id(tensor.operation): tensor for tensor in given}.values())
        operands = [*call.args, *call.kwargs.values()]
        results: list[Tensor] = []

        def attempt() -> Sequence[Tensor]:
            results[:] = self._layers(call, declared)
            return ()  # the declared shapes are checked there: sizes may be open

        try:
            self.assembly.attempt(attempt, ())
        except Unsupported as problem:
            return self._opaque(call, operands, read, declared, str(problem))
        if not is_activation(call.activation):
            return results
        with call.part(function_name(call.activation)):
            return [self._activated(call, results[0])]

    def _layers(self, call: CalledLayer, declared: Mapping[int, DeclaredShape | None]) -> Sequence[Tensor]:
        """Convert a layer, and check that all arguments were read and the shapes are as declared."""
        convert = LAYERS.get(call.kind)
        if convert is None:
            raise Unsupported(LAMBDA if call.kind == "Lambda" else "")
        try:
            results = convert(call)
        except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as problem:
            if isinstance(problem, LayerError):
                raise
            raise Unsupported("its arguments do not match") from None  # of a file that someone edited
        call.check_all_read()
        for number, shape in declared.items():
            if number < len(results) and shape is not None and not _fits(results[number], shape):
                got = format_shape(results[number].sample, cross="x")
                want = "x".join("any" if size is None else str(size) for size in shape[1:])
                raise Unsupported(f"it would give {got}, and the model says {want}")
        return results

    def _activated(self, call: CalledLayer, x: Tensor) -> Tensor:
        try:
            return self.assembly.attempt(lambda: [activated(call, x, call.activation)], [None])[0]
        except Unsupported as problem:
            name = function_name(call.activation)
            return self._opaque_tensor(name, [x], x.sample, [], str(problem))

    # --- Unknown layers -----------------------------------------------------------------------------

    def _opaque(
        self,
        call: CalledLayer,
        operands: Sequence[Any],
        read: Sequence[Tensor],
        declared: Mapping[int, DeclaredShape | None],
        reason: str,
    ) -> list[Tensor]:
        """Add an opaque operation for each output that is used; the first one gets the variables."""
        if not read:
            raise error(f"`{shorten(call.layer.name)}` in `{self.shown}` is called without a tensor")
        arrays = self._variables_of(call)
        results: list[Tensor] = []
        for number in range(max([0, *declared]) + 1):
            shape = _known(declared.get(number)) or (
                _broadcast(operands) if call.kind in KEEP_SHAPE else None
            )
            if shape is None:
                raise self._unknown_shape(call.layer, reason)
            try:
                results.append(self._opaque_tensor(call.kind, read, shape, [] if results else arrays, reason))
            except LayerError as problem:
                raise error(
                    f"the shape of `{shorten(call.layer.name)}` in `{self.shown}` {problem.message}"
                ) from None
        return results

    def _opaque_tensor(
        self,
        op: str,
        read: Sequence[Tensor],
        sample: Shape,
        arrays: Sequence[StoredVariable],
        reason: str,
    ) -> Tensor:
        """Add an opaque tensor. `sample` is the declared shape; the operation has its channels first."""
        axes = axes_of(len(sample), self.context.data_format)
        own = tuple(sample[axes.index(axis) - 1] for axis in range(len(sample)))
        name = shorten(op, 100).strip() or "?"
        params, buffers = (
            {each.name: (ModelArray(each.name), each.shape) for each in arrays if each.is_trained is not kept}
            for kept in (False, True)
        )
        return self.assembly.opaque(name, read, own, params=params, buffers=buffers, reason=reason, axes=axes)

    def _variables_of(self, call: CalledLayer) -> list[StoredVariable]:
        """Return the variables of an unknown layer. They are parameters unless marked otherwise."""
        if call.kind.startswith("ops.") or call.kind in WITHOUT_VARIABLES:
            return []
        try:
            found = self.variables.of_layer(call.layer.address)
        except ArchError as problem:
            raise error(
                f"`{shorten(call.layer.name)}` is a layer of the class `{shorten(call.kind)}`, "
                f"whose parameters are unknown without its variables; {problem.diagnostics[0].message}",
                help=problem.diagnostics[0].help,
            ) from None
        if any(each.is_trained is None for each in found):
            self.assembly.note(
                f"all variables of `{shorten(call.layer.name)}` count as parameters: "
                "the file does not say which are trained"
            )
        return [each for each in found if 0 not in each.shape]

    def _unknown_shape(self, layer: KerasLayer, reason: str) -> ArchError:
        return error(
            f"`{shorten(layer.name)}` is a layer of the class `{shorten(layer.kind)}`: {reason}. "
            f"`{self.shown}` does not say what shape it gives",
            help="save the model with a fixed shape of its input, or replace the layer",
        )


class CallGraph:
    """The layer calls of one model, and which results each call reads."""

    def __init__(self, model: KerasModel, shown: str) -> None:
        self.model, self.shown = model, shown
        self.declared: dict[tuple[str, int], dict[int, DeclaredShape | None]] = {}
        """For each call, the outputs that are used, with the shapes that the calls reading them declare."""
        self._layers = {layer.name: layer for layer in model.layers}
        self._readers: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self._missing: Counter[tuple[int, int]] = Counter()
        for place, layer in enumerate(model.layers):
            for number, call in enumerate(layer.calls):
                sources = {self._source(result) for result in _results_in([list(call.args), call.kwargs])}
                for source in sources:
                    self._readers.setdefault(source, []).append((place, number))
                self._missing[place, number] = len(sources)
        for _, result in model.outputs:
            self._source(result)

    def _source(self, result: KerasTensor) -> tuple[str, int]:
        """Return the call that a result comes from. Raises `ArchError` if there is none."""
        layer = self._layers.get(result.layer)
        if layer is None or result.call >= max(len(layer.calls), 1) or result.call < 0:
            raise error(
                f"`{self.shown}` reads call {result.call} of `{shorten(result.layer)}`, which is not there"
            )
        if result.output > 1_000:
            raise error(f"`{self.shown}` reads the output {result.output} of `{shorten(result.layer)}`")
        used = self.declared.setdefault((result.layer, result.call), {})
        used[result.output] = used.get(result.output) or result.shape
        return result.layer, result.call

    def in_order(self, known: Collection[tuple[str, int, int]]) -> Iterator[tuple[KerasLayer, int]]:
        """Yield the calls, each after the calls it reads from, and otherwise in the order of the layers.

        Raises `ArchError` if no such order exists.
        """
        waiting = len(self._missing)
        ready = [key for key, missing in self._missing.items() if missing == 0]
        heapq.heapify(ready)

        def finished(name: str, number: int) -> None:
            for reader in self._readers.get((name, number), ()):
                self._missing[reader] -= 1
                if self._missing[reader] == 0:
                    heapq.heappush(ready, reader)

        for name, number, _ in known:
            finished(name, number)
        while ready:
            place, number = heapq.heappop(ready)
            waiting -= 1
            layer = self.model.layers[place]
            if layer.kind != "InputLayer":
                yield layer, number
                finished(layer.name, number)
        if waiting:
            place, _ = min(key for key, missing in self._missing.items() if missing > 0)
            stuck = shorten(self.model.layers[place].name)
            raise error(
                f"`{stuck}` in `{self.shown}` depends on its own result, or on an input that is missing"
            )


def _resolved(value: Any, values: Mapping[tuple[str, int, int], Tensor]) -> Any:
    """Return a value with its results replaced by tensors."""
    if isinstance(value, KerasTensor):
        if value.key not in values:
            raise error(f"`{shorten(value.layer)}` has no output {value.output}")
        return values[value.key]
    if isinstance(value, list):
        return [_resolved(item, values) for item in value]
    if isinstance(value, dict):
        return {name: _resolved(item, values) for name, item in value.items()}
    return value


def _results_in(value: Any) -> Iterator[KerasTensor]:
    if isinstance(value, KerasTensor):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _results_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _results_in(item)


def _data_format(model: KerasModel) -> str:
    """Return a model's data format: that of the first layer that states one."""
    for layer in model.layers:
        if layer.model is not None:
            return _data_format(layer.model)
        if layer.config.get("data_format") in (CHANNELS_FIRST, CHANNELS_LAST):
            return str(layer.config["data_format"])
    return CHANNELS_LAST


def _fits(tensor: Tensor, declared: DeclaredShape) -> bool:
    """Whether a tensor has a declared shape. The batch may be declared as any number."""
    if tensor.rank != len(declared) or tensor.axes[0] != BATCH:
        return False
    return all(want in (None, size) for size, want in zip(tensor.shape[1:], declared[1:], strict=True))


def _known(declared: DeclaredShape | None) -> Shape | None:
    """Return the shape of a sample, if all its sizes are declared."""
    sizes = [size for size in (declared or ())[1:] if size is not None]
    return tuple(sizes) if declared and len(sizes) == len(declared) - 1 else None


def _broadcast(operands: Sequence[Any]) -> Shape | None:
    """Return the shape of an elementwise operation on numbers and on tensors with the same number of axes."""
    tensors = list(tensors_in(list(operands)))
    flat = [item for each in operands for item in (each if isinstance(each, list) else [each])]
    if not tensors or not all(isinstance(item, Tensor | bool | None) or is_number(item) for item in flat):
        return None
    shape = tensors[0].sample
    for tensor in tensors[1:]:
        if len(tensor.sample) != len(shape):
            return None
        if any(a != b and 1 not in (a, b) for a, b in zip(tensor.sample, shape, strict=True)):
            return None
        shape = tuple(map(max, tensor.sample, shape))
    return shape
