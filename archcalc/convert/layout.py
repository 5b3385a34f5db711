"""Lays out chains of calls in lines of at most `WIDTH` columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from msgspec import Struct, field

WIDTH = 110
"""Columns of a line. Only a long name or list may take more."""

ONE_LINE = 80
"""A chain of at most this many columns is not broken into phrases."""


class CallText(Struct, eq=False):
    """A step as text. `tensors` are the arguments that are chains, `values` the others.

    `weighs` says that the step begins a phrase: a layer with weights, a join, a block. `block` marks blocks.
    `brackets` are the brackets of a list, if it is one.
    """

    name: str
    tensors: list[Chained] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    weighs: bool = False
    block: bool = False
    brackets: str = "()"


class Braced(Struct, eq=False):
    """Lines in braces, with `head` before them; `lines` makes the lines for an indentation."""

    lines: Callable[[int], list[str]]
    head: str = ""


Chained = list[CallText | Braced]


def flat(chain: Chained) -> str:
    """Return a chain on one line; empty if it cannot be written on one."""
    texts = []
    for call in chain:
        if isinstance(call, Braced):
            lines = call.lines(0)
            if len(lines) > 1:
                return ""
            texts.append(f"{call.head}{{ {lines[0]} }}")
            continue
        tensors = [flat(tensor) for tensor in call.tensors]
        if not all(tensors):
            return ""
        arguments = ", ".join(tensors + call.values)
        texts.append(
            f"{call.name}{call.brackets[0]}{arguments}{call.brackets[1]}" if arguments else call.name
        )
    return " -> ".join(texts)


def laid_out(chain: Chained, indent: int, head: str = "", tail: str = "") -> list[str]:
    """Return a chain as lines, with `head` before it and `tail` after it.

    A chain that is too long breaks before a layer with weights. A join that is too long has each of its
    arguments on a line of its own.
    """
    margin = " " * indent
    text = flat(chain)
    if text and len(margin + head + text + tail) <= WIDTH:
        return [margin + head + text + tail]
    lines = [margin + head]
    for number, group in enumerate(_groups(chain)):
        _append(lines, group, indent, first=not number)
    lines[-1] += tail
    return lines


def _groups(chain: Chained) -> list[Chained]:
    """Group the steps that should stay on one line: a layer with weights and the steps that follow it."""
    groups: list[Chained] = []
    for call in chain:
        if not groups or isinstance(call, Braced) or call.weighs or _pools_all(call):
            groups.append([])
        groups[-1].append(call)
    return groups


def _pools_all(call: CallText | Braced) -> bool:
    return isinstance(call, CallText) and call.name.startswith(("global_", "adaptive_"))


def _append(lines: list[str], group: Chained, indent: int, first: bool) -> None:
    """Append steps to the last line or to new ones. One column is reserved for a comma at the end."""
    margin = " " * indent
    arrow = "" if first else " -> "
    text = flat(group)
    if text and len(lines[-1] + arrow + text) < WIDTH:
        lines[-1] += arrow + text
    elif text and not first and len(f"{margin}  -> {text}") < WIDTH:
        lines.append(f"{margin}  -> {text}")
    elif isinstance(group[0], CallText) and group[0].tensors:
        join = group[0]
        _open(lines, f"{join.name}{join.brackets[0]}", indent, arrow)
        for tensor in join.tensors:
            lines += laid_out(tensor, indent + 2, tail=",")
        lines += [*(f"{margin}  {value}," for value in join.values), f"{margin}{join.brackets[1]}"]
        if len(group) > 1:
            _append(lines, group[1:], indent, first=False)
    elif len(group) > 1:
        for call in group:
            _append(lines, [call], indent, first)
            first = False
    elif isinstance(group[0], Braced):
        _open(lines, f"{group[0].head}{{", indent, arrow)
        lines += [*group[0].lines(indent + 2), f"{margin}}}"]
    else:
        call = group[0]
        _open(lines, f"{call.name}(", indent, arrow)
        for value in call.values:
            lines += _wrapped(f"{value},", indent + 2)
        lines.append(f"{margin})")


def _open(lines: list[str], text: str, indent: int, arrow: str) -> None:
    """Append text that opens a bracket to the last line, or to a new one."""
    if arrow and len(lines[-1] + arrow + text) > WIDTH:
        lines.append(f"{' ' * indent}  -> {text}")
    else:
        lines[-1] += arrow + text


def _wrapped(value: str, indent: int) -> list[str]:
    """Return an argument on separate lines, with the items of a long list on several lines."""
    if indent + len(value) <= WIDTH or '"' in value:
        return [" " * indent + value]
    return textwrap.wrap(
        value,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def phrases(chain: Chained) -> list[Chained]:
    """Split a long chain into several: one line for each convolution and the steps that follow it."""
    text = flat(chain)
    calls = [call for call in chain if isinstance(call, CallText)]
    blocks = sum(call.block for call in calls)
    pools = any(_pools_all(call) for call in calls[1:])
    starts = bool(calls) and calls[0].name == "input"
    if text and len(text) <= ONE_LINE and not starts and blocks <= (0 if pools else 2):
        return [chain]
    found: list[Chained] = [[]]
    full = False
    for call in chain:
        weighs = isinstance(call, Braced) or call.weighs
        if full and (weighs or _pools_all(call)):
            found.append([])
            full = False
        found[-1].append(call)
        full = full or weighs
        if isinstance(call, CallText) and call.name == "input" and call is not chain[-1]:
            found.append([])
    return found


def table(rows: Sequence[Sequence[str]], indent: int) -> list[str]:
    """Lay out the rows of a loop with aligned columns; single cells fill lines."""
    margin = " " * indent
    if len(rows[0]) == 1:
        lines = [margin]
        for (cell,) in rows:
            if len(lines[-1]) + len(cell) + 2 > WIDTH:
                lines.append(margin)
            lines[-1] += f"{cell}, "
        return [line.rstrip() for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        f"{margin}[{', '.join(cell.rjust(n) for cell, n in zip(row, widths, strict=True))}]," for row in rows
    ]
