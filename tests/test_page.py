"""The page as a file: its size, its data, and what no browser is needed to see."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import zlib
from typing import Any

import pytest

from archcalc import analyze, load, loads
from archcalc.report.formats import document
from archcalc.report.rows import select_rows
from archcalc.settings import Settings
from archcalc.view.page.write import page_of_network


def data_of(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)["networks"][0]


def unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


@pytest.mark.parametrize(
    ("name", "most"), [("googlenet", 200), ("nasnet_a_large", 350), ("resnet1202_cifar", 700)]
)
def test_pages_are_small(name: str, most: int) -> None:
    opened, profile = Settings().open(name)
    assert len(page_of_network(profile, opened.reference).encode()) <= most * 1000


def test_the_command_writes_the_page(run: Any, tmp_path: Any) -> None:
    result = run("report", "lenet5", "--format", "html", "-o", "lenet5.html")
    assert (result.status, result.out, result.err) == (0, "", "")
    page = (tmp_path / "lenet5.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>lenet5</title>" in page
    assert re.findall('https?://[^"]*', page) == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert run("report", "lenet5", "--format", "html").out == page


@pytest.mark.parametrize(
    "option", [["--depth", "1"], ["--only", "conv"], ["--sort", "macs"], ["--top", "3"], ["--human"]]
)
def test_options_that_the_page_has_itself_are_refused(run: Any, option: list[str]) -> None:
    result = run("report", "lenet5", "--format", "html", *option)
    assert result.status == 2
    assert result.err == f"error: `--format html` cannot be combined with `{option[0]}`\n"


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "vit_b_16", "crnn", "nasnet_a_mobile"])
def test_the_figures_are_those_of_the_json(name: str) -> None:
    profile = analyze(load(name))
    data = data_of(page_of_network(profile))
    layers = iter(document(select_rows(profile), profile)["layers"])
    quantities = [quantity["name"] for quantity in data["quantities"]]
    for row, field in zip(data["row"], data["fields"] and data["field"], strict=True):
        kind, _, _, _, output, _, values, *_ = data["rows"][row]
        if kind == "input":
            continue
        layer = next(layers)
        assert output == layer["output_shape"]
        assert values == [layer[quantity] for quantity in quantities]
        words, known, _ = data["fields"][field]
        if known:
            assert known[0] == layer["receptive_field"]
            assert known[1] == layer["effective_stride"]
        else:
            assert words in ("global", "0×0") or layer["receptive_field"] is not None
    assert next(layers, None) is None


def test_figures_that_javascript_cannot_count_are_texts() -> None:
    profile = analyze(loads("net wide { input(100000) -> fc(1000000000) -> fc(1000000000) }"))
    data = data_of(page_of_network(profile))
    assert data["big"]
    macs = [quantity["name"] for quantity in data["quantities"]].index("macs")
    assert sum(int(row[6][macs]) for row in data["rows"] if row[0] != "input") == profile.totals.macs
    assert [set(run) for run in unpacked(data["memory"])] == [{"title", "peak", "is_too_large"}]


def test_a_convention_has_its_count() -> None:
    profile = analyze(load("resnet50_v1_5"), convention="fvcore")
    data = data_of(page_of_network(profile))
    at = [quantity["name"] for quantity in data["quantities"]].index("count")
    assert (
        sum(data["rows"][row][6][at] for row in data["row"] if data["rows"][row][0] != "input")
        == profile.count
    )


def test_memory_has_the_step_of_training_if_asked_for() -> None:
    profile = analyze(load("lenet5"), training=True, batch=4)
    runs = unpacked(data_of(page_of_network(profile))["memory"])
    assert [run["title"] for run in runs] == ["running it once", "a training step"]
    assert runs[1]["peak"] == profile.totals.training_peak_bytes
    assert sum(runs[1]["at_peak"]) == runs[1]["peak"]
    alive = sum(
        size
        for size, born, stays in zip(runs[1]["bytes"], runs[1]["born"], runs[1]["stays"], strict=True)
        if born <= runs[1]["moment"] <= born + stays
    )
    assert alive == runs[1]["peak"]


def test_no_name_ends_the_script() -> None:
    profile = analyze(load("lenet5"))
    profile.network.name = "</script><!--<script>&\u2028"
    page = page_of_network(profile, "</script>")
    inside = page.split('id="data">')[1].split("</script>")[0]
    assert not set("<>&\u2028") & set(inside)
    assert json.loads(inside)["networks"][0]["name"] == profile.network.name
    assert "<title>&lt;/script&gt;" in page
    profile.network.name = "{{data}}"
    assert "<title>{{data}}</title>" in page_of_network(profile)


def test_the_page_is_the_same_in_every_run() -> None:
    program = (
        "from archcalc import analyze, load; from archcalc.view.page.write import page_of_network;"
        "import hashlib; page = page_of_network(analyze(load('nasnet_a_mobile'))).encode();"
        "print(hashlib.sha256(page).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
