"""`archcalc audit`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from archcalc.cli.options import Format, FormatOption, Output


def audit(
    decks: Annotated[
        Optional[list[str]],
        typer.Option(
            "--deck", metavar="NAME", help="Check only this deck, or `papers` or `programs`; repeatable."
        ),
    ] = None,
    verdicts: Annotated[
        Optional[list[str]],
        typer.Option(
            "--verdict", metavar="NAME", help="List only this verdict, such as `discrepant`; repeatable."
        ),
    ] = None,
    explain: Annotated[
        Optional[str],
        typer.Option("--explain", metavar="ID", help="Show one claim, with the formulas of its figures."),
    ] = None,
    claims: Annotated[
        Optional[list[Path]],
        typer.Option("--claims", metavar="FILE", help="Check the claims in this file instead; repeatable."),
    ] = None,
    format: FormatOption = Format.table,
    output: Output = None,
) -> None:
    """Check published figures: exact, rounded, true under a convention, or wrong.

    The built-in figures come from papers, from other programs, and from five lecture decks:

    - `deck0`: Stephan Robert-Nicoud, HEIG-VD/HES-SO: 8. Convolutional Neural Network Architectures (2024)
    - `deck1`: Retele Neurale Convolutionale II, Curs 5
    - `deck2`: Varun Sundar: Session 5: CNNs Overloaded (2018)
    - `deck3`: Convolutional Neural Networks, ECE 449
    - `deck4`: Zsolt Kira, Georgia Tech: Topics: Convolutional Neural Networks, CS 4644-DL / 7643-A

    Verdicts:

    - `exact`: The printed figure is exactly the computed value.
    - `rounds`: The printed figure is the computed value, rounded to the printed digits.
    - `convention`: The figure holds only under the named convention or for the named variant.
    - `discrepant`: The figure does not hold: it disagrees with the computed value.
    - `damaged`: Text extraction damaged the figure; the restored figure holds.
    - `open`: The source asks for the figure or leaves it out, or the text has lost it; archcalc computes it.
    - `outside`: The network alone does not determine the figure, such as an accuracy or a running time.

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
            raise error(
                "`--explain` shows one claim as text", help="leave out `--deck`, `--verdict`, and `--format`"
            )
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
