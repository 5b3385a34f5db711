"""The contribution of each node to the figures of training."""

from __future__ import annotations

from archcalc.gradients import Gradients
from archcalc.memory.timeline import Timeline
from archcalc.quantities.operations import FLOPS_OF
from archcalc.quantities.quantity import Figures

BYTES = {"saved": "saved_bytes", "gradients": "gradient_bytes", "optimizer": "optimizer_bytes"}
"""The figures that are the bytes of one category of tensors."""


def costs_of_nodes(gradients: Gradients, step: Timeline, batch: int) -> dict[int, Figures]:
    """By node index: operations of the backward pass for one sample, and bytes for the batch."""
    costs = {}
    for node in gradients.nodes:
        macs = flops = 0
        for category, term in gradients.operations(node):
            macs += term.value if category == "macs" else 0
            flops += FLOPS_OF[category] * term.value
        figures = Figures(backward_macs=macs, backward_flops=flops, **dict.fromkeys(BYTES.values(), 0))
        costs[node.index] = figures
    for tensor in step.tensors:
        if tensor.category in BYTES and tensor.node is not None:
            costs[tensor.node.index][BYTES[tensor.category]] += tensor.size.of(batch)
    return costs
