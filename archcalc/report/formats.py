"""The report for programs and documents: JSON, CSV, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from archcalc.checking.evaluate import check
from archcalc.profile import Profile
from archcalc.render.documents import csv_text, escaped, json_text, markdown_table
from archcalc.report.columns import COLUMNS, Column, View, choose, default, for_programs
from archcalc.report.rows import Row
from archcalc.report.table import remarks, totals_in_words


def to_json(rows: Sequence[Row], profile: Profile) -> str:
    """The report as one JSON object; `schemas/report.json` describes it."""

    network = profile.network
    totals = {name: getattr(profile.totals, name) for name in profile.totals.__struct_fields__}
    convention = profile.convention
    if convention is not None:
        totals |= {"count": profile.count, "unit": convention.unit}
    checks = check(profile)
    document = {
        "architecture": network.name,
        "batch": profile.batch,
        "dtype": profile.dtype,
        "heads": profile.heads,
        **({"convention": convention.name} if convention is not None else {}),
        "inputs": {name: list(node.shape) for name, node in network.inputs.items()},
        "parameters": {name: _plain(value) for name, value in network.parameters.items()},
        "totals": totals,
        "expectations": {
            "declared": len(network.expectations),
            "checked": len(checks),
            "held": sum(c.held for c in checks),
        },
        "unaligned": [
            {"name": m.node.name, "branches": [branch.name for branch in m.branches], "reason": m.reason}
            for m in profile.misalignments
        ],
        "layers": [_layer(row, profile) for row in rows],
    }
    if convention is not None:
        document["counted"] = counted(profile)
    return json_text(**document)


def counted(profile: Profile) -> dict[str, Any]:
    """How a total under a convention comes about, and the kinds of layers that it does not count."""
    counter = profile.counter
    assert counter is not None
    nodes = [*profile.network.inputs.values(), *(layer.node for layer in profile.layers)]
    factor = profile.per_count
    return {
        "parts": [{"text": part.text, "value": part.value * factor} for part in counter.parts(nodes)],
        "not_counted": counter.not_counted(nodes),
    }


def _layer(row: Row, profile: Profile) -> dict[str, Any]:
    node = row.output
    field = profile.entries[node.index].field
    span = row.group.span if row.group is not None else node.span
    layer: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "inputs": [source.name for source in node.inputs] if row.group is None else row.inputs,
        "output_shape": list(node.shape),
        "params": row.params,
        "buffers": row.buffers,
        "weights": row.weights,
        "macs": row.macs,
        "flops": row.flops,
        "activations": row.activations,
        "activation_bytes": row.activations * profile.bytes_per_value * profile.batch,
        "receptive_field": _axes(field.size) if not field.is_global else "global",
        "effective_stride": _axes(field.stride),
        "effective_padding": _axes(field.padding),
        "source": str(span) if span is not None else "",
    }
    if profile.convention is not None:
        layer["count"], layer["unit"] = row.count, profile.convention.unit
    if row.group is not None:
        layer["layers"] = len(row.layers)
    elif node.shares is not None:
        layer["shares_with"] = node.shares.name
    return layer


def _axes(lengths: tuple[int | Fraction, ...]) -> list[int | float] | None:
    """Lengths along the axes; none are known where the field is global or places were rearranged."""
    return [n if isinstance(n, int) else float(n) for n in lengths] or None


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def to_csv(rows: Sequence[Row], view: View, columns: Sequence[Column]) -> str:
    """The rows as CSV with plain integers, all columns unless some are chosen."""
    columns = columns or choose(for_programs(view))
    return csv_text(
        (column.name for column in columns), ((column.raw(row, view) for column in columns) for row in rows)
    )


def to_markdown(rows: Sequence[Row], view: View, columns: Sequence[Column], heading: Sequence[str]) -> str:
    """The rows as a Markdown table, with the heading above and the totals below."""
    names = default(view)
    columns = columns or [COLUMNS[name] for name in (*names[:2], "operation", *names[2:])]
    lines = [f"## {heading[0]}", "", *(f"{line}  " for line in heading[1:]), ""] if heading else []
    cells = [[escaped(column.cell(row, view)) for column in columns] for row in rows]
    footer = []
    for column in columns:
        text = "Total" if column.name == "layer" else ""
        footer.append(f"**{view.count(column.total(view)) if column.total else text}**".replace("****", ""))
    headings = [column.heading or column.name for column in columns]
    right = [number for number, column in enumerate(columns) if column.right]
    lines += [*markdown_table(headings, [*cells, footer], right), ""]
    lines += [f"- {name.strip()}: **{value}** ({words})" for name, value, words in totals_in_words(view)]
    lines += [f"- {line.strip()}" for line in remarks(view)]
    return "\n".join(lines) + "\n"
