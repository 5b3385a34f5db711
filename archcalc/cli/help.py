"""`archcalc help`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer


def complete_page(incomplete: str) -> list[str]:
    from archcalc.catalog import pages

    return [name for name in pages() if name.startswith(incomplete)]


def help(
    page: Annotated[
        str,
        typer.Argument(
            metavar="PAGE",
            help="A page or a command; without one, list the pages.",
            autocompletion=complete_page,
        ),
    ] = "",
) -> None:
    """Show a page of the documentation.

    `archcalc help`

    `archcalc help language`, the reference of `.arch` files

    `archcalc help checking`, expectations and lock files in CI
    """
    from archcalc.catalog import pages
    from archcalc.cli import COMMANDS, app
    from archcalc.diagnostics import unknown
    from archcalc.render import output

    known = pages()
    if page in COMMANDS and page not in known:
        app([page, "--help"], prog_name="archcalc")
    if not page:
        titles = {name: _title(path.read_text(encoding="utf-8")) for name, path in known.items()}
        left = max(map(len, known))
        lines = []
        for heading, names in _contents(known).items():
            lines += [heading, *(f"  {name:<{left}}  {titles[name]}" for name in names), ""]
        lines += [
            "`archcalc help PAGE` shows a page. `archcalc COMMAND --help` shows the options of a command."
        ]
        output.write("\n".join(lines) + "\n", None)
        return
    if page not in known:
        raise unknown("there is no page", page, [*known, *COMMANDS], help=f"pages: {', '.join(known)}")
    output.write(known[page].read_text(encoding="utf-8"), None)


def _contents(known: Mapping[str, Path]) -> dict[str, list[str]]:
    """The pages under the headings of the table of contents, `docs/index.md`, in its order."""
    found: dict[str, list[str]] = {}
    for section in known["index"].read_text(encoding="utf-8").split("\n## ")[1:]:
        names = dict.fromkeys(re.findall(r"\]\((\w+)\.md\)", section))
        found[section.partition("\n")[0]] = [name for name in names if name in known]
    listed = {name for names in found.values() for name in names}
    found["More"] = [name for name in known if name not in listed]
    return found


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")
