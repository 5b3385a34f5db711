"""Implements the command `archcalc convert`."""

from __future__ import annotations

from pathlib import Path

from archcalc.convert import convert
from archcalc.diagnostics import error
from archcalc.network import Network
from archcalc.notes import note_of
from archcalc.render import output


def convert_and_write(network: Network, net: str, path: Path | None, force: bool = False) -> None:
    """Write a network as text to a file or to standard output.

    `net` is the name that the user gave. Problems with the text are also reported on standard error. Raises
    `ArchError` if the file exists, unless `force` is given.
    """
    if path is not None and path.is_file() and not force:
        raise error(
            f"`{path}` exists already", help="choose another file, or add `--force` to replace this one"
        )
    notes = [f"Note: {'; '.join(filter(None, note_of(note)))}." for note in network.notes]
    conversion = convert(network, [f"Made from `{net}` by `archcalc convert`.", *notes])
    if conversion.problem:
        output.warn([f"note: {conversion.problem}"])
    output.write(conversion.text, path)
