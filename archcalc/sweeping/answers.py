"""Formats the answer to an inverse question as text and JSON."""

from __future__ import annotations

from typing import Any

from archcalc.render.documents import json_text, plain
from archcalc.render.grid import GridCell, lay_out
from archcalc.render.numbers import grouped, plural
from archcalc.sweeping.solving import Solution, Tried

COLUMNS = ("params", "macs")
"""Figures that are shown in addition to the requested ones."""


def text(solution: Solution, width: int) -> str:
    """Return the answer, the figures on both sides of it, and how it was found."""
    plan, name = solution.plan, solution.unknown.name
    extreme = "largest" if solution.largest else "smallest"
    wanted = [limit.text for limit in plan.limits] + [each.text for each in plan.relations.conditions]
    limits = " and ".join(f"`{text}`" for text in wanted)
    if solution.best is None:
        lines = [f"{plan.net}: no value of `{name}` gives {limits}"]
        rows = [("nearest", solution.nearest)]
    else:
        lines = [f"{plan.net}: the {extreme} `{name}` with {limits} is {solution.best.shown}"]
        rows = [("holds", solution.best), ("does not", solution.beyond)]
        if solution.beyond is None:
            lines.append(f"it is the end of the range: no {_further(solution)} value was asked for")
    lines += ["", *_table(solution, rows, width), ""]
    lines.append(f"found: {solution.how}")
    if solution.best is not None and solution.gaps:
        side = "below" if solution.largest else "above"
        verb = "does" if solution.gaps == 1 else "do"
        lines.append(f"{plural(solution.gaps, 'value')} {side} the answer {verb} not hold")
    return "\n".join(lines) + "\n"


def _further(solution: Solution) -> str:
    return "larger" if solution.largest else "smaller"


def _table(solution: Solution, rows: list[tuple[str, Tried | None]], width: int) -> list[str]:
    plan = solution.plan
    extra = [n for n, limit in enumerate(plan.limits) if limit.path or limit.quantity not in plan.columns]
    heading = ["", solution.unknown.name, *plan.columns, *(_named(plan.limits[n]) for n in extra)]
    cells = [[GridCell(name) for name in heading]]
    for word, tried in rows:
        if tried is None:
            continue
        if tried.problem:
            cells.append([GridCell(word), GridCell(tried.shown), GridCell(tried.problem)])
            continue
        figures = [*tried.figures, *(tried.limited[n] for n in extra)]
        cells.append([GridCell(word), GridCell(tried.shown), *(GridCell(grouped(n)) for n in figures)])
    lines: list[str] = []
    for panel in lay_out(cells, width, repeated=2):
        lines += [*([""] if lines else []), *("".join(piece for piece, _ in line).rstrip() for line in panel)]
    return lines


def _named(limit: Any) -> str:
    return f'{limit.quantity}("{limit.path}")' if limit.path else str(limit.quantity)


def to_json(solution: Solution) -> str:
    """The answer as one JSON object; `schemas/solve.json` describes it."""
    plan = solution.plan

    def tried(found: Tried | None) -> dict[str, Any] | None:
        if found is None:
            return None
        value: dict[str, Any] = {"value": plain(solution.unknown.value(found.digit)), "holds": found.holds}
        if found.problem:
            return {**value, "problem": found.problem}
        figures = dict(zip(plan.columns, found.figures, strict=True))
        figures |= {_named(limit): n for limit, n in zip(plan.limits, found.limited, strict=True)}
        return {**value, "figures": figures}

    return json_text(
        net=plan.net,
        unknown=solution.unknown.name,
        extreme="largest" if solution.largest else "smallest",
        expectations=[limit.text for limit in plan.limits],
        conditions=[condition.text for condition in plan.relations.conditions],
        answer=tried(solution.best),
        beyond=tried(solution.beyond),
        nearest=tried(solution.nearest),
        found=solution.how,
        gaps=solution.gaps,
    )
