"""Finds parts in a long script without modules: a convolution with its norm, a diamond."""

from __future__ import annotations

from collections import Counter

from archcalc.convert.plan import (
    LayerStep,
    Part,
    PartStep,
    Script,
    Step,
    Thread,
    ThreadLine,
    threads,
)

LONG = 16
"""Steps of a script in which phrases are looked for."""

OFTEN = 4
"""This many phrases of one kind are worth a block."""

MOST_NORMS = 3
"""Norms in a phrase: some files have a scale and a shift after a norm."""

NO_ACTIVATION = ("dropout", "drop_path")
"""Kinds in the family of activations that are not activation functions."""

JOINED = {"add": "residual", "concat": "branches", "mul": "gated", "sub": "difference"}
"""The name of a diamond, by the join at its end."""


def with_phrases(script: Script) -> None:
    """Gather the phrases of a script into parts, unless the script is short."""
    found = list(threads(script))
    if sum(len(thread.steps) for thread in found) < LONG:
        return
    phrases = Counter(_phrase(thread.steps, at) for thread in found for at in range(len(thread.steps)))
    wanted = {kinds for kinds, number in phrases.items() if kinds and number >= OFTEN}
    for thread in found:
        thread.steps = _gathered(thread.steps, wanted)
    for line in script.lines:
        if isinstance(line, ThreadLine):
            line.thread.steps = _diamonds(line.thread.steps)


def _phrase(steps: list[Step], start: int) -> tuple[str, ...]:
    """Return the kinds of a convolution, its norms and its activation from a step on, or none."""
    kinds: list[str] = []
    family = ""
    for step in steps[start : start + MOST_NORMS + 2]:
        if not isinstance(step, LayerStep) or step.tensors or step.layer.kind in NO_ACTIVATION:
            break
        expected = {"": ("conv",), "conv": ("norm",), "norm": ("norm", "activation")}[family]
        family = step.layer.family
        if family not in expected:
            break
        kinds.append(step.layer.kind)
        if family == "activation":
            return tuple(kinds)
    return ()


def _gathered(steps: list[Step], wanted: set[tuple[str, ...]]) -> list[Step]:
    """Return steps with the wanted phrases gathered into parts."""
    found: list[Step] = []
    at = 0
    while at < len(steps):
        kinds = _phrase(steps, at)
        if kinds in wanted:
            found.append(_part("_".join(dict.fromkeys(kinds)), steps[at : at + len(kinds)]))
            at += len(kinds)
        else:
            found.append(steps[at])
            at += 1
    return found


def _diamonds(steps: list[Step]) -> list[Step]:
    """Return steps with each diamond, and the activation after it, as a part."""
    found: list[Step] = []
    at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        if not _is_diamond(step):
            found.append(step)
            continue
        assert isinstance(step, LayerStep)
        members: list[Step] = [step]
        if at < len(steps) and _activates(steps[at]):
            members.append(steps[at])
            at += 1
        found.append(_part(JOINED.get(step.layer.kind, step.layer.kind), members))
    return found


def _activates(step: Step) -> bool:
    if not isinstance(step, LayerStep):
        return False
    return step.layer.family == "activation" and step.layer.kind not in NO_ACTIVATION


def _is_diamond(step: Step) -> bool:
    """Return whether a step is a join whose branches all start at the tensor before it."""
    if not isinstance(step, LayerStep):
        return False
    starts = [inner.start for thread in step.tensors for inner in _all(thread)]
    return (
        step.layer.is_join and all(start is None for start in starts) and any(t.steps for t in step.tensors)
    )


def _all(thread: Thread) -> list[Thread]:
    return list(threads(Script([ThreadLine(thread)])))


def _part(kind: str, steps: list[Step]) -> PartStep:
    return PartStep(Part(kind, "", Script([ThreadLine(Thread(None, steps))])), [], [])
