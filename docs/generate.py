"""Generate parts of the documents: layers and error messages of the language, the table of quantities,
and drawings.

    make docs-tables

`tests/test_grammar.py` and `tests/test_documents.py` check that the documents are up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from archcalc.diagnostics import ArchError
from archcalc.language.elaborate import elaborate
from archcalc.language.loader import load_text
from archcalc.layers.describe import in_families
from archcalc.opening import load
from archcalc.profile import analyze
from archcalc.quantities import QUANTITIES
from archcalc.view.draw import Wanted, draw

PICTURES = {
    "lenet5": ("lenet5", Wanted(level="volumes")),
    "inception3a": ("googlenet", Wanted(level="layers", block="inception3a")),
    "resnet18": ("resnet18", Wanted()),
}
"""The drawings of `draw.md`, each of a network, by their names in `drawings/`."""

PAGE = Path(__file__).parent / "language.md"
QUANTITY_PAGE = Path(__file__).parent / "quantities.md"

LAYERS = re.compile(
    r"(?<=<!-- layers: written by `make docs-tables` -->\n).*(?=<!-- end of layers)", re.DOTALL
)
QUANTITY_TABLE = re.compile(
    r"(?<=<!-- quantities: written by `make docs-tables` -->\n).*(?=<!-- end of quantities)", re.DOTALL
)
ERROR = re.compile(r"(```arch-error\n(.*?)```\n\n```text\n)(.*?)(?=```)", re.DOTALL)


def layer_lines() -> list[str]:
    """The list of layers: for each kind, its signature and the summary of its docstring."""
    lines = []
    for heading, kinds in in_families().items():
        lines += ["", f"**{heading}**", ""]
        lines += [f"- `{kind.signature}`: {kind.summary}" for kind in kinds]
    return [*lines, ""]


def quantity_lines() -> list[str]:
    """The table of quantities: names, as expectations and JSON have them, and definitions."""
    rows = [f"| `{name}` | {quantity.definition} |" for name, quantity in QUANTITIES.items()]
    return ["| Quantity | Definition |", "| --- | --- |", *rows]


def picture(name: str) -> str:
    """A drawing of `draw.md`."""
    net, wanted = PICTURES[name]
    return draw(analyze(load(net)), wanted).data.decode()


def message(text: str) -> str:
    """The error message of a faulty example."""
    try:
        for net in load_text(text, "broken.arch").nets.values():
            elaborate(net)
    except ArchError as found:
        return str(found)
    raise AssertionError("nothing is wrong with it")


def rewritten(text: str) -> str:
    """The text of the page with its generated parts replaced."""
    text = LAYERS.sub(lambda found: "\n".join(layer_lines()) + "\n", text)
    return ERROR.sub(lambda found: found[1] + message(found[2]) + "\n", text)


def with_quantities(text: str) -> str:
    """The text of the page of quantities with its table replaced."""
    return QUANTITY_TABLE.sub(lambda found: "\n".join(quantity_lines()) + "\n", text)


if __name__ == "__main__":
    for name in PICTURES:
        path = Path(__file__).parent / "drawings" / f"{name}.svg"
        path.write_text(picture(name), encoding="utf-8")
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    QUANTITY_PAGE.write_text(with_quantities(QUANTITY_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
