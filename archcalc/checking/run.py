"""Evaluates all expectations of the networks found, and those of the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from archcalc.checking.bounds import Bound
from archcalc.checking.evaluate import Check, Evaluator, as_declared, statement
from archcalc.checking.find import CheckedNetwork, Finder, each_once
from archcalc.checking.outcome import Finding, Outcome, Result
from archcalc.diagnostics import Diagnostic, Problems
from archcalc.render.progress import Progress
from archcalc.settings import DEFAULT, Settings


def check_networks(
    arguments: Sequence[str],
    bounds: Sequence[Bound],
    progress: Progress,
    settings: Settings = DEFAULT,
) -> Outcome:
    """Check the networks that `arguments` mean (see `Finder.find`): every expectation, even after failures.

    A network with overrides is checked only against the `bounds`, because its own expectations are about its
    defaults. `settings` are the conditions of the `bounds`. Networks that cannot be checked, or that have
    nothing to check, are among the problems of the outcome.
    """
    finder = Finder(settings)
    found = finder.find(arguments)
    results: dict[CheckedNetwork, Result] = {}
    broken: set[CheckedNetwork] = set()
    for checked in progress(each_once(found), "Checking"):
        known = len(finder.problems)
        with finder.problems.collect():
            results[checked] = _check(checked, bounds, finder.problems, settings)
        if len(finder.problems) > known:
            broken.add(checked)
    for argument, group in found.items():
        empty = not any(checked in broken or results[checked].checked for checked in group)
        if empty and argument not in finder.unread:
            finder.problems.append(_nothing(argument, group, arguments))
    return Outcome(list(results.values()), finder.problems)


def _check(
    checked: CheckedNetwork, bounds: Sequence[Bound], problems: Problems, settings: Settings
) -> Result:
    network = checked.network()
    profile = settings.profile(network)
    checks: list[Callable[[], Check]] = []
    if not network.overridden and network.expectations:
        declared = Evaluator(as_declared(profile), allow_unknown=settings.allow_unknown)
        checks += [partial(declared, expect) for expect in network.expectations]
    asked = Evaluator(profile, settings.heads, settings.allow_unknown)
    checks += [partial(bound.check, asked) for bound in bounds]
    findings = []
    for evaluate in checks:
        with problems.collect():
            findings.append(to_finding(evaluate()))
    return Result(checked.name, len(findings), findings, checked.span, network.notes)


def to_finding(check: Check) -> Finding:
    """A check as a finding."""
    expect = check.expect
    return Finding(
        text=statement(expect),
        quantity=expect.quantity,
        path=expect.path,
        relation=expect.relation,
        negated=expect.negated,
        figure=expect.figure.value,
        value=check.value,
        difference=check.difference,
        held=check.held,
        reason=check.reason,
        layers=check.layers,
        misses=() if check.held else check.misses,
        reached_at=check.reached_at,
        unknown=check.unknown,
        note=" because ".join(filter(None, (expect.citation, expect.reason))),
        span=expect.span,
    )


def _nothing(argument: str, group: Sequence[CheckedNetwork], arguments: Sequence[str]) -> Diagnostic:
    where = f"`{argument}`" if arguments else "the current folder"
    if not group:
        return Diagnostic(f"nothing to check: {where} has no network", help="name a network, file, or folder")
    if any(checked.overrides for checked in group):
        message = f"nothing to check: the expectations of {where} do not apply to other parameters"
    else:
        message = f"nothing to check: {where} has no expectation"
    return Diagnostic(message, help='add `expect params < 5M` to a net, or pass `--expect "params < 5M"`')
