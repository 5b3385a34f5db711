"""What documents are written in: Markdown that shows a text as it is."""

from __future__ import annotations

import html
import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from archcalc.render.documents import escaped, markdown_table

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(st.text("ab1 _*~`<>|\\[]()!&#;:-+={}\n×", min_size=1, max_size=12).filter(str.strip))
@example("~25M or ~~26M~~")
@example("resnet50_v1_5 and _branch_ and a*b*c")
@example("[3](4)")
@example("&lt; `x|y`")
def test_a_cell_shows_its_text(text):
    page = RENDERER.render("\n".join(markdown_table(["Text", "More"], [[escaped(text), "z"]])))
    (cell,) = re.findall(r"<tbody>\s*<tr>\s*<td[^>]*>(.*?)</td>", page, re.DOTALL)
    assert html.unescape(cell) == " ".join(text.split())
