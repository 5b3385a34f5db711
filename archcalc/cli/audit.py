"""`archcalc audit`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Format, FormatOption, Output


def audit(
    decks: Annotated[
        Optional[list[str]],
        typer.Option("--deck", metavar="NAME", help="Only this deck; also `papers`, `programs`; repeatable."),
    ] = None,
    verdicts: Annotated[
        Optional[list[str]],
        typer.Option("--verdict", metavar="NAME", help="List only these, such as `discrepant`; repeatable."),
    ] = None,
    explain: Annotated[
        Optional[str],
        typer.Option("--explain", metavar="ID", help="Show how the figures of one claim come about."),
    ] = None,
    claims: Annotated[
        Optional[list[Path]],
        typer.Option("--claims", metavar="FILE", help="Audit a claims file of your own; repeatable."),
    ] = None,
    format: FormatOption = Format.table,
    output: Output = None,
) -> None:
    """Hold published figures to what they state: exact, rounded, under a convention, or wrong.

    `archcalc audit`

    `archcalc audit --deck deck4 --verdict discrepant`

    `archcalc audit --explain S4-079`

    `archcalc audit --deck papers --format csv -o papers.csv`

    `archcalc audit --claims my_claims.toml`
    """
    import sys

    from archcalc.audit import view as report
    from archcalc.audit.run import audit as run
    from archcalc.audit.run import find
    from archcalc.diagnostics import error
    from archcalc.render import output as out
    from archcalc.render.progress import progress

    if explain is not None:
        from archcalc.audit.explain import explain as account

        if format is not Format.table or decks or verdicts:
            raise error("`--explain` tells of one claim in words", help="leave the other options out")
        out.write(account(find(explain, claims or []), out.width()), output)
        return
    audited = run(claims or [], decks or [], progress)
    rows = audited.rows(decks or [], verdicts or [])
    if format is Format.json:
        out.write(report.to_json(audited, rows), output)
    elif format is Format.csv:
        out.write(report.to_csv(rows), output)
    elif format is Format.markdown:
        out.write(report.to_markdown(audited, rows), output)
    else:
        out.write(report.render(audited, rows, out.width(), out.colour(output)), output)
    if audited.disagreements:
        sys.stdout.flush()
        print(report.disagreements(audited), file=sys.stderr)
        raise typer.Exit(1)
