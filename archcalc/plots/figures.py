"""Figures of built-in networks for plots. Each network is analyzed once."""

from __future__ import annotations

from functools import cache

from archcalc.opening import open_net, open_network
from archcalc.profile import Profile, analyze
from archcalc.quantities import Figures


@cache
def profile(net: str) -> Profile:
    """The profile of a `NET`."""
    return analyze(open_network(net)[1])


def totals(net: str) -> Figures:
    return profile(net).totals


def year(net: str) -> int:
    """The year of the publication."""
    found = open_net(net)[0].year
    assert found is not None
    return found
