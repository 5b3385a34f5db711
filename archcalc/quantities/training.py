"""The cost of a training step: the backward pass, and the memory of the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from archcalc.layers.terms import OPERATIONS
from archcalc.quantities.formulas import of_parts, of_selection, of_terms
from archcalc.quantities.operations import FLOPS_CONVENTION, FLOPS_OF, MACS
from archcalc.quantities.parameters import TRAINABLE
from archcalc.quantities.quantity import Number, Quantity, Scope, Selection, Summand, Unit
from archcalc.render.numbers import byte_size, grouped

if TYPE_CHECKING:
    from archcalc.network import Node
    from archcalc.profile import Profile


def _terms(profile: Profile, node: Node, macs_only: bool) -> list[Summand]:
    return [
        (1 if macs_only else FLOPS_OF[category], term, term.label or OPERATIONS[category])
        for category, term in profile.gradients.operations(node)
        if category == "macs" or not macs_only
    ]


def _nodes(selection: Selection) -> list[Node]:
    """The nodes of a selection. For a whole network, it includes the inputs, whose values may be kept."""
    nodes = [layer.node for layer in selection.layers]
    return [*selection.profile.network.inputs.values(), *nodes] if selection.whole else nodes


def _of_nodes(name: str) -> Callable[[Selection], int]:
    """The sum of a figure in `Profile.training_costs` over the nodes."""

    def measure(selection: Selection) -> int:
        costs = selection.profile.training_costs
        return sum(costs[node.index][name] for node in _nodes(selection) if node.index in costs)

    return measure


def _explain_operations(
    quantity: Callable[[], Quantity], macs_only: bool
) -> Callable[[Selection], list[str]]:
    def explain(selection: Selection) -> list[str]:
        if not selection.is_layer:
            return of_selection(quantity(), selection)
        profile, node = selection.profile, selection.output
        lines = of_terms(
            quantity().name, _terms(profile, node, macs_only), int(quantity().measure(selection))
        )
        reason = _reason(profile, node)
        return [*lines, f"  {reason}"] if reason else lines

    return explain


def _reason(profile: Profile, node: Node) -> str:
    """Why a layer has no gradient for its input or for its weights, if that needs a line."""
    needs = profile.gradients.needs.get(node.index)
    if needs is None:
        return (
            "it is not part of the backward pass: no trained parameter comes before it, or no result after it"
        )
    if node.facts.weights and not needs.trained:
        return "its parameters are not trained"
    if node.inputs and not needs.any_input:
        return "its input needs no gradient: no trained parameter comes before it"
    return ""


def _training_macs(selection: Selection) -> int:
    macs: int = MACS.measure(selection) + BACKWARD_MACS.measure(selection)
    return macs


def _explain_training(selection: Selection) -> list[str]:
    forward, backward = int(MACS.measure(selection)), int(BACKWARD_MACS.measure(selection))
    of = "" if selection.is_layer else f" of {selection.name}"
    return [
        f"training_macs{of} = macs + backward_macs",
        f"  = {grouped(forward)} + {grouped(backward)} = {grouped(forward + backward)}",
    ]


def _explain_saved(selection: Selection) -> list[str]:
    """The tensors that are kept, one per line."""
    profile = selection.profile
    wanted = {node.index for node in _nodes(selection)}
    kept = [t for t in profile.step.tensors if t.category == "saved" and t.node and t.node.index in wanted]
    name = f"saved_bytes of {selection.name}"
    if not kept:
        return [f"{name} = 0: no gradient needs its output"]
    title = f"{name} = bytes kept for the backward pass, {_batch(profile)}"
    return of_parts(title, [(t.name, t.size.of(profile.batch)) for t in kept])


def _batch(profile: Profile) -> str:
    return f"for a batch of {profile.batch:,}"


def _explain_gradients(selection: Selection) -> list[str]:
    count, size = int(TRAINABLE.measure(selection)), selection.profile.bytes_per_value
    of = "" if selection.is_layer else f" of {selection.name}"
    total = int(GRADIENT_BYTES.measure(selection))
    lines = [
        f"gradient_bytes{of} = trainable_params × bytes of a value",
        f"  = {grouped(count)} × {size} = {grouped(count * size)}",
    ]
    if total != count * size:
        lines.append(f"  without parameters on which no result depends: {grouped(total)}")
    return lines


def _explain_optimizer(selection: Selection) -> list[str]:
    profile = selection.profile
    optimizer = profile.optimizer
    of = "" if selection.is_layer else f" of {selection.name}"
    total = grouped(int(OPTIMIZER_BYTES.measure(selection)))
    size = int(GRADIENT_BYTES.measure(selection))
    formula, numbers = f"{optimizer.values} × gradient_bytes", f"{optimizer.values} × {grouped(size)}"
    if optimizer.per_array:
        arrays = (int(OPTIMIZER_BYTES.measure(selection)) - optimizer.values * size) // optimizer.per_array
        formula += f" + {optimizer.per_array} × arrays"
        numbers += f" + {optimizer.per_array} × {grouped(arrays)}"
    return [
        f"optimizer_bytes{of} = {formula}",
        f"  = {numbers} = {total}",
        f"  {optimizer.name}: {optimizer.words}",
    ]


def _peak(selection: Selection) -> int:
    return selection.profile.step.most(selection.profile.batch)


def _peak_at(profile: Profile) -> str:
    """The moment of the peak: a layer, or another phase of the step."""
    moment = profile.step.moments[profile.step.peak(profile.batch)[1]]
    return moment.node.name if moment.node is not None else moment.phase


def _explain_peak(selection: Selection) -> list[str]:
    profile = selection.profile
    total, moment = profile.step.peak(profile.batch)
    phase, node = profile.step.moments[moment]
    during = f"in the {phase} pass of {node.name}" if node is not None else f"in the {phase}"
    parts: dict[str, int] = {}
    for tensor in profile.step.alive(moment):
        parts[tensor.category] = parts.get(tensor.category, 0) + tensor.size.of(profile.batch)
    title = f"training_peak_bytes of {selection.name} = the bytes alive at the peak, {during}"
    words = profile.step.words
    return [
        *of_parts(title, [(words[name], value) for name, value in parts.items() if value]),
        f"  = {byte_size(total)}, {_batch(profile)}, optimizer {profile.optimizer.name}",
    ]


def _total_macs(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    if not profile.training:
        return None
    totals = profile.totals
    words = "MACs of the backward pass"
    if totals.macs and totals.backward_macs:
        ratio = totals.backward_macs / totals.macs
        times = f"{ratio:.3f}" if ratio >= 0.001 else "less than 0.001"
        words += f": {times} times the forward pass"
    return "backward", number(totals.backward_macs), words


def _total_training(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    if not profile.training:
        return None
    return "  training", number(profile.totals.training_macs), "MACs of both passes"


def _total_saved(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    if not profile.training:
        return None
    words = f"kept for the backward pass, {_batch(profile)}"
    inputs = [profile.training_costs[node.index]["saved_bytes"] for node in profile.network.inputs.values()]
    if any(inputs):
        words += f"; {grouped(sum(inputs))} of them are the input's"
    return "saved", byte_size(profile.totals.saved_bytes), words


def _total_peak(profile: Profile, number: Number) -> tuple[str, str, str] | None:
    if not profile.training:
        return None
    words = (
        f"peak memory of a step, with parameters, gradients, and the state of "
        f"{profile.optimizer.name}, at `{_peak_at(profile)}`"
    )
    return "  step peak", byte_size(profile.totals.training_peak_bytes), words


def _backward_macs() -> Quantity:
    return BACKWARD_MACS


def _backward_flops() -> Quantity:
    return BACKWARD_FLOPS


BACKWARD_MACS = Quantity(
    name="backward_macs",
    of_operations=True,
    of_training=True,
    noun="backward MACs",
    definition="MACs of the backward pass, per sample: for each layer, the MACs of the forward pass once for "
    "the gradient of its input, if a trained parameter comes before it, and once for the gradient of its "
    "weights, if they are trained",
    of=_of_nodes("backward_macs"),
    explain=_explain_operations(_backward_macs, macs_only=True),
    total=_total_macs,
    heading="Backward MACs",
)
BACKWARD_FLOPS = Quantity(
    name="backward_flops",
    of_operations=True,
    of_training=True,
    noun="backward FLOPs",
    definition="floating-point operations of the backward pass, for a batch of one, counted as `flops` are: "
    + FLOPS_CONVENTION.removesuffix("; every layer"),
    of=_of_nodes("backward_flops"),
    explain=_explain_operations(_backward_flops, macs_only=False),
    heading="Backward FLOPs",
)
TRAINING_MACS = Quantity(
    name="training_macs",
    of_operations=True,
    of_training=True,
    noun="training MACs",
    definition="MACs of the forward and the backward pass, per sample",
    of=_training_macs,
    explain=_explain_training,
    total=_total_training,
    heading="Training MACs",
)
SAVED_BYTES = Quantity(
    name="saved_bytes",
    of_operations=True,
    of_training=True,
    noun="saved bytes",
    definition="bytes that must be kept from the forward pass for the backward pass, for the whole batch; "
    "parameters not included",
    unit=Unit.BYTES,
    of=_of_nodes("saved_bytes"),
    explain=_explain_saved,
    total=_total_saved,
    heading="Saved bytes",
)
GRADIENT_BYTES = Quantity(
    name="gradient_bytes",
    of_training=True,
    noun="gradient bytes",
    definition="bytes of the gradients of trained parameters",
    unit=Unit.BYTES,
    of=_of_nodes("gradient_bytes"),
    explain=_explain_gradients,
    heading="Gradient bytes",
)
OPTIMIZER_BYTES = Quantity(
    name="optimizer_bytes",
    of_training=True,
    noun="optimizer bytes",
    definition="bytes that the optimizer keeps from step to step (`--optimizer`): none for SGD, a value for "
    "each trained parameter with momentum, two for Adam and AdamW, and a step count for each array",
    unit=Unit.BYTES,
    of=_of_nodes("optimizer_bytes"),
    explain=_explain_optimizer,
    heading="Optimizer bytes",
)
TRAINING_PEAK_BYTES = Quantity(
    name="training_peak_bytes",
    of_operations=True,
    of_training=True,
    noun="training peak bytes",
    definition="peak memory of a training step, in bytes: parameters, gradients, optimizer state, "
    "saved and temporary tensors, for the whole batch; what kernels allocate for themselves is not counted",
    unit=Unit.BYTES,
    scope=Scope.NETWORK,
    of=_peak,
    explain=_explain_peak,
    total=_total_peak,
    at=_peak_at,
)
QUANTITIES = (
    BACKWARD_MACS,
    BACKWARD_FLOPS,
    TRAINING_MACS,
    SAVED_BYTES,
    GRADIENT_BYTES,
    OPTIMIZER_BYTES,
    TRAINING_PEAK_BYTES,
)
