"""Writes a network as text, for `archcalc convert`.

Modules of the network, or parts that repeat in it, become blocks. Differences between them become parameters,
and repetitions become loops. The text is parsed again before it is returned, and must give the same network.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.convert.blocks import make_templates, with_inlined
from archcalc.convert.flow import Ending, FlowBuilder
from archcalc.convert.freezing import with_frozen_steps
from archcalc.convert.modules import ModuleItem, ModuleTree, NetModule
from archcalc.convert.phrases import with_phrases
from archcalc.convert.plan import LayerStep, Part, Script, Step, ThreadLine
from archcalc.convert.same import Difference, difference
from archcalc.convert.series import with_series
from archcalc.convert.sharing import SharedParameters
from archcalc.convert.writer import written
from archcalc.diagnostics import ArchError, error
from archcalc.network import Network
from archcalc.opening import loads

LONG = 40
"""The number of layers from which a text without structure says so."""

UNSTRUCTURED = "No structure was found in it that repeats: this is the list of its layers."


class Conversion(Struct, frozen=True):
    """A text that declares a network. `problem` says what is wrong with the text, if anything is."""

    text: str
    problem: str = ""


def convert(network: Network, comments: Sequence[str] = ()) -> Conversion:
    """Convert a network to text, with comments at the top.

    If the structured text does not give the same network, the result is the list of its layers. If only the
    figures differ, because the language can tie weights and freeze layers but not other arrays, the text says
    so. Raises `ArchError` if no text gives the same layers.
    """
    problem = ""
    for structured in (True, False):
        script = plan(network, structured)
        notes = [*comments, problem] if problem else [*comments]
        if structured and len(network.nodes) > LONG and not _has_structure(script):
            notes.append(UNSTRUCTURED)
        text = written(script, network.name, notes)
        found = _difference(network, text)
        if not found:
            return Conversion(text, problem)
        if not found.layers:
            words = (
                f"The text has {found.figures}: it cannot say that arrays other than a weight are those of "
                "another layer, or that only some arrays of a layer are not trained."
            )
            return Conversion(written(script, network.name, [*notes, words]), f"{problem} {words}".strip())
        problem = f"This is the list of the layers, because a text with blocks has {found.layers}."
    raise error(
        f"`{network.name}` cannot be written as a text: it has {found.layers}",
        help="`archcalc report` shows its layers",
    )


def plan(network: Network, structured: bool = True) -> Script:
    """Plan the text; without structure, each layer is on its own."""
    items = ModuleTree(network, nested=structured).items
    SharedParameters(network.nodes, items)
    endings = [
        *(Ending(node.index, "output", name) for name, node in network.outputs.items() if name != "output"),
        *(Ending(node.index, "aux", name) for name, node in network.heads.items()),
        *(Ending(node.index) for name, node in network.outputs.items() if name == "output"),
    ]
    whole = _script(items, (), endings, structured)[0]
    with_frozen_steps(whole)
    if not structured:
        return make_templates(whole, loops=False)
    return with_inlined(make_templates(whole))


def _script(
    items: Sequence[ModuleItem], entries: Sequence[int], endings: Sequence[Ending], structured: bool
) -> tuple[Script, FlowBuilder]:
    """Return the script of one body, and its builder."""
    if structured:
        items = with_series(items, [ending.value for ending in endings])
    parts = {item.value: _part(item.module, structured) for item in items if item.module is not None}
    hints = {}
    for item in items:
        path = item.module.path if item.module is not None else item.node.name if item.node.is_input else ""
        hints[item.value] = path[-100:].rpartition("/")[2]
    builder = FlowBuilder(items, entries, endings, parts, hints, structured)
    script = builder.script()
    if structured:
        with_phrases(script)
    return script, builder


def _part(module: NetModule, structured: bool) -> Part:
    if module.series is not None:
        return Part("", "", module.series.script(_steps))
    script, builder = _script(module.items, module.inputs, [Ending(module.value)], structured)
    entries = [builder.local(value) for value in module.inputs[1:]]
    members = frozenset(item.module.path.rpartition("/")[2] for item in module.items if item.module)
    return Part(module.kind, module.path, script, module.around, members, entries, module.shared)


def _steps(items: Sequence[ModuleItem]) -> list[Step]:
    """Return the steps of consecutive items."""
    script, _ = _script(items, items[0].inputs, [Ending(items[-1].value)], True)
    (line,) = script.lines
    assert isinstance(line, ThreadLine)
    return line.thread.steps


def _has_structure(script: Script) -> bool:
    """Return whether there is a block, a loop, or a branch inside an argument."""
    for line in script.lines:
        if not isinstance(line, ThreadLine):
            return True  # a loop or a list
        for step in line.thread.steps:
            if not isinstance(step, LayerStep) or any(tensor.steps for tensor in step.tensors):
                return True
    return False


def _difference(network: Network, text: str) -> Difference:
    """Describe what a text gives in place of the network that it should declare."""
    try:
        made = loads(text)
    except ArchError as problem:
        return Difference(f"a mistake ({problem.diagnostics[0].message})")
    return difference(network, made)
