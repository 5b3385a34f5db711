"""`.pt2` files of `torch.export.save`, read without PyTorch: what is in them, and damaged files."""

from __future__ import annotations

import io
import pickle
import random
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import archcalc
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run as execute
from archcalc.executor.inputs import drawn_inputs
from archcalc.executor.original import compare_with_original
from archcalc.importing.torch_export.symbols import evaluate

MODEL = Path(__file__).parent / "models" / "residual.pt2"  # `models/make_residual.py` makes it
GRAPH = "residual/models/model.json"


def loaded(path: Path = MODEL, **inputs: tuple[int, ...]) -> archcalc.Network:
    return archcalc.load(path, inputs=inputs or None)


def test_a_model_has_the_figures_of_its_modules() -> None:
    network = loaded()
    profile = archcalc.analyze(network)
    # stem 3*2*3*8 + 8; a unit 3*3*8*8 + 2*8, of which two; norm 2*8; mix 8*8 + 8; head 8*5 + 5
    assert profile.totals.params == (3 * 2 * 3 * 8 + 8) + 2 * (3 * 3 * 8 * 8 + 16) + 16 + 72 + 45
    places = 11 * 5  # 13 - 3 + 1, (10 - 2) // 2 + 1
    assert profile.totals.macs == places * (3 * 2 * 3 * 8 + 3 * (3 * 3 * 8 * 8) + 8 * 8) + 8 * 5
    assert profile.totals.buffers == 2 * 2 * 8
    assert {name: node.shape for name, node in network.outputs.items()} == {
        "output": (5,),
        "features": (2, 4),
    }
    assert network.remarks == (
        "sizes of `input` that the file leaves open are those of its example",
        "8 parameters of `unused` are not counted: no output depends on them",
    )


def test_nodes_have_the_names_of_modules_and_their_place_in_the_code() -> None:
    network = loaded()
    names = [node.name for node in network.layers]
    assert names[:12] == [
        "stem/0", "stem/1",
        "units/0/conv", "units/0/bn", "units/0/relu", "units/0/add1", "units/0/relu_2",
        "units/1/conv", "units/1/bn", "units/1/relu", "units/1/add1", "units/1/relu_2",
    ]  # fmt: skip
    again = network["units/0_2/conv"]
    assert again.shares is network["units/0/conv"]
    assert [group.kind for group in network.groups if group.name == "units/0"] == ["Unit"]
    lines = (MODEL.parent / "make_residual.py").read_text().splitlines()
    file, number = network["units/0/add1"].origin.split(":")
    assert (file, lines[int(number) - 1].strip()) == ("make_residual.py", "y += x")


def test_its_own_weights_give_what_pytorch_gave() -> None:
    network = loaded()
    assert network.trained is not None
    with np.load(MODEL.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    out = execute(network, arrays["image"], network.trained(), batch=2)
    assert np.allclose(out["output"], arrays["logits"], rtol=1e-5, atol=1e-6)
    assert np.allclose(out["features"], arrays["features"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-5), ("float64", 1e-12)])
def test_pytorch_runs_the_operations_of_the_file(dtype: str, most: float) -> None:
    pytest.importorskip("torch")
    network = loaded()
    inputs = drawn_inputs(network, 3, 1, dtype)
    outputs = execute(network, inputs, network.trained(), batch=3, dtype=dtype)
    found = compare_with_original(network, inputs, outputs)
    assert (found.framework, found.compared, found.problem) == ("PyTorch", 2, "")
    assert found.difference < most
    assert not compare_with_original(network, {"input": inputs["input"] + 1}, outputs).held


def test_without_pytorch_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    network = loaded()
    inputs = drawn_inputs(network, 1, 1, "float32")
    found = compare_with_original(network, inputs, execute(network, inputs, network.trained()))
    assert str(found) == "not compared with PyTorch: it is not installed; `pip install 'archcalc[torch]'`"


