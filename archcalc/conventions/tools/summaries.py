"""What summaries of a model print: torchinfo, torchsummary, and Keras' `model.summary()`."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import (
    AS_TORCHVISION,
    BIAS,
    BUFFERS,
    CONVOLUTIONS,
    FREE,
    MACS,
    MODULES,
    MODULES_ONLY,
    NOTHING,
    OUTPUTS,
    PARAMS,
    PLACES,
    PROJECTED,
    RECURRENT,
    SEQUENCES,
    WEIGHTS,
    Measure,
    each,
)
from archcalc.layers.base import KINDS
from archcalc.network import Node

_NORMS = ("bn", "layer_norm", "group_norm", "instance_norm")
_WITH_PARAMETERS = (*CONVOLUTIONS, "conv_transpose", "deform_conv", "fc", "embedding", "prelu", *_NORMS)
_WITHOUT_PARAMETERS = (*(kind for kind in MODULES if kind not in _WITH_PARAMETERS), *FREE)


def _with_parameters(node: Node) -> int:
    return OUTPUTS.of(node) if PARAMS.of(node) else 0


CONVENTIONS = (
    Convention(
        name="torchinfo",
        title="torchinfo's total mult-adds",
        unit="MACs",
        logits=True,
        written=MODULES_ONLY | {"linear": each(["pointwise"], PARAMS), "timm": each(["attention"], PARAMS)},
        calls_it="mult-adds",
        version="1.8.0",
        source="https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
        rules=each([*CONVOLUTIONS, "deform_conv", "fc", *RECURRENT], MACS + BIAS)
        | each(["conv_transpose"], WEIGHTS * PLACES + BIAS)
        | each(["prelu", "embedding", *_NORMS], PARAMS)
        | each(["attention", *_WITHOUT_PARAMETERS], NOTHING),
        notes=(
            "weights and biases of a convolution count once per output place, those of a recurrent layer "
            "once per step, and all others once",
            "only modules count, not operators, functions, and parameters outside a module",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "only modules without modules inside are added up, and attention has one, whose parameters "
                "it uses without calling it",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
            ),
            Bug(
                ("prelu", *_NORMS),
                "parameters are used at every place, but count once",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
            ),
            Bug(
                ("conv_transpose",),
                "multiplied by the output places instead of the input places",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/layer_info.py",
            ),
        ),
    ),
    Convention(
        name="torchinfo-memory",
        title="torchinfo's forward/backward pass size",
        unit="bytes",
        logits=True,
        written=MODULES_ONLY | {"timm": each(["attention"], 2 * PROJECTED)},
        version="1.8.0",
        source="https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
        rules=each(_WITH_PARAMETERS, 2 * Measure("outputs", _with_parameters))
        | each(RECURRENT, 2 * SEQUENCES)
        | each(["attention", *_WITHOUT_PARAMETERS], NOTHING),
        notes=(
            "outputs of modules with parameters, doubled for gradients, even at inference",
            "the same for activations in place and not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "only modules without modules inside are added up",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
            ),
            Bug(
                _WITHOUT_PARAMETERS,
                "modules without parameters count as if they had no output",
                "https://github.com/TylerYep/torchinfo/issues/187",
            ),
        ),
    ),
    Convention(
        name="torchsummary",
        title="torchsummary's forward/backward pass size",
        unit="bytes",
        logits=True,
        written=MODULES_ONLY,
        version="1.5.1",
        aliases=("pytorch-summary",),
        source="https://github.com/sksq96/pytorch-summary/blob/master/torchsummary/torchsummary.py",
        rules=each(MODULES, 2 * OUTPUTS) | each(["flatten", "reshape"], NOTHING),
        containers=2 * OUTPUTS,
        notes=(
            "the outputs of all modules that it lists, doubled for gradients, even at inference; a module "
            "is listed once per call",
            "blocks with branches, such as torchvision's Bottleneck, are modules: they are listed after "
            "the layers in them; `Sequential` is not",
            "the outputs of operators and functions are left out",
            "it stops at attention and recurrent layers, which output several tensors; here they count 0",
            "it multiplies the two output sizes of a pool that also returns indices, and it stops at a "
            "module that takes a list; here both count their output",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("relu", "relu6"),
                "activations in place count as if they had their own memory",
                "https://github.com/sksq96/pytorch-summary/issues/163",
            ),
        ),
        value_bytes=4,
        megabyte=2**20,
    ),
    Convention(
        name="keras",
        title="Keras' total params",
        unit="parameters",
        version="3.15.1",
        source="https://github.com/keras-team/keras/blob/v3.15.1/keras/src/utils/summary_utils.py",
        rules=each(KINDS, PARAMS + BUFFERS),
        notes=(
            "values that are not trained count too: a batch norm has a moving mean and a moving variance",
            "the layers are the network's own; those of keras.applications may have other biases and norms",
        ),
    ),
)
