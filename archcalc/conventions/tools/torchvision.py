"""torchvision's `_ops`: what it prints for each of its pretrained networks."""

from archcalc.conventions import Convention
from archcalc.conventions.measures import AS_TORCHVISION, CONVOLUTIONS, FREE, MACS, NOTHING, each

CONVENTIONS = (
    Convention(
        name="torchvision",
        title="torchvision's `_ops`, the GFLOPS of its table of weights",
        unit="MACs",
        logits=True,
        calls_it="GFLOPS",
        version="0.29.2",
        source="https://github.com/pytorch/vision/blob/main/test/common_extended_utils.py",
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc"], MACS) | each(FREE, NOTHING),
        notes=(
            "multiply-adds of convolutions and matrix products alone, without biases",
            "printed to a thousandth of 10^9",
            AS_TORCHVISION,
        ),
    ),
)
