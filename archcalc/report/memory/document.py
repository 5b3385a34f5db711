"""The memory of a network as JSON, and as a chart."""

from __future__ import annotations

from typing import Any

from archcalc.memory.timeline import CATEGORIES
from archcalc.notes import note_objects
from archcalc.render.charts import COLOURS, matplotlib, sheet, svg
from archcalc.render.documents import json_text
from archcalc.render.numbers import byte_size
from archcalc.report.memory.usage import Usage


def to_json(usage: Usage, fit: dict[str, Any] | None = None) -> str:
    """One JSON object; `schemas/memory.json` describes it."""
    asked, network, timeline = usage.asked, usage.network, usage.timeline
    peak, moment = usage.peak
    curves = {name: timeline.bytes_alive(asked.batch, name) for name in usage.categories}
    fields: dict[str, Any] = {
        "architecture": network.name,
        "inputs": {name: list(node.shape) for name, node in network.inputs.items()},
        "batch": asked.batch,
        "dtype": asked.dtype,
        **({"weights_dtype": asked.weights_dtype} if asked.weights_dtype else {}),
        "inference": asked.is_inference,
        "optimizer": None if asked.is_inference else asked.optimizer,
        "accounting": None if asked.is_inference else asked.accounting,
        "in_place": list(asked.in_place),
        "heads": asked.heads,
        "complete": network.is_complete,
        "notes": note_objects(network.notes),
        "peak_bytes": peak,
        "peak_moment": moment,
        "at_peak": usage.at_peak(),
        "largest": [
            {"name": t.name, "category": t.category, "bytes": t.size.of(asked.batch)}
            for t in usage.largest(20)
        ],
        "moments": [
            {
                "phase": phase,
                "layer": node.name if node is not None else None,
                **{name: curve[number] for name, curve in curves.items()},
            }
            for number, (phase, node) in enumerate(timeline.moments)
        ],
        "not_counted": list(usage.not_counted),
    }
    if asked.accounting != "needed":
        fields["waste"] = [
            {
                "kind": each.kind,
                "layers": each.nodes,
                "bytes": each.size.of(asked.batch),
                "why": each.why,
                "address": each.address,
            }
            for each in usage.waste
        ]
    if fit is not None:
        fields["fit"] = fit
    if usage.placed is not None:
        fields["arena"] = {
            "bytes": usage.placed.size,
            "offsets": [
                {"name": each.tensor.name, "offset": each.offset, "bytes": each.size}
                for each in usage.placed.placed
            ],
        }
    if usage.plan is not None and usage.plain is not None:
        nodes = [node for node in network.nodes if asked.heads or not node.training]
        fields["checkpoints"] = {
            "segments": [[nodes[start].name, nodes[stop - 1].name] for start, stop in usage.plan.segments],
            "extra_macs": usage.plan.extra_macs,
            "peak_bytes_without": usage.plain.peak(asked.batch)[0],
        }
    return json_text(**fields)


def to_svg(usage: Usage) -> str:
    """The bytes alive at each moment, by category. Raises `ArchError` without matplotlib."""
    title = f"{usage.network.name}: memory over time"
    return svg(lambda: _draw(usage, title), title)


def _draw(usage: Usage, title: str) -> Any:
    asked, timeline = usage.asked, usage.timeline
    matplotlib()
    what = "inference" if asked.is_inference else f"a training step, optimizer {asked.optimizer}"
    peak, moment = usage.peak
    most = f"{'' if usage.network.is_complete else 'at least '}{byte_size(peak)}"
    if asked.is_inference:
        most += f", {byte_size(usage.at_peak()['activations'])} of them activations,"
    page = sheet(
        title,
        f"Bytes alive in {what}, batch {asked.batch:,}, {asked.dtype}: {most} at the peak.",
        [],
    )
    (panel,) = page.panels
    order = [name for name in CATEGORIES if name in usage.categories]
    curves = {name: timeline.bytes_alive(asked.batch, name) for name in order}
    shown = {name: curve for name, curve in curves.items() if any(curve)}
    panel.stackplot(
        range(len(timeline.moments)),
        [[value / 1e6 for value in curve] for curve in shown.values()],
        labels=list(shown),
        colors=[COLOURS[order.index(name)] for name in shown],
        step="mid",
    )
    panel.axvline(moment, color="black", linewidth=0.8, linestyle=":")
    panel.set_ylabel("MB")
    panel.set_xlabel("moments: layers in the order in which they run")
    panel.set_xlim(0, max(1, len(timeline.moments) - 1))
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, frameon=False)
    return page
