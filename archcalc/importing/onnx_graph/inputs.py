"""The inputs of a model: their shapes, and which axis is the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from archcalc.diagnostics import ArchError, error
from archcalc.importing.onnx_graph.arrays import FLOATS, shown
from archcalc.importing.onnx_graph.records import (
    DimensionRecord,
    OnnxGraphRecord,
    OnnxNodeRecord,
    ValueRecord,
)
from archcalc.shape import Shape, format_shape

PRIME_BATCH = 1009
"""The batch size used if the model leaves it open: a size that distinguishes its axis from others."""


RECURRENT = {"LSTM", "GRU", "RNN"}
"""Operations on sequences that have the batch as the second axis, unless `layout` says otherwise."""


class OnnxInput(Struct, frozen=True):
    """An input; `shape` is the shape of one sample if it `has_batch`, and the full shape otherwise.

    `batch_axis` is the position of the batch among the model's axes.
    """

    name: str
    shape: Shape
    has_batch: bool
    is_float: bool
    batch_axis: int = 0


class OnnxInputs(Struct, frozen=True):
    """All inputs. `batch` is the batch size used in tensor shapes, and `symbol` is its name in the model.

    `replaced` says whether a declared shape was replaced.
    """

    inputs: Sequence[OnnxInput]
    batch: int
    symbol: str
    replaced: bool


def declared_dims(value: ValueRecord) -> list[DimensionRecord] | None:
    """Return the sizes declared for a tensor; `None` if there are none."""
    if value.type is None or value.type.tensor is None or value.type.tensor.shape is None:
        return None
    return value.type.tensor.shape.dims


def input_names(graph: OnnxGraphRecord) -> list[str]:
    """Return the names of the inputs that are not arrays of the model."""
    arrays = {array.name for array in graph.arrays}  # old files list the arrays among the inputs
    return [value.name for value in graph.inputs if value.name not in arrays]


def inputs_of(
    graph: OnnxGraphRecord,
    shown_as: str,
    given: Mapping[str, Shape],
    has_batch: bool = True,
    opens_batch: bool = False,
) -> OnnxInputs:
    """Return the inputs that are not arrays of the model; the shapes in `given` replace the declared ones.

    With `has_batch=False`, the first axis of an input is not the batch. With `opens_batch=True`, a batch
    of 1 is read as if the model left it open. Raises `ArchError` for a missing size, and for
    an impossible given shape.
    """
    names = set(input_names(graph))
    values = [value for value in graph.inputs if value.name in names]
    if not values:
        raise error(f"`{shown_as}` has no input")
    given = _by_name(values, shown_as, given)
    alone = _without_batch(graph, values) if has_batch else {value.name for value in values}
    first = next((value for value in values if value.name not in alone), values[0])
    dims = declared_dims(first)
    at = _batch_axis(graph, first)
    if dims and at:
        dims = [dims[at]]
    size = dims[0].value if dims else None
    batch = size if size is not None and size > 0 else PRIME_BATCH
    symbol = dims[0].symbol if dims else ""
    if len(alone) == len(values):
        batch, symbol = 1, ""
    elif opens_batch and batch == 1:
        batch = PRIME_BATCH
    found, replaced = [], False
    for value in values:
        dims = declared_dims(value)
        axis = _batch_axis(graph, value)
        if dims is not None and axis:
            dims = [dims[axis], *dims[:axis], *dims[axis + 1 :]]
        begins = value.name not in alone and _begins_with(dims, size, symbol)
        own = dims if dims is None or not begins else dims[1:]
        shape = _shape(value.name, shown_as, own, given.get(value.name))
        replaced |= own is not None and any(
            dim.value not in (None, 0, n) for dim, n in zip(own, shape, strict=True)
        )
        kind = value.type.tensor.data_type if value.type is not None and value.type.tensor is not None else 1
        found.append(OnnxInput(value.name, shape, begins, kind in FLOATS, axis if begins else 0))
    return OnnxInputs(found, batch, symbol, replaced)


def _batch_axis(graph: OnnxGraphRecord, value: ValueRecord) -> int:
    """Return the place of the batch: 1 if a recurrent layer reads the sequence directly, and otherwise 0."""
    dims = declared_dims(value)
    if dims is None or len(dims) != 3:
        return 0
    readers = [node for node in graph.nodes if value.name in node.inputs and node.op != "Shape"]
    direct = all(node.op in RECURRENT and node.inputs[0] == value.name for node in readers)
    return int(bool(readers) and direct and not any(_has_layout(node) for node in readers))


def _has_layout(node: OnnxNodeRecord) -> bool:
    return any(attribute.name == "layout" and attribute.whole for attribute in node.attributes)


def _begins_with(dims: Sequence[DimensionRecord] | None, size: int | None, symbol: str) -> bool:
    """Whether the first axis of an input is the batch."""
    if dims is None:
        return True
    if not dims:
        return False
    first = dims[0]
    return first.value == size and first.symbol == symbol


def _by_name(values: Sequence[ValueRecord], shown_as: str, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the given shapes by input name: `input` is the only input, regardless of its name."""
    names = [value.name for value in values]
    found = dict(given)
    if len(names) == 1 and "input" in found and names[0] not in found:
        found[names[0]] = found.pop("input")
    for name in found:
        if name not in names:
            known = ", ".join(f"`{shown(each)}`" for each in names[:6])
            raise error(f"`{shown_as}` has no input `{name}`", help=f"it has {known}")
    return found


def _without_batch(graph: OnnxGraphRecord, values: Sequence[ValueRecord]) -> set[str]:
    """Return the inputs that have no batch: vectors, and inputs that are only later given one."""
    found = set()
    for value in values:
        dims = declared_dims(value)
        if dims is not None and len(dims) == 1:
            found.add(value.name)
    readers: dict[str, list[str]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node.op)
    constants = {array.name: array for array in graph.arrays}
    for value in values:
        nodes = [node for node in graph.nodes if value.name in node.inputs] if value.name in readers else []
        if nodes and all(node.op == "Unsqueeze" for node in nodes):
            axes = [attribute.wholes for node in nodes for attribute in node.attributes]
            by_input = [name for node in nodes for name in node.inputs[1:] if name in constants]
            if all(each == [0] for each in axes) and all(constants[name].dims == [1] for name in by_input):
                found.add(value.name)
    return found


def _shape(name: str, shown_as: str, dims: Sequence[DimensionRecord] | None, given: Shape | None) -> Shape:
    if given is not None:
        if dims is not None and len(dims) != len(given):
            raise _differs(name, shown_as, dims, given)
        return given
    if dims is None:
        raise error(
            f"`{shown_as}` does not say the shape of its input `{shown(name)}`",
            help="give it without the batch: `--input 3x224x224`",
        )
    open_axes = [place for place, dim in enumerate(dims) if dim.value is None or dim.value < 1]
    if open_axes:
        sizes = "x".join(_said(dim) for dim in dims)
        raise error(
            f"the input `{shown(name)}` of `{shown_as}` is {sizes}: not all sizes are numbers",
            help="give its shape without the batch: `--input 3x224x224`",
        )
    return tuple(dim.value for dim in dims if dim.value is not None)


def _differs(name: str, shown_as: str, dims: Sequence[DimensionRecord], given: Shape) -> ArchError:
    sizes = "x".join(_said(dim) for dim in dims)
    return error(
        f"the input `{shown(name)}` of `{shown_as}` is {sizes}, not {format_shape(given, cross='x')}",
        help="give a size for each of its axes, without the batch",
    )


def _said(dim: DimensionRecord) -> str:
    return str(dim.value) if dim.value else shown(dim.symbol) or "any"
