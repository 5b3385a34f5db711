"""Finds the steps to write in `frozen { ... }`: the largest ones without a trained parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archcalc.convert.plan import (
    LayerStep,
    NestedStep,
    PartStep,
    RepeatLine,
    RowsLine,
    Script,
    Step,
    Thread,
    threads_of_line,
)


def with_frozen_steps(whole: Script) -> None:
    """Mark the frozen steps of a script, based on its layers. Steps inside a frozen step are not marked
    again.

    Steps without parameters get `None`: they may be inside the braces or not.
    """
    for thread in _threads(whole):
        for step in thread.steps:
            _settle(step)
            _clear(step, inside=False)


def _settle(step: Step) -> bool | None:
    """Mark a step as frozen if some layer in it is frozen and no parameter in it is trained."""
    states = [_settle(inner) for inner in _steps_in(step)]
    if isinstance(step, LayerStep):
        states.append(step.frozen)
    step.frozen = None if all(state is None for state in states) else False not in states
    return step.frozen


def _clear(step: Step, inside: bool) -> None:
    for inner in _steps_in(step):
        _clear(inner, inside or step.frozen is True)
    if inside:
        step.frozen = None


def _steps_in(step: Step) -> Iterator[Step]:
    """Return the steps in the arguments of a step, and in its part or its braces."""
    found: list[Thread] = [] if isinstance(step, NestedStep) else [*step.tensors]
    if not isinstance(step, LayerStep):
        found += _threads(step.part.script if isinstance(step, PartStep) else step.script)
    for thread in found:
        yield from thread.steps


def _threads(script: Script) -> Iterator[Thread]:
    for line in script.lines:
        if isinstance(line, RepeatLine | RowsLine):
            yield from _threads(line.script)
        else:
            yield from threads_of_line(line)


def frozen_runs(steps: Sequence[Step]) -> Iterator[tuple[bool, list[Step]]]:
    """Split steps into frozen and other runs; steps without parameters between frozen ones are included."""
    start = 0
    while start < len(steps):
        frozen = steps[start].frozen is True
        stop = start + 1
        for at in range(start + 1, len(steps)):
            state = steps[at].frozen
            if (state is True) != frozen and not (frozen and state is None):
                break
            if not frozen or state:
                stop = at + 1
        yield frozen, [*steps[start:stop]]
        start = stop
