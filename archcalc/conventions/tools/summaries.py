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
            "parameters and biases of a convolution count once for each output place, those of a recurrent "
            "layer once for each step, all others once",
            "only modules count: operators, functions, and parameters outside a module do not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "it is a module with one inside, whose parameters it uses without calling it, and only "
                "modules without others are added up",
                "https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
            ),
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
        written=MODULES_ONLY | {"timm": each(["attention"], 2 * PROJECTED)},
        version="1.8.0",
        source="https://github.com/TylerYep/torchinfo/blob/v1.8.0/torchinfo/model_statistics.py",
        rules=each(_WITH_PARAMETERS, 2 * Measure("outputs", _with_parameters))
        | each(RECURRENT, 2 * SEQUENCES)
        | each(["attention", *_WITHOUT_PARAMETERS], NOTHING),
        notes=(
            "outputs of modules with parameters, doubled for gradients, at inference too",
            "the same for activations in place and not",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("attention",),
                "only modules without others inside are added up",
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
            "the outputs of all modules that it lists, doubled for gradients, at inference too; a module "
            "that is called several times is listed as often",
            "blocks with branches, such as torchvision's Bottleneck, are modules: they are listed after "
            "the layers in them; `Sequential` is not",
            "the outputs of operators and functions are left out",
            "it stops at attention and recurrent layers, which give several tensors; they are left out here",
            "of a pool that gives its places too it multiplies the two sizes, and it stops at a module that "
            "takes a list; here both count as their output",
            AS_TORCHVISION,
        ),
        bugs=(
            Bug(
                ("relu", "relu6"),
                "activations in place count as if they had memory of their own",
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
            "with what is not trained: a batch norm also has a moving mean and a moving variance",
            "the layers are the network's own; those of keras.applications may have other biases and norms",
        ),
    ),
)
