"""Backward passes of embeddings and of recurrent layers."""

from __future__ import annotations

import numpy as np

from archcalc.executor.backward.register import Back, Sent, backward
from archcalc.executor.reshape import channels_first
from archcalc.layers.recurrent import Embedding


@backward(Embedding)
def embedding(layer: Embedding, back: Back) -> Sent:
    """Each row gets the sum of the gradients where it was read."""
    indices = channels_first(back.x)
    known = ~np.isnan(indices)
    rows = np.zeros(back.weights["weight"].shape, back.gradient.dtype)
    np.add.at(rows, indices[known].astype(np.int64), back.gradient[known])
    return [None], {"weight": rows}
