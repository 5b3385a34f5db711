"""Options that several commands share, and what they mean."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from archcalc.diagnostics import error

if TYPE_CHECKING:
    from archcalc.settings import Settings


class Format(str, Enum):
    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


class TableOrJson(str, Enum):
    table = "table"
    json = "json"


class Layout(str, Enum):
    chw = "chw"
    hwc = "hwc"


def complete_net(incomplete: str) -> list[str]:
    from archcalc.catalog import open_shipped, shipped_files

    names = [name for name in shipped_files() if name.startswith(incomplete)]
    return [name for name in names if not open_shipped(name).missing]


Net = Annotated[
    str,
    typer.Argument(
        metavar="NET",
        help="A built-in network (`vgg16`), a file (`net.arch`, `model.onnx`, `model.pt2`, `model.keras`), a "
        "net in a file (`net.arch:small`), the standard input (`-`), a file in a git revision "
        "(`HEAD~1:net.arch`), or a PyTorch model from Python code, which is run (`models.py:make`, "
        "`package.module:factory`).",
        autocompletion=complete_net,
    ),
]
Sets = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the network; repeatable."),
]
Where = Annotated[
    Optional[list[str]],
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Compute only points at which this holds for the values: `width * depth <= 2`; repeatable.",
    ),
]
Inputs = Annotated[
    Optional[list[str]],
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Set the input shape: `3x192x192`; for a named input: `left=1x105x105`.",
    ),
]
Batch = Annotated[int, typer.Option(help="Batch size. Affects only byte counts.")]
Dtype = Annotated[
    str, typer.Option(help="Dtype for byte counts: float64, float32, float16, bfloat16, float8, or int8.")
]
Output = Annotated[
    Optional[Path],
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file; `-` is the standard output."),
]
FormatOption = Annotated[Format, typer.Option(help="Output format.")]
TableOrJsonOption = Annotated[TableOrJson, typer.Option(help="Output format.")]
Freeze = Annotated[
    Optional[list[str]],
    typer.Option(
        "--freeze", metavar="PATTERN", help="Freeze the parameters of layers: `stage1`, `head/*`; repeatable."
    ),
]
Training = Annotated[
    bool, typer.Option("--training", help="Also count the backward pass and the memory of a training step.")
]
OptimizerName = Annotated[
    str,
    typer.Option(
        "--optimizer",
        metavar="NAME",
        help="Optimizer whose state counts as memory: none, sgd, momentum, adam, or adamw.",
    ),
]
Heads = Annotated[bool, typer.Option("--heads", help="Also count heads that are used only in training.")]
Human = Annotated[bool, typer.Option("--human", help="Write short numbers, such as 138.4M.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed for random inputs and weights.")]


def complete_convention(incomplete: str) -> list[str]:
    from archcalc.conventions import conventions

    return [name for name in conventions() if name.startswith(incomplete)]


ConventionName = Annotated[
    str,
    typer.Option(
        "--convention",
        metavar="NAME",
        help="Count as a tool or paper does: `fvcore`. `archcalc conventions` lists them.",
        autocompletion=complete_convention,
    ),
]


def settings(
    sets: list[str] | None = None,
    inputs: list[str] | None = None,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
    freeze: list[str] | None = None,
    training: bool = False,
    optimizer: str = "sgd",
) -> Settings:
    """The settings that the shared options describe. Each command has some of these options."""
    from archcalc.settings import Settings

    return Settings(
        overrides(sets or []),
        "&".join(sets or []),
        input_shapes(inputs or []),
        batch,
        dtype,
        heads,
        convention,
        tuple(freeze or ()),
        training,
        optimizer,
    )


def overrides(sets: list[str]) -> dict[str, Any]:
    from archcalc.language.standalone import constant

    values: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise error(f"`--set {text}` has no value", help="write `--set name=value`")
        if name in values:
            raise error(f"`--set` gives `{name}` twice")
        values[name] = constant(value, f"--set {name}")
    return values


def input_shapes(inputs: list[str]) -> dict[str, tuple[int, ...]]:
    from archcalc.language.standalone import constant
    from archcalc.layers.arguments import LayerError, read_shape

    shapes: dict[str, tuple[int, ...]] = {}
    for text in inputs:
        name, equals, value = text.rpartition("=")
        name = name if equals else "input"
        if name in shapes:
            raise error(f"`--input` gives `{name}` twice")
        try:
            shapes[name] = read_shape(constant(value, "--input"))
        except LayerError as problem:
            raise error(f"`--input {text}` {problem.message}", help="write `--input 3x224x224`") from None
    return shapes


def words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]
