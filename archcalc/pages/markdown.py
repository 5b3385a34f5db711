"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from archcalc.audit.finding import AuditFinding
from archcalc.audit.words import reason, shown_value
from archcalc.pages.folder import MARK
from archcalc.render.documents import escaped, markdown_table


def page(title: str, trail: Sequence[tuple[str, str]], lines: Iterable[str]) -> str:
    """A page with the mark, links to the pages above it, and its title."""
    links = [" · ".join(f"[{name}]({path})" for name, path in trail), ""] if trail else []
    return "\n".join([MARK, "", *links, f"# {escaped(title)}", "", *lines]).rstrip() + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """A table, and the blank line after it that Markdown requires."""
    return [*markdown_table(headings, rows, right), ""]


def folded(summary: str, lines: Iterable[str]) -> list[str]:
    """Lines that are hidden until a reader clicks the summary."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "</details>", ""]


def code(text: str) -> str:
    """Text in a fixed width; empty for an empty text."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def item(finding: AuditFinding, where: str) -> list[str]:
    """A figure with its reason, as a list item with an anchor."""
    value = shown_value(finding)
    computed = f", computed {code(value)}" if value else ""
    lines = [
        f'- <a id="{finding.id}"></a>**{escaped(finding.says)}**',
        f"  printed {code(finding.claimed)}{computed} · {where}",
        *([f"  {escaped(reason(finding))}"] if reason(finding) else []),
    ]
    return [*(f"{line}<br>" for line in lines[:-1]), lines[-1]]
