"""The Python interface, as users of pandas and Keras expect it."""

from __future__ import annotations

import json
import pydoc
from pathlib import Path

import networkx
import pytest

import archcalc
from archcalc import ArchError, LayerError
from archcalc.layers import KINDS, PYTORCH
from archcalc.quantities import QUANTITIES, Scope


def test_help_lists_everything() -> None:
    text = pydoc.plain(pydoc.render_doc(archcalc))
    names = set(archcalc.__all__) - {"__version__"}
    for name in names:
        assert name in text, name
    assert "\n    __getattr__(" not in text  # that of the package
    for name in names:
        assert pydoc.render_doc(getattr(archcalc, name))
    assert dir(archcalc) == sorted(archcalc.__all__)


def test_analyze_takes_what_load_takes(tmp_path: Path) -> None:
    path = tmp_path / "small.arch"
    path.write_text("net small(c=4) {\n input(3x9x10)\n conv(c, 4x5)\n}")
    by_network = archcalc.analyze(archcalc.load(str(path), {"c": 7}))
    for profile in (
        archcalc.analyze(path, {"c": 7}),
        archcalc.analyze(f"{path}?c=7"),
        archcalc.analyze(by_network),
        archcalc.analyze(f"{path}:small", {"c": 7}),
    ):
        assert profile.totals == by_network.totals
        assert profile.totals.params == 3 * 4 * 5 * 7 + 7
    assert archcalc.analyze(path, inputs=(3, 20, 6))[0].output_shape == (4, 17, 2)
    assert archcalc.load("vgg16", inputs=(3, 64, 96)).inputs["input"].shape == (3, 64, 96)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: archcalc.analyze(16), "not a int"),
        (lambda: archcalc.analyze("vgg16", inputs="3x224x224"), r"write `inputs=\(3, 224, 224\)`"),
        (lambda: archcalc.analyze(archcalc.load("lenet5"), {"classes": 3}), "cannot take other parameters"),
        (lambda: archcalc.compare("vgg16"), "at least two networks"),
        (lambda: archcalc.check("vgg16", "macs <= 1 GFLOP"), "error"),
        (lambda: archcalc.analyze("vgg-16"), "did you mean `vgg16`"),
    ],
)
def test_mistakes_end_in_a_sentence(call, sentence) -> None:
    with pytest.raises(ArchError, match=sentence):
        call()


def test_a_builder_says_what_it_needs() -> None:
    build = archcalc.NetworkBuilder("n")
    build.input((3, 8, 8))
    with pytest.raises(LayerError, match="needs a tensor, and none is given"):
        build.add(archcalc.layers.Conv2d(16, 3))
    with pytest.raises(LayerError, match="not a str"):
        build.add(archcalc.layers.Conv2d(16, 3), "input")


def test_a_profile_is_a_sequence_of_layers() -> None:
    profile = archcalc.analyze("lenet5")
    assert len(profile) == len(list(profile)) == profile.totals.layers
    assert profile[0] is profile["C1/conv1"]
    assert profile[-1] is list(profile)[-1]
    assert [layer.name for layer in profile[:2]] == ["C1/conv1", "C1/tanh1"]
    assert profile["S2"] in profile
    with pytest.raises(IndexError):
        profile[99]


def test_names_are_those_of_json() -> None:
    profile = archcalc.analyze("mobilenet_v1", batch=2)
    for layer, item in zip(profile, profile.to_dict()["layers"], strict=True):
        for name in item.keys() - {"source", "shares_with"}:
            value = getattr(layer, name)
            if value == "global" and name != "receptive_field":  # JSON has no lengths there
                value = None
            assert item[name] == (list(value) if isinstance(value, tuple) else value), name


