"""Descriptions of layer kinds, for documents and for `archcalc layers`.

Everything comes from the class of a kind: the arguments from its fields, their types from the docstrings of
their readers, and the rest from its docstring. A docstring begins with the summary. Its paragraph `Source:`
gives the source of the formulas, and `Example:` is the body of a net that uses the layer.
"""

from __future__ import annotations

import inspect

from msgspec import Struct

from archcalc.layers import ELSEWHERE_IN_PYTORCH, KINDS, PYTORCH
from archcalc.layers.arguments import Parameter, format_argument
from archcalc.layers.base import Layer

HEADINGS = {
    "conv": "Convolutions",
    "deform": "Deformable convolution",
    "linear": "Vectors",
    "recurrent": "Sequences",
    "activation": "Activations and dropout",
    "unary": "Functions of one value",
    "norm": "Normalization",
    "pool": "Pooling",
    "reduction": "Reductions",
    "merge": "Joins",
    "arithmetic": "Parameters and factors",
    "attention": "Attention",
    "opaque": "Unknown operations",
    "reshape": "Rearrangement",
    "resize": "Resizing",
}
"""The families of kinds and their headings, in the order of the list."""


class DescribedArgument(Struct, frozen=True):
    """An argument. `default` is written in the language, or is `required` or `optional`."""

    name: str
    values: str
    default: str


class DescribedKind(Struct, frozen=True):
    """The description of a layer kind. `details` are paragraphs; `example` is the body of a net."""

    kind: str
    family: str
    signature: str
    summary: str
    details: tuple[str, ...]
    arguments: tuple[DescribedArgument, ...]
    source: str
    example: str
    pytorch: str

    @property
    def net(self) -> str:
        """The example as a complete text."""
        lines = self.example.split("\n")
        if len(lines) == 1:
            return f"net example {{ {self.example} }}"
        return "\n".join(["net example {", *(f"  {line}" for line in lines), "}"])


def in_families() -> dict[str, list[DescribedKind]]:
    """Every kind, by the heading of its family, in the order of the list."""
    return {
        heading: [describe(cls) for cls in KINDS.values() if cls.family == family]
        for family, heading in HEADINGS.items()
    }


def describe(cls: type[Layer]) -> DescribedKind:
    """The description of a layer class."""
    # without docstrings (`python -OO`), there is only a signature
    summary, *paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    sections = {"Source": "", "Example": ""}
    details = []
    for paragraph in paragraphs:
        title, colon, text = paragraph.partition(":")
        if colon and title in sections:
            sections[title] = text.strip()
        elif not paragraph.startswith(">>>"):
            details.append(_one_line(paragraph))
    return DescribedKind(
        cls.kind,
        cls.family,
        signature(cls),
        _one_line(summary),
        tuple(details),
        tuple(map(_argument, cls.parameters)),
        _one_line(sections["Source"]).removesuffix("."),
        sections["Example"],
        in_pytorch(cls),
    )


def signature(cls: type[Layer]) -> str:
    """A kind with its arguments: `fc(out_features, bias=true)`. Optional arguments are in brackets."""
    arguments = ["..."] if cls.is_join else []
    for parameter in cls.parameters:
        if parameter.required:
            arguments.append(parameter.name)
        elif parameter.default is None:
            arguments.append(f"[{parameter.name}]")
        else:
            arguments.append(f"{parameter.name}={format_argument(parameter.default)}")
    return f"{cls.kind}({', '.join(arguments)})" if arguments else cls.kind


def in_pytorch(cls: type[Layer]) -> str:
    """PyTorch's name of a kind: `torch.nn.Conv1d, Conv2d, Conv3d`; empty if PyTorch has no such layer."""
    if cls.kind in ELSEWHERE_IN_PYTORCH:
        return ELSEWHERE_IN_PYTORCH[cls.kind]
    return f"torch.nn.{', '.join(PYTORCH.get(cls.kind, (cls.__name__,)))}"


def _argument(parameter: Parameter) -> DescribedArgument:
    values = (parameter.read.__doc__ or "").partition("\n")[0].removesuffix(".")
    default = format_argument(parameter.default)
    if parameter.required or parameter.default is None:
        default = "required" if parameter.required else "optional"
    return DescribedArgument(parameter.name, values[:1].lower() + values[1:], default)


def _one_line(text: str) -> str:
    return " ".join(text.split())
