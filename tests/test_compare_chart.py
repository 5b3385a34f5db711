"""The comparison as a chart."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from archcalc.comparison import compare, open_subjects
from archcalc.comparison.chart import to_svg
from archcalc.comparison.tables import CompareView
from archcalc.diagnostics import ArchError


@pytest.fixture
def view():
    return CompareView(compare(open_subjects(["lenet5", "lenet5_1998", "lenet1989"])), human=False)


def test_the_chart_is_svg_with_every_name_and_figure(view):
    pytest.importorskip("matplotlib")
    text = to_svg(view)
    words = {"".join(node.itertext()) for node in ElementTree.fromstring(text).iter() if node.text}
    assert {"lenet5", "lenet5_1998", "lenet1989"} <= words
    # LeCun et al. 1998: 60,000 parameters
    assert {"60K", "61.71K", "8.824K"} <= words


def test_the_chart_is_the_same_every_time(view):
    pytest.importorskip("matplotlib")
    assert to_svg(view) == to_svg(view)


def test_without_matplotlib_the_error_says_what_to_install(view, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ArchError, match=r"pip install 'archcalc\[plots\]'"):
        to_svg(view)


def test_figures_longer_than_a_machine_word(tmp_path) -> None:
    path = tmp_path / "large.arch"
    path.write_text(
        "net small { input(3x4x4)\n relu }\n"
        "net large { input(1000000000x1000000x1000000)\n"
        " conv(1000000000, 1) -> conv(1000000000, [1000000, 3]) }\n"
    )
    view = CompareView(compare(open_subjects([f"{path}:small", f"{path}:large"])), human=False)
    ElementTree.fromstring(to_svg(view))
