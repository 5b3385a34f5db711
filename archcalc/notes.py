"""The notes on a network in words: likely mistakes (see `doubts`), and what is not counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from archcalc.layers.arguments import format_argument
from archcalc.network import Doubt, Node, Remark
from archcalc.render.numbers import plural
from archcalc.shape import format_shape


def _in_channels(doubt: Doubt) -> tuple[str, str]:
    node = doubt.node
    kernel = getattr(node.layer, "kernel_size", "")
    channels = node.inputs[0].shape[0]
    if node.kind == "depthwise":
        message = f"`{node.name}` has a kernel as large as its input has channels, {channels}"
    else:
        message = f"`{node.name}` has as many output as input channels, {channels}, and a kernel of {kernel}"
    return message, (
        f"if {channels} are the input channels, write `{doubt.meant}`; if not, write `{doubt.named}`"
    )


def _large_kernel(doubt: Doubt) -> tuple[str, str]:
    kernel = getattr(doubt.node.layer, "kernel_size", "")
    return (
        f"`{doubt.node.name}` has a kernel of {kernel}",
        f"if its first argument is the input channels, write `{doubt.meant}`; if not, write `{doubt.named}`",
    )


def _kernel_twice(doubt: Doubt) -> tuple[str, str]:
    kernel = getattr(doubt.node.layer, "kernel_size", "")
    return (
        f"`{doubt.node.name}` has a stride as large as its kernel, {kernel}",
        f"if you mean a kernel of {kernel}x{kernel}, write `{doubt.meant}`; if not, write `{doubt.named}`",
    )


def _groups(doubt: Doubt) -> tuple[str, str]:
    dilation = getattr(doubt.node.layer, "dilation", "")
    return (
        f"`{doubt.node.name}` has a dilation of {dilation}, equal to its number of input channels",
        f"if you mean groups, write `{doubt.meant}`; if not, write `{doubt.named}`",
    )


def _factor(doubt: Doubt) -> tuple[str, str]:
    before, after = (format_shape(node.shape, cross="x") for node in (doubt.node.inputs[0], doubt.node))
    return f"`{doubt.node.name}` reduces {before} to {after}", f"to enlarge the map, write `{doubt.meant}`"


def _crops(doubt: Doubt) -> tuple[str, str]:
    size = doubt.named.partition("=")[2]
    shape = format_shape(doubt.node.inputs[0].shape, cross="x")
    return (
        f"`{doubt.node.name}` keeps the middle {size} of {shape}",
        f"to cut {size} off at each end, write `{doubt.meant}`; if not, write `{doubt.named}`",
    )


def _batch(doubt: Doubt) -> tuple[str, str]:
    shape = doubt.node.shape
    volume = format_shape(shape[1:], cross="x")
    if len(shape) > 4:
        return (
            f"`{doubt.node.name}` has {plural(shape[0], 'channel')} of {volume}: shapes have no batch",
            f"for volumes, write {doubt.meant}; if not, write `{doubt.named}`",
        )
    return (
        f"`{doubt.node.name}` is 3-D, {plural(shape[0], 'channel')} of a volume of {volume}: "
        "shapes have no batch",
        f"for images, write {doubt.meant}; for volumes, write `{doubt.named}`",
    )


def _channels_last(doubt: Doubt) -> tuple[str, str]:
    shape = doubt.node.shape
    maps = format_shape(shape[1:], cross="x")
    return (
        f"`{doubt.node.name}` has {plural(shape[0], 'channel')} of {maps}: shapes have the channels first",
        f"if the channels are {shape[-1]}, write {doubt.meant}; if not, write `{doubt.named}`",
    )


def _no_channels(doubt: Doubt) -> tuple[str, str]:
    channels, length = doubt.node.shape
    return (
        f"`{doubt.node.name}` is 1-D, {plural(channels, 'channel')} of length {length}: "
        "shapes have the channels first",
        f"for gray images, write {doubt.meant}; if not, write `{doubt.named}`",
    )


def _shrinks(doubt: Doubt) -> tuple[str, str]:
    size = format_argument(getattr(doubt.node.layer, "size", None))
    return (
        f"`{doubt.node.name}` to a size of {size} makes the map smaller",
        f"if you mean a factor, write `{doubt.meant}`; if not, write `{doubt.named}`",
    )


WORDS: dict[str, Callable[[Doubt], tuple[str, str]]] = {
    "in_channels": _in_channels,
    "shrinks": _shrinks,
    "large_kernel": _large_kernel,
    "kernel_twice": _kernel_twice,
    "groups": _groups,
    "factor": _factor,
    "crops": _crops,
    "batch": _batch,
    "channels_last": _channels_last,
    "no_channels": _no_channels,
}
"""For each kind of doubt, its message and what to write instead."""


def note_of(note: Doubt | Remark) -> tuple[str, str]:
    """The message of a note, and what to write instead or what follows from it, which can be empty."""
    if isinstance(note, Remark):
        return note.message, note.help
    return WORDS[note.kind](note)


def unknown_operations(nodes: Iterable[Node]) -> str:
    """The operations that archcalc does not know, each with its count: `roll (2), erf`; empty if none."""
    ops = Counter(getattr(node.layer, "op", "") for node in nodes if node.is_opaque)
    return ", ".join(f"{op} ({count:,})" if count > 1 else op for op, count in ops.most_common())


def unknown_remark(nodes: Sequence[Node]) -> list[Remark]:
    """A remark on the unknown operations, if there are any."""
    opaque = [node for node in nodes if node.is_opaque]
    if not opaque:
        return []
    count = plural(len(opaque), "operation", str)
    verb = "is" if len(opaque) == 1 else "are"
    message = f"incomplete: {count} {verb} unknown, and not counted: {unknown_operations(opaque)}"
    help = (
        "MACs, FLOPs, and depth are lower bounds; receptive fields after them are given as global; "
        "`archcalc check --allow-unknown` checks the figures of the rest"
    )
    return [Remark("unknown", opaque[0], message, help), *_reasons(opaque)]


def _reasons(opaque: Sequence[Node]) -> list[Remark]:
    """Why operations are unknown although a layer kind exists for them: one remark for each reason."""
    by_reason: dict[tuple[str, str], list[Node]] = {}
    for node in opaque:
        op, reason = getattr(node.layer, "op", ""), getattr(node.layer, "reason", "")
        if reason:
            by_reason.setdefault((op, reason), []).append(node)
    remarks = []
    for (op, reason), nodes in list(by_reason.items())[:MAX_REASONS]:
        more = f" and {len(nodes) - 1:,} more" if len(nodes) > 1 else ""
        remarks.append(Remark("reason", nodes[0], f"`{nodes[0].name}`{more}, {op}: {reason}"))
    left = len(by_reason) - MAX_REASONS
    if left > 0:
        remarks.append(
            Remark(
                "reason",
                None,
                f"{plural(left, 'more reason')}; `archcalc explain` shows the reason of each layer",
            )
        )
    return remarks


MAX_REASONS = 6
"""The number of reasons below a table. A model can have dozens."""


def note_lines(notes: Iterable[Doubt | Remark], network: str = "") -> list[str]:
    """The lines of notes: what each note is about and where, and what to write instead or what follows.

    `network` is the name shown in notes about a whole network, if there are several networks.
    """
    return lines_of(note_objects(notes), network)


def lines_of(notes: Iterable[Mapping[str, Any]], network: str = "") -> list[str]:
    """The lines of notes in the form for JSON."""
    lines = []
    for note in notes:
        place = f" ({note['source']})" if note["source"] else ""
        whose = f"`{network}`: " if network and not note["layer"] else ""
        lines.append(f"note: {whose}{note['message']}{place}")
        if note["help"]:
            lines.append(f"help: {note['help']}")
    return lines


def note_objects(notes: Iterable[Doubt | Remark]) -> list[dict[str, Any]]:
    """The notes for JSON."""
    objects = []
    for note in notes:
        message, help = note_of(note)
        node = note.node
        objects.append(
            {
                "kind": note.kind,
                "layer": node.name if node is not None else "",
                "message": message,
                "help": help,
                "source": node.place if node is not None else "",
            }
        )
    return objects
