"""Putting an imported network together: operations one by one, then pruned, named, grouped and built."""

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

    Importers set `path` and `origin` before they map an operation: what is added then belongs there.

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
        """What the model calls the operation, if it names operations and not modules."""
        self.written = ""
        """What the model's code calls for the operation, if it is not a module of `torch.nn`."""
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Say something about the whole import: what an exporter changed, or what is not counted."""
        if text not in self._notes:
            self._notes.append(text)

    def input(self, name: str, shape: Shape, axes: Sequence[int] = ()) -> Tensor:
        """An input; `shape` is the operation's own, channels first and without the batch.

        `axes` says where the model has them, as in `Tensor`. Raises `LayerError` for an impossible shape.
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
        """A layer applied to tensors, as they lie: axes of the layer are those of the operations.

        The result has its axes where the first input has them, or plain ones if it has another number of
        axes, or `axes`. Raises `LayerError` if the layer does not fit.
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
        """The same tensor with its axes where the model has them: a `permute`, if anything has to move.

        Raises `Unsupported` if the batch is not the model's first axis.
        """
        if tensor.is_plain:
            return tensor
        if tensor.axes[0] != BATCH:
            raise Unsupported("the batch is not its first axis")
        return self.add(Permute(tensor.order), tensor, axes=plain_axes(len(tensor.order)))

    def aligned(self, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The same tensor arranged so that its axes are `axes`: a `permute`, if anything has to move."""
        if tensor.axes == axes:
            return tensor
        if [_batch_in(axis) for axis in tensor.axes] != [_batch_in(axis) for axis in axes]:
            raise Unsupported("its tensors have their axes in places that do not match")
        wanted = [own for own in map(own_axis, axes) if own is not None]
        own = dict(zip(wanted, tensor.order, strict=True))
        return self.add(Permute(tuple(own[i] for i in range(len(own)))), tensor, axes=axes)

    def joined(self, layer: Add | Mul | Sub | Div, *tensors: Tensor) -> Tensor:
        """A join value by value, of tensors that may have their axes in different places."""
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
        """An unknown operation, or one used in an unknown way: `reason` says why, in a few words.

        `shape` is that of its output for one sample, as the model has it; or the operation's own, if `axes`
        says where the model has its axes. `params` and `buffers` are its
        arrays, by any names. Without tensors to read it is a constant. Raises `LayerError` for an
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
        """What `convert` makes of an operation, if it has the shapes that the model declares.

        `declared` has a shape for each output, as `Tensor.shape` has it, or `None` where the model says
        nothing. Raises `Unsupported` with the reason otherwise, and then nothing was added.
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
        """The network; operations that reach no result are left out.

        One of the outputs is called `output`. `read` reads arrays of the model by their names, when they
        are asked for; `original` runs the model itself. Raises `ArchError` if nothing is left.
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
    """Where the batch is in an axis as `Tensor.axes` has it."""
    return tuple(each == BATCH for each in unfolded(axis))


def _words(reason: str) -> str:
    """A reason as a layer takes it: it may have parts of a file in it."""
    return "".join(c if c.isprintable() else " " for c in reason[:MAX_OP]).strip()


def _reaching(operations: Sequence[Operation], results: Iterable[Operation]) -> list[Operation]:
    """The operations that any of the results depends on, in their order."""
    needed = {id(operation) for operation in results}
    for operation in reversed(operations):
        if id(operation) in needed:
            needed.update(id(source) for source in operation.inputs)
    return [operation for operation in operations if id(operation) in needed]
