"""PyTorch's `torch.utils.flop_counter.FlopCounterMode`."""

from archcalc.conventions import Convention
from archcalc.conventions.measures import AS_TORCHVISION, CONVOLUTIONS, FREE, MACS, NOTHING, each

CONVENTIONS = (
    Convention(
        name="torch-flop-counter",
        title="PyTorch's FlopCounterMode, forward",
        unit="FLOPs",
        logits=True,
        version="2.13.0",
        source="https://github.com/pytorch/pytorch/blob/v2.13.0/torch/utils/flop_counter.py",
        aliases=("flop-counter-mode", "flopcountermode", "flop-counter", "torch"),
        rules=each([*CONVOLUTIONS, "conv_transpose", "fc"], 2 * MACS) | each(FREE, NOTHING),
        notes=(
            "2 for each multiply-add of convolutions and matrix products, without biases",
            "any other operator is 0, and it does not say so",
            AS_TORCHVISION,
        ),
    ),
)
