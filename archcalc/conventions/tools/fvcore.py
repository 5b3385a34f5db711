"""fvcore's `FlopCountAnalysis` and `ActivationCountAnalysis`, which timm and detectron2 print."""

import math

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
    PROJECTIONS,
    WITH_STATISTICS,
    Measure,
    bilinear,
    each,
    on_images,
)
from archcalc.network import Node


def _upsample(node: Node) -> int:
    """It knows two of PyTorch's four modes."""
    mode = node.layer.mode  # type: ignore[attr-defined]
    return OUTPUTS.of(node) if mode == "nearest" else bilinear(node)


def _projected(node: Node) -> int:
    """The queries, keys, values and results of an attention: what its matrix products with weights give."""
    queries, memory = node.facts.inputs[0], node.facts.inputs[-1]
    return queries[0] * 2 * (math.prod(queries[1:]) + math.prod(memory[1:]))


CONVENTIONS = (
    Convention(
        name="fvcore",
        title="fvcore's FlopCountAnalysis, as in timm's tables",
        unit="MACs",
        logits=True,
        written={"operator": {}},
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
            "a multiply-add counts as one; biases are free",
            "a norm without scale and shift counts one less for each value, and a batch norm without "
            "running statistics as the other norms",
            "adaptive average pools and upsampling count over two spatial axes only",
            "of what is not counted it warns: `unsupported operator`",
            "recurrent layers are not counted; under `torch.no_grad()` self-attention is not either",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "the products of queries by keys and of scores by values do not count: "
                "`scaled_dot_product_attention` is an operator that it does not know",
                "https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/flop_count.py",
            ),
            Bug(
                ("matmul",),
                "first matrices that stretch count once",
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
        | each(["attention"], Measure("queries, keys, values and results", _projected))
        | each(FREE, NOTHING),
        notes=(
            "the values that convolutions and matrix products put out, as Radosavovic et al. 2020 count them",
            "it prints values; here each has the bytes of its dtype",
            AS_TORCHVISION,
        ),
    ),
)
