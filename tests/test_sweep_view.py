"""What a person sees of a sweep: plots, and tables at different widths."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.render.chart_labels import overlap
from archcalc.render.charts import svg
from archcalc.render.grid import GAP, GridCell, lay_out
from archcalc.sweeping import formulas, relations
from archcalc.sweeping.blocks import SweepAsked, Sweeper
from archcalc.sweeping.closed import closed_form
from archcalc.sweeping.drawing import PlotAxis, PlotSeries, SweepPlot, draw, tick_texts
from archcalc.sweeping.plan import plan
from archcalc.sweeping.plotting import planned_plot, plot
from archcalc.sweeping.run import Found, sweep_rows
from archcalc.sweeping.space import parse_dimension

MIXED = """
net mixed(a=1, k=[3], act="relu", big=false) {
  input(3x16x16)
  for s in k { conv(16 * a, s, padding="same") -> relu }
  if big { conv(16 * a, 3) -> relu }
  if act == "silu" { silu }
  flatten -> fc(10)
}
"""


def swept(net: str, *sets: str, columns: str = "macs,params", where: tuple[str, ...] = ()) -> Found:
    dimensions, related = relations.given(relations.options(sets, "--set"), where)
    made = plan(net, dimensions, columns.split(","), relations=related)
    return sweep_rows(Sweeper(made, SweepAsked("", False, None, None, 0)))


@pytest.fixture
def mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mixed.arch").write_text(MIXED)
    return "mixed.arch"


def points(series: PlotSeries) -> list[tuple[float, float]]:
    return list(zip(series.xs.tolist(), series.ys.tolist(), strict=True))


# --- What a plot shows ----------------------------------------------------------------------------------


def test_each_value_of_another_parameter_is_a_line() -> None:
    """The points are those that `analyze` finds, one by one."""
    shown = planned_plot(swept("mobilenet_v1", "width=0.25..1:0.25", "resolution=128,192"), "width", "macs")
    assert [series.name for series in shown.groups] == ["resolution=128", "resolution=192"]
    assert all(series.is_line for series in shown.groups)
    for series, resolution in zip(shown.groups, (128, 192), strict=True):
        expected = [
            (width, archcalc.analyze("mobilenet_v1", {"width": width, "resolution": resolution}).totals.macs)
            for width in (0.25, 0.5, 0.75, 1)
        ]
        assert points(series) == expected
    assert list(shown.sentences) == ["8 points"]


def test_combinations_of_several_parameters_are_lines_if_they_are_few(mixed: str) -> None:
    shown = planned_plot(swept(mixed, "a=1..5", "big=false,true", "k=[3],[5,5]"), "a", "macs")
    assert [series.name for series in shown.groups] == [
        "big=false, k=[3]", "big=false, k=5x5", "big=true, k=[3]", "big=true, k=5x5"
    ]  # fmt: skip
    assert all(series.is_line and len(series.xs) == 5 for series in shown.groups)


def test_series_without_lines_have_labels() -> None:
    shown = planned_plot(swept("mobilenet_v1", "width=0.5,1", "resolution=128..192:32"), "macs", "params")
    assert [(series.name, series.is_line, list(series.labels)) for series in shown.groups] == [
        ("width=0.5", False, ["128", "160", "192"]),
        ("width=1", False, ["128", "160", "192"]),
    ]
    assert list(shown.sentences) == ["6 points", "Labels: resolution"]


def test_one_parameter_is_a_line() -> None:
    (series,) = planned_plot(swept("resnet50", "image=64..512:32"), "image", "macs").groups
    assert series.is_line
    assert len(series.xs) == 15
    assert not series.labels
    (series,) = planned_plot(swept("resnet50", "image=256,64,128"), "image", "macs").groups
    assert series.xs.tolist() == [64, 128, 256]


def test_values_computed_from_one_parameter() -> None:
    found = swept("mobilenet_v1", "phi=1..5", "width=phi / 4", "resolution=32 * phi", columns="macs")
    (line,) = planned_plot(found, "width", "macs").groups
    assert line.is_line
    assert line.xs.tolist() == [0.25, 0.5, 0.75, 1, 1.25]
    assert list(line.labels) == ["1", "2", "3", "4", "5"]
    (cloud,) = planned_plot(found, "macs", "resolution").groups
    assert not cloud.is_line
    assert list(cloud.labels) == ["1", "2", "3", "4", "5"]


def test_a_parameter_without_effect_is_named() -> None:
    shown = planned_plot(swept("mobilenet_v1", "width=0.5,1", "resolution=128,160"), "width", "params")
    assert len(shown.groups) == 1
    assert list(shown.sentences) == ["4 points", "params is the same for every resolution"]


def test_series_with_the_same_points_are_one(mixed: str) -> None:
    found = swept(mixed, "a=1..3", "big=false,true", 'act="relu","silu"')
    names = [series.name for series in planned_plot(found, "a", "macs").groups]
    assert names == [
        "big=false, act=relu and big=false, act=silu",
        "big=true, act=relu and big=true, act=silu",
    ]


def test_values_that_are_not_numbers_are_ticks(mixed: str) -> None:
    found = swept(mixed, "a=1..3", "big=true,false", "k=[3],[3,5]")
    shown = planned_plot(found, "big", "macs")
    assert shown.x.words == ("true", "false")
    assert [(s.name, s.xs.tolist(), s.is_line) for s in shown.groups] == [
        (f"a={a}", [0, 0, 1, 1], False) for a in (1, 2, 3)
    ]
    assert planned_plot(found, "a", "k").y.words == ("[3]", "3x5")


def test_large_clouds_have_no_series() -> None:
    found = swept("mobilenet_v1", "width=0.5..1.5", "resolution=32..160:32")
    assert found.rows.count == 505
    shown = planned_plot(found, "macs", "params")
    assert shown.is_cloud
    assert len(shown.groups) == 1
    lines = planned_plot(found, "width", "macs")
    assert not lines.is_cloud
    assert len(lines.groups) == 5


def test_very_many_points_are_thinned() -> None:
    found = swept("mobilenet_v1", "width=0.5..1.5:0.001", "resolution=32..64")
    shown = planned_plot(found, "macs", "params")
    assert found.rows.count == 33_033 > len(shown.groups[0].xs)
    assert shown.sentences[-1] == "A mark stands for all networks near it"


def test_values_that_do_not_vary_are_named_once() -> None:
    found = swept("mobilenet_v1", "width=0.5,0.75,1", "classes=10")
    assert list(planned_plot(found, "width", "macs").sentences) == ["classes=10", "3 points"]


def test_without_a_valid_network_there_is_no_plot(run: Any) -> None:
    for options, message in (
        (
            ("--set", "width=0.001,1", "--limit", "1"),
            "no row is a valid network. The first: `out_channels` of `conv` needs",
        ),
        (("--set", "width=0.5,1", "--expect", "macs < 1"), "no point is within all limits; the nearest is"),
        (("--set", "width=0.5,1", "--where", "width > 3"), "no point is one that `--where` keeps"),
    ):
        result = run("sweep", "mobilenet_v1", *options, "--plot", "width:macs", "-o", "none.svg")
        assert result.status == 2
        assert f"there is nothing to plot: {message}" in result.err
        assert not Path("none.svg").exists()


def test_columns_that_cannot_be_an_axis(mixed: str) -> None:
    with pytest.raises(ArchError, match="`a` has one value, so it cannot be an axis"):
        planned_plot(swept(mixed, "a=2", "big=true,false"), "a", "macs")
    lists = ",".join(f"[3,{n}]" for n in range(1, 26))
    with pytest.raises(ArchError, match="`k` has 25 values that are not all numbers"):
        planned_plot(swept(mixed, f"k={lists}"), "k", "macs")


def test_large_computed_values() -> None:
    shown = planned_plot(swept("vgg16", "batch=1..3", "z=10**30 * batch", where=("z > 0",)), "z", "macs")
    assert shown.x.values.tolist() == [1e30, 2e30, 3e30]


def test_an_axis_is_logarithmic_if_most_of_its_numbers_are_small() -> None:
    axes = {
        name: planned_plot(swept("vgg16", sets, columns="params"), "classes", "params").x.is_logarithmic
        for name, sets in (("powers", "classes=1,10,100,1000,10000"), ("even", "classes=1..10000"))
    }
    assert axes == {"powers": True, "even": False}


# --- The picture ----------------------------------------------------------------------------------------


def figure_of(shown: SweepPlot) -> Any:
    """The figure, and its texts with their boxes in pixels."""
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    pages: list[Any] = []
    svg(lambda: pages.append(draw(shown)) or pages[0], "")
    found = []
    pages[0].figure.canvas.draw()  # after the SVG, which has another resolution
    for text in pages[0].figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            found.append((text.get_text(), text.get_rotation(), (box.x0, box.y0, box.x1, box.y1)))
    return pages[0].figure, found


LISTS = "k=[3],[1,3,5,7,9,11,3,1],[3,5,7,9,11,3,1,3,5,7,9,11]"
MANY_LISTS = LISTS + "".join(f",[{n},3,5,7,9,11,13,15,17,19,1]" for n in range(1, 6))
TEXTS = 'act="silu","$x^{$","x^2_{","' + "y" * 90 + '"'
HUGE = "classes=1,1000,1000000,100000000,1000000000"


@pytest.mark.parametrize(
    ("net", "sets", "columns", "axes"),
    [
        ("mobilenet_v1", ("width=0.25..1:0.25", "resolution=128..224:32"), "macs", "width:macs"),
        ("mobilenet_v1", ("width=0.25..1:0.25", "resolution=128..224:32"), "macs,params", "macs:params"),
        ("vgg16", (HUGE, "batch=1,1000000000"), "activation_bytes", "classes:activation_bytes"),
        ("vgg16", (HUGE, "batch=1,1000000000"), "activation_bytes", "activation_bytes:classes"),
        ("vgg16", ("classes=999999900..1000000000",), "params", "classes:params"),
        ("vgg16", ("classes=1000",), "macs,params", "macs:params"),
        ("vgg16", ("classes=0..1000000000:50000000",), "macs,params", "params:macs"),
        ("vgg16", ("batch=1000,100000,1,2,3",), "activations", "batch:activations"),
        ("vgg16", ("batch=1000,1001,1002,1",), "activation_bytes", "batch:activation_bytes"),
        ("vgg16", ("batch=1000,1001,1002,1",), "activation_bytes", "activation_bytes:batch"),
        ("mixed.arch", ("a=1..3", LISTS), "macs", "k:macs"),
        ("mixed.arch", ("a=1..3", LISTS), "macs", "a:k"),
        ("mixed.arch", ("a=1..3", MANY_LISTS), "macs", "k:macs"),
        ("mixed.arch", ("a=1..3", MANY_LISTS), "macs", "a:macs"),
        ("mixed.arch", ("a=1..3", TEXTS, "big=true,false"), "macs", "a:macs"),
        ("mixed.arch", ("a=1..3", TEXTS, "big=true,false"), "macs", "macs:act"),
    ],
)  # fmt: skip
def test_no_text_is_cut_off_or_covered(mixed: str, net: str, sets: Any, columns: str, axes: str) -> None:
    figure, texts = figure_of(planned_plot(swept(net, *sets, columns=columns), *axes.split(":")))
    assert len(texts) > 5
    _check_texts(figure, texts)


def _check_texts(figure: Any, texts: Any) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    for text, _, box in texts:
        inside = overlap(box, (0, 0, width, height))
        assert inside == pytest.approx((box[2] - box[0]) * (box[3] - box[1])), f"`{text}` is cut off"
    level = [(text, box) for text, rotation, box in texts if rotation in (0, 90)]
    for (one, box), (other, second) in combinations(level, 2):
        assert overlap(box, second) < 1.5, f"`{one}` and `{other}` overlap"


@pytest.mark.parametrize("last", [3, 30])
@pytest.mark.parametrize("axes", ["z:macs", "macs:z"])
def test_no_text_of_very_large_numbers_is_cut_off(last: int, axes: str) -> None:
    found = swept("vgg16", f"batch=1..{last}", "z=10**40 * batch", where=("z > 0",))
    _check_texts(*figure_of(planned_plot(found, *axes.split(":"))))


def test_series_differ_without_color() -> None:
    pytest.importorskip("matplotlib")
    figure, texts = figure_of(
        planned_plot(swept("mobilenet_v1", "width=0.5,1", "resolution=32..256:32"), "width", "macs")
    )
    lines = figure.axes[0].get_lines()
    assert len({line.get_marker() for line in lines}) == len({line.get_color() for line in lines}) == 8
    assert {f"resolution={side}" for side in range(32, 257, 32)} <= {text for text, _, _ in texts}


@given(st.lists(st.integers(-(10**18), 10**18) | st.floats(-1e6, 1e6).map(lambda x: round(x, 5)), min_size=1))
def test_ticks_say_their_numbers_exactly(values: list[float]) -> None:
    sizes = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    for value, text in zip(values, tick_texts(values), strict=True):
        size = sizes.get(text[-1], 1)
        number = float(text.rstrip("KMGT").replace(",", "")) * size
        assert number == pytest.approx(float(f"{value:.15g}"), rel=1e-14)


def test_a_plot_is_svg_and_says_the_number_of_points_once() -> None:
    pytest.importorskip("matplotlib")
    found = swept("mobilenet_v1", "width=0.5,1")
    assert "<svg" in plot(found, "width", "macs")[:500]
    assert list(planned_plot(found, "width", "macs").sentences) == ["2 points"]


def test_an_axis_of_one_number_has_it_as_its_tick() -> None:
    _, texts = figure_of(planned_plot(swept("vgg16", "classes=1000"), "macs", "params"))
    assert {"15,470,264,320", "138,357,544"} <= {text for text, _, _ in texts}


def test_an_axis_without_numbers_is_not_logarithmic() -> None:
    import numpy as np

    assert not PlotAxis("k", np.array([0.0, 1.0, 5000.0]), words=("a", "b", "c")).is_logarithmic
    assert not PlotAxis("k", np.array([0.0, 1.0, 5000.0])).is_logarithmic
    assert PlotAxis("k", np.array([1.0, 2.0, 5000.0])).is_logarithmic


# --- Tables ---------------------------------------------------------------------------------------------


def test_each_panel_repeats_all_values_of_a_point(run: Any) -> None:
    columns = "params,macs,flops,activations,peak_bytes,training_peak_bytes"
    sets = ["--set", "k=1..2", "--set", "width=k / 4", "--set", "resolution=160,224"]
    out = run("sweep", "mobilenet_v1", *sets, "--columns", columns).out
    panels = out.split("\n\n")[1:-1]
    assert len(panels) > 1
    for panel in panels:
        heading, _, *rows = panel.splitlines()
        assert heading.split()[:3] == ["k", "resolution", "width"]
        assert [row.split()[:3] for row in rows] == [
            ["1", "160", "0.25"], ["1", "224", "0.25"], ["2", "160", "0.5"], ["2", "224", "0.5"]
        ]  # fmt: skip
        assert max(map(len, panel.splitlines())) <= 80
    assert [name for panel in panels for name in panel.splitlines()[0].split()[3:]] == columns.split(",")


WORD = st.text("abc", min_size=1, max_size=12)


@given(st.lists(WORD, min_size=2, max_size=9, unique=True), st.integers(1, 9), st.integers(4, 60))
def test_panels_have_each_column_once_after_the_repeated_ones(
    names: list[str], repeated: int, width: int
) -> None:
    repeated = min(repeated, len(names))
    panels = [
        "".join(text for text, _ in panel[0]).split()
        for panel in lay_out([[GridCell(name) for name in names]] * 2, width, repeated=repeated)
    ]
    head = next((n for n in range(repeated, 1, -1) if all(p[:n] == names[:n] for p in panels)), 1)
    assert all(panel[:head] == names[:head] for panel in panels)
    assert names == panels[0] + [name for panel in panels[1:] for name in panel[head:]]
    if sum(map(len, names[:repeated])) + GAP * repeated + max(map(len, names[repeated:]), default=0) <= width:
        assert all(panel[:repeated] == names[:repeated] for panel in panels)
        assert all(sum(map(len, panel)) + GAP * (len(panel) - 1) <= width for panel in panels)


def test_many_values_that_do_not_fit_take_few_panels() -> None:
    names = [f"parameter{n}" for n in range(20)]
    panels = lay_out([[GridCell(name) for name in [*names, "macs"]]] * 2, 80, repeated=20)
    assert len(panels) <= 8


def test_a_short_line_of_a_message_starts_at_the_left() -> None:
    rows = [["a", "figure"], ["1", "123456789"], ["2", "123456789"]]
    cells = [[GridCell(text) for text in row] for row in rows]
    cells += [[GridCell("3"), GridCell("12345678 is wrong")]]
    cells[0] += [GridCell("b")]
    cells[1] += [GridCell("1")]
    cells[2] += [GridCell("2")]
    (panel,) = lay_out(cells, 15, spaced=False)
    lines = ["".join(text for text, _ in line).rstrip() for line in panel]
    assert lines[-2:] == ["3  12345678 is", "   wrong"]


def test_messages_use_the_whole_width(run: Any) -> None:
    message = "`out_channels` of `conv` needs a whole number of at least 1, got 0"
    out = run("sweep", "mobilenet_v1", "--set", "width=0.01,0.5", "--columns", "params", width=80).out
    assert f" 0.01  {message}\n" in out
    assert "1 is not a valid network" in out
    options = ("--find", "width=0..0.5:0.01", "--smallest", "--expect", "macs >= 1")
    assert f"   0.03  {message}\n" in run("solve", "mobilenet_v1", *options, width=120).out
    narrow = run("solve", "mobilenet_v1", *options, width=60).out.splitlines()
    assert max(map(len, narrow)) <= 60
    start = next(line.index("`out_channels`") for line in narrow if "`out_channels`" in line)
    after = next(number for number, line in enumerate(narrow) if "`out_channels`" in line) + 1
    assert narrow[after][:start].isspace()
    assert not narrow[after][start].isspace()


# --- Words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("classes=1,3", "classes = 1 or 3"),
        ("classes=1,3,7", "classes = 1, 3, or 7"),
        ("classes=1..9", "classes from 1 to 9"),
        ("classes=2..9:3", "classes from 2 to 8 in steps of 3"),
        ("classes=1,3..9", "8 values of classes"),
    ],
)
def test_the_values_of_a_formula(values: str, words: str) -> None:
    form = closed_form(plan("vgg16", [parse_dimension(values, "--set")], ["macs"]))
    assert f"for {words}: equal at all" in formulas.text(form)


def test_lists_and_truths_of_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.arch").write_text(
        "net q(a=1, big=true, k=[1]) {\n  input(3x8x8)\n  if big { relu }\n"
        "  for s in k { if s > 0 { relu } }\n  conv(a, 1)\n}"
    )
    dimensions = [parse_dimension(text, "--set") for text in ("big=true,false", "k=[1],[3,5]", "a=1..4")]
    text = formulas.text(closed_form(plan("q.arch", dimensions, ["macs"])))
    assert "for big = true or false, k = [1] or 3x5, a from 1 to 4: equal at all 16 points" in text


def test_a_quotient_has_no_parentheses_around_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.arch").write_text(
        "net q(stride=1) { input(3x64x64)\n conv(8, 3, stride)\n global_avgpool -> flatten }"
    )
    text = closed_form(plan("q.arch", [parse_dimension("stride=1..9", "--set")], ["macs"])).text
    assert "⌊61/stride⌋" in text
