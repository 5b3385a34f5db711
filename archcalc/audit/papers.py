"""Figures of papers and of other programs: the expectations in the built-in specs that cite a source."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.audit.expression import Asked
from archcalc.audit.finding import AuditFinding
from archcalc.audit.networks import Networks
from archcalc.audit.statement import StatementOutcome
from archcalc.catalog import shipped
from archcalc.checking.evaluate import Check, Evaluator, check
from archcalc.expect import Expect
from archcalc.opened import Opened

PAPERS, PROGRAMS = DECKS = ("papers", "programs")
"""The names of their decks."""
TITLES = {PROGRAMS: "Figures of networks as other programs build them"}
"""The titles of decks without a file. `specs/claims/papers.toml` has the other figures of papers."""

_BUILD = re.compile(r"\b(built?|build) (in|of)\b|\bin PyTorch\b")
_PROGRAM = re.compile(r"\b(torchvision|timm|keras|pretrainedmodels|slim, \w+\.py|osmr/imgclsmob)\b", re.I)
_PRINTED = re.compile(r"\b(Tables?|Figures?|Sections?|README|arXiv)\b")


def deck_of(citation: str) -> str:
    """Does an expectation cite a publication or a program?

    >>> deck_of("Table 2, D"), deck_of("torchvision 0.29, vgg16"), deck_of("Table 1 built in PyTorch")
    ('papers', 'programs', 'programs')
    """
    if _BUILD.search(citation):
        return PROGRAMS
    return PROGRAMS if _PROGRAM.search(citation) and not _PRINTED.search(citation) else PAPERS


def specs() -> list[Opened]:
    """The built-in networks that have an expectation with a citation."""
    return [spec for spec in shipped() if any(expect.citation for expect in spec.expectations)]


def findings(spec: Opened, networks: Networks) -> Iterator[AuditFinding]:
    """The cited expectations of a network, evaluated as `archcalc check` does it. Raises `ArchError`.

    An id is the network, the quantity, and the path: `googlenet/macs(inception3a)`. A second expectation
    with the same id gets `.2`: `googlenet/macs.2`.
    """
    profile = networks.profile(networks.shipped(spec.name, {}))
    evaluator = Evaluator(profile)
    seen: dict[str, int] = {}
    for checked in check(profile):
        expect = checked.expect
        if not expect.citation:
            continue
        narrowed = ", ".join(filter(None, (expect.path, "training" if expect.training else "")))
        key = f"{spec.name}/{expect.quantity}" + (f"({narrowed})" if narrowed else "")
        seen[key] = seen.get(key, 0) + 1
        id = key if seen[key] == 1 else f"{key}.{seen[key]}"
        source = evaluator.source(expect.training)
        call = _call(spec.name, expect)
        asked = Asked(call, checked.value, source, expect.quantity, expect.path)
        yield _finding(id, spec.name, checked, call, asked)


def _finding(id: str, net: str, checked: Check, call: str, asked: Asked) -> AuditFinding:
    expect = checked.expect
    figure = expect.figure
    holds = checked.held != expect.negated
    relation = f"within {float(expect.percent):g}% of" if expect.relation == "within" else expect.relation
    outcome = StatementOutcome(
        f"{call} {relation} {figure.text}",
        checked.value,
        expect.relation,
        expect.percent,
        figure.value,
        figure if expect.relation == "~" else None,
        holds,
        holds and _equal(checked),
        isinstance(checked.value, tuple),
        asked=(asked,),
    )
    would = "exact" if expect.relation not in ("~", "within") or outcome.equal else "rounds"
    fails = "convention" if checked.cut else "discrepant"
    bound = "" if expect.relation in ("==", "~") else f"{relation} "
    return AuditFinding(
        id,
        deck_of(expect.citation),
        expect.citation,
        _words(net, expect),
        f"{bound}{figure.text.replace('_', ',')}",
        would if holds else fails,
        fails if expect.negated else would,
        _sentence(expect.reason),
        expect.span,
        variant="truncated, not rounded" if checked.cut else "",
        shown=outcome,
        claims=(outcome,),
        net=net,
    )


def _equal(checked: Check) -> bool:
    value, figure = checked.value, checked.expect.figure.value
    if isinstance(value, tuple) and not isinstance(figure, tuple):
        return all(item == figure for item in value)
    return value == figure


def _call(net: str, expect: Expect) -> str:
    path = f', "{expect.path}"' if expect.path else ""
    return f"{expect.quantity}({net}{path}{', heads=true' if expect.training else ''})"


def _sentence(reason: str) -> str:
    """The reason of an expectation, which is a clause, as a sentence.

    >>> _sentence("it has 4.39G at 380x380"), _sentence("")
    ('It has 4.39G at 380x380.', '')
    """
    return f"{reason[0].upper()}{reason[1:].removesuffix('.')}." if reason else ""


def _words(net: str, expect: Expect) -> str:
    text = expect.quantity.replace("_", " ").replace("macs", "MACs").replace("flops", "FLOPs")
    text = "parameters" if text == "params" else text
    if expect.training:
        text += " with training heads"
    return f"{text} of {expect.path} in {net}" if expect.path else f"{text} of {net}"
