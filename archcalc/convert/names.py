"""Makes names that are valid in the language from names of classes, modules and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable

from archcalc.language.meanings import RESERVED_MEANINGS
from archcalc.language.tokens import RESERVED
from archcalc.layers.base import KINDS

LONGEST = 30
"""Characters of a name. The language takes 60, but a path has 500 for all its names."""

SHORT_NAMES = {
    "out_channels": "c",
    "out_features": "c",
    "count": "n",
    "scale_factor": "scale",
    "size": "to",
    "shape": "dims",
    "num_groups": "groups",
}
"""The name of a block parameter, by the argument that it is passed to."""

LANGUAGE = frozenset((*RESERVED, *KINDS, *RESERVED_MEANINGS))


def legal(text: str, otherwise: str) -> str:
    """Turn a text into a valid lowercase name: `InvertedResidual` becomes `inverted_residual`.

    A text without letters becomes `otherwise`. Characters that names cannot contain become `_`.

    >>> legal("_DenseLayer", "x"), legal("3a/conv", "x"), legal("17", "x"), legal("C3k2", "x")
    ('dense_layer', 'm3a_conv', 'x', 'c3k2')
    """
    text = text[: 4 * LONGEST]
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", text, flags=re.ASCII)
    text = re.sub(r"[^A-Za-z0-9]+", "_", text, flags=re.ASCII).strip("_").lower()[:LONGEST].strip("_")
    if not re.search("[a-z]", text):
        return otherwise
    return text if text[0].isalpha() else f"m{text}"


def stem(name: str) -> str:
    """Remove the number at the end of a name: such a label could clash with the path of a numbered node."""
    return name.rstrip("0123456789").rstrip("_")


class NameSpace:
    """The names in one body; none of them is a word of the language or the name of a definition."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*LANGUAGE, *taken}
        self.stems = {stem(name) for name in self.taken}
        self.numbers: dict[str, int] = {}
        """The last number of each hint, so that finding the next one takes no search."""

    def free(self, names: Iterable[str]) -> None:
        """Release names whose scope has ended."""
        self.taken.difference_update(names)
        self.numbers.clear()

    def new(self, hint: str, *, numbered: bool = False, label: bool = False) -> str:
        """Return an unused name similar to the hint.

        With `numbered`, the name has a number from the start: `x1`. A label is `x` if it could be the path of
        a layer or a block: a second `conv` has the path `conv2`.
        """
        if label and stem(hint) in self.stems:
            hint = "x"
        number = self.numbers.get(hint, 1)
        name = f"{hint}1" if numbered and number == 1 else hint
        while name in self.taken:
            number += 1
            name = f"{hint}_{number}" if hint[-1].isdigit() else f"{hint}{number}"
        self.numbers[hint] = number
        self.taken.add(name)
        return name
