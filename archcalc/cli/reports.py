"""`archcalc reports`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reports(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write to.", show_default=True)
    ] = Path("reports"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; list outdated files.")] = False,
    networks: Annotated[
        bool, typer.Option("--networks", help="Also write a page for each network, in the folder `networks`.")
    ] = False,
) -> None:
    """Write the reports: the audit, the tables, the plots, and an overview of the networks.

    `archcalc reports`

    `archcalc reports pages --networks`

    `archcalc reports --check`
    """
    from archcalc.pages import contents
    from archcalc.pages.folder import stale, write
    from archcalc.render.progress import progress

    files = contents(progress, networks)
    if check:
        lines = stale(folder, files)
        if lines:
            print(*lines, sep="\n")
            print(f"{len(lines):,} of {len(files):,} files of `{folder}` are outdated")
            if not networks and (folder / "networks").is_dir():
                print("`--networks` also writes and checks the pages of networks")
            raise typer.Exit(1)
        print(f"`{folder}` is up to date: {len(files):,} files")
        return
    done = write(folder, files, progress)
    print(f"`{folder}`: {done.written:,} written, {done.kept:,} up to date, {done.removed:,} removed")
