"""Build an imported network: collect its operations one by one, then prune, name, group and build them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from archcalc.importing.naming import NetworkNames
from archcalc.importing.tensors import (
    BATCH,
    ModelArray,
    Operation,
    Tensor,
    Unsupported,
    own_axis,
    plain_axes,
    unfolded,
)
from archcalc.importing.weights import ReadArrays, trained_weights
from archcalc.layers.arguments import LayerError
from archcalc.layers.base import Input, Layer, facts
from archcalc.layers.merge import Add, Div, Mul, Sub
from archcalc.layers.opaque import MAX_OP, Opaque
from archcalc.layers.reshape import Permute
from archcalc.network import Network, Original, Remark
from archcalc.shape import Shape, format_shape

Path = tuple[tuple[str, str], ...]


class Assembly:
    """The operations of a model, in its order.

    Importers set `path` and `origin` before they map an operation. They apply to everything added after that.

    >>> from archcalc.layers import Conv2d, ReLU
    >>> model = Assembly("tiny")
    >>> x = model.input("x", (3, 32, 20))
    >>> model.path, model.origin = (("stem", "Sequential"), ("0", "Conv2d")), "model.py:12"
    >>> y = model.add(Conv2d(16, 3), x)
    >>> model.path = (("stem", "Sequential"), ("1", "ReLU"))
    >>> y = model.add(ReLU(), y)
    >>> [node.name for node in model.finish({"output": y}).layers]
    ['stem/0', 'stem/1']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.operations: list[Operation] = []
        self.path: Path = ()
        self.origin = ""
        self.label = ""
        """The model's name for the operation, if the model names operations rather than modules."""
        self.written = ""
        """The function that the model's code calls, if the operation is not a module of `torch.nn`."""
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Add a note about the whole import: what an exporter changed, or what is not counted."""
        if text not in self._notes:
            self._notes.append(text)

    def input(self, name: str, shape: Shape, axes: Sequence[int] = ()) -> Tensor:
        """Add an input; `shape` is in the operation's order: channels first, without the batch.

        `axes` gives the model's order of axes, as in `Tensor`. Raises `LayerError` for an impossible shape.
        """
        layer = Input(tuple(shape))
        operation = Operation(layer=layer, inputs=(), facts=facts(layer, ()), name=name)
        self.operations.append(operation)
        return Tensor(operation, tuple(axes) or plain_axes(len(shape)))

    def add(
        self,
        layer: Layer,
        *inputs: Tensor,
        arrays: Mapping[str, ModelArray] | None = None,
        fixed: Iterable[str] = (),
        axes: Sequence[int] | None = None,
    ) -> Tensor:
        """Apply a layer to tensors as they are: the layer's axes are those of the operations.

        The result has its axes in the same places as the first input, or in plain order if the number of axes
        differs, unless `axes` is given. Raises `LayerError` if the layer does not fit.
        """
        read = tuple(tensor.operation for tensor in inputs)
        found = facts(layer, tuple(operation.shape for operation in read))
        operation = Operation(
            layer=layer,
            inputs=read,
            facts=found,
            path=self.path,
            name=self.label,
            origin=self.origin,
            written=self.written,
            arrays=dict(arrays or {}),
            fixed=tuple(fixed),
        )
        self.operations.append(operation)
        if axes is None:
            axes = inputs[0].axes if len(inputs[0].operation.shape) == len(found.output) else ()
        return Tensor(operation, tuple(axes) or plain_axes(len(found.output)))

    def plain(self, tensor: Tensor) -> Tensor:
        """Return the tensor with its axes in the model's order, adding a `permute` if anything has to move.

        Raises `Unsupported` if the batch is not the model's first axis.
        """
        if tensor.is_plain:
            return tensor
        if tensor.axes[0] != BATCH:
            raise Unsupported("the batch is not its first axis")
        return self.add(Permute(tensor.order), tensor, axes=plain_axes(len(tensor.order)))

    def aligned(self, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the tensor arranged to have these `axes`, with a `permute` if anything has to move."""
        if tensor.axes == axes:
            return tensor
        if [_batch_in(axis) for axis in tensor.axes] != [_batch_in(axis) for axis in axes]:
            raise Unsupported("its tensors have their axes in places that do not match")
        wanted = [own for own in map(own_axis, axes) if own is not None]
        own = dict(zip(wanted, tensor.order, strict=True))
        return self.add(Permute(tuple(own[i] for i in range(len(own)))), tensor, axes=axes)

    def joined(self, layer: Add | Mul | Sub | Div, *tensors: Tensor) -> Tensor:
        """Join tensors elementwise, even if their axes are in different places."""
        first = tensors[0]
        return self.add(layer, first, *(self.aligned(other, first.axes) for other in tensors[1:]))

    def opaque(
        self,
        op: str,
        inputs: Sequence[Tensor],
        shape: Shape,
        *,
        params: Mapping[str, tuple[ModelArray, Shape]] | None = None,
        buffers: Mapping[str, tuple[ModelArray, Shape]] | None = None,
        reason: str = "",
        axes: Sequence[int] = (),
    ) -> Tensor:
        """Add an unknown operation, or one used in an unknown way; `reason` briefly says why.

        `shape` is its output shape for one sample, in the model's order; or in the operation's order, if
        `axes` gives the model's order of axes. `params` and `buffers` are its
        arrays, under any names. Without input tensors it is a constant. Raises `LayerError` for an
        impossible shape.
        """
        trained, kept = list((params or {}).values()), list((buffers or {}).values())
        shapes = tuple(shape or (1,) for _, shape in trained), tuple(shape or (1,) for _, shape in kept)
        arrays = {f"weight{number}": array for number, (array, _) in enumerate(trained, 1)}
        arrays |= {f"buffer{number}": array for number, (array, _) in enumerate(kept, 1)}
        return self.add(Opaque(op, shape or (1,), *shapes, _words(reason)), *inputs, arrays=arrays, axes=axes)

    def attempt(
        self, convert: Callable[[], Sequence[Tensor]], declared: Sequence[tuple[int, ...] | None]
    ) -> Sequence[Tensor]:
        """Convert an operation with `convert`, and check the result against the model's declared shapes.

        `declared` has a shape for each output, in the form of `Tensor.shape`, or `None` if the model declares
        none. If this fails, it raises `Unsupported` with the reason and adds nothing.
        """
        before = len(self.operations)
        try:
            tensors = convert()
            for tensor, shape in zip(tensors, declared, strict=True):
                if shape is not None and tensor.shape != shape:
                    got, want = (format_shape(s, cross="x") for s in (tensor.shape, shape))
                    raise Unsupported(f"it would give {got}, and the model says {want}")
        except (Unsupported, LayerError) as problem:
            del self.operations[before:]
            text = problem.message if isinstance(problem, LayerError) else str(problem)
            raise Unsupported(text) from None
        return tensors

    def finish(
        self,
        outputs: Mapping[str, Tensor],
        heads: Mapping[str, Tensor] | None = None,
        read: ReadArrays | None = None,
        original: Original | None = None,
    ) -> Network:
        """Build the network, without operations that no output depends on.

        One of the outputs is named `output`. `read` reads the model's arrays by name, when they are
        needed; `original` runs the model itself. Raises `ArchError` if nothing is left.
        """
        heads = heads or {}
        results = [tensor.operation for tensor in (*outputs.values(), *heads.values())]
        kept = _reaching(self.operations, results)
        named = NetworkNames(self.name, kept)
        network = named.builder.finish(
            outputs={name: named.nodes[id(tensor.operation)] for name, tensor in outputs.items()},
            heads={name: named.nodes[id(tensor.operation)] for name, tensor in heads.items()},
            notes=[Remark("import", None, text) for text in self._notes],
        )
        network.original = original
        network.written = named.written
        if read is not None:
            network.trained = partial(trained_weights, network, named.arrays, read)
        return network


def _batch_in(axis: int) -> tuple[bool, ...]:
    """Return which parts of an axis, as encoded in `Tensor.axes`, are the batch."""
    return tuple(each == BATCH for each in unfolded(axis))


def _words(reason: str) -> str:
    """Return a reason in the form a layer accepts; it may contain text from a file."""
    return "".join(c if c.isprintable() else " " for c in reason[:MAX_OP]).strip()


def _reaching(operations: Sequence[Operation], results: Iterable[Operation]) -> list[Operation]:
    """Return the operations that any of the results depends on, in order."""
    needed = {id(operation) for operation in results}
    for operation in reversed(operations):
        if id(operation) in needed:
            needed.update(id(source) for source in operation.inputs)
    return [operation for operation in operations if id(operation) in needed]
