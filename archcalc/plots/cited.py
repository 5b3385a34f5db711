"""Errors and accuracies that training has found, cited: `specs/accuracies.toml`."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from msgspec import Struct

from archcalc.catalog import specs_folder


class Cited(Struct, frozen=True):
    """What one source says of several networks, in per cent, by the network's name."""

    source: str
    measure: str
    figures: dict[str, Fraction]

    @property
    def accuracies(self) -> dict[str, Fraction]:
        """The figures as accuracies, whether the source has those or errors."""
        if self.measure.endswith("accuracy"):
            return self.figures
        return {net: 100 - error for net, error in self.figures.items()}


@cache
def cited() -> dict[str, Cited]:
    """Every source by its name.

    >>> cited()["torchvision"].accuracies["vgg16"]
    Fraction(7159, 100)
    """
    import tomllib

    text = (specs_folder() / "accuracies.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text, parse_float=Fraction)
    return {
        name: Cited(
            table["source"],
            table["measure"],
            {net: Fraction(figure) for net, figure in table["figures"].items()},
        )
        for name, table in tables.items()
    }