def test_brackets_are_printed_as_they_are(
    run: Callable[..., object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`[torch]` in a remedy and in the name of a file is not markup of the table around it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "a[red].pt2").write_bytes(MODEL.read_bytes())
    assert "`pip install 'archcalc[torch]'`" in run("run", "a[red].pt2", width=120).out  # type: ignore[attr-defined]
    printed = run("verify", "a[red].pt2", width=120).out  # type: ignore[attr-defined]
    assert printed.startswith("a[red].pt2 at ")
    assert "`pip install 'archcalc[torch]'`" in printed


def test_sizes_that_the_file_leaves_open_can_be_given() -> None:
    network = loaded(input=(3, 21, 10))
    assert network["stem/0"].shape == (8, 19, 5)
    assert len(network.remarks) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 13, 11), "the input `input` of `.*` is 3xanyx10, not 3x13x11"),
        ((3, 13), "is 3xanyx10, not 3x13"),
        ((3, 4, 10), "a size of the input `input` is from 5 to 99 in `.*`, not 4"),
    ],
)
def test_other_sizes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ArchError, match=message):
        loaded(input=shape)


def test_names_of_inputs_and_parameters_are_checked() -> None:
    with pytest.raises(ArchError, match="has no input `x`\nhelp: it has `input`"):
        loaded(x=(3, 13, 10))
    with pytest.raises(ArchError, match="has no parameters: `width` cannot be set"):
        archcalc.load(MODEL, {"width": 2})


def test_every_command_reads_it(run: Callable[..., object]) -> None:
    for command in (["report"], ["explain", "units/0/conv", "macs"], ["compare", "lenet5"], ["run"]):
        name, *more = command
        result = run(name, str(MODEL), *more)
        assert (result.status, result.err) == (0, ""), (command, result)  # type: ignore[attr-defined]
    assert "make_residual.py:" in run("explain", str(MODEL), "units/0/conv", "macs").out  # type: ignore[attr-defined]
    assert run("check", str(MODEL), "--expect", "macs < 1G").status == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Symbol('h', positive=True, integer=True)", 32),
        ("Mul(Integer(2), Symbol('h'))", 64),
        ("Max(Integer(1), Add(Symbol('h'), Integer(-40)))", 1),
        ("Mod(Symbol('h'), Integer(5))", 2),
        ("FloorDiv(Symbol('h'), Integer(0))", None),
        ("Symbol('w')", None),
        ("Pow(Symbol('h'), Integer(2))", 1024),
        ("Pow(Symbol('h'), Integer(-1))", None),
        ("Pow(Symbol('h'), Integer(50))", None),
        ("Pow(Integer(1), Integer(51))", None),
        ("__import__('os')", None),
        ("Mul(" * 120 + "Integer(1)" + ")" * 120, None),
        ("Mul(Integer(999999999), Integer(999999999), Integer(999999999))", None),
        ("Add(", None),
        ("", None),
    ],
)
def test_sizes_that_are_expressions(text: str, value: int | None) -> None:
    assert evaluate(text, {"h": 32}) == value


# --- Files that are not right ---------------------------------------------------------------------------


