"""The model code's names for layers that are not modules of `torch.nn`: `Network.written`.

Tools that inspect modules do not see function calls. An export has the class of the module that an operation
ran in; if PyTorch defines that class, the operation is that module.
"""

from __future__ import annotations

from archcalc.importing.torch_export.graph import ExportedNode

_PYTORCH = "torch.nn.modules."

FUNCTIONS = frozenset(
    """
    relu relu6 leaky_relu prelu elu selu gelu silu mish hardswish hardsigmoid hardtanh sigmoid tanh
    softmax log_softmax softplus dropout
    avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    """.split()
)
"""Operations that `torch.nn.functional` has under the same name. An export does not tell `F.relu` from
`torch.relu`, which tools count alike."""

RESIZED = ("upsample_nearest", "upsample_bilinear", "upsample_linear", "upsample_trilinear")

WITH_ARRAYS = frozenset(
    """
    conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d
    linear batch_norm layer_norm group_norm instance_norm
    """.split()
)
"""Operations with arrays: a module that runs one and is not PyTorch's is a class of its own, such as
`LayerNorm2d`."""


def written_as(node: ExportedNode, name: str) -> str:
    """Return the code's name for an operation; empty if it is a module of `torch.nn`.

    A `Linear` is named although it is a module: over a map it is a `pointwise` layer, which is a convolution
    elsewhere, and tools distinguish the two.
    """
    cls = node.module.rpartition(".")[2]
    if name in WITH_ARRAYS:
        if name == "linear" and cls == "Linear" and node.module.startswith(_PYTORCH):
            return "Linear"
        return cls if cls and not node.module.startswith(_PYTORCH) else ""
    if node.module.startswith(_PYTORCH):
        return ""
    if name in FUNCTIONS:
        return f"F.{name}"
    if name.startswith(RESIZED):
        return "F.interpolate"
    return {"mean": "Tensor.mean", "chunk": "Tensor.chunk", "abs": "torch.abs"}.get(name, "")
