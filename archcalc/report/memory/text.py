"""The memory of a network for people: the peak, what it is made of, and a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archcalc.memory.inference import IN_PLACE
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.timeline import CATEGORIES, Moment, Stretch
from archcalc.notes import note_lines
from archcalc.render.numbers import byte_size, grouped, percent, plural
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.report.memory.usage import NOT_COUNTED, Usage
from archcalc.shape import format_shape

ROWS = 6
"""Lines of the timeline."""

BLOCKS = " ▁▂▃▄▅▆▇█"

SHORT = {
    "parameters": "parameters",
    "optimizer": "optimizer",
    "gradients": "gradients",
    "saved": "saved",
    "temporary": "temporary",
}
"""The categories in a word, beside a tensor."""


def render(usage: Usage, width: int, colour: bool, top: int, fits: Sequence[str] = ()) -> str:
    """Write the whole view; `fits` are lines that come first, of the batch that was looked for."""
    from rich.text import Text

    console = open_console(width, colour)
    network, asked = usage.network, usage.asked
    console.print(Text(_title(usage), style="bold"))
    inputs = ", ".join(format_shape(node.shape) for node in network.inputs.values())
    console.print(Text(f"input {inputs}, batch {asked.batch:,}, {_conditions(usage)}", style="dim"))
    for line in note_lines(network.notes):
        console.print(Text(line, style="yellow"), overflow="fold")
    for line in fits:
        console.print(Text(line), overflow="fold")
    peak, moment = usage.peak
    console.print("")
    console.print(Text(f"peak {byte_size(peak)}", style="bold"))
    console.print(Text(f"{_when(usage.moment)}, moment {moment + 1:,} of {len(usage.timeline.moments):,}"))
    console.print("", _parts(usage), "", _largest(usage, top), "", sep="\n")
    for line in _timeline(usage, width):
        console.print(Text(line, style="cyan"), overflow="crop", no_wrap=True)
    for line in [*_plan(usage), *_arena(usage, top), *_remarks(usage)]:
        console.print(Text(line), overflow="fold")
    return printed(console)


def _title(usage: Usage) -> str:
    what = "running it once" if usage.asked.is_inference else "a step of training"
    return f"{usage.network.name}: memory of {what}"


def _conditions(usage: Usage) -> str:
    asked = usage.asked
    words = [asked.dtype]
    if not asked.is_inference:
        words.append(f"optimizer {asked.optimizer}")
    if asked.in_place:
        words.append("in place: " + ", ".join(asked.in_place))
    if asked.heads and usage.network.heads:
        words.append("training heads counted")
    return ", ".join(words)


def _when(moment: Moment) -> str:
    """A moment in words."""
    if moment.node is None:
        return {"loss": "when the loss is computed", "step": "when the parameters are updated"}[moment.phase]
    words = {
        "forward": "in the forward pass",
        "backward": "in the backward pass",
        "recompute": "when it is computed again",
    }
    return f"at {moment.node.name} ({moment.node.layer}), {words[moment.phase]}"


def _parts(usage: Usage) -> object:
    """What is alive at the peak by category, in lines that add up."""
    table = ruled(show_footer=True)
    peak = usage.peak[0]
    parts = usage.at_peak()
    hidden = {"optimizer", "gradients", "saved"} if usage.asked.is_inference else set()
    table.add_column("At the peak", "sum")
    table.add_column("bytes", grouped(peak), justify="right")
    table.add_column("%", justify="right")
    for name, value in parts.items():
        if name not in hidden:
            table.add_row(CATEGORIES[name], grouped(value), percent(value, peak))
    return table


def _largest(usage: Usage, top: int) -> object:
    table = ruled()
    for heading in ("Largest at the peak", "", "shape"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    table.add_column("bytes", justify="right")
    table.add_column("%", justify="right")
    for tensor in usage.largest(top):
        size = tensor.size.of(usage.asked.batch)
        table.add_row(
            tensor.name, SHORT[tensor.category], _shape(tensor), grouped(size), percent(size, usage.peak[0])
        )
    return table


def _shape(tensor: Stretch) -> str:
    """The shape of the tensor that a node outputs, or of its gradient."""
    node = tensor.node
    if node is None or tensor.name not in (node.name, f"gradient of {node.name}"):
        return ""
    return format_shape(node.shape)


def _timeline(usage: Usage, width: int) -> list[str]:
    """The bytes alive at each moment as a curve of blocks; a column is the highest of its moments."""
    alive = usage.timeline.bytes_alive(usage.asked.batch)
    columns = max(1, min(width - 14, 100, len(alive)))
    starts = [number * len(alive) // columns for number in range(columns + 1)]
    heights = [max(alive[a:b]) for a, b in pairwise(starts)]
    most = max(heights) or 1
    levels = [height * ROWS * 8 // most for height in heights]
    lines = []
    for row in reversed(range(ROWS)):
        cells = "".join(BLOCKS[min(8, max(0, level - 8 * row))] for level in levels)
        label = f"{most / 1e6:,.1f} MB" if row == ROWS - 1 else ""
        lines.append(f"{label:>12} {cells}")
    return [*lines, f"{'':>12} {_phases(usage, starts)}"]


def _phases(usage: Usage, starts: list[int]) -> str:
    """The names of the phases, each where it begins."""
    moments = usage.timeline.moments
    text = ""
    before = ""
    for column, start in enumerate(starts[:-1]):
        phase = moments[start].phase
        phase = "backward" if phase in ("loss", "recompute", "step") else phase
        if phase != before and len(text) <= column:
            text = text.ljust(column) + phase
        before = phase
    return text


def _plan(usage: Usage) -> list[str]:
    """What checkpoints save, and what they cost."""
    plan, plain = usage.plan, usage.plain
    if plan is None or plain is None:
        return []
    nodes = [node for node in usage.network.nodes if usage.asked.heads or not node.training]
    before, batch = plain.peak(usage.asked.batch)[0], usage.asked.batch
    macs = sum(_macs(node) for node in nodes)
    lines = ["", f"checkpoints: {plural(len(plan.segments), 'segment')} computed again"]
    lines += [f"  {nodes[start].name} to {nodes[stop - 1].name}" for start, stop in plan.segments]
    peak = usage.peak[0]
    lines.append(f"  peak {byte_size(peak)} instead of {byte_size(before)}: {percent(peak, before)} %")
    extra = plan.extra_macs * batch
    share = percent(plan.extra_macs, macs) or "0"
    lines.append(f"  {grouped(extra)} multiply-adds more for the batch: {share} % of the forward pass")
    return lines


def _macs(node: object) -> int:
    from archcalc.quantities.operations import MACS

    return MACS.of_layer(node.facts)  # type: ignore[attr-defined]


def _arena(usage: Usage, top: int) -> list[str]:
    """The places of tensors in one block of memory."""
    if usage.placed is None:
        return []
    needed = max((each.offset + each.size for each in usage.placed.placed), default=0)
    lines = ["", f"arena {byte_size(needed)}: one block for all activations, placed greedily by size"]
    shown = [each for each in usage.placed.placed if each.size]
    left = max((len(each.tensor.name) for each in shown), default=0)
    right = len(grouped(needed))
    for each in shown[:top]:
        place = f"{grouped(each.offset):>{right}} to {grouped(each.offset + each.size):>{right}}"
        lines.append(f"  {each.tensor.name:<{left}}  {place}")
    if len(shown) > top:
        lines.append(f"  ... and {len(shown) - top:,} more (`--format json` lists all)")
    return lines


def _remarks(usage: Usage) -> list[str]:
    network, asked = usage.network, usage.asked
    lines = [""]
    if not network.is_complete:
        lines.append("operations that are not known keep and take more: every figure here is a lower bound")
    if network.heads and not asked.heads:
        names = ", ".join(network.heads)
        lines.append(f"training heads: {names} not counted; `--heads` counts them")
    if asked.in_place:
        lines += [f"{name} in place: {IN_PLACE[name]}" for name in asked.in_place]
    if not asked.is_inference:
        lines.append(f"{asked.optimizer}: {OPTIMIZERS[asked.optimizer].words}")
    lines.append("not counted: " + "; ".join(NOT_COUNTED))
    return lines
