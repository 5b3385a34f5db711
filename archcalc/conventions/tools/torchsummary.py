"""torchsummary, of the repository pytorch-summary: its memory."""

from archcalc.conventions import Bug, Convention
from archcalc.conventions.measures import AS_TORCHVISION, MODULES, MODULES_ONLY, NOTHING, OUTPUTS, each

CONVENTIONS = (
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
)
