"""The results of `archcalc check`. Reports, JUnit files, and annotations are views of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct

from archcalc.checking.evaluate import Value
from archcalc.checking.lock import DEFAULT
from archcalc.diagnostics import Diagnostic, Span
from archcalc.network import Doubt, Remark

Figure = int | Fraction | tuple[int | Fraction, ...]


class Finding(Struct, frozen=True, kw_only=True):
    """One figure compared with the computed value.

    `text` is the statement, such as `params("stage1") == 38720`. `value` is the computed value, and
    `difference` is `value` minus the figure, if both are one number. `reason` is a sentence on why the
    statement does not hold; it is empty if it holds. `misses` are the layers that break a bound on each of
    `layers`. `reached_at` is the layer where a maximum is reached. `is_layer` marks a layer that is new,
    gone, or changed, as `reason` says. `note` is the citation, the reason of an `expect not`, or the
    tolerance that allows a change.
    """

    text: str
    quantity: str
    path: str = ""
    relation: str
    negated: bool = False
    figure: Figure | None
    value: Value | None
    difference: int | Fraction | None = None
    held: bool
    reason: str = ""
    layers: int = 0
    misses: tuple[tuple[str, Value], ...] = ()
    reached_at: str = ""
    is_layer: bool = False
    note: str = ""
    unknown: str = ""
    """The unknown operations that `value` leaves out."""
    renamed: str = ""
    span: Span | None = None


class Result(Struct, frozen=True):
    """A network: the number of figures `checked`, and the `findings`.

    With a lock file, the findings are the figures that moved; otherwise there is one for each expectation.
    `notes` are the notes on the network's text.
    """

    name: str
    checked: int
    findings: Sequence[Finding]
    span: Span | None = None
    notes: Sequence[Doubt | Remark] = ()

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.held]

    @property
    def ok(self) -> bool:
        """Does everything hold?"""
        return not self.failures

    def __str__(self) -> str:
        """The table that `archcalc check --verbose` prints."""
        from archcalc.checking.view import render
        from archcalc.render import output

        return render(Outcome([self], []), output.width(), True, False).removesuffix("\n")

    @property
    def held(self) -> int:
        return self.checked - len(self.failures)


class CheckedLock(Struct, frozen=True):
    """A lock file that was checked: its path, and the version of archcalc that wrote it, if known.

    `moved` says whether a figure moved further than allowed. `not_locked` are new networks in the files and
    folders that it locks.
    """

    path: str
    written_by: str = ""
    moved: bool = False
    not_locked: Sequence[str] = ()

    @property
    def update(self) -> str:
        """The command that accepts the current figures."""
        return "archcalc lock --update" + ("" if self.path == DEFAULT else f" -o {shlex.quote(self.path)}")


class Outcome(Struct, frozen=True):
    """All results, and the `problems`: inputs that could not be checked.

    `locked` says that lock files were checked and not expectations. `locks` are these files.
    """

    results: Sequence[Result]
    problems: Sequence[Diagnostic]
    locked: bool = False
    locks: Sequence[CheckedLock] = ()

    @property
    def checked(self) -> int:
        return sum(result.checked for result in self.results)

    @property
    def failures(self) -> list[Finding]:
        return [finding for result in self.results for finding in result.failures]
