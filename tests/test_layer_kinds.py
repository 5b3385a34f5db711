"""`archcalc layers` and `archcalc help`: layer kinds and pages, as an installed package shows them."""

from __future__ import annotations

import re
import tomllib
from math import floor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import loads
from archcalc.catalog import pages
from archcalc.layers import KINDS
from archcalc.layers.describe import DescribedKind, describe, in_families, in_pytorch
from archcalc.quantities.structure import SIZE, TRANSPOSED_SIZE

DESCRIBED = [describe(cls) for cls in KINDS.values()]
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("kind", DESCRIBED, ids=lambda kind: kind.kind)
def test_a_kind_says_everything(kind: DescribedKind) -> None:
    assert kind.summary.endswith(".")
    if kind.kind != "opaque":  # it has no formula
        assert re.search(r"\b(19|20)\d\d\b|`torch\.", kind.source)
    assert all(argument.values for argument in kind.arguments)
    assert [argument.name for argument in kind.arguments] == [p.name for p in KINDS[kind.kind].parameters]
    assert kind.kind in [node.kind for node in loads(kind.net).layers]


def test_every_kind_is_listed_once() -> None:
    listed = [kind.kind for kinds in in_families().values() for kind in kinds]
    assert sorted(listed) == sorted(KINDS)


@pytest.mark.parametrize("width", [80, 120])
def test_the_list(run, width: int) -> None:
    out = run("layers", width=width).out
    assert max(map(len, out.splitlines())) <= width
    text = " ".join(out.split())
    assert all(kind.signature in text and kind.summary in text for kind in DESCRIBED)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_fits(run, kind: str, width: int) -> None:
    result = run("layers", kind, width=width)
    assert (result.status, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= width


def test_the_first_convolution_of_resnet(run) -> None:
    """He et al. 2015, Table 1: 7x7, 64, stride 2, to 112x112."""
    out = run("layers", "conv").out
    params, macs = 7 * 7 * 3 * 64 + 64, 7 * 7 * 3 * 64 * 112 * 112
    assert f"sum      = {params:,}" in out
    assert f" = {macs:,}\n" in out
    assert f" = {2 * macs + 64 * 112 * 112:,}\n" in out
    assert "shape = 64×112×112" in out
    assert "torch.nn.Conv1d, Conv2d, Conv3d" in out
    assert "arXiv:1603.07285" in out
    for argument in ("out_channels  required", "stride        1 ", "bias          true"):
        assert argument in out


@pytest.mark.parametrize(
    ("name", "kind"), [("Conv2d", "conv"), ("BatchNorm2d", "bn"), ("Dense", "fc"), ("MaxPool2d", "maxpool")]
)
def test_a_kind_by_the_name_of_another_tool(run, name: str, kind: str) -> None:
    assert run("layers", name).out == run("layers", kind).out


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("convlstm", "archcalc has no recurrent convolutions"),
        ("cnv", "did you mean `conv`?"),
        ("zzz", "`archcalc layers` lists them"),
    ],
)
def test_an_unknown_kind(run, name: str, help: str) -> None:
    result = run("layers", name)
    assert result.status == 2
    assert result.err.startswith(f"error: there is no layer kind `{name}`\n")
    assert help in result.err


@pytest.mark.parametrize("text", ["zzzzz", "zzzzz(3)", "x = zzzzz(3)\n conv(x, 3)"])
def test_an_unknown_kind_in_a_text(run, text: str) -> None:
    Path("x.arch").write_text(f"net x {{\n input(3x8x8)\n {text}\n}}\n")
    assert "`archcalc layers` lists the layers" in run("report", "x.arch").err


def test_the_names_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for cls in KINDS.values():
        for name in in_pytorch(cls).partition("(")[0].removeprefix("torch.nn.").split(", "):
            if in_pytorch(cls).startswith("torch."):
                place = torch.nn if in_pytorch(cls).startswith("torch.nn.") else torch
                for part in name.removeprefix("torch.").split("."):
                    place = getattr(place, part)


SIZES = st.tuples(*(st.integers(low, 9) for low in (0, 0, 0, 1, 1, 1)))


@given(SIZES)
def test_the_formula_of_a_size_counts_windows(sizes: tuple[int, ...]) -> None:
    """So many windows start within the padded axis and end in it."""
    n, before, after, kernel, stride, dilation = sizes
    positions = range(0, n + before + after, stride)
    fitting = sum(start + dilation * (kernel - 1) < n + before + after for start in positions)
    names = {"n": n, "before": before, "after": after, "kernel": kernel, "stride": stride}
    found = eval(SIZE.replace("·", "*"), {**names, "dilation": dilation, "floor": floor})
    assert max(found, 0) == fitting


@given(SIZES, st.integers(0, 3))
def test_the_formula_of_a_transposed_size_is_that_of_pytorch(sizes: tuple[int, ...], extra: int) -> None:
    """As the documentation of `torch.nn.ConvTranspose2d` has it."""
    n, padding, _, kernel, stride, dilation = sizes
    right = (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
    names = {"n": n, "cut": 2 * padding, "kernel": kernel, "stride": stride}
    formula = TRANSPOSED_SIZE.replace("·", "*")
    assert eval(formula, {**names, "dilation": dilation, "output_padding": extra}) == right


# --- Pages ------------------------------------------------------------------------------------------


def test_the_pages_are_listed_and_shown(run) -> None:
    listed = run("help").out
    for name, path in pages().items():
        assert f"{name} " in listed
        assert run("help", name).out == path.read_text(encoding="utf-8")
    assert run("help", "report").out == run("report", "--help").out
    assert "did you mean `language`" in run("help", "langauge").err
    assert run("help", "zzz").status == 2


def test_a_wheel_has_the_pages() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"].pop("specs") == "archcalc/specs"
    installed = {
        source for source, target in wheel["force-include"].items() if target == f"archcalc/{source}"
    }
    assert installed == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
