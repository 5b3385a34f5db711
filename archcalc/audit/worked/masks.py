"""Worked examples of dropout, with every possible mask."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from archcalc.audit.worked.numbers import DIGITS, array_of, layer_of, listed
from archcalc.diagnostics import error
from archcalc.executor.activation import dropout
from archcalc.executor.kernel import Array, Call
from archcalc.layers.dropout import Dropout

MOST_UNITS = 10
"""The most units in an example. Each unit doubles the number of masks."""


def dropped(values: Any, p: Any) -> Any:
    """The values after dropout in training: one row per mask, starting with the mask that drops everything.

    The executor's kernel computes the rows. The last value changes fastest. A row in which `n` values are
    dropped and `m` are kept has the probability `p**n * (1 - p)**m`. Raises `ArchError`.

    >>> dropped((3, 5), 0.5)
    ((0, 0), (0, 10), (6, 0), (6, 10))
    """
    layer = layer_of(Dropout, p)
    units = array_of(values, "values")
    if units.ndim != 1 or units.size > MOST_UNITS:
        raise error(f"`values` is a list of at most {MOST_UNITS} numbers", help="write `[3, 5]`")
    masks = np.array(list(product((0.0, 1.0), repeat=units.size)))
    rows = np.repeat(units[None], len(masks), axis=0)
    call = Call([rows], {}, train=True, random=_Chosen(masks))
    return listed(dropout(layer, call), DIGITS)


class _Chosen(np.random.Generator):
    """A random generator that returns given numbers: 0 drops a value, 1 keeps it."""

    def __init__(self, numbers: Array) -> None:
        super().__init__(np.random.PCG64(0))
        self.numbers = numbers

    def random(self, *args: Any, **named: Any) -> Any:
        return self.numbers
