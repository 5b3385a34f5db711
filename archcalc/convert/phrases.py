"""Parts that are found in a long script without modules: a convolution with its norm, a diamond."""

from __future__ import annotations

from collections import Counter

from archcalc.convert.plan import (
    LayerStep,
    NestedStep,
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
"""So many phrases of one kind are worth a block."""

JOINED = {"add": "residual", "concat": "branches", "mul": "gated", "sub": "difference"}
"""What a diamond is called, by the join at its end."""


def with_phrases(script: Script) -> None:
    """Gather the phrases of a script into parts, unless it is short."""
    found = list(threads(script))
    if sum(len(thread.steps) for thread in found) < LONG:
        return
    kinds = Counter(
        _kinds(thread.steps[at : at + 3]) for thread in found for at in range(len(thread.steps) - 2)
    )
    wanted = {kind for kind, number in kinds.items() if kind and number >= OFTEN}
    for thread in found:
        thread.steps = _gathered(thread.steps, wanted)
    for line in script.lines:
        if isinstance(line, ThreadLine):
            line.thread.steps = _diamonds(line.thread.steps)


def _kinds(steps: list[Step]) -> str:
    """The name of a convolution with a norm and an activation, `conv_bn_relu`; empty if steps are none."""
    families = ("conv", "norm", "activation")
    layers = [step.layer for step in steps if isinstance(step, LayerStep) and not step.tensors]
    if tuple(layer.family for layer in layers) != families or layers[2].kind in ("dropout", "drop_path"):
        return ""
    return "_".join(layer.kind for layer in layers)


def _gathered(steps: list[Step], wanted: set[str]) -> list[Step]:
    """Steps with the phrases that are wanted as parts."""
    found: list[Step] = []
    at = 0
    while at < len(steps):
        kind = _kinds(steps[at : at + 3])
        if kind in wanted:
            found.append(_part(kind, steps[at : at + 3]))
            at += 3
        else:
            found.append(steps[at])
            at += 1
    return found


def _diamonds(steps: list[Step]) -> list[Step]:
    """Steps with each diamond, and the activation after it, as a part."""
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
        if at < len(steps):
            after = steps[at]
            if isinstance(after, LayerStep) and after.layer.family == "activation":
                members.append(after)
                at += 1
        found.append(_part(JOINED.get(step.layer.kind, step.layer.kind), members))
    return found


def _is_diamond(step: Step) -> bool:
    """Is this a join whose branches all start where it stands?"""
    if isinstance(step, NestedStep) or not isinstance(step, LayerStep):
        return False
    starts = [inner.start for thread in step.tensors for inner in _all(thread)]
    return (
        step.layer.is_join and all(start is None for start in starts) and any(t.steps for t in step.tensors)
    )


def _all(thread: Thread) -> list[Thread]:
    return list(threads(Script([ThreadLine(thread)])))


def _part(kind: str, steps: list[Step]) -> PartStep:
    return PartStep(Part(kind, "", Script([ThreadLine(Thread(None, steps))])), [], [])
