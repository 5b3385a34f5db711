"""What PyTorch and torchvision count themselves: convolutions and matrix products."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BACKWARD_MACS,
    CONVOLUTIONS,
    FREE,
    MACS,
    NOTHING,
    OF_OTHER_GROUPS,
    RECURRENT,
    each,
)

_PRODUCTS = (*CONVOLUTIONS, "conv_transpose", "fc", "matmul", "attention", *RECURRENT)

CONVENTIONS = (
    Convention(
        name="torchvision",
        title="torchvision's `_ops`, the GFLOPS of its table of weights",
        unit="MACs",
        logits=True,
        calls_it="GFLOPS",
        version="0.29.2",
        source="https://github.com/pytorch/vision/blob/main/test/common_extended_utils.py",
        rules=each(_PRODUCTS, MACS) | each(FREE, NOTHING),
        notes=(
            "MACs of convolutions and matrix products, without biases",
            "printed to a thousandth of 10^9",
            "attention and recurrent layers count the products that they are made of",
            AS_TORCHVISION,
        ),
    ),
    Convention(
        name="torch-flop-counter",
        title="PyTorch's FlopCounterMode, forward",
        unit="FLOPs",
        logits=True,
        version="2.13.0",
        source="https://github.com/pytorch/pytorch/blob/v2.13.0/torch/utils/flop_counter.py",
        aliases=("flop-counter-mode", "flopcountermode", "flop-counter", "torch"),
        rules=each(_PRODUCTS, 2 * MACS) | each(FREE, NOTHING),
        notes=(
            "2 per MAC of convolutions and matrix products, without biases",
            "all other operators count 0, without a warning",
            "attention and recurrent layers count by the products that they are made of, as on the device "
            "`meta`; it knows the fused attention of a GPU only: on a CPU, an LSTM counts 0, attention "
            "counts its projections only, and self-attention under `torch.no_grad()` counts 0",
            AS_TORCHVISION,
        ),
    ),
    Convention(
        name="torch-flop-counter-training",
        title="PyTorch's FlopCounterMode, forward and backward",
        unit="FLOPs",
        logits=True,
        version="2.14.1",
        source="https://github.com/pytorch/pytorch/blob/v2.14.1/torch/utils/flop_counter.py",
        rules=each(_PRODUCTS, 2 * MACS) | each(FREE, NOTHING),
        backward=((2, BACKWARD_MACS), (2, OF_OTHER_GROUPS)),
        notes=(
            "the products of the forward pass, and of the backward pass from the sum of all results",
            "heads that are only used in training are left out",
            "attention and recurrent layers count by the products that they are made of, as on the device "
            "`meta`",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                (*CONVOLUTIONS, "conv_transpose"),
                "the gradient of the weights of a grouped convolution counts `groups` times: the backward "
                "pass of MobileNet v2 counts 9.9 times too much",
                "https://github.com/pytorch/pytorch/issues/183405",
            ),
        ),
    ),
)
