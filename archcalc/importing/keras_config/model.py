"""Import a Keras model in memory, through the configuration that Keras would save."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archcalc.diagnostics import error, shorten
from archcalc.importing.given import GivenShapes, named_shapes
from archcalc.importing.keras_config.configs import ConfigReader, snake_case, unique_name
from archcalc.importing.keras_config.variables import StoredVariable

if TYPE_CHECKING:
    from archcalc.network import Network

EXAMPLE = 'write `archcalc.from_keras(model)` or `archcalc.from_keras("model.keras")`'


def is_keras_model(value: Any) -> bool:
    """Whether this is a `keras.Model`. Keras is not imported to find out."""
    return any(
        kind.__name__ == "Model" and kind.__module__.partition(".")[0] == "keras"
        for kind in type(value).__mro__
    )


def network_of(model: Any, shapes: GivenShapes, name: str = "") -> Network:
    """Build a model's network for the given input shapes, channels first, or for the model's own shapes.

    Raises `ArchError` if it is not a Keras model, or has layers that Keras cannot save.
    """
    from archcalc.importing.keras_config.convert import to_network

    if not is_keras_model(model):
        raise error(f"a Keras model is needed, not a {type(model).__name__}", help=EXAMPLE)
    record = ConfigReader(model.name).model(_config(model))
    inputs = named_shapes([label for label, _ in record.inputs], shapes)
    return to_network(record, ModelVariables(model), model.name, name or model.name, inputs)


def _config(model: Any) -> Any:
    """Return the configuration that Keras would write for a model, in the same form."""
    import keras
    from keras.src.saving.serialization_lib import ObjectSharingScope

    try:
        with ObjectSharingScope():  # marks objects that are used twice
            return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    except Exception as problem:  # anything that the user's own layers raise
        text = shorten(" ".join(str(problem).split()), 200)
        raise error(
            f"`{model.name}` cannot be described by Keras: {type(problem).__name__}: {text}"
        ) from None


class ModelVariables:
    """The variables of a model, by the addresses that its layers would have in a file."""

    has_values = True

    def __init__(self, model: Any) -> None:
        self._layers = dict(_addressed(model, ""))

    def of_layer(self, address: str) -> list[StoredVariable]:
        layer = self._layers[address]
        kept = {id(v) for each in layer._flatten_layers() for v in each._non_trainable_variables}
        return [
            StoredVariable(f"{address}/weights/{number}", tuple(variable.shape), id(variable) not in kept)
            for number, variable in enumerate(layer.weights)
        ]

    def _layer(self, address: str) -> Any:
        """Return a layer, or one that is an attribute of another, such as the cell of a recurrent layer."""
        if address in self._layers:
            return self._layers[address]
        above, _, name = address.rpartition("/")
        layer = self._layer(above)
        return getattr(layer, name) if hasattr(layer, name) else getattr(layer, f"_{name}")

    def read(self, names: Collection[str]) -> Mapping[str, Any]:
        import keras

        arrays: dict[str, Any] = {}
        saved: dict[str, dict[str, Any]] = {}
        for name in names:
            address, kind, number = name.rsplit("/", 2)
            if kind == "weights":
                arrays[name] = keras.ops.convert_to_numpy(self._layers[address].weights[int(number)])
                continue
            if address not in saved:
                saved[address] = {}
                self._layer(address).save_own_variables(saved[address])
            if number in saved[address]:
                arrays[name] = keras.ops.convert_to_numpy(saved[address][number])
        return arrays


def _addressed(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model and of the models inside it, each with its address."""
    used: dict[str, int] = {}
    for layer in model.layers:
        address = f"{prefix}layers/{unique_name(snake_case(type(layer).__name__), used)}"
        yield address, layer
        if is_keras_model(layer):
            yield from _addressed(layer, f"{address}/")
