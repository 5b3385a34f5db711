"""Backward passes of the layers that only rearrange values."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.reshape import channels_first
from archcalc.layers.reshape import Flatten, Reshape


@backward(Flatten, Reshape)
def in_shape(layer: Flatten | Reshape, back: Back) -> Sent:
    """The same values in the input's shape."""
    batch, *axes = back.x.shape
    ordered = channels_first(back.gradient).reshape(batch, axes[-1], *axes[:-1])
    return [np.moveaxis(ordered, 1, -1)], {}
