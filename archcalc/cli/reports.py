"""`archcalc reports`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reports(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of the reports.", show_default=True)
    ] = Path("reports"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; name the files that are not up to date.")
    ] = False,
) -> None:
    """Write the reports: the audit, the tables, the plots, and a page for each network.

    `archcalc reports`

    `archcalc reports --check`
    """
    from archcalc.pages import contents
    from archcalc.pages.folder import stale, write
    from archcalc.render.progress import progress

    files = contents(progress)
    if check:
        lines = stale(folder, files)
        if lines:
            print(*lines, sep="\n")
            print(f"{len(lines):,} of {len(files):,} files of `{folder}` are not up to date")
            raise typer.Exit(1)
        print(f"`{folder}` is up to date: {len(files):,} files")
        return
    done = write(folder, files, progress)
    print(f"`{folder}`: {done.written:,} written, {done.kept:,} up to date, {done.removed:,} removed")
