"""The state of an evaluation: its mistakes, its open calls, and the number of steps.

A mistake is reported where it happens. Code that depends on it does not report it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from archcalc.diagnostics import ArchError, CallSite, Diagnostic, Note, Span
from archcalc.language.limits import MAX_CALLS, MAX_STEPS, VALUES_A_STEP
from archcalc.language.syntax import Ref
from archcalc.language.values import weight


class _Unknown:
    """The value of an expression with a mistake, about which nothing is known."""


FAILED: Any = _Unknown()


class Failed(Exception):
    """A mistake that was already recorded. Code that depends on it stops without a message."""


class RunState:
    """The state of one evaluation. `name` appears in errors about exceeded limits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Diagnostic] = []
        self.reported: set[tuple[Span | None, Span | None]] = set()
        self.calls: CallSite | None = None
        """The innermost open call."""
        self.depth = 0
        self.steps = 0

    # -- mistakes

    def note(self, problem: Diagnostic) -> None:
        """Record a mistake, unless there is one for this place and this outermost call."""
        calls = self.calls.chain() if self.calls is not None else []
        key = (problem.span, calls[-1].span if calls else None)
        if key in self.reported:
            return
        self.reported.add(key)
        notes = problem.notes + _call_notes(calls)
        self.problems.append(Diagnostic(problem.message, problem.span, problem.label, notes, problem.help))

    def fail(
        self, message: str, span: Span | None, *, label: str = "", notes: Iterable[Note] = (), help: str = ""
    ) -> NoReturn:
        self.note(Diagnostic(message, span, label, tuple(notes), help))
        raise Failed

    def give_up(self, message: str, span: Span) -> NoReturn:
        """End the run because a limit is exceeded."""
        notes = _call_notes(self.calls.chain() if self.calls is not None else [])
        raise ArchError([*self.problems, Diagnostic(message, span, notes=notes)])

    # -- limits

    def deeper(self, ref: Ref, cost: int) -> None:
        self.depth += 1
        if self.depth > MAX_CALLS:
            self.give_up(f"calls are nested more than {MAX_CALLS} levels deep", ref.name_span)
        self.charge(cost, ref.name_span)

    def charge(self, steps: int, span: Span) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            self.give_up(f"`{self.name}` takes more than {MAX_STEPS:,} steps", span)

    def charge_lists(self, values: Iterable[Any], span: Span) -> None:
        """Count steps for work on long lists."""
        for value in values:
            if type(value) is tuple:
                self.charge(weight(value) // VALUES_A_STEP, span)


def _call_notes(calls: list[CallSite]) -> tuple[Note, ...]:
    """The calls around a mistake, innermost first. If there are many, the first two and the last."""
    shown = calls if len(calls) <= 4 else calls[:2]
    notes = [Note(f"in a call of `{call.block}`", call.span) for call in shown]
    if len(calls) > 4:
        notes.append(Note(f"in {len(calls) - 3} more calls"))
        notes.append(Note(f"in a call of `{calls[-1].block}`", calls[-1].span))
    return tuple(notes)
