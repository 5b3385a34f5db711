"""Keras: the total parameters of `model.summary()` and `model.count_params()`."""

from archcalc.conventions import Convention
from archcalc.conventions.measures import BUFFERS, PARAMS, each
from archcalc.layers.base import KINDS

CONVENTIONS = (
    Convention(
        name="keras",
        title="Keras' total params",
        unit="parameters",
        version="3.15.1",
        source="https://github.com/keras-team/keras/blob/v3.15.1/keras/src/utils/summary_utils.py",
        rules=each(KINDS, PARAMS + BUFFERS),
        notes=(
            "with what is not trained: a batch norm has a moving mean and a moving variance besides",
            "the layers are the network's own; those of keras.applications may have other biases and norms",
        ),
    ),
)
