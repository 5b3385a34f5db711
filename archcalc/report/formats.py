"""The report for programs and documents: JSON, CSV, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from archcalc.checking.evaluate import check
from archcalc.notes import note_lines, note_objects
from archcalc.profile import Profile
from archcalc.quantities import QUANTITIES, Quantity, Selection
from archcalc.render.documents import csv_text, escaped, json_text, markdown_table, plain
from archcalc.report.columns import COLUMNS, Column, View, choose, default, for_programs
from archcalc.report.table import remarks, total_cell, totals_in_words


def to_json(rows: Sequence[Selection], profile: Profile) -> str:
    """The report as one JSON object; `schemas/report.json` describes it."""
    return json_text(**document(rows, profile))


def document(rows: Sequence[Selection], profile: Profile) -> dict[str, Any]:
    """The fields of the JSON object, without the versions."""
    network = profile.network
    totals: dict[str, Any] = dict(profile.totals)
    convention = profile.convention
    if convention is not None:
        totals["unit"] = convention.unit
    checks = check(profile)
    known = RowQuantities.of(profile)
    fields: dict[str, Any] = {
        "architecture": network.name,
        "batch": profile.batch,
        "dtype": profile.dtype,
        "heads": profile.heads,
        **({"optimizer": profile.optimizer.name} if profile.training else {}),
        **({"convention": convention.name} if convention is not None else {}),
        "inputs": {name: list(node.shape) for name, node in network.inputs.items()},
        "parameters": {name: plain(value) for name, value in network.parameters.items()},
        "totals": totals,
        "reached_at": {
            name: at(profile) for name in profile.totals if (at := QUANTITIES[name].at) is not None
        },
        "expectations": {
            "declared": len(network.expectations),
            "checked": len(checks),
            "held": sum(c.held for c in checks),
        },
        "unaligned": [
            {"name": m.node.name, "branches": [branch.name for branch in m.branches], "reason": m.reason}
            for m in profile.misalignments
        ],
        "see": dict(network.see),
        "complete": network.is_complete,
        "notes": note_objects(network.notes),
        "layers": [_layer(row, profile, known) for row in rows],
    }
    if convention is not None:
        fields["counted"] = counted(profile)
    return fields


def counted(profile: Profile) -> dict[str, Any]:
    """The parts of a convention's total, and the kinds of layers that it does not count."""
    counter = profile.counter
    assert counter is not None
    nodes = [*profile.network.inputs.values(), *(layer.node for layer in profile.layers)]
    factor = profile.per_count
    return {
        "parts": [{"text": part.text, "value": part.value * factor} for part in counter.parts(nodes)],
        "not_counted": counter.not_counted(nodes),
        "unseen": counter.unseen(nodes),
    }


class RowQuantities(Struct, frozen=True):
    """The quantities of a row, sorted once, because there are thousands of rows."""

    numbers: list[Quantity]
    lengths: list[Quantity]

    @classmethod
    def of(cls, profile: Profile) -> RowQuantities:
        known = [
            q
            for q in QUANTITIES.values()
            if q.heading
            and (profile.convention or not q.of_convention)
            and (profile.training or not q.of_training)
        ]
        return cls([q for q in known if q.is_number], [q for q in known if not q.is_number])


def _layer(row: Selection, profile: Profile, known: RowQuantities) -> dict[str, Any]:
    node = row.output
    place = str(row.group.span or "") if row.group is not None else node.place
    layer: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "inputs": [source.name for source in node.inputs] if row.group is None else row.inputs,
        "output_shape": list(node.shape),
        **{q.name: None if q.is_unknown(row) else q.adds(row) for q in known.numbers},
        **{q.name: _lengths(q, row) for q in known.lengths},
        "source": place,
    }
    if profile.convention is not None:
        layer["unit"] = profile.convention.unit
    if profile.fields[node.index].at_most:
        layer["receptive_field_at_most"] = True
    if row.group is not None:
        layer["layers"] = len(row.layers)
    elif node.shares is not None:
        layer["shares_with"] = node.shares.name
    return layer


def _lengths(quantity: Quantity, row: Selection) -> Any:
    """Lengths along the axes. For a global field, the size is `"global"`, and other lengths are unknown."""
    value = quantity.measure(row)
    if value == "global":
        return "global" if quantity.name == "receptive_field" else None
    return plain(value) or None


def to_csv(rows: Sequence[Selection], view: View, columns: Sequence[Column]) -> str:
    """The rows as CSV with plain integers, all columns unless some are chosen."""
    columns = columns or choose(for_programs(view))
    return csv_text(
        (column.name for column in columns), ((column.raw(row, view) for column in columns) for row in rows)
    )


def to_markdown(
    rows: Sequence[Selection], view: View, columns: Sequence[Column], heading: Sequence[str]
) -> str:
    """The rows as a Markdown table, with the heading above and the totals below."""
    names = default(view)
    columns = columns or [COLUMNS[name] for name in (*names[:2], "operation", *names[2:])]
    lines = [f"## {heading[0]}", "", *(f"{line}  " for line in heading[1:]), ""] if heading else []
    lines += [f"> {line}  " for line in note_lines(view.profile.network.notes)]
    lines += [""] if view.profile.network.notes else []
    cells = [[escaped(column.cell(row, view)) for column in columns] for row in rows]
    footer = [f"**{text}**" if text else "" for text in (total_cell(column, view) for column in columns)]
    headings = [column.heading or column.name for column in columns]
    right = [number for number, column in enumerate(columns) if column.right]
    lines += [*markdown_table(headings, [*cells, footer], right), ""]
    lines += [f"- {name.strip()}: **{value}** ({words})" for name, value, words in totals_in_words(view)]
    lines += [f"- {line.strip()}" for line in remarks(view)]
    return "\n".join(lines) + "\n"
