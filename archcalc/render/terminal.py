"""Terminal views, written with rich into a text without trailing spaces."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def open_console(width: int, colour: bool) -> Console:
    """A console that stores its output; `printed` returns it.

    Text is never markup: `[torch]` and `:smile:` in a message or in the name of a file stay as they are.
    """
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=width,
        no_color=not colour,
        force_terminal=colour,
        highlight=False,
        markup=False,
        emoji=False,
    )


def printed(console: Console) -> str:
    """The output of the console so far."""
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def ruled(show_footer: bool = False, show_edge: bool = False) -> Table:
    """An empty table with a line below its headings and no frame."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        box=SIMPLE_HEAD,
        show_edge=show_edge,
        show_footer=show_footer,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
        header_style="bold",
        footer_style="bold",
    )
