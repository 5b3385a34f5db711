"""From what a user names to the networks that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from archcalc.diagnostics import ArchError, Diagnostic, shorten
from archcalc.opening import open_network
from archcalc.profile import Profile, analyze


class ComparedNetwork(Struct, frozen=True, eq=False):
    """A network that is compared: the name it is shown under, and its figures."""

    name: str
    profile: Profile
    reference: str = ""


def open_subjects(
    nets: Sequence[str],
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    *,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
) -> list[ComparedNetwork]:
    """The networks of several `NET`s, named as short as tells them apart.

    Raises `ArchError` with the mistakes of all of them.

    >>> [subject.name for subject in open_subjects(["vgg16", "mobilenet_v1?width=0.5"])]
    ['vgg16', 'mobilenet_v1?width=0.5']
    """
    found: list[tuple[str, str, Profile, str]] = []
    problems: list[Diagnostic] = []
    for net in nets:
        try:
            opened, network = open_network(net, inputs=inputs)
            profile = analyze(network, batch=batch, dtype=dtype, heads=heads, convention=convention)
        except ArchError as problem:
            problems += [d for d in problem.diagnostics if d not in problems]
            continue
        _, question, overrides = net.partition("?")
        found.append((net, network.name + question + overrides, profile, opened.reference))
    if problems:
        raise ArchError(problems)
    meant: dict[str, set[str]] = {}
    for net, short, _, _ in found:
        meant.setdefault(short, set()).add(net)
    return [
        ComparedNetwork(shorten(short if len(meant[short]) == 1 else net), profile, reference)
        for net, short, profile, reference in found
    ]
