"""Opening networks: a format is one file, and a file in no format is refused in words."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from archcalc import load, readers
from archcalc.catalog import open_shipped, shipped_files
from archcalc.checking.find import Finder
from archcalc.diagnostics import ArchError
from archcalc.language import loader
from archcalc.opening import open_net

# A format for this test: a net a line, its name and its width. `toy.py` is all that there is of it.
TOY = """
from functools import partial

from archcalc import NetworkBuilder
from archcalc.diagnostics import error
from archcalc.layers.conv import Conv
from archcalc.opened import Opened

EXPECTATIONS = False


def read(path, shown):
    pairs = [line.split() for line in path.read_text().splitlines()]
    names = tuple(name for name, _ in pairs)
    found = []
    for name, width in pairs:
        made = partial(make, name, int(width))
        found.append(Opened(name=name, net=f"{shown}:{name}", make=made, path=path, siblings=names))
    return found


def make(name, width, overrides, inputs):
    if overrides:
        raise error(f"`{name}` has no parameters")
    build = NetworkBuilder(name)
    return build.finish(build.add(Conv(width, 1), build.input(inputs.get("input", (3, 224, 224)))))
"""
# Python code as the format of nets that a module makes: a name of a module is no file
PYTHON = TOY.replace(
    "path.read_text().splitlines()", '(["wide 8"] if str(path) == "some.module" else ["narrow 1"])'
)
ARCH = "net small {\n  input(3x8x8)\n  conv(8, 3)\n  expect params == 224\n}\n"
OPEN = "# Somebody, A network, 1998\nnet small(c=8, n) { input(3x8x8)\n conv(c, 3)\n conv(n, 3)\n}\n"
BROKEN = "net small {\n  input(3x8x8)\n  conf(8, 3)\n}\nnet other { input(3) }\n"


@pytest.fixture
def formats(tmp_path, monkeypatch):
    """Makes a reader of a suffix, as a file in the readers' folder would be."""
    folder = tmp_path / "more readers"
    folder.mkdir()
    monkeypatch.setattr(readers, "__path__", [str(folder), *readers.__path__])

    def forget():
        readers.suffixes.cache_clear()
        for file in folder.glob("*.py"):
            sys.modules.pop(f"archcalc.readers.{file.stem}", None)

    def add(suffix: str, text: str) -> None:
        (folder / f"{suffix}.py").write_text(text)
        forget()

    yield add
    monkeypatch.undo()
    forget()


@pytest.fixture
def toy(formats, tmp_path):
    """A file with two networks of 3*8 + 8 = 32 and 3*4 + 4 = 16 parameters, in a format of its own."""
    formats("toy", TOY)
    (tmp_path / "nets.toy").write_text("net 8\nnet_small 4\n")


@pytest.mark.usefixtures("toy")
def test_every_command_reads_a_new_format(run, tmp_path):
    assert '"params": 32' in run("report", "nets.toy:net", "--format", "json").out
    assert '"macs": 96' in run("report", "nets.toy:net", "--input", "3x2x2", "--format", "json").out
    assert "32" in run("explain", "nets.toy:net", "conv1", "params").out
    assert run("compare", "nets.toy:net", "nets.toy:net_small").status == 0
    assert "the variant nets.toy:net_small" in run("reconcile", "nets.toy:net", "16", "params").out
    assert run("verify", "nets.toy:net_small").status == 0
    assert (
        "2 expectations of 2 networks: all hold" in run("check", "nets.toy", "--expect", "params >= 16").out
    )
    assert run("lock", "nets.toy").status == 0
    assert run("check", "--locked").status == 0
    assert "net nets.toy:net_small\n" in (tmp_path / "archcalc.lock").read_text()


@pytest.mark.usefixtures("toy")
def test_what_a_format_does_not_have_is_said(run, tmp_path):
    assert "`net` has no parameters" in run("report", "nets.toy:net", "--set", "width=2").err
    assert "name one: `nets.toy:net`, `nets.toy:net_small`" in run("report", "nets.toy").err
    assert "no text declares `nets.toy:net`" in run("spec", "nets.toy:net").err
    assert re.search("a file ends in `.arch`,? .*or `.toy`", run("report", "nothing").err)
    (tmp_path / "small.arch").write_text(ARCH)
    found = Finder().find([])["."]  # a folder means the files that can hold expectations
    assert [network.name for network in found] == ["small.arch:small"]


