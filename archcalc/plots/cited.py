"""Measured errors and accuracies, cited from the claims and from `specs/accuracies.toml`."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from msgspec import Struct

from archcalc.audit.claims import measurements
from archcalc.catalog import specs_folder

TABLES = {
    "mobilenet_v1": "slim/mobilenet-v1",
    "efficientnet": "efficientnet/table-2",
    "nasnet": "nasnet/table-2",
    "nasnet_mobile": "nasnet/table-3",
}
"""The tables in the claims that plots cite."""


class Cited(Struct, frozen=True):
    """The figures of one source in percent, by the name of the network."""

    source: str
    measure: str
    figures: dict[str, Fraction]

    @property
    def accuracies(self) -> dict[str, Fraction]:
        """The figures as accuracies, whether the source has accuracies or errors."""
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
    found = {}
    for name, table in tomllib.loads(text, parse_float=Fraction).items():
        figures = {net: Fraction(figure) for net, figure in table["figures"].items()}
        found[name] = Cited(table["source"], table["measure"], figures)
    top1 = measurements("top1")
    for name, table in TABLES.items():
        members = [one for one in top1 if one.id.startswith(f"{table}/")]
        found[name] = Cited(members[0].place, "top-1 accuracy", {one.net: one.value for one in members})
    return found
