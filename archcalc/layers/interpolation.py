"""The places that resizing reads along one axis, as windows. This file has no layer kinds.

The scale is the number of outputs per input. Output `o` lies at the place `(o + 1/2)/scale - 1/2` of the
input, or with aligned corners at `o/scale`.
"""

from fractions import Fraction

from archcalc.number import plain_ratio
from archcalc.shape import Window


def nearest_window(scale: Fraction) -> Window:
    """A copy of the input at `floor(o/scale)`."""
    return Window(scale, scale, transposed=True, clamped=True)


def nearest_exact_window(scale: Fraction) -> Window:
    """A copy of the input at `floor((o + 1/2)/scale)`, where `0 <= o + 1/2 - i*scale < scale`."""
    if scale.denominator == 1:  # the half makes no difference
        return nearest_window(scale)
    half = Fraction(1, 2)
    return Window(scale, scale, half, -half, transposed=True, clamped=True)


def linear_window(scale: Fraction) -> Window:
    """The inputs at a distance of less than 1 from the place of an output.

    Measured in outputs, this is `0 < o + (scale + 1)/2 - i*scale < 2*scale`. The values in between are
    multiples of half of `1/denominator`, so moving the window by this amount excludes the values at its ends.
    """
    half = Fraction(1, 2 * scale.denominator)
    before, after = (scale + 1) / 2 - half, (scale - 1) / 2
    return Window(2 * scale - half, scale, before, after, transposed=True, clamped=True)


def cubic_window(scale: Fraction) -> Window:
    """The two inputs on each side of the place of an output.

    Measured in outputs, this is `0 <= o + (3*scale + 1)/2 - i*scale < 4*scale`.
    """
    before, after = (3 * scale + 1) / 2, (3 * scale - 1) / 2
    return Window(4 * scale, scale, before, after, transposed=True, clamped=True)


def aligned_window(n: int, m: int, cubic: bool) -> Window:
    """The same with aligned corners, for `m` outputs of `n` inputs: 2 or 4 inputs around `o*(n-1)/(m-1)`."""
    if n == 1:
        return nearest_window(plain_ratio(m))
    if m == 1:  # it lies at the first input
        return Window(4, n, 1, 2, clamped=True) if cubic else Window(1, n, clamped=True)
    scale = plain_ratio(m - 1, n - 1)
    if cubic:
        return Window(4 * scale, scale, 2 * scale, 2 * scale - 1, transposed=True, clamped=True)
    step = Fraction(1, scale.denominator)  # excludes inputs at a distance of exactly 1, as above
    return Window(2 * scale - step, scale, scale - step, scale - 1, transposed=True, clamped=True)
