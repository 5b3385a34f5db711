"""All known layer classes: importing this module registers them."""

from __future__ import annotations

from archcalc.importing.keras_config import (
    activations,
    arithmetic,
    convolutions,
    norms,
    pools,
    sequences,
    shapes,
)
from archcalc.importing.keras_config.values import LAYERS

FAMILIES = (activations, arithmetic, convolutions, norms, pools, sequences, shapes)

KEEP_SHAPE = frozenset(
    """
    Activation Add Average BatchNormalization CustomScaleLayer ELU GroupNormalization LayerNormalization
    LayerScale LeakyReLU Maximum Minimum Multiply Normalization PReLU RMSNormalization ReLU Rescaling Softmax
    SpectralNormalization Subtract ThresholdedReLU UnitNormalization
    ops.Absolute ops.Add ops.Celu ops.Clip ops.Divide ops.Erf ops.Exp ops.Log ops.LogSoftmax ops.Maximum
    ops.Minimum ops.Mish ops.Multiply ops.Negative ops.Power ops.Relu ops.Reciprocal ops.Rsqrt ops.Sigmoid
    ops.Softmax ops.Softplus ops.Softsign ops.Sqrt ops.Square ops.Subtract ops.TrueDivide
    """.split()
)
"""Layers whose output has the shape of their input, if they have one input, or several of the same shape."""

_WITH = (
    "Bidirectional", "Embedding", "GRU", "LSTM", "MultiHeadAttention", "SimpleRNN",
    "Conv1", "Conv2", "Conv3", "Dense", "DepthwiseConv", "LayerScale", "PReLU", "SeparableConv",
)  # fmt: skip

WITH_VARIABLES = frozenset(
    kind for kind in LAYERS if kind.endswith("Normalization") or kind.startswith(_WITH)
)
"""The known layers that have variables."""

WITHOUT_VARIABLES = (LAYERS.keys() - WITH_VARIABLES) | frozenset(
    """
    Average CenterCrop CustomScaleLayer Dot Lambda Masking Maximum Minimum RepeatVector Resizing
    ThresholdedReLU UnitNormalization
    """.split()
)
"""Layers without variables, among those that may become opaque. Operations, `ops.Add`, never have any."""

__all__ = ["FAMILIES", "KEEP_SHAPE", "LAYERS", "WITHOUT_VARIABLES", "WITH_VARIABLES"]
