"""The memory of a network as text: the peak, its parts, and a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archcalc.memory.inference import IN_PLACE
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.timeline import CATEGORIES, Moment, Stretch
from archcalc.notes import note_lines, unknown_operations
from archcalc.quantities.operations import MACS
from archcalc.render.numbers import byte_size, exact_size, grouped, percent, plural
from archcalc.render.terminal import open_console, printed, ruled
from archcalc.report.memory.usage import ACCOUNTINGS, Usage
from archcalc.shape import format_shape

ROWS = 6
"""Lines of the timeline."""

BLOCKS = " ▁▂▃▄▅▆▇█"

GAP = 2
"""Blanks between two columns."""

LEAST_NAME = 12
"""The fewest characters of a tensor's name that are shown, even if the view is narrow."""

WHOSE = ("gradient of ", "state of ")
"""Possible beginnings of tensor names. A path follows."""


def render(usage: Usage, width: int, colour: bool, top: int, fits: Sequence[str] = ()) -> str:
    """Write the whole view. `fits` are the first lines, about the largest batch."""
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
    moment = usage.peak[1]
    console.print("")
    for number, line in enumerate(_peaks(usage)):
        console.print(Text(line, style="" if number else "bold"))
    console.print(Text(f"{when(usage.moment)}, moment {moment + 1:,} of {len(usage.timeline.moments):,}"))
    console.print("", _parts(usage), "", sep="\n")
    for line in _largest(usage, top, width):  # lines may be too long, but figures are never cut
        console.print(Text(line), soft_wrap=True)
    console.print("")
    for line in _timeline(usage, width):
        console.print(Text(line, style="cyan"), overflow="crop", no_wrap=True)
    for line in [*_plan(usage), *_arena(usage, top, width), *_remarks(usage)]:
        console.print(Text(line), overflow="fold")
    return printed(console)


def _title(usage: Usage) -> str:
    what = "inference" if usage.asked.is_inference else "a training step"
    return f"{usage.network.name}: memory of {what}"


def _conditions(usage: Usage) -> str:
    asked = usage.asked
    words = [asked.dtype]
    if not asked.is_inference:
        words.append(f"optimizer {asked.optimizer}")
    if asked.accounting != "needed":
        words.append(ACCOUNTINGS[asked.accounting])
    if asked.weights_dtype:
        words[0] += f", weights {asked.weights_dtype}"
    if asked.in_place:
        words.append("in place: " + ", ".join(asked.in_place))
    if asked.heads and usage.network.heads:
        words.append("training heads counted")
    return ", ".join(words)


def when(moment: Moment) -> str:
    """A moment in words."""
    if moment.node is None:
        return {"loss": "when the loss is computed", "step": "when the parameters are updated"}[moment.phase]
    words = {
        "forward": "in the forward pass",
        "backward": "in the backward pass",
        "recompute": "when it is recomputed",
    }
    return f"at {moment.node.name} ({moment.node.layer}), {words[moment.phase]}"


def _peaks(usage: Usage) -> list[str]:
    """The lines on the peak. At inference, the peak of the activations comes first."""
    at_least = "" if usage.network.is_complete else "at least "
    whole = f"{at_least}{exact_size(usage.peak[0])}"
    if not usage.asked.is_inference:
        return [f"peak {whole}"]
    activations = exact_size(usage.at_peak()["activations"])
    return [f"peak of activations {at_least}{activations}", f"with parameters {whole}"]


def _parts(usage: Usage) -> object:
    """The tensors alive at the peak by category, in lines that add up."""
    table = ruled(show_footer=True)
    peak = usage.peak[0]
    table.add_column("At the peak", "sum")
    table.add_column("bytes", grouped(peak), justify="right", no_wrap=True)
    table.add_column("%", justify="right", no_wrap=True)
    for name, value in usage.at_peak().items():
        table.add_row(CATEGORIES[name], grouped(value), percent(value, peak))
    return table


