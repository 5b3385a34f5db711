"""Worked examples: numbers of a statement, computed by the reference executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc.audit.worked.layers import affected, forward, gradient
from archcalc.audit.worked.maps import convolution, correlation, max_pool
from archcalc.audit.worked.masks import dropped

EXAMPLES: dict[str, Callable[..., Any]] = {
    "correlation": correlation,
    "convolution": convolution,
    "max_pool": max_pool,
    "forward": forward,
    "gradient": gradient,
    "affected": affected,
    "dropped": dropped,
}
"""The worked examples by the names that statements use."""
