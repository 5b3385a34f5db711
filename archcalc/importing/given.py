"""Shapes that the user gives for the inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.diagnostics import error
from archcalc.layers.arguments import LayerError, read_shape
from archcalc.render.numbers import plural
from archcalc.shape import Shape

GivenShapes = Mapping[str, Any] | Sequence[Any]
"""By input name (`input` if there is only one), or in the order of the inputs."""


def read_shapes(shapes: GivenShapes) -> dict[str, Shape] | list[Shape]:
    """Read the shapes. Raises `ArchError` for a value that is not a shape."""
    try:
        if isinstance(shapes, Mapping):
            return {name: read_shape(shape) for name, shape in shapes.items()}
        return [read_shape(shape) for shape in shapes]
    except LayerError as problem:
        raise error(f"the input {problem.message}", help=problem.help) from None


def named_shapes(labels: Sequence[str], shapes: GivenShapes) -> dict[str, Shape]:
    """Return shapes by input name. A list must have one shape per input. Raises `ArchError`."""
    found = read_shapes(shapes)
    if isinstance(found, dict):
        return found
    if found and len(found) != len(labels):
        takes, given = plural(len(labels), "input", str), plural(len(found), "shape", str)
        raise error(f"the model takes {takes}, and {given} were given")
    return dict(zip(["input"] if len(labels) == 1 else labels, found, strict=False))
