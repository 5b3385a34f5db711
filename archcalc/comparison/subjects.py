"""Opens the networks that a comparison names."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archcalc.diagnostics import ArchError, Diagnostic, shorten
from archcalc.profile import Profile
from archcalc.settings import DEFAULT, Settings


class ComparedNetwork(Struct, frozen=True, eq=False):
    """A compared network: the name that is shown, and its figures."""

    name: str
    profile: Profile
    reference: str = ""


def open_subjects(nets: Sequence[str], settings: Settings = DEFAULT) -> list[ComparedNetwork]:
    """The networks of the given `NET`s, with the shortest names that distinguish them.

    Raises `ArchError` with all mistakes.

    >>> [subject.name for subject in open_subjects(["vgg16", "mobilenet_v1?width=0.5"])]
    ['vgg16', 'mobilenet_v1?width=0.5']
    """
    found: list[tuple[str, str, Profile, str]] = []
    problems: list[Diagnostic] = []
    for net in nets:
        try:
            opened, profile = settings.open(net)
        except ArchError as problem:
            problems += [d for d in problem.diagnostics if d not in problems]
            continue
        _, question, overrides = settings.applied_to(net).partition("?")
        found.append((net, profile.network.name + question + overrides, profile, opened.reference))
    if problems:
        raise ArchError(problems)
    meant: dict[str, set[str]] = {}
    for net, short, _, _ in found:
        meant.setdefault(short, set()).add(net)
    return [
        ComparedNetwork(shorten(short if len(meant[short]) == 1 else net), profile, reference)
        for net, short, profile, reference in found
    ]
