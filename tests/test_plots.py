"""Plots: their figures, what their titles claim, that nothing in them overlaps, and their stamps."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archcalc.plots as package
from archcalc.catalog import shipped_files
from archcalc.diagnostics import ArchError
from archcalc.plots import MODULES, Plot, find, is_current, plots
from archcalc.plots.cited import cited
from archcalc.render.chart_labels import Label, overlap, place
from archcalc.render.charts import svg

GOLDEN = Path(__file__).parent / "golden"


# --- The figures --------------------------------------------------------------------------------------


def test_cited_figures_are_of_shipped_networks_and_per_cent():
    for source in cited().values():
        assert {net.partition("?")[0] for net in source.figures} <= set(shipped_files())
        assert all(0 < figure < 100 for figure in source.figures.values())
        assert source.measure in ("top-1 accuracy", "top-1 error", "top-5 error")


def test_errors_become_accuracies():
    # torchvision's table: VGG-16 errs 28.41 % of the time; slim's: MobileNet is right 70.9 %
    assert cited()["torchvision"].accuracies["vgg16"] == Fraction("71.59")
    assert cited()["mobilenet_v1"].accuracies["mobilenet_v1"] == Fraction("70.9")


def test_years_has_networks_where_their_papers_put_them():
    entries = {entry.name: entry for entry in find("years").gather()}
    vgg = entries["VGG-16"]
    # Simonyan & Zisserman 2014, Table 2: 138M; 15.47 G multiply-adds in torchvision's metadata
    assert (vgg.year, vgg.params, vgg.macs) == (2014, 138_357_544, 15_470_264_320)
    assert entries["LeNet"].year == 1989
    assert min(entries.values(), key=lambda entry: entry.params).name == "LeNet"
    # "hundreds of millions, and back to a few million"
    assert max(entry.params for entry in entries.values()) > 200e6
    assert 1e6 < entries["MobileNet v2"].params < 5e6


def test_depth_is_that_of_the_papers():
    depths = {entry.name: entry.depth for entry in find("depth").gather()}
    assert depths == {
        "LeNet-5": 5, "AlexNet": 8, "ZFNet": 8, "VGG-16": 16, "GoogLeNet": 22, "ResNet-152": 152,
    }  # fmt: skip


def test_mobilenet_v2_is_as_accurate_as_vgg16_at_a_fiftieth_of_the_operations():
    entries = {entry.net: entry for entry in find("accuracy").gather()}
    vgg, mobilenet = entries["vgg16"], entries["mobilenet_v2"]
    # both of torchvision's table, which comes before others
    assert (vgg.accuracy, mobilenet.accuracy) == (Fraction("71.59"), Fraction("71.88"))
    assert entries["inception_v3"].accuracy == Fraction("77.45")
    assert mobilenet.accuracy >= vgg.accuracy
    assert vgg.macs / 55 < mobilenet.macs < vgg.macs / 50


def test_density_is_points_for_a_million_parameters():
    entries = {entry.name: entry for entry in find("density").gather()}
    # 71.59 / 138.357544
    assert float(entries["VGG-16"].density) == pytest.approx(0.51743, abs=1e-5)
    # "A parameter of a small network does more"
    assert entries["SqueezeNet 1.0"].density > 80 * entries["VGG-16"].density


def test_densenet201_errs_as_little_as_resnet101_at_about_half_the_cost():
    entries = {entry.name: entry for entry in find("densenet").gather()}
    dense, residual = entries["DenseNet-201"], entries["ResNet-101"]
    assert dense.error - residual.error < Fraction("0.1")
    assert 0.4 < dense.params / residual.params < 0.5
    assert 0.5 < dense.macs / residual.macs < 0.6


def test_efficientnet_costs_as_its_title_says():
    data = find("efficientnet").gather()
    factors = {each.dimension: each.macs / data.base for each in data.scaled if each.factor == 2}
    assert factors["depth"] == pytest.approx(2, rel=0.05)
    assert factors["width"] == pytest.approx(4, rel=0.1)
    assert factors["resolution"] == pytest.approx(4, rel=0.02)
    # Tan & Le 2019, Table 2: 0.39B for B0
    assert round(data.base / 1e9, 2) == 0.39


def test_mobilenet_has_its_papers_costs():
    entries = {(entry.width, entry.resolution): entry for entry in find("mobilenet").gather()}
    assert len(entries) == 16
    # Howard et al. 2017, Tables 6 and 7, in millions
    assert round(entries[Fraction(1), 224].macs / 1e6) == 569
    assert round(entries[Fraction(1, 2), 224].macs / 1e6) == 149
    assert round(entries[Fraction(1, 2), 160].macs / 1e6) == 77
    assert 3.5 < entries[Fraction(1), 224].macs / entries[Fraction(1, 2), 224].macs < 4.5


def test_vgg16_rows_add_up():
    entries = find("vgg16").gather()
    assert len(entries) == 1 + 13 + 5 + 3
    # the rows of the lecture's table: 15,237,608 values; the paper's 138M parameters
    assert sum(entry.activations for entry in entries) == 15_237_608
    assert sum(entry.params for entry in entries) == 138_357_544


def test_kinds_has_the_shares_of_fully_connected_layers():
    entries = {(entry.name, entry.quantity): entry for entry in find("kinds").gather()}
    # 25088*4096 + 4096 + 4096*4096 + 4096 + 4096*1000 + 1000
    assert entries["VGG-16", "params"].linear == 123_642_856
    assert entries["VGG-16", "macs"].linear == 123_633_664
    # Howard et al. 2017, Table 2: 24.33 % of the parameters in the last layer, 0.18 % of the multiply-adds
    mobile = entries["MobileNet", "macs"]
    assert round(100 * mobile.linear / mobile.all, 2) == 0.18


def test_fields_end_where_araujo_norris_and_sim_say():
    ends = {net: steps[-1].field for net, steps in find("fields").gather().items()}
    # Araujo, Norris & Sim 2019, Table 1
    assert (ends["vgg16"], ends["resnet50"], ends["mobilenet_v1"]) == (212, 483, 315)
    assert ends["alexnet"] == 195
    # "at last beyond the image"
    assert ends["resnet18"] > 224


# --- The pictures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    """The sheet of each plot, drawn with its own settings."""
    pytest.importorskip("matplotlib")
    sheets = {}

    def draw(plot: Plot):
        sheets[plot.name] = plot.draw(plot.gather())
        return sheets[plot.name]

    texts = {name: svg(lambda plot=plot: draw(plot), plot.title) for name, plot in plots().items()}
    return sheets, texts


def words(figure) -> list:
    """Every text that shows, with its box in pixels."""
    from matplotlib.text import Text

    found = []
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            found.append((text.get_text(), (box.x0, box.y0, box.x1, box.y1)))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_no_two_texts_overlap_and_all_are_on_the_page(name, drawn):
    figure = drawn[0][name].figure
    shown = words(figure)
    assert len(shown) > 15
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in shown:
        assert overlap(box, (0, 0, width, height)) == pytest.approx((box[2] - box[0]) * (box[3] - box[1])), (
            f"`{text}` stands over the edge"
        )
    for (one, box), (other, second) in combinations(shown, 2):
        assert overlap(box, second) < 1.5, f"`{one}` and `{other}` overlap"


@pytest.mark.parametrize("name", MODULES)
def test_a_picture_is_svg_without_a_date(name, drawn):
    text = drawn[1][name]
    titles = ElementTree.fromstring(text).iter("{http://purl.org/dc/elements/1.1/}title")
    assert find(name).title in [title.text for title in titles]
    assert "dc:date" not in text
    assert len(text) < 250_000


def test_the_bytes_depend_on_no_users_settings(drawn, tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.grid: True\nsvg.fonttype: none\n")
    code = "from archcalc.plots import find; import sys; sys.stdout.write(find('kinds').svg())"
    env = {**os.environ, "PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path), "LC_ALL": "C.UTF-8"}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert other.stdout.decode() == find("kinds").svg()


boxes = st.tuples(*[st.integers(0, 30)] * 4).map(
    lambda n: (min(n[0], n[1]), min(n[2], n[3]), max(n[0], n[1]), max(n[2], n[3]))
)


@given(boxes, boxes)
def test_overlap_is_the_number_of_shared_unit_squares(a, b):
    def squares(box):
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    assert overlap(a, b) == len(squares(a) & squares(b))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=14))
def test_labels_never_cover_one_another_or_a_point(points):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6))
    panel = figure.add_subplot()
    panel.set_xlim(-2, 22)
    panel.set_ylim(-2, 22)
    labels = [Label(f"network {n}", *point) for n, point in enumerate(dict.fromkeys(points))]
    texts = place(panel, labels, size=8)
    found = [text.get_window_extent() for text in texts]
    spans = [(box.x0, box.y0, box.x1, box.y1) for box in found]
    assert all(overlap(a, b) == 0 for a, b in combinations(spans, 2))
    frame = panel.get_window_extent()
    assert all(overlap(span, (frame.x0, frame.y0, frame.x1, frame.y1)) > 0 for span in spans)
    for label in labels:
        x, y = panel.transData.transform((label.x, label.y))
        assert all(overlap(span, (x - 2, y - 2, x + 2, y + 2)) == 0 for span in spans)


# --- The stamps ---------------------------------------------------------------------------------------


def test_a_picture_is_current_until_its_data_or_its_words_change():
    plot = find("kinds")
    text = plot.svg()
    assert is_current(plot, text)
    data = plot.gather()
    changed = Plot(plot.name, plot.title, lambda: data[1:], plot.draw)
    renamed = Plot(plot.name, "Another title", plot.gather, plot.draw)
    assert not is_current(changed, text)
    assert not is_current(renamed, text)
    assert not is_current(find("fields"), text)


def test_a_picture_that_was_cut_or_edited_is_not_current():
    plot = find("kinds")
    text = plot.svg()
    assert not is_current(plot, text[: len(text) // 2])
    assert not is_current(plot, text.replace("#0072b2", "#ff0000"))
    assert not is_current(plot, "")


def test_what_another_matplotlib_draws_is_current_as_well(monkeypatch):
    plot = find("kinds")
    monkeypatch.setattr("archcalc.render.charts.svg", lambda draw, title: '<?xml version="1.0"?>\n<svg/>\n')
    other = plot.svg()
    monkeypatch.undo()
    assert other != plot.svg()
    assert is_current(plot, other)


def test_line_ends_of_a_checkout_change_no_digest():
    assert package._digest(b"a\r\nb\r\n") == package._digest(b"a\nb\n") != package._digest(b"ab")


# --- The command --------------------------------------------------------------------------------------


def test_the_list(run, golden):
    status, out, _ = run("plots", width=60)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 60
    golden(GOLDEN / "plots_60.txt", out)


def test_a_plot_goes_to_a_file_or_to_the_output(run, tmp_path):
    assert run("plots", "kinds", "-o", "kinds.svg")[0] == 0
    assert (tmp_path / "kinds.svg").read_text() == run("plots", "kinds")[1]


def test_an_unknown_plot_has_a_near_one(run):
    status, out, err = run("plots", "acuracy")
    assert (status, out) == (2, "")
    assert "there is no plot `acuracy`" in err
    assert "did you mean `accuracy`?" in err


def test_without_matplotlib_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run("plots", "years")
    assert status == 2
    assert "pip install 'archcalc[plots]'" in err
    # gathering data takes no drawing library
    assert find("years").inputs()
    with pytest.raises(ArchError):
        find("years").svg()