def test_a_reader_of_python_code_is_asked_for_modules(formats, run):
    formats("py", PYTHON)  # found before archcalc's own
    assert load("some.module:wide").name == "wide"
    assert load("other:narrow").name == "narrow"
    assert "there is no network `some.module`" in run("report", "some.module").err
    assert "there is no network `some module:wide`" in run("report", "some module:wide").err


@pytest.mark.parametrize("name", ["net.mat", "net", "net.arch.bak"])
def test_a_file_in_an_unknown_format_is_refused(name, run, tmp_path):
    (tmp_path / name).write_bytes(b"\x08\x07\xf6\x12")
    message = f"`{name}` is in no format that archcalc reads\nhelp: archcalc reads `.arch`"
    for command in ("report", "check", "spec", "reconcile"):
        result = run(command, name, *(["1M"] if command == "reconcile" else []))
        assert result.status == 2
        assert message in result.err
    with pytest.raises(ArchError, match="in no format that archcalc reads"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("net.pth", "is a pickle: a pickle can run code when it is read"),
        ("net.PT", "is a pickle: a pickle can run code when it is read"),
        ("net.safetensors", "holds weights, not the layers and shapes"),
        ("net.h5", "is a Keras model in the older format"),
        ("net.prototxt", "is a Caffe network"),
    ],
)
def test_a_file_of_another_tool_is_named(name, what, run, tmp_path):
    (tmp_path / name).write_bytes(b"\x08\x07\xf6\x12")
    for command in ("report", "check"):
        result = run(command, name)
        assert result.status == 2
        assert f"error: `{name}` {what}" in result.err
        remedies = {"pickle": "torch.export.save(", "Keras": '.save("model.keras")'}
        instead = next((remedies[key] for key in remedies if key in what), "the network as an `.arch` file")
        assert "help: " in result.err
        assert instead in result.err


def test_what_is_no_file_is_still_called_by_its_name(run, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    assert "`folder.onnx` is a folder" in run("report", "folder.onnx").err
    assert "there is no file `no/net.onnx`" in run("report", "no/net.onnx").err
    assert "there is no file `net.onnx`" in run("report", "net.onnx").err
    assert "there is no network `net.pb`" in run("report", "net.pb").err
    assert "there is no network `vgg16:`" in run("report", "vgg16:").err
    assert "there is no network `:vgg16`" in run("report", ":vgg16").err
    assert f"`{os.devnull}` is not a regular file" in run("report", os.devnull).err


def test_a_file_is_read_once_for_all_its_networks(run, tmp_path, monkeypatch):
    (tmp_path / "two.arch").write_text(ARCH + ARCH.replace("small", "large"))
    (tmp_path / "broken.arch").write_text(BROKEN)
    paths = []
    read = loader._read
    monkeypatch.setattr(loader, "_read", lambda path, *more: paths.append(path) or read(path, *more))
    assert run("check", "two.arch:small", "two.arch", "two.arch:large").status == 0
    assert paths == [Path("two.arch")]
    assert run("check", "broken.arch:small", "broken.arch", "broken.arch:other").err.count("conf") == 2
    assert paths == [Path("two.arch"), Path("broken.arch")]


def test_a_shipped_file_is_read_once_and_others_are_not(monkeypatch):
    open_shipped("vgg16")
    monkeypatch.setattr(loader, "_read", None)
    assert open_net("vgg19?classes=10")[1] == {"classes": 10}
    assert open_shipped("vgg16") is open_net("vgg16")[0]


def test_what_is_known_of_a_network(tmp_path):
    opened, _ = open_net("resnet50_v1_5")
    assert (opened.family, opened.year, opened.built_in) == ("resnet", 2015, True)
    assert "resnet50" in opened.siblings
    assert list(opened.texts()) == ["resnet.arch", "common.arch"]
    assert opened.span is not None
    assert opened.span.text == opened.name
    assert opened.expectations == opened.network().expectations
    path = tmp_path / "mine.arch"
    path.write_text(OPEN)
    opened, _ = open_net(str(path))
    assert (opened.net, opened.path, opened.built_in) == (f"{path}:small", path, False)
    assert (opened.parameters, opened.missing, opened.siblings) == (("c", "n"), ("n",), ())
    assert (opened.reference, opened.year) == ("Somebody, A network, 1998", 1998)
    assert opened.network({"n": 1}).name == "small"


def test_shipped_names_are_found_without_parsing(monkeypatch):
    shipped_files.cache_clear()
    monkeypatch.setattr(loader, "_read", None)
    assert len(shipped_files()) > 200
