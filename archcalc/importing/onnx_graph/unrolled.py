"""Recurrent layers that PyTorch's newer exporter writes step by step, matched from the join of their states.

The state after each step is `tanh(W_ih x + b_ih + W_hh h + b_hh)`, or the same with `relu`. The products
with the input are computed for all steps at once, and the initial state is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.importing.onnx_graph.arrays import OnnxArray
from archcalc.importing.onnx_graph.composites import OtherNodes
from archcalc.importing.onnx_graph.constants import slices
from archcalc.importing.onnx_graph.recurrent import is_zero
from archcalc.importing.onnx_graph.values import OnnxCall, OnnxOutputs, as_tensor, composite
from archcalc.importing.tensors import BATCH, Tensor
from archcalc.layers.recurrent import RNN
from archcalc.layers.resize import Slice

FUNCTIONS = ("Tanh", "Relu")


class UnrolledSteps(Struct, frozen=True):
    """One direction: the names of its states in sequence order, and the arrays it computes with."""

    states: Sequence[str]
    function: str
    x: Tensor
    inner: OnnxArray
    outer: OnnxArray
    biases: tuple[OnnxArray, OnnxArray] | None
    is_reverse: bool

    def arrays(self) -> dict[str, tuple[OnnxArray, Sequence[int]]]:
        end = "_reverse" if self.is_reverse else ""
        found: dict[str, tuple[OnnxArray, Sequence[int]]] = {
            f"weight_ih_l0{end}": (self.inner, (0, 1)),
            f"weight_hh_l0{end}": (self.outer, (0, 1)),
        }
        if self.biases is not None:
            found[f"bias_ih_l0{end}"], found[f"bias_hh_l0{end}"] = ((bias, ()) for bias in self.biases)
        return found


@composite("Concat")
def steps(call: OnnxCall) -> OnnxOutputs:
    """The states of all steps."""
    if len(call.inputs) < 2 or call.whole("axis", 1) != 0:
        raise OtherNodes
    return [_layer(call, _forward(call, call.node.inputs))]


@composite("Squeeze")
def last_state(call: OnnxCall) -> OnnxOutputs:
    """The state after the last step, if no node joins the states of all steps."""
    tensor = as_tensor(call.input(0))
    if call.axes() != [0] or isinstance(tensor.operation.layer, Slice):  # already matched
        raise OtherNodes
    names = [call.node.inputs[0]]
    while (before := _before(call, names[-1])) is not None:
        names.append(before)
    names.reverse()
    layer = _forward(call, names)
    every = _layer(call, layer)
    last = Tensor(call.add(Slice(len(names) - 1, len(names), "length"), every).operation, every.axes)
    return [call.reshaped(last, [call.batch, layer.outer.shape[0]])]


def _forward(call: OnnxCall, names: Sequence[str]) -> UnrolledSteps:
    found = _direction(call, names)
    if found.is_reverse:
        raise OtherNodes  # a layer cannot have only that direction
    return found


@composite("Concat")
def both_directions(call: OnnxCall) -> OnnxOutputs:
    """The states of both directions."""
    pair = [call.graph.source(name) for name in call.node.inputs]
    if len(pair) != 2 or call.whole("axis", 1) not in (2, -1):
        raise OtherNodes
    one, two = (_joined(each) for each in pair if each is not None and each.node.op == "Concat")
    if one.is_reverse or not two.is_reverse or one.function != two.function:
        raise OtherNodes
    if one.x.operation is not two.x.operation or one.x.axes != two.x.axes:
        raise OtherNodes
    if one.outer.shape != two.outer.shape or (one.biases is None) != (two.biases is None):
        raise OtherNodes
    return [_layer(call, one, two)]


def _layer(call: OnnxCall, *directions: UnrolledSteps) -> Tensor:
    """Return the layer; states that other nodes read become slices of its output."""
    first, hidden = directions[0], directions[0].outer.shape[0]
    layer = RNN(
        hidden,
        bias=first.biases is not None,
        bidirectional=len(directions) > 1,
        nonlinearity=first.function.lower(),
    )
    x = call.channels_at(first.x, 2)
    arrays = {name: array for each in directions for name, array in each.arrays().items()}
    every = Tensor(call.add_arranged(layer, x, arrays=arrays).operation, (1, BATCH, 0))
    found: dict[str, Tensor] = {}
    for number, each in enumerate(directions):
        half = every
        if len(directions) > 1:
            half = call.add(Slice(number * hidden, (number + 1) * hidden), every)
            found[call.node.inputs[number]] = half
        for place, name in enumerate(each.states):
            found[name] = call.add(Slice(place, place + 1, "length"), half)
    call.graph.rebind(found)
    return every


def _joined(call: OnnxCall) -> UnrolledSteps:
    if call.whole("axis", 1) != 0:
        raise OtherNodes
    return _direction(call, call.node.inputs)


def _direction(joined: OnnxCall, names: Sequence[str]) -> UnrolledSteps:
    """Match the steps that compute these states.

    Raises `OtherNodes` unless every step is the same function of the previous one.
    """
    if len(names) < 2 or len(set(names)) != len(names):
        raise OtherNodes
    is_reverse = _reads(joined, names[0], names[1])
    order = list(names)[::-1] if is_reverse else list(names)
    made = [_step(joined, name) for name in order]
    first, rest = made[0], made[1:]
    function, sequence, places = first.function, first.sequence, [each.place for each in made]
    if any(each.function != function or each.sequence != sequence for each in rest):
        raise OtherNodes
    if places != list(range(len(names))):
        raise OtherNodes
    before = [_recurrence(joined, each.state) for each in rest]
    weight, bias, _ = before[0]
    if any(each[:2] != (weight, bias) or each[2] != name for each, name in zip(before, order, strict=False)):
        raise OtherNodes
    projected = _needed(joined, sequence)
    if is_reverse:
        projected = _needed(joined, _flipped(projected, len(names)))
    inner, added, source = _product(projected)
    outer = _array(joined, weight)
    x = as_tensor(source.input(0))
    hidden = outer.shape[0]
    if x.rank != 3 or x.axes[1] != BATCH or inner.shape[1:] != (hidden,) or outer.shape != (hidden, hidden):
        raise OtherNodes
    if (added is None) != (not bias):
        raise OtherNodes
    biases = None if added is None else (added, _array(joined, bias))
    if biases is not None and any(each.shape != (hidden,) for each in biases):
        raise OtherNodes
    if joined.graph.shape(x) is None or (joined.graph.shape(x) or ())[0] != len(names):
        raise OtherNodes
    _check_beginning(joined, first.state, weight, biases)
    return UnrolledSteps(names, function, x, inner, outer, biases, is_reverse)


class UnrolledStep(Struct, frozen=True):
    """One step: its function, the products with the previous state, and the sequence that it reads."""

    function: str
    state: str
    sequence: str
    place: int


def _needed(near: OnnxCall, name: str, *ops: str) -> OnnxCall:
    found = near.graph.source(name)
    if found is None or (ops and found.node.op not in ops):
        raise OtherNodes
    return found


def _array(near: OnnxCall, name: str) -> OnnxArray:
    value = near.graph.value(name)
    if not isinstance(value, OnnxArray) or not value.is_float or value.recipe is not None:
        raise OtherNodes
    return value


def _step(near: OnnxCall, name: str) -> UnrolledStep:
    function = _needed(near, name, *FUNCTIONS)
    total = _needed(near, function.node.inputs[0], "Add")
    for at in (0, 1):
        dropped = near.graph.source(total.node.inputs[at])
        if dropped is None or dropped.node.op != "Squeeze" or dropped.axes() != [0]:
            continue
        cut = near.graph.source(dropped.node.inputs[0])
        if cut is not None and cut.node.op == "Slice":
            ((axis, start, end, step),) = slices(cut, cut.shape())
            if (axis, step) == (0, 1) and end == start + 1:
                return UnrolledStep(function.node.op, total.node.inputs[1 - at], cut.node.inputs[0], start)
    raise OtherNodes


def _recurrence(near: OnnxCall, name: str) -> tuple[str, str, str]:
    """Return, for the products with a state, the names of the weight, the bias (or empty) and the state."""
    made, bias = _needed(near, name, "MatMul", "Add"), ""
    if made.node.op == "Add":
        at = next((at for at in (0, 1) if isinstance(made.input(at), OnnxArray)), None)
        if at is None:
            raise OtherNodes
        bias, made = made.node.inputs[at], _needed(near, made.node.inputs[1 - at], "MatMul")
    state, weight = made.node.inputs
    return weight, bias, state


def _reads(near: OnnxCall, name: str, state: str) -> bool:
    """Whether the step that computes the first state reads the second one."""
    step = _step(near, name)
    made = near.graph.source(step.state)
    return (
        made is not None and made.node.op in ("MatMul", "Add") and _recurrence(near, step.state)[2] == state
    )


def _before(near: OnnxCall, name: str) -> str | None:
    """Return the state that a step reads, if another step computes it."""
    state = _step(near, name).state
    if near.graph.source(state) is None:  # computed by the exporter
        return None
    made = near.graph.source(_recurrence(near, state)[2])
    return made.node.outputs[0] if made is not None and made.node.op in FUNCTIONS else None


def _flipped(cut: OnnxCall, length: int) -> str:
    """Return the name of the sequence that a slice reverses."""
    if cut.node.op != "Slice":
        raise OtherNodes
    ((axis, start, end, step),) = slices(cut, cut.shape())
    if axis != 0 or list(range(length))[start:end:step] != list(range(length))[::-1]:
        raise OtherNodes
    return cut.node.inputs[0]


def _product(made: OnnxCall) -> tuple[OnnxArray, OnnxArray | None, OnnxCall]:
    """Return the weight and the bias of the products with the input, and the node that multiplies."""
    bias = None
    if made.node.op == "Add":
        at = next((at for at in (0, 1) if isinstance(made.input(at), OnnxArray)), None)
        if at is None:
            raise OtherNodes
        bias = _array(made, made.node.inputs[at])
        made = _needed(made, made.node.inputs[1 - at])
    if made.node.op != "MatMul":
        raise OtherNodes
    return _array(made, made.node.inputs[1]), bias, made


def _check_beginning(
    near: OnnxCall, name: str, weight: str, biases: tuple[OnnxArray, OnnxArray] | None
) -> None:
    """Raise `OtherNodes` unless the first step has a state of zeros, so its products are only the bias."""
    value = near.graph.value(name)
    if isinstance(value, OnnxArray) and value.recipe is None:  # computed by the exporter
        bias = 0 if biases is None else biases[1].values
        if not (value.values == bias).all():
            raise OtherNodes
        return
    given, bias_name, state = _recurrence(near, name)
    if given != weight or bool(bias_name) != (biases is not None):
        raise OtherNodes
    if biases is not None and _array(near, bias_name) is not biases[1]:
        raise OtherNodes
    if not is_zero(near.graph.value(state)):
        raise OtherNodes
