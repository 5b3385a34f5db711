"""The verdicts of `archcalc verify`: every figure of one network, or one line per network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archcalc.notes import lines_of
from archcalc.render.numbers import grouped
from archcalc.render.terminal import open_console, printed, ruled

if TYPE_CHECKING:
    from archcalc.verify.fields import Verdict
    from archcalc.verify.prove import Proof, Verified

MEANINGS = {
    "shapes": "nodes whose output has the predicted shape",
    "params": "trainable values in the arrays",
    "macs": "multiplications, counted one by one",
    "fields": "receptive fields confirmed with NaN probes",
    "bytes": "total size of all outputs",
    "peak": "the most bytes alive at once",
    "gradients": "arrays whose gradients agree with central differences",
    "trained": "values of gradients, all of them numbers",
    "backward": "multiplications of the backward pass, counted one by one",
    "saved": "bytes kept for the backward pass",
    "moments": "moments of a step with the predicted bytes alive",
    "step peak": "the most bytes alive at once in a step",
    "original": "outputs equal to those of the imported model",
}
"""The figures that are verified, and what is measured for each."""

SCALED_DOWN = (
    "* scaled down; parameters are verified at the declared input, and `--full` verifies all figures there"
)
"""The meaning of the mark after an input."""

WIDE = 112
"""With this many columns, every verdict has its own column."""


def render(outcomes: Sequence[Verified], width: int, colour: bool) -> str:
    """Write the verdicts, the count without padding, and the figures that differ."""
    from rich.text import Text

    console = open_console(width, colour)
    if len(outcomes) == 1 and outcomes[0].proof is not None:
        console.print(Text(_title(outcomes[0]), style="bold"))
        for line in lines_of(outcomes[0].notes):
            console.print(Text(line, style="yellow"))
        console.print(_in_full(outcomes[0].proof, outcomes[0].declared))
    else:
        for line in (line for each in outcomes for line in lines_of(each.notes, each.name)):
            console.print(Text(line, style="yellow"))
        console.print(_in_lines(outcomes, width))
        if any(outcome.declared for outcome in outcomes):
            console.print(Text(SCALED_DOWN, style="dim"))
    for outcome in outcomes:
        if outcome.proof is None:
            console.print(Text(f"\n{outcome.name}: {outcome.problem}"))
            continue
        for verdict in outcome.proof.verdicts:
            if not verdict.held:
                figures = f"predicted {grouped(verdict.predicted)}, measured {grouped(verdict.measured)}"
                console.print(Text(f"\n{outcome.name}, {verdict.figure}: {figures}. {verdict.remark}"))
    held = sum(outcome.proof is not None and outcome.proof.held for outcome in outcomes)
    network = "network holds" if len(outcomes) == 1 else "networks hold"
    console.print(f"\n{held} of {len(outcomes)} {network} in every figure.")
    return printed(console)


def _title(outcome: Verified) -> str:
    title = f"{outcome.name} at {outcome.inputs}"
    if not outcome.declared:
        return title
    return f"{title}, scaled down from {outcome.declared}; `--full` runs it at that size"


def _in_full(proof: Proof, declared: str) -> object:
    from rich.text import Text

    table = ruled()
    table.add_column("Figure", no_wrap=True)
    table.add_column("Predicted", justify="right", no_wrap=True)
    table.add_column("Measured", justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("")
    for verdict in proof.verdicts:
        compared = bool(verdict.measured or verdict.predicted)
        figures = [grouped(n) if compared else "" for n in (verdict.predicted, verdict.measured)]
        words = (verdict.held and verdict.remark) or MEANINGS[verdict.figure]
        if declared and verdict.figure == "params":
            words += f" at {declared}"
        table.add_row(verdict.figure, *figures, _mark(verdict), Text(words, style="dim"))
    macs, fewer = _macs(proof), proof.without_padding
    if macs and fewer:
        words = f"without multiplications by padding: {100 * (macs - fewer) / macs:.1f}% fewer"
        table.add_row("", "", grouped(fewer), "", Text(words, style="dim"))
    return table


def _in_lines(outcomes: Sequence[Verified], width: int) -> object:
    table = ruled()
    table.add_column("Network", no_wrap=True)
    table.add_column("Input", justify="right", no_wrap=True)
    wide = width >= WIDE
    figures = {v.figure: None for each in outcomes if each.proof for v in each.proof.verdicts}
    for heading in figures if wide else ("verdicts",):
        table.add_column(heading, no_wrap=True)
    training = "backward" in figures
    table.add_column("backward MACs" if training else "MACs", justify="right", no_wrap=True)
    if not training:
        table.add_column("without padding" if wide else "no padding", justify="right", no_wrap=True)
    for outcome in outcomes:
        proof = outcome.proof
        if proof is None:
            table.add_row(outcome.name, _size(outcome), "failed")
            continue
        verdicts = {verdict.figure: verdict for verdict in proof.verdicts}
        marks = [_mark(verdicts[name]) if name in verdicts else "" for name in figures]
        if not wide:
            missed = [verdict.figure for verdict in proof.verdicts if not verdict.held]
            marks = [f"NO: {', '.join(missed)}" if missed else "all hold"]
        fewer = [] if training else [grouped(proof.without_padding)]
        table.add_row(outcome.name, _size(outcome), *marks, grouped(_macs(proof)), *fewer)
    return table


def _size(outcome: Verified) -> str:
    return f"{outcome.inputs}{'*' if outcome.declared else ' '}"


def _macs(proof: Proof) -> int:
    """The number of multiplications that were counted, forward or backward."""
    return next((v.measured for v in proof.verdicts if v.figure in ("macs", "backward")), 0)


def _mark(verdict: Verdict) -> str:
    if not verdict.held:
        return "NO"
    return "ok" if verdict.measured else "-"
