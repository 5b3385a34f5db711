"""The letters of drawings: their outlines are those of the font, and their widths what others measure."""

from __future__ import annotations

from pathlib import Path

import letters as writer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.view.draw.letters import EM, advance, can_outline, fitted, letters, shown, width


def test_the_file_is_what_the_font_has():
    pytest.importorskip("matplotlib")
    pytest.importorskip("fontTools")
    assert writer.FILE.read_text(encoding="utf-8") == writer.text()


def test_the_license_of_the_font_is_beside_the_file():
    text = writer.FILE.with_name("letters-LICENSE.txt").read_text(encoding="utf-8")
    assert "Bitstream Vera Fonts Copyright" in text
    assert "DejaVu changes are in public domain" in text


def test_widths_are_those_that_another_library_measures():
    matplotlib = pytest.importorskip("matplotlib")
    fonts = pytest.importorskip("PIL.ImageFont")
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = fonts.truetype(str(path), EM)
    for character in letters():
        assert advance(character) == pytest.approx(font.getlength(character), abs=1), character


def test_outlines_are_where_another_library_draws_letters():
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(fname=str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    for character in "Ag×·½ß≈":
        box = TextPath((0, 0), character, size=EM, prop=font).get_extents()
        xs, ys = zip(*points(letters()[character][1]), strict=True)
        assert (min(xs), max(xs)) == pytest.approx((box.x0, box.x1), abs=25), character
        assert (-max(ys), -min(ys)) == pytest.approx((box.y0, box.y1), abs=25), character


def points(outline: str) -> list[tuple[int, int]]:
    """The ends of an outline's pieces, followed by hand."""
    import re

    found, at, start = [], (0, 0), (0, 0)
    for name, numbers in re.findall(r"([mlqz])([-0-9 ]*)", outline):
        values = [int(number) for number in re.findall(r"-?\d+", numbers)]
        if name == "z":
            at = start
            continue
        at = (at[0] + values[-2], at[1] + values[-1])
        start = at if name == "m" else start
        found.append(at)
    return found


@given(st.text(max_size=60), st.floats(5, 300))
def test_a_shortened_text_fits(text, room):
    short = fitted(shown(text), 10, room)
    assert short == "…" or width(short, 10) <= room
    if width(shown(text), 10) <= room:
        assert short == shown(text)


@given(st.text())
def test_a_shown_text_is_one_line_of_what_can_be_seen(text):
    line = shown(text)
    assert len(line) <= 200
    assert line.isprintable()


def test_text_without_outlines_is_known():
    assert can_outline("conv1/relu: 3×224×224 · 12.5% ≈ αβγ")
    assert not can_outline("卷积")
