"""The explanations of a figure, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from archcalc.comparison import ComparedNetwork, compare
from archcalc.network import Network
from archcalc.notes import note_lines, note_objects
from archcalc.opening import Read, open_net, remembering
from archcalc.profile import analyze
from archcalc.reconcile import Answer, Match
from archcalc.render.documents import json_text
from archcalc.render.numbers import grouped, plural
from archcalc.render.terminal import open_console, printed

FEW = 3
"""The most differences of one kind that a line names."""


def to_json(net: str, network: Network, answers: Sequence[Answer]) -> str:
    """All matches, the most plausible first; if there are none, the nearest ways of counting."""
    return json_text(
        architecture=net,
        notes=note_objects(network.notes),
        figures=[
            {
                "figure": answer.claimed.text,
                "matches": [_plain(match) for match in answer.matches],
                "nearest": [
                    _plain(match) | {"difference": _number(match.difference)} for match in answer.nearest
                ],
            }
            for answer in answers
        ],
    )


def _plain(match: Match) -> dict[str, Any]:
    return {
        "value": match.value,
        "unit": match.unit,
        "architecture": match.net,
        "conventions": list(match.conventions),
        "undoubled": list(match.undoubled),
        "departures": list(match.departures),
        "parts": [{"text": part.text, "value": part.value} for part in match.parts],
        "implausibility": float(match.cost),
    }


def _exact(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)


def render(
    net: str,
    network: Network,
    answers: Sequence[Answer],
    most: int | None,
    width: int,
    colour: bool,
) -> str:
    """The notes on the network, and for each figure at most `most` ways of counting that give it."""
    from rich.padding import Padding
    from rich.text import Text

    console = open_console(width, colour)
    read = remembering()
    for words in note_lines(network.notes):
        console.print(Text(words, style="yellow"))
    for number, answer in enumerate(answers):
        if number:
            console.print()
        console.print(Text(_title(net, answer), style="bold"), overflow="fold")
        shown = answer.matches if most is None else answer.plausible[:most]
        shown = shown or answer.nearest
        explained: set[str] = set()
        right = max(len(grouped(match.value)) for match in shown) if shown else 0
        for match in shown:
            line = Text(f"{grouped(match.value):>{right}} ", style="bold")
            line.append(_what(match), style="not bold")
            console.print()
            console.print(Padding(line, (0, 0, 0, 2)))
            lines = _lines(match)
            if match.net != net and match.net not in explained:
                explained.add(match.net)
                lines.insert(0, _differences(network, match.net, read))
            for words in filter(None, lines):
                console.print(Padding(Text(words, style="dim"), (0, 0, 0, right + 3)))
        hidden = len(answer.matches) - (len(shown) if answer.plausible else 0)
        if most is not None and hidden:
            word = "less plausible ways" if answer.plausible else "implausible ways"
            console.print(Text(f"\n  and {hidden:,} {word}; `--all` shows them", style="dim"))
    return printed(console)


def _title(net: str, answer: Answer) -> str:
    figure = answer.claimed.text
    if answer.plausible:
        count = len(answer.plausible)
        return f"{plural(count, 'way')} of counting give{'' if count > 1 else 's'} {figure} for {net}"
    return f"no plausible way of counting gives {figure} for {net}; the nearest are:"


def _what(match: Match) -> str:
    departures = ", ".join(match.departures) or f"{match.net} as it is"
    return f"{match.unit}: {departures}"


def _lines(match: Match) -> list[str]:
    lines = [f"counted by {', '.join(match.conventions)}"]
    if match.undoubled:
        lines[0] += f"; {', '.join(match.undoubled)} without doubling"
    if match.parts:
        text = " + ".join(f"{grouped(part.value)} ({part.text})" for part in match.parts)
        factor = match.value // sum(part.value for part in match.parts)
        if factor > 1:
            text = f"{factor} × ({text})" if len(match.parts) > 1 else f"{factor} × {text}"
        lines.append(text)
    if match.difference:
        word = "above" if match.difference > 0 else "below"
        lines.append(f"{grouped(_exact(abs(match.difference)))} {word} the figure")
    return lines


def _differences(network: Network, variant: str, read: Read) -> str:
    """The differences between a variant and the network, in a line; empty if they have little in common."""
    opened, overrides = open_net(variant, read)
    networks = (network, opened.network(overrides))
    subjects = [ComparedNetwork(each.name, analyze(each)) for each in networks]
    matching = compare(subjects).matching
    if matching is None or not matching.alike:
        return ""
    changes = Counter(
        f"{change.argument} {change.before} → {change.after}"
        for pair in matching.changed
        for change in pair.changes
    )
    parts = [f"{what} in {plural(number, 'layer')}" for what, number in changes.most_common(FEW)]
    if len(changes) > FEW:
        parts.append(plural(len(changes) - FEW, "other change", str))
    for word, nodes in (("more", matching.added), ("fewer", matching.removed)):
        kinds = Counter(node.kind for node in nodes)
        parts += [f"{number:,} {word} {kind}" for kind, number in kinds.most_common(FEW)]
    return f"{variant}: {', '.join(parts)}" if parts else ""
