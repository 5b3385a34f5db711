"""fvcore's `FlopCountAnalysis` and `ActivationCountAnalysis`, which timm and detectron2 print."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BATCH_NORM,
    COLUMNS,
    CONVOLUTIONS,
    FREE,
    INPUTS,
    MACS,
    NOTHING,
    OUTPUTS,
    PROJECTED,
    PROJECTIONS,
    WITH_STATISTICS,
    Measure,
    bilinear,
    each,
    einsum_flops,
    on_images,
)
from archcalc.network import Node


def _upsample(node: Node) -> int:
    """fvcore knows two of PyTorch's four modes."""
    mode = node.layer.mode  # type: ignore[attr-defined]
    return OUTPUTS.of(node) if mode == "nearest" else bilinear(node)


CONVENTIONS = (
    Convention(
        name="fvcore",
        title="fvcore's FlopCountAnalysis, as in timm's tables",
        unit="MACs",
        logits=True,
        written={
            "operator": {},
            "einsum": each(["matmul"], Measure("MACs, to 4 digits", lambda node: einsum_flops(node) // 2)),
        },
        calls_it="FLOPs",
        version="0.1.5.post20221221",
        source="https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/flop_count.py",
        aliases=("timm", "detectron2", "mmengine"),
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc"], MACS)
        | each(["bn"], BATCH_NORM)
        | each(["layer_norm", "group_norm", "instance_norm"], WITH_STATISTICS)
        | each(["global_avgpool", "adaptive_avgpool"], on_images(INPUTS))
        | each(["upsample"], on_images(Measure("outputs (4·outputs if bilinear)", _upsample)))
        | each(["attention"], PROJECTIONS)
        | each(["matmul"], COLUMNS)
        | each(["relu", "concat", "stack", "crop", "slice", "embedding", *FREE], NOTHING),
        notes=(
            "a MAC counts as one; biases count 0",
            "a norm without scale and shift counts one less per value; a batch norm without running "
            "statistics counts as the other norms do",
            "adaptive average pools and upsampling only count over two spatial axes",
            "it warns about what it does not count: `unsupported operator`",
            "recurrent layers are not counted, nor is self-attention under `torch.no_grad()`",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("matmul",),
                "`torch.einsum` counts to four digits: the tool reads what NumPy's `einsum_path` prints",
                "https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/jit_handles.py",
            ),
            Bug(
                ("attention",),
                "the products of queries by keys and of scores by values do not count: "
                "`scaled_dot_product_attention` is an operator that it does not know",
                "https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/flop_count.py",
            ),
            Bug(
                ("matmul",),
                "a first matrix that stretches counts once",
                "https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/jit_handles.py",
            ),
        ),
    ),
    Convention(
        name="fvcore-activations",
        title="fvcore's ActivationCountAnalysis, timm's Acts, in bytes",
        unit="bytes",
        logits=True,
        calls_it="activations",
        version="0.1.5.post20221221",
        source="https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/activation_count.py",
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc", "matmul"], OUTPUTS)
        | each(["attention"], PROJECTED)
        | each(FREE, NOTHING),
        notes=(
            "the output values of convolutions and matrix products, as in Radosavovic et al. 2020",
            "it prints the number of values; archcalc multiplies it by the size of the dtype",
            AS_TORCHVISION,
        ),
    ),
)
