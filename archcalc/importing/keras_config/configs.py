"""Read a model's configuration, the JSON that Keras writes, into plain records.

A configuration may come from an untrusted file, so everything is checked: anything that differs from what
Keras writes raises `ArchError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from archcalc.diagnostics import ArchError, error, shorten
from archcalc.importing.keras_config.records import (
    DeclaredShape,
    KerasCall,
    KerasLayer,
    KerasModel,
    KerasTensor,
)
from archcalc.network import MAX_NODES

MAX_NESTED = 40
"""The deepest nesting of models and of lists."""

INSTEAD = "build it from layers, with `keras.Sequential` or `keras.Model(inputs, outputs)`, and save it again"


class ConfigReader:
    """Reads the configuration of a model. `shown` names the model in messages."""

    def __init__(self, shown: str, version: str = "") -> None:
        self.shown = shown
        self.is_keras_2 = version.startswith("2.")
        self.notes: list[str] = []
        self._addresses: dict[Any, str] = {}
        """For objects that occur more than once in the configuration: where the file has their variables."""

    def model(self, record: Any) -> KerasModel:
        """Read the model of a configuration. Raises `ArchError`."""
        config = _mapping(record)
        kind = _text(config.get("class_name"))
        found = self._model(config, "", 0)
        if found is None:
            raise error(
                f"`{self.shown}` is a model of the class `{shorten(kind) or '?'}`, "
                "and its file does not say how its layers are connected",
                help=INSTEAD,
            )
        if found.calls > MAX_NODES:
            raise error(f"`{self.shown}` calls more than {MAX_NODES:,} layers")
        return KerasModel(
            name=found.name,
            kind=found.kind,
            layers=found.layers,
            inputs=found.inputs,
            outputs=found.outputs,
            is_keras_2=self.is_keras_2,
            notes=tuple(self.notes),
        )

    def _model(self, record: Mapping[str, Any], address: str, depth: int) -> KerasModel | None:
        """Return the model that a layer is, or `None` if it is not a model with a known graph."""
        config = record.get("config")
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            return None
        if depth > MAX_NESTED:
            raise self._broken("models are nested too deep")
        kind = kind_of(record)
        is_functional = "input_layers" in config and "output_layers" in config
        if not is_functional and _text(record.get("class_name")) != "Sequential":
            return None
        if kind not in ("Functional", "Sequential", "Model"):
            self.notes.append(
                f"`{shorten(kind)}` is a class of the model's own: it is read as a model of its layers"
            )
        layers = self._layers_of(config["layers"], address, depth)
        read = self._functional if is_functional else self._sequential
        return read(_text(config.get("name")) or kind, kind, config, record, layers)

    # --- Layers -------------------------------------------------------------------------------------

    def _layers_of(self, records: Sequence[Any], address: str, depth: int) -> list[KerasLayer]:
        used: dict[str, int] = {}
        names: set[str] = set()
        layers = []
        for record in records:
            layer = self._layer(_mapping(record), address, used, depth)
            if layer.name in names:
                raise self._broken(f"two layers are called `{shorten(layer.name)}`")
            names.add(layer.name)
            layers.append(layer)
        return layers

    def _layer(self, record: Mapping[str, Any], address: str, used: dict[str, int], depth: int) -> KerasLayer:
        config = _mapping(record.get("config"))
        name = _text(record.get("name")) or _text(config.get("name"))
        if not name:
            raise self._broken("a layer has no name")
        kind = kind_of(record)
        place = ""
        if not kind.startswith("ops."):
            place = f"{address}layers/{unique_name(snake_case(_text(record.get('class_name'))), used)}"
            shared = record.get("shared_object_id")
            if isinstance(shared, int | str):  # Keras stores the variables of a shared object once
                place = self._addresses.setdefault(shared, place)
        calls = record.get("inbound_nodes", [])
        if not isinstance(calls, list):
            raise self._broken(f"the calls of `{shorten(name)}` are not a list")
        return KerasLayer(
            name=name,
            kind=kind,
            config=config,
            calls=[self._call(call) for call in calls],
            address=place,
            model=self._model(record, f"{place}/", depth + 1),
        )

    def _call(self, record: Any) -> KerasCall:
        if isinstance(record, list):  # the Keras 2 form: a list of layer, call, output, arguments
            results = [self._result(each) for each in record]
            kwargs = record[0][3] if record and len(record[0]) > 3 else {}
            return KerasCall([results[0] if len(results) == 1 else results], self._value(_mapping(kwargs), 0))
        call = _mapping(record)
        args, kwargs = self._value(call.get("args", []), 0), self._value(call.get("kwargs", {}), 0)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise self._broken("the arguments of a call are not a list")
        return KerasCall(args, kwargs)

    def _value(self, value: Any, depth: int) -> Any:
        """Read an argument; descriptions of results and of Python objects in it are replaced by these."""
        if depth > MAX_NESTED:
            raise self._broken("the arguments of a call are nested too deep")
        if isinstance(value, list):
            return [self._value(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("class_name")
        if kind == "__keras_tensor__":
            config = _mapping(value.get("config"))
            return self._result(config.get("keras_history"), _declared(config.get("shape")))
        if kind == "__tuple__":
            return self._value(value.get("items", []), depth)
        if kind == "__slice__":
            ends = _mapping(value.get("config"))
            return slice(ends.get("start"), ends.get("stop"), ends.get("step"))
        if kind == "__ellipsis__":
            return ...
        return {str(name): self._value(item, depth + 1) for name, item in value.items()}

    def _result(self, history: Any, shape: DeclaredShape | None = None) -> KerasTensor:
        if not isinstance(history, list) or len(history) not in (3, 4):
            raise self._broken("an argument of a call does not say where it comes from")
        layer, call, output = history[:3]
        if not isinstance(layer, str) or not _is_index(call) or not _is_index(output):
            raise self._broken("an argument of a call does not say where it comes from")
        return KerasTensor(layer, call, output, shape)

    # --- The two forms of models --------------------------------------------------------------------

    def _functional(
        self,
        name: str,
        kind: str,
        config: Mapping[str, Any],
        record: Mapping[str, Any],
        layers: Sequence[KerasLayer],
    ) -> KerasModel:
        # for a functional model inside another one, Keras counts the calls from 1 in the list of outputs
        functional = {layer.name for layer in layers if layer.model and layer.model.is_functional}
        if self.is_keras_2:
            layers = [_with_calls_from_0(layer, functional) for layer in layers]
        inputs = list(self._results(config["input_layers"], "", 0))
        outputs = [
            (label, _one_less(result) if result.layer in functional else result)
            for label, result in self._results(config["output_layers"], "", 0)
        ]
        if not inputs or not outputs:
            raise self._broken(f"`{shorten(name)}` has no inputs or no outputs")
        return KerasModel(
            name=name, kind=kind, layers=layers, inputs=inputs, outputs=outputs, is_functional=True
        )

    def _results(self, value: Any, label: str, depth: int) -> Iterator[tuple[str, KerasTensor]]:
        """Yield the results in a structure of lists and dictionaries, in the order that Keras uses."""
        if depth > MAX_NESTED:
            raise self._broken("the inputs or outputs are nested too deep")
        if isinstance(value, dict):
            for key in sorted(value):
                yield from self._results(value[key], str(key), depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], str):
            result = self._result(value)
            yield label or result.layer, result
        elif isinstance(value, list):
            for item in value:
                yield from self._results(item, "", depth + 1)
        else:
            raise self._broken("the inputs or outputs are not a list")

    def _sequential(
        self,
        name: str,
        kind: str,
        config: Mapping[str, Any],
        record: Mapping[str, Any],
        layers: Sequence[KerasLayer],
    ) -> KerasModel:
        """Call each layer with the result of the layer before it."""
        listed = list(layers)
        if not listed or listed[0].kind != "InputLayer":
            built = _mapping(record.get("build_config") or {})
            shape = config.get("build_input_shape", built.get("input_shape"))
            free = unique_name("input", dict.fromkeys((layer.name for layer in listed), 0))
            listed.insert(0, KerasLayer(name=free, kind="InputLayer", config={"batch_shape": shape}))
        called = [listed[0]]
        for before, layer in pairwise(listed):
            call = KerasCall([KerasTensor(before.name, 0)], {})
            called.append(_with_calls(layer, [call]))
        first, last = (KerasTensor(layer.name, 0) for layer in (listed[0], listed[-1]))
        return KerasModel(
            name=name,
            kind=kind,
            layers=called,
            inputs=[(listed[0].name, first)],
            outputs=[(listed[-1].name, last)],
        )

    def _broken(self, problem: str) -> ArchError:
        return error(f"`{self.shown}` is not as Keras writes it: {problem}")


def kind_of(record: Mapping[str, Any]) -> str:
    """Return a layer's kind: its class name for a Keras class, and otherwise a name that no Keras class has.

    >>> kind_of({"module": "keras.layers", "class_name": "Add", "registered_name": None})
    'Add'
    >>> kind_of({"module": "keras.src.ops.numpy", "class_name": "Add", "registered_name": "Add"})
    'ops.Add'
    >>> kind_of({"module": None, "class_name": "Add", "registered_name": "mine>Add"})
    'mine>Add'
    """
    name, module = _text(record.get("class_name")), _text(record.get("module"))
    if module.startswith("keras.src.ops."):
        return f"ops.{name}"
    if module in ("keras", "keras.layers", "keras.models") or module.startswith("keras.src."):
        return name
    registered = _text(record.get("registered_name"))
    return registered if registered and registered != name else f"{module or 'Custom'}>{name}"


def snake_case(name: str) -> str:
    """Return the name that Keras derives from a class for the variables of its layers.

    >>> snake_case("DepthwiseConv2D"), snake_case("InputLayer"), snake_case("ReLU")
    ('depthwise_conv2d', 'input_layer', 're_lu')
    """
    name = re.sub(r"\W+", "", name[:1_000])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(name: str, used: dict[str, int]) -> str:
    """Return the name, with a number if it is already used, as Keras numbers the layers of a class."""
    if name not in used:
        used[name] = 0
        return name
    used[name] += 1
    return f"{name}_{used[name]}"


def _with_calls(layer: KerasLayer, calls: Sequence[KerasCall]) -> KerasLayer:
    return KerasLayer(
        name=layer.name,
        kind=layer.kind,
        config=layer.config,
        calls=calls,
        address=layer.address,
        model=layer.model,
    )


def _one_less(result: KerasTensor) -> KerasTensor:
    return KerasTensor(result.layer, result.call - 1, result.output, result.shape)


def _with_calls_from_0(layer: KerasLayer, functional: set[str]) -> KerasLayer:
    """Convert a layer of Keras 2, which counts the calls of all functional models from 1."""

    def counted(value: Any) -> Any:
        if isinstance(value, list):
            return [counted(item) for item in value]
        return _one_less(value) if isinstance(value, KerasTensor) and value.layer in functional else value

    return _with_calls(layer, [KerasCall(counted(list(call.args)), call.kwargs) for call in layer.calls])


def _declared(value: Any) -> DeclaredShape | None:
    if not isinstance(value, list) or not all(size is None or _is_index(size) for size in value):
        return None
    return tuple(value)


def declared_input(config: Mapping[str, Any]) -> DeclaredShape | None:
    """Return the shape that an input layer declares."""
    return _declared(config.get("batch_shape") or config.get("batch_input_shape"))


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