def _largest(usage: Usage, top: int, width: int) -> list[str]:
    """The largest tensors at the peak; at inference, the largest activations."""
    only = "activations" if usage.asked.is_inference else ""
    whole = usage.at_peak()[only] if only else usage.peak[0]
    rows = [("Largest at the peak", "", "shape", "bytes", "%")]
    for tensor in usage.largest(top, only):
        size = tensor.size.of(usage.asked.batch)
        rows.append((tensor.name, tensor.category, _shape(tensor), grouped(size), percent(size, whole)))
    rows = [row for row in rows if row[3] != "0"]
    if only:
        rows = [(name, "", shape, size, share) for name, _, shape, size, share in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    others = sum(width + GAP for width in widths[1:] if width)
    room = max(LEAST_NAME, width - others)
    widths[0] = min(widths[0], room)
    if widths[0] < len(rows[0][0]):
        rows[0] = ("Largest", *rows[0][1:])
    lines = []
    for number, (name, category, *cells) in enumerate(rows):
        words = [_shortened(name, widths[0]).ljust(widths[0])]
        words += [category.ljust(widths[1])] if widths[1] else []
        words += [cell.rjust(size) for cell, size in zip(cells, widths[2:], strict=True) if size]
        lines.append("  ".join(words))
        if not number:
            lines.append("─" * (sum(widths) + GAP * (len(words) - 1)))
    return lines


def _shortened(name: str, room: int) -> str:
    """The name of a tensor in `room` characters. Its path is shortened at the beginning.

    >>> _shortened("gradient of stage1/block1/conv1", 24)
    'gradient of …lock1/conv1'
    """
    if len(name) <= room:
        return name
    whose = next((words for words in WHOSE if name.startswith(words) and room - len(words) >= 8), "")
    return whose + "…" + name[len(whose) :][1 - (room - len(whose)) :]


def _shape(tensor: Stretch) -> str:
    """The shape of the tensor that a node outputs, or of its gradient."""
    node = tensor.node
    if node is None or tensor.name not in (node.name, f"gradient of {node.name}"):
        return ""
    return format_shape(node.shape)


def _timeline(usage: Usage, width: int) -> list[str]:
    """The bytes alive at each moment as a curve of blocks. A column shows the highest of its moments.

    At inference, only activations are drawn, because the parameters are always there.
    """
    only = "activations" if usage.asked.is_inference else ""
    alive = usage.timeline.bytes_alive(usage.asked.batch, only)
    columns = max(1, min(width - 14, 100, len(alive)))
    starts = [number * len(alive) // columns for number in range(columns + 1)]
    heights = [max(alive[a:b]) for a, b in pairwise(starts)]
    most = max(heights) or 1
    levels = [height * ROWS * 8 // most for height in heights]
    label = f"{most / 1e6:,.1f} MB" if most >= 10**7 else f"{most / 1e3:,.1f} kB"
    lines = ["activations over time"] if only else []
    for row in reversed(range(ROWS)):
        cells = "".join(BLOCKS[min(8, max(0, level - 8 * row))] for level in levels)
        lines.append(f"{label if row == ROWS - 1 else '':>12} {cells}")
    return lines if only else [*lines, f"{'':>12} {_phases(usage, starts)}"]


def _phases(usage: Usage, starts: list[int]) -> str:
    """The names of the phases, each at its beginning."""
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
    """The memory that checkpoints save, and the MACs they cost."""
    plan, plain = usage.plan, usage.plain
    if plan is None or plain is None:
        return []
    if not plan.segments:
        return ["", _no_plan(usage)]
    nodes = [node for node in usage.network.nodes if usage.asked.heads or not node.training]
    peak, before, batch = usage.peak[0], plain.peak(usage.asked.batch)[0], usage.asked.batch
    macs = sum(MACS.of_layer(node.facts) for node in nodes)
    lines = ["", f"checkpoints: {plural(len(plan.segments), 'segment')} recomputed"]
    lines += [f"  {nodes[start].name} to {nodes[stop - 1].name}" for start, stop in plan.segments]
    lines.append(f"  peak {byte_size(peak)} instead of {byte_size(before)}: {percent(peak, before)}%")
    share = percent(plan.extra_macs, macs) or "0"
    extra = grouped(plan.extra_macs * batch)
    lines.append(f"  {extra} extra MACs for the batch: {share}% of the forward pass")
    return lines


def _no_plan(usage: Usage) -> str:
    if usage.asked.checkpoint == "stage":
        return "checkpoints: none, because no top-level part of the network has several layers"
    return "checkpoints: none, because no plan that was tried takes less memory"


def _arena(usage: Usage, top: int, width: int) -> list[str]:
    """The positions of tensors in one block of memory."""
    if usage.placed is None:
        return []
    size, bound = usage.placed.size, usage.at_peak()["activations"]
    more = "equal to the peak" if size == bound else f"{size / bound:.3f} times the peak"
    lines = ["", f"arena {exact_size(size)}", f"  one block for all activations, placed by size: {more}"]
    shown = [each for each in usage.placed.placed if each.size]
    right = len(grouped(size))
    left = max((len(each.tensor.name) for each in shown[:top]), default=0)
    left = min(left, max(LEAST_NAME, width - 2 * right - 8))
    for each in shown[:top]:
        place = f"{grouped(each.offset):>{right}} to {grouped(each.offset + each.size):>{right}}"
        lines.append(f"  {_shortened(each.tensor.name, left):<{left}}  {place}")
    if len(shown) > top:
        lines.append(f"  ... and {len(shown) - top:,} more (`--format json` lists all)")
    return lines


def _remarks(usage: Usage) -> list[str]:
    network, asked = usage.network, usage.asked
    lines = [""]
    if not network.is_complete:
        names = unknown_operations(network.nodes)
        lines.append(f"lower bounds: the memory of {names} is unknown")
    if network.heads and not asked.heads:
        names = ", ".join(network.heads)
        lines.append(f"training heads: {names} not counted; `--heads` counts them")
    if asked.in_place:
        lines += [f"{name} in place: {IN_PLACE[name]}" for name in asked.in_place]
    if not asked.is_inference:
        lines.append(f"{asked.optimizer}: {OPTIMIZERS[asked.optimizer].words}")
    lines += _waste(usage)
    lines.append("not counted: " + "; ".join(usage.not_counted))
    return lines


def _waste(usage: Usage) -> list[str]:
    """The memory that eager PyTorch keeps beyond what gradients need, by cause."""
    if usage.asked.accounting == "needed":
        return []
    batch = usage.asked.batch
    total = sum(each.size.of(batch) for each in usage.waste)
    lines = [f"eager PyTorch keeps {byte_size(total)} more for the backward pass than gradients need"]
    for each in usage.waste:
        words = f": {each.why}" if each.why else ""
        where = f" ({each.address})" if each.address else ""
        size = byte_size(each.size.of(batch))
        lines.append(f"  {each.kind}, {plural(each.nodes, 'layer')}, {size}{words}{where}")
    return lines