def entries() -> dict[str, bytes]:
    with zipfile.ZipFile(MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def with_graph(path: Path, change: Callable[[bytes], bytes]) -> Path:
    contents = entries()
    contents[GRAPH] = change(contents[GRAPH])
    return written(path, contents)


def refused(path: Path, message: str) -> None:
    """Reading the file ends in an error that says this, quickly and in little memory."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ArchError, match=message) as caught:
            loaded(path)
        assert time.process_time() - start < 5
        assert tracemalloc.get_traced_memory()[1] < 400e6
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1500


def test_pickles_are_refused_and_explained(tmp_path: Path) -> None:
    plain, zipped = tmp_path / "a.pt2", tmp_path / "b.pt2"
    plain.write_bytes(pickle.dumps({"weight": [1.0]}))
    refused(plain, "is a pickle: a pickle can run code when it is read, so archcalc does not open it")
    written(zipped, {"b/data.pkl": pickle.dumps([]), "b/version": b"3"})
    refused(
        zipped, r"was written by `torch.save` or `torch.jit.save`: a pickle .*\nhelp: .*torch.export.save"
    )
    for suffix in ("pt", "pth", "ckpt"):
        path = tmp_path / f"model.{suffix}"
        path.write_bytes(pickle.dumps([]))
        refused(path, r"a pickle can run code when it is read.*\nhelp: .*torch.export.save")


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pt2", "there is no file")
    for number, data in enumerate([b"", b"PK", b"text", MODEL.read_bytes()[:3000]]):
        path = tmp_path / f"{number}.pt2"
        path.write_bytes(data)
        refused(path, "is not a zip archive, or is damaged")
    refused(written(tmp_path / "empty.pt2", {"a": b""}), "has no exported model")
    old = written(tmp_path / "old.pt2", {"serialized_exported_program.json": b"{}"})
    refused(old, "was written by an old PyTorch")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: b"{}", "is not a graph: Object missing required field"),
        (lambda text: b"[" * 1_000_000, "is not a graph|nested too deep"),
        (lambda text: b'{"x":' * 1_000_000, "is not a graph|nested too deep"),
        (lambda text: text[: len(text) // 2], "is not a graph"),
        (lambda text: text.replace(b'"major": 8', b'"major": 9'), "has version 9.* reads version 8"),
        (lambda text: text.replace(b'"as_int": 10}', b'"as_int": 1%s}' % (b"0" * 18)), "up to"),
        (lambda text: text.replace(b'{"name": "image"}', b'{"name": "x"}'), "declare the tensor `x`"),
        (lambda text: b" " * 49_000_000 + text, "bytes; at most 48,000,000 are read"),
    ],
)  # fmt: skip
def test_graphs_that_are_not_right(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    refused(with_graph(tmp_path / "model.pt2", change), message)


def test_a_tensor_that_is_read_before_it_is_computed(tmp_path: Path) -> None:
    """A cycle can only be written like this."""

    def change(text: bytes) -> bytes:
        start = b'"inputs": [{"name": "input", "arg": {"as_tensor": {"name": '
        return text.replace(start + b'"image"', start + b'"linear_1"')

    refused(with_graph(tmp_path / "model.pt2", change), "reads `linear_1` before it is computed")


def test_zip_bombs(tmp_path: Path) -> None:
    contents = {GRAPH: b" " * 1_000_000_000}
    refused(written(tmp_path / "a.pt2", contents, zipfile.ZIP_DEFLATED), "bytes; at most")
    # a directory of a million entries
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    data = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(data), 0, 0)
    (tmp_path / "b.pt2").write_bytes(data + end)
    refused(tmp_path / "b.pt2", "the directory of .* is too large")


def test_a_size_that_lies_is_found(tmp_path: Path) -> None:
    """The header says 100 bytes, and as many are read; the rest of the stream is not."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GRAPH, b" " * 100_000_000)
    text = data.getvalue().replace(struct.pack("<L", 100_000_000), struct.pack("<L", 100))
    (tmp_path / "a.pt2").write_bytes(text)
    refused(tmp_path / "a.pt2", "is damaged|is not a graph")


def test_arrays_that_are_not_right(tmp_path: Path) -> None:
    contents = entries()
    config = "residual/data/weights/model_weights_config.json"
    for change, message in [
        ((b'"use_pickle": false', b'"use_pickle": true'), "is a pickle"),
        ((b'"dtype": 7', b'"dtype": 10'), "cannot be read"),
        ((b'"path_name": "weight_0"', b'"path_name": "../../secret"'), "cannot be read"),
        ((b'"as_int": 18', b'"as_int": 1800'), "is damaged"),
        ((b'"storage_offset": {"as_int": 0}', b'"storage_offset": {"as_int": -9}'), "is damaged"),
    ]:
        changed = written(tmp_path / "a.pt2", {**contents, config: contents[config].replace(*change)})
        network = loaded(changed)
        assert network.trained is not None
        with pytest.raises(ArchError, match=message):
            network.trained()


def mutated(data: bytes, seed: int) -> bytes:
    """A few bytes of the file changed, and its end cut off now and then."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice([1, 2, 8, 40])):
        out[rng.randrange(len(out))] = rng.choice(
            [0, 255, 34, 44, 45, 48, 57, 91, 93, 123, rng.randrange(256)]
        )
    return bytes(out[: rng.randrange(len(out))] if not seed % 10 else out)


def mutations(folder: Path, count: int) -> None:
    """Every mutation of the archive, and of the graph in an archive that is whole, is read or refused."""
    archive, graph = MODEL.read_bytes(), entries()[GRAPH]
    for seed in range(count):
        path = folder / "model.pt2"
        if seed % 2:
            path.write_bytes(mutated(archive, seed))
        else:
            data = mutated(graph, seed)
            with_graph(path, lambda _, data=data: data)  # type: ignore[misc]
        start = time.process_time()
        try:
            network = loaded(path)
            archcalc.analyze(network)
            if network.trained is not None:
                network.trained()
        except ArchError:
            pass
        assert time.process_time() - start < 5


def test_mutations(tmp_path: Path) -> None:
    mutations(tmp_path, 200)


@pytest.mark.full
def test_ten_thousand_mutations(tmp_path: Path) -> None:
    mutations(tmp_path, 10_000)
