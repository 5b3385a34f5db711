"""torchinfo: its mult-adds, and its memory."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BIAS,
    CONVOLUTIONS,
    FREE,
    MACS,
    MODULES,
    MODULES_ONLY,
    NOTHING,
    OUTPUTS,
    PARAMS,
    PLACES,
    WEIGHTS,
    Measure,
    each,
)
from archcalc.network import Node

_NORMS = ("bn", "layer_norm", "group_norm", "instance_norm")
_WITH_PARAMETERS = (*CONVOLUTIONS, "conv_transpose", "fc", "prelu", *_NORMS)
_WITHOUT_PARAMETERS = (*(kind for kind in MODULES if kind not in _WITH_PARAMETERS), *FREE)


def _with_parameters(node: Node) -> int:
    return OUTPUTS.of(node) if PARAMS.of(node) else 0


CONVENTIONS = (
    Convention(
        name="torchinfo",
        title="torchinfo's total mult-adds",
        unit="MACs",
        logits=True,
        written=MODULES_ONLY,
        calls_it="mult-adds",
        version="1.8.0",
        source="https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
        rules=each([*CONVOLUTIONS, "fc"], MACS + BIAS)
        | each(["conv_transpose"], WEIGHTS * PLACES + BIAS)
        | each(["prelu", *_NORMS], PARAMS)
        | each(_WITHOUT_PARAMETERS, NOTHING),
        notes=(
            "parameters and biases of a convolution once for each output place, all others once",
            "only modules count: operators, functions, and parameters outside a module do not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("prelu", *_NORMS),
                "parameters are used at every place, but count once",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
            ),
            Bug(
                ("conv_transpose",),
                "multiplied by the places that come out, instead of those that come in",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
            ),
        ),
    ),
    Convention(
        name="torchinfo-memory",
        title="torchinfo's forward/backward pass size",
        unit="bytes",
        logits=True,
        written=MODULES_ONLY,
        version="1.8.0",
        source="https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
        rules=each(_WITH_PARAMETERS, 2 * Measure("outputs", _with_parameters))
        | each(_WITHOUT_PARAMETERS, NOTHING),
        notes=(
            "outputs of modules with parameters, doubled for gradients, at inference too",
            "the same for activations in place and not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                _WITHOUT_PARAMETERS,
                "modules without parameters count as if they had no output",
                "https://github.com/TylerYep/torchinfo/issues/187",
            ),
        ),
    ),
)
