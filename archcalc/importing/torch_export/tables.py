"""Table lookups: embeddings, and relative position biases."""

from __future__ import annotations

import math

from archcalc.importing.tensors import ModelArray, Tensor, Unsupported, renumbered
from archcalc.importing.torch_export.graph import StoredArray
from archcalc.importing.torch_export.shapes import reshaped
from archcalc.importing.torch_export.values import AtenCall, Outputs, operation
from archcalc.layers.arithmetic import ParameterTensor
from archcalc.layers.recurrent import Embedding


@operation("index")
def index(call: AtenCall) -> Outputs:
    """Rows of a table of the model, at indices stored in a buffer: an `embedding` of these."""
    indices = call.value("indices")
    if not isinstance(indices, list) or len(indices) != 1:
        raise Unsupported("it has indices along more than one axis")
    return [_looked_up(call, call.value("self"), indices[0])]


def _looked_up(call: AtenCall, table: object, indices: object) -> Tensor:
    if not isinstance(table, StoredArray) or len(table.shape) != 2 or table.factor != 1:
        raise Unsupported("its table is not a matrix of the model")
    if not isinstance(indices, StoredArray):
        raise Unsupported("its indices are not an array of the model")
    count = math.prod(indices.shape)
    read = call.assembly.add(
        ParameterTensor((count,), trained=False),
        arrays={"weight": ModelArray(indices.key, shape=(count,))},
        axes=(0,),
    )
    layer = Embedding(*table.shape)
    rows = call.assembly.add(
        layer,
        read,
        arrays={"weight": ModelArray(table.key)},
        fixed=() if table.is_trained else ("weight",),
        axes=(1, 0),
    )
    return reshaped(call, rows, (*indices.shape, table.shape[1]))


@operation("embedding")
def embedding(call: AtenCall) -> Outputs:
    """Rows of a table, chosen by the values of a tensor; rows lie along the last axis."""
    call.unused("padding_idx", "scale_grad_by_freq", "sparse")
    table, indices = call.array("weight"), call.value("indices")
    if isinstance(indices, StoredArray):
        return [_looked_up(call, table, indices)]
    x = call.tensor("indices")
    if table is None or len(table.shape) != 2 or table.factor != 1 or table.is_view:
        raise Unsupported("its table is not a matrix of the model")
    numbers = {axis: axis + 1 for axis in range(len(x.operation.shape))}
    axes = (*(renumbered(axis, numbers) for axis in x.axes), 0)
    fixed = () if table.is_trained else ("weight",)
    arrays = {"weight": ModelArray(table.key)}
    return [call.assembly.add(Embedding(*table.shape), x, arrays=arrays, fixed=fixed, axes=axes)]