@pytest.mark.parametrize("name", [q.name for q in QUANTITIES.values() if not q.of_convention])
def test_every_quantity_is_an_attribute(name) -> None:
    profile = archcalc.analyze("lenet5")
    if QUANTITIES[name].scope is not Scope.NETWORK:
        assert getattr(profile[0], name) == QUANTITIES[name].measure(profile.part("C1/conv1"))
        return
    with pytest.raises(AttributeError, match="a layer has no figure"):
        getattr(profile[0], name)
    trained = archcalc.analyze("lenet5", training=True)
    if QUANTITIES[name].on_request:
        assert QUANTITIES[name].measure(trained.whole) > 0
    else:
        assert getattr(trained.totals, name) > 0


def test_it_shows_itself(monkeypatch, run) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = str(archcalc.analyze("lenet5"))
    printed = run("report", "lenet5", width=100).out.splitlines()
    reference = 1 if "LeCun" in printed[1] else 0  # the command knows the publication, a network does not
    assert shown.splitlines()[0] == printed[0] == "lenet5"
    assert set(shown.splitlines()) <= set(printed)
    assert len(printed) - len(shown.splitlines()) in (reference, reference + 1)
    assert repr(archcalc.analyze("lenet5")) == "<profile of lenet5: 13 layers>"
    assert repr(archcalc.analyze("lenet5")[0]) == "<C1/conv1: conv(6, 5) -> 6x28x28>"
    assert str(archcalc.compare("vgg16", "vgg19")).splitlines()[0] == "vgg19 against vgg16"


def test_names_in_a_notebook_are_text() -> None:
    network = archcalc.NetworkBuilder("<script>")
    tensor = network.input((3, 8, 8))
    profile = archcalc.analyze(network.finish(network.add(archcalc.layers.ReLU(), tensor)))
    page = profile._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<td>relu1</td>" in page
    assert page.count("<tr>") == 3  # heading, layer, total


def test_to_dict_is_the_json_of_a_report(run) -> None:
    document = json.loads(run("report", "lenet5", "--format", "json").out)
    assert json.loads(json.dumps(archcalc.analyze("lenet5").to_dict())) == {
        name: value for name, value in document.items() if name not in ("schema", "archcalc")
    }


def test_to_pandas(run) -> None:
    pytest.importorskip("pandas")
    frame = archcalc.analyze("lenet5").to_pandas()
    assert frame.params.sum() == 61_706
    heading = run("report", "lenet5", "--format", "csv").out.splitlines()[0]
    assert list(frame.columns) == heading.split(",")


def test_without_pandas_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ArchError, match="pip install pandas"):
        archcalc.analyze("lenet5").to_pandas()


def test_check() -> None:
    assert archcalc.check("vgg16", "macs <= 16G", "peak_bytes <= 30MB").ok
    assert not archcalc.check("vgg16", "peak_bytes <= 30MB", batch=2).ok
    profile = archcalc.analyze("vgg16", batch=2)
    (failure,) = archcalc.check(profile, "peak_bytes <= 30MB", "depth == 16").failures
    assert failure.value == 2 * 64 * 224 * 224 * 4 * 2
    declared = archcalc.check("vgg16")
    assert declared.ok
    assert declared.checked == 18
    assert "all hold" in str(declared)


def test_layers_have_pytorch_s_names() -> None:
    for kind, names in PYTORCH.items():
        for name in names:
            assert getattr(archcalc.layers, name) is KINDS[kind]
    assert archcalc.layers.Linear(10).kind == "fc"


def test_pytorch_has_these_names() -> None:
    torch = pytest.importorskip("torch")
    for names in PYTORCH.values():
        for name in names:
            assert hasattr(torch.nn, name), name


def test_a_graph_can_be_written() -> None:
    graph = archcalc.load("lenet5").graph(nodes=False)
    text = "".join(networkx.generate_graphml(graph))
    again = networkx.parse_graphml(text)
    assert again.nodes["C1/conv1"] == {"kind": "conv", "layer": "conv(6, 5)", "output_shape": "6x28x28"}
    assert set(again.edges) == set(graph.edges)
    assert archcalc.load("lenet5").graph().nodes["S2"]["node"].kind == "avgpool"
