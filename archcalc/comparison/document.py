"""A comparison as JSON; `schemas/compare.json` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.comparison import AccountLine, ComparedPart, Comparison
from archcalc.comparison.matching import Matching, Pair
from archcalc.comparison.words import phrase
from archcalc.network import Node
from archcalc.notes import note_objects
from archcalc.render.documents import json_text, plain


def to_json(comparison: Comparison) -> str:
    """The comparison as one JSON object."""
    profile = comparison.subjects[0].profile
    matching = comparison.matching
    convention = profile.convention
    return json_text(
        batch=profile.batch,
        dtype=profile.dtype,
        heads=profile.heads,
        **({"optimizer": profile.optimizer.name} if profile.training else {}),
        **({"convention": convention.name, "unit": convention.unit} if convention is not None else {}),
        networks=[
            {
                "name": subject.name,
                "architecture": subject.profile.network.name,
                "inputs": {n: list(node.shape) for n, node in subject.profile.network.inputs.items()},
                "notes": note_objects(subject.profile.network.notes),
            }
            for subject in comparison.subjects
        ],
        identical=comparison.identical,
        totals=[
            {
                "quantity": total.quantity,
                "values": [figure.value for figure in total.figures],
                "differences": [figure.difference for figure in total.figures],
                "ratios": [plain(figure.ratio) for figure in total.figures],
                "words": [phrase(figure, total.quantity) for figure in total.figures],
                **({"reached_at": list(total.reached_at)} if total.reached_at else {}),
            }
            for total in comparison.totals
        ],
        stages=_parts(comparison.stages),
        kinds=_parts(comparison.kinds),
        structure=_structure(matching) if matching is not None else None,
        account=[_line(line) for line in comparison.account] if matching is not None else None,
    )


def _parts(parts: Sequence[ComparedPart]) -> list[dict[str, Any]]:
    return [{"name": part.name, "networks": part.amounts} for part in parts]


def _structure(matching: Matching) -> dict[str, Any]:
    return {
        "alike": matching.alike,
        "added": list(map(_layer, matching.added)),
        "removed": list(map(_layer, matching.removed)),
        "changed": list(map(_changed, matching.changed)),
        "moved": [
            {"before": p.before.name, "after": p.after.name} for p in matching.moved if p.before and p.after
        ],
    }


def _layer(node: Node) -> dict[str, str]:
    return {"name": node.name, "layer": str(node.layer)}


def _changed(pair: Pair) -> dict[str, Any]:
    changes = [{"argument": c.argument, "before": c.before, "after": c.after} for c in pair.changes]
    before = pair.before.name if pair.before is not None else ""
    return {"name": pair.name, "before": before, "changes": changes}


def _line(line: AccountLine) -> dict[str, Any]:
    counts = {name: getattr(line, name) for name in ("added", "removed", "changed", "affected", "lines")}
    return {"name": line.name or None, **counts, "difference": line.difference}
