"""The layer kinds as text: the list, and the page of one kind with arguments, formulas, and an example."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

from archcalc.diagnostics import unknown
from archcalc.layers import KINDS, PYTORCH
from archcalc.layers.describe import DescribedKind, describe, in_families
from archcalc.opening import loads
from archcalc.profile import analyze
from archcalc.quantities import QUANTITIES
from archcalc.quantities.structure import SIZE, TRANSPOSED_SIZE
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.report.explain import account
from archcalc.shape import Window

if TYPE_CHECKING:
    from rich.console import Console

    from archcalc.layers.terms import Windows

EXPLAINED = ("shape", "params", "buffers", "macs", "flops")
"""The quantities explained for an example; buffers only if there are any."""

TENSORS = "two tensors or more, or one list of tensors"
"""The inputs of a join."""


def find_kind(name: str) -> DescribedKind:
    """The kind with this name, or with this name in another tool (`Conv2d`). Raises `ArchError`."""
    from archcalc.language.foreign import help_for_layer, layer_named

    kind = name if name in KINDS else layer_named(name)
    if kind not in KINDS:
        help = help_for_layer(name) or "`archcalc layers` lists them"
        raise unknown("there is no layer kind", name, KINDS, help=help)
    return describe(KINDS[kind])


def render_kinds(width: int, colour: bool) -> str:
    """Every kind with its arguments and what it does, by family."""
    from rich.padding import Padding
    from rich.text import Text

    console = open_console(width, colour)
    for heading, kinds in in_families().items():
        console.print(Text(heading, style="bold"))
        for kind in kinds:
            name = Text(kind.signature)
            name.stylize("bold cyan", 0, len(kind.kind))
            console.print(Padding(name, (0, 0, 0, 2)))
            console.print(Padding(Text(kind.summary, style="dim"), (0, 0, 0, 6)))
        console.print()
    console.print(Text(f"{len(KINDS)} kinds. `archcalc layers conv` shows one with its formulas."))
    console.print(Text("An argument without a default is required, unless it is in brackets."))
    return printed(console)


def render_kind(kind: DescribedKind, width: int, colour: bool) -> str:
    """A kind with its arguments and their values, its name in PyTorch, source, formulas, and an example."""
    from rich.table import Table
    from rich.text import Text

    console = open_console(width, colour)
    console.print(Text(kind.signature, style="bold"))
    for paragraph in (kind.summary, *kind.details):
        console.print("", Text(paragraph), sep="\n")
    rows = [(a.name, a.default, a.values) for a in kind.arguments]
    if KINDS[kind.kind].is_join:
        rows.insert(0, ("...", "required", TENSORS))
    if rows:
        table = ruled()
        for heading in ("Argument", "Default", "Values"):
            table.add_column(heading, no_wrap=heading != "Values")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print("", table, sep="\n")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column()
    facts.add_row("PyTorch", Text(kind.pytorch or "none"))
    facts.add_row("Python", Text(f"archcalc.layers.{_python_name(kind)}"))
    facts.add_row("Formulas", Text(kind.source))
    console.print("", facts, sep="\n")
    _example(console, kind)
    return printed(console)


def _python_name(kind: DescribedKind) -> str:
    """The Python class, with PyTorch's name for maps of two axes if there is one."""
    names = PYTORCH.get(kind.kind, ())
    return next((name for name in names if "2d" in name), next(iter(names), KINDS[kind.kind].__name__))


def _example(console: Console, kind: DescribedKind) -> None:
    """The example, and the formulas of its layer with numbers."""
    from rich.text import Text

    if not kind.example:
        return
    console.print("", Text("Example", style="bold"), "", Text(indent(kind.net, "  ")), "", sep="\n")
    profile = analyze(loads(kind.net))
    name = [node.name for node in profile.network.layers if node.kind == kind.kind][-1]
    selection = profile.part(name)
    for quantity in map(QUANTITIES.__getitem__, EXPLAINED):
        if quantity.name == "buffers" and not quantity.measure(selection):
            continue
        lines = account(quantity, selection)
        if quantity.name == "shape":
            lines[1:1] = _size_formula(selection.output.facts.windows)
        console.print(Text("\n".join(lines)))


def _size_formula(windows: Windows) -> list[str]:
    """The formula for the size along an axis, in symbols."""
    if not isinstance(windows, tuple) or not all(map(_is_whole, windows)):
        return []
    if any(window.clamped and not window.transposed for window in windows):
        return []  # positions read each other: no window slides
    return [f"  n_out = {TRANSPOSED_SIZE if windows[0].transposed else SIZE}"]


def _is_whole(window: Window) -> bool:
    return isinstance(window.stride, int) and isinstance(window.kernel_size, int)
