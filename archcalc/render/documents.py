"""Output for documents and programs: JSON, CSV, Markdown."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from typing import Any

import archcalc

SCHEMA = 1
"""The version of the JSON schemas. It changes if a field is removed or changes its meaning."""

_MARKUP = re.compile(r"[\\`*|~]|<(?=[A-Za-z/!?])|(?<!\w)_|_(?!\w)|\](?=[(\[])|&(?=[#\w])")
"""Characters with a meaning in Markdown; `_` in the middle of a word has none."""


def json_text(**fields: Any) -> str:
    """A JSON object with these fields, after the versions of the schemas and of archcalc."""
    import msgspec

    document = {"schema": SCHEMA, "archcalc": archcalc.__version__, **fields}
    try:
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    except UnicodeEncodeError:  # file names may not be UTF-8
        import json

        return json.dumps(msgspec.to_builtins(document), indent=2) + "\n"


def plain(value: Any) -> Any:
    """A value in JSON: a fraction becomes the nearest float, and a tuple a list.

    >>> plain((3, Fraction(1, 2), "same"))
    [3, 0.5, 'same']
    """
    if isinstance(value, Fraction):
        return float(value)
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows below a header."""
    import csv

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def escaped(text: str) -> str:
    r"""Text on one line, escaped so that Markdown shows it unchanged.

    >>> print(escaped("resnet50_v1_5: ~25M, _branch/a*b"))
    resnet50_v1_5: \~25M, \_branch/a\*b
    """
    return " ".join(_MARKUP.sub(r"\\\g<0>", text).split())


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()
) -> list[str]:
    """The lines of a table whose cells are already Markdown. The columns `right` are right-aligned.

    >>> markdown_table(["Net", "Params"], [["a", "1"]], right=[1])
    ['| Net | Params |', '| --- | ---: |', '| a | 1 |']
    """
    rule = ["---:" if number in right else "---" for number in range(len(headings))]
    return ["| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows)]
