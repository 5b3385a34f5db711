"""torchprofile: operators of a traced network."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BILINEAR,
    CONVOLUTIONS,
    FREE,
    JOINED,
    MACS,
    NOTHING,
    OUTPUTS,
    Measure,
    each,
    kernel_area,
    on_images,
    scaled,
)
from archcalc.network import Node


def _transposed(node: Node) -> int:
    """torchprofile treats the weights as those of a convolution if inputs and outputs have equal channels."""
    (channels, *_), (out_channels, *_) = node.facts.inputs[0], node.shape
    groups = node.layer.groups  # type: ignore[attr-defined]
    read = out_channels // groups if channels == out_channels else channels
    return OUTPUTS.of(node) * read * kernel_area(node)


def _attention(node: Node) -> int:
    """Its products, and a few products of sizes, which are also operators of a traced network."""
    shared = len(node.facts.inputs) > 1 and node.facts.inputs[0][0] == node.facts.inputs[1][0]
    return MACS.of(node) + (6 if shared else 4)


def _reduced(node: Node) -> int:
    return OUTPUTS.of(node) if node.layer.op == "mean" else 0  # type: ignore[attr-defined]


_MEAN = Measure("1", lambda _: 1)

CONVENTIONS = (
    Convention(
        name="torchprofile",
        title="torchprofile",
        unit="MACs",
        logits=True,
        written={"timm": each(["attention"], MACS)},
        version="0.1.0",
        source="https://github.com/zhijian-liu/torchprofile/blob/master/torchprofile/handlers.py",
        rules=each([*CONVOLUTIONS, "fc", "matmul", "lstm"], MACS)
        | each(["attention"], Measure("MACs + 4 (6 if to another tensor)", _attention))
        | each(["conv_transpose"], Measure("outputs·channels in·kernel", _transposed))
        | each(["bn", "layer_norm", "group_norm", "instance_norm"], scaled(OUTPUTS, 1, 0))
        | each(
            ["avgpool", "global_avgpool", "adaptive_avgpool", "leaky_relu", "layer_scale", "scale"], OUTPUTS
        )
        | each(["reduce"], Measure("outputs of means", _reduced))
        | each(["mul"], JOINED)
        | each(["lrn", "lppool"], 3 * OUTPUTS)
        | each(["grn"], 2 * OUTPUTS + _MEAN)
        | each(["upsample"], on_images(BILINEAR))
        | each(["relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "abs", "softmax"], NOTHING)
        | each(["maxpool", "global_maxpool", "adaptive_maxpool", "maxunpool"], NOTHING)
        | each(
            ["hardtanh", "log_softmax", "softsign", "sqrt", "rsqrt", "sin", "cos", "pow", "clamp"], NOTHING
        )
        | each(["concat", "stack", "add", "shift", "sub", "div", "crop", "slice", "embedding"], NOTHING)
        | each(FREE, NOTHING),
        notes=(
            "biases count 0, and so do norms without scale and shift",
            "a product of a tensor with a tensor or a number counts in any module",
            "linear upsampling only counts over two spatial axes",
            "LSTMs are the only recurrent layers that it knows; it fails on self-attention under "
            "`torch.no_grad()`",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("conv_transpose",),
                "multiplied by the output places instead of the input places, and by all input channels "
                "instead of those of a group",
                "https://github.com/zhijian-liu/torchprofile/blob/master/torchprofile/handlers.py",
            ),
        ),
    ),
)
