"""Chains of calls as lines of at most `WIDTH` columns."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

WIDTH = 110
"""Columns of a line. Only a long name or list may take more."""

ONE_LINE = 80
"""Columns up to which a chain is not broken into phrases."""


class Call(Struct, eq=False):
    """A step as text. `tensors` are arguments that are chains, `values` the others.

    `weighs` says that it begins a phrase: a layer with weights, a join, a block. `block` is for blocks.
    """

    name: str
    tensors: list[Chained] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    weighs: bool = False
    block: bool = False


class Braced(Struct, eq=False):
    """Lines in braces, without indentation."""

    lines: list[str]


Chained = list[Call | Braced]


def flat(chain: Chained) -> str:
    """A chain on one line; empty if it cannot be on one."""
    texts = []
    for call in chain:
        if isinstance(call, Braced):
            if len(call.lines) > 1:
                return ""
            texts.append(f"{{ {call.lines[0]} }}")
            continue
        tensors = [flat(tensor) for tensor in call.tensors]
        if not all(tensors):
            return ""
        arguments = ", ".join(tensors + call.values)
        texts.append(f"{call.name}({arguments})" if arguments else call.name)
    return " -> ".join(texts)


def laid_out(chain: Chained, indent: int, head: str = "", tail: str = "") -> list[str]:
    """A chain as lines, with `head` before it and `tail` after it.

    A join that is too long has each of its arguments on a line of its own.
    """
    margin = " " * indent
    line = margin + head
    lines: list[str] = []
    for number, call in enumerate(chain):
        arrow = " -> " if number else ""
        end = tail if number == len(chain) - 1 else ""
        text = flat([call])
        if text and len(line) + len(arrow) + len(text) + len(end) <= WIDTH:
            line += arrow + text
        elif number and text and indent + len(text) + len(end) + 6 <= WIDTH:
            lines.append(line)
            line = f"{margin}  -> {text}"
        elif isinstance(call, Braced):
            lines += [f"{line}{arrow}{{", *(f"{margin}  {inner}" for inner in call.lines)]
            line = f"{margin}}}"
        elif call.tensors:
            lines.append(f"{line}{arrow}{call.name}(")
            for tensor in call.tensors:
                lines += laid_out(tensor, indent + 2, tail=",")
            lines += [f"{margin}  {value}," for value in call.values]
            line = f"{margin})"
        else:
            line += arrow + text
    return [*lines, line + tail]


def phrases(chain: Chained) -> list[Chained]:
    """A long chain as several: a line for each convolution, with what follows it."""
    text = flat(chain)
    has_input = any(isinstance(call, Call) and call.name == "input" for call in chain)
    blocks = sum(isinstance(call, Call) and call.block for call in chain)
    if text and len(text) <= ONE_LINE and not has_input and blocks <= 2:
        return [chain]
    found: list[Chained] = []
    phrase: Chained = []
    full = False
    for call in chain:
        weighs = isinstance(call, Braced) or call.weighs
        begins = isinstance(call, Call) and call.name.startswith(("global_", "adaptive_"))
        if phrase and full and (weighs or begins):
            found.append(phrase)
            phrase, full = [], False
        phrase.append(call)
        full = full or weighs or (isinstance(call, Call) and call.name == "input")
        if isinstance(call, Call) and call.name == "input":
            found.append(phrase)
            phrase, full = [], False
    return [*found, phrase] if phrase else found


def table(rows: Sequence[Sequence[str]], indent: int) -> list[str]:
    """The rows of a loop, with the cells of a column below one another; single cells fill lines."""
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
