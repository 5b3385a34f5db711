"""A summary of the figures of a network that moved: the totals, then the layers by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from archcalc.checking.evaluate import format_value
from archcalc.checking.outcome import Finding, Result
from archcalc.diagnostics import Span
from archcalc.render.numbers import plural

MAIN = ("params", "macs", "activations", "peak_bytes", "layers", "depth")
"""The totals shown with their figures. Others only repeat these in other units, and are just named."""


class BlockMoves(Struct, frozen=True):
    """The layers of a block that moved, in words; `name` is that of the layer if it is only one."""

    name: str
    layers: int
    words: str
    span: Span | None

    @property
    def text(self) -> str:
        return f"{self.name}: {self.words}" if self.name else self.words


def main_totals(result: Result) -> tuple[list[Finding], list[str]]:
    """The totals that moved further than allowed, and the names of those that need no line of their own."""
    totals = [finding for finding in result.failures if not finding.path and not finding.is_layer]
    main = [finding for finding in totals if finding.quantity in MAIN] or totals
    return main, [finding.quantity for finding in totals if finding not in main]


def totals_are_unchanged(result: Result) -> bool:
    """Did layers move, but no total?"""
    return bool(result.failures) and all(each.path or each.is_layer for each in result.findings)


def moved_blocks(result: Result) -> list[BlockMoves]:
    """The layers that moved further than allowed, by the first part of their names, in their order."""
    blocks: dict[str, dict[str, list[Finding]]] = {}
    for finding in result.failures:
        if finding.path or finding.is_layer:
            block = finding.path.partition("/")[0]
            blocks.setdefault(block, {}).setdefault(finding.path or finding.reason, []).append(finding)
    return [_block(block, layers) for block, layers in blocks.items()]


def _block(block: str, layers: dict[str, list[Finding]]) -> BlockMoves:
    span = next((each.span for findings in layers.values() for each in findings if each.span), None)
    if len(layers) == 1:
        ((path, findings),) = layers.items()
        return BlockMoves(path if block else "", 1, _layer_words(findings), span)
    kinds = Counter(_what_happened(findings) for findings in layers.values())
    said = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    total = plural(len(layers), "layer")
    words = f"{total} {next(iter(kinds))}" if len(kinds) == 1 else f"{total}: {said}"
    return BlockMoves(block, len(layers), words + _old_blocks(layers) + _sums(layers), span)


def _old_blocks(layers: dict[str, list[Finding]]) -> str:
    """The blocks that renamed layers were in, if they were in others."""
    were = dict.fromkeys(each[0].renamed.partition("/")[0] for each in layers.values() if each[0].renamed)
    others = [f"`{name}`" for name in were if name != next(iter(layers)).partition("/")[0]]
    return f", from {' and '.join(others)}" if 0 < len(others) <= 2 else ""


def _sums(layers: dict[str, list[Finding]]) -> str:
    """The sums of the changes in parameters and MACs."""
    sums = Counter[str]()
    for findings in layers.values():
        for each in findings:
            if isinstance(each.difference, int) and each.quantity in ("params", "macs"):
                sums[each.quantity] += each.difference
    return "".join(f", {name} {total:+,}" for name, total in sums.items() if total)


def _what_happened(findings: Sequence[Finding]) -> str:
    first = findings[0]
    if first.renamed:
        return "renamed"
    if first.is_layer and first.value is not None:
        return "new" if first.value else "gone"
    return "changed"


def _layer_words(findings: Sequence[Finding]) -> str:
    """The changes of one layer: `shape 10 to 11, params 1,290 to 1,419`."""
    first = findings[0]
    if first.renamed:
        return f"was `{first.renamed}`, same figures"
    if first.is_layer and first.value is None:  # a compact lock does not have the old figures
        return first.reason.removeprefix(f"layer `{first.path}` is ")
    moved = {each.quantity: each for each in findings if not each.is_layer}
    if "macs" in moved:  # FLOPs are about twice the MACs and would repeat the same
        moved.pop("flops", None)
    words = [_what_happened(findings)] if first.is_layer else []
    words += [
        f"{name} {format_value(each.figure)} to {format_value(each.value)}"
        for name, each in moved.items()
        if each.figure is not None and each.value is not None
    ]
    return ", ".join(words)
