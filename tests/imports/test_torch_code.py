"""Modules of PyTorch in a user's code: factories, what goes wrong in them, the fixture, `from_torch`."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.checking.pytest_plugin import Opener
from archcalc.diagnostics import ArchError
from archcalc.executor.execute import run as execute

torch = pytest.importorskip("torch")
nn = torch.nn

CODE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, c: int = 8, p: float = 0.5):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, c, 3), nn.Linear(c, 10)

    def forward(self, x):
        print("in forward")
        return self.fc(self.conv(x).mean((2, 3)))

def small(c: int = 8):
    print("in the factory")
    return Small(c)

def anything(**options): return Small(**options)
def needs(width: int): return Small(width)
def nothing(): return None
def raises():
    raise ValueError("bad luck")
def leaves():
    raise SystemExit(3)

class Branch(Small):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return super().forward(x)

class Item(Small):
    def forward(self, x):
        return x[:, :int(x.sum())]

class Fails(Small):
    def forward(self, x):
        raise RuntimeError("no way")

class Two(Small):
    def forward(self, x, mask):
        return super().forward(x) * mask

class NotOnMeta(Small):
    def __init__(self):
        super().__init__()
        self.scale = float(torch.ones(3).sum())

class MakesTensors(Small):
    def forward(self, x):
        return super().forward(x) - torch.zeros(x.shape[0], 10)

model = Small(4)
"""


@pytest.fixture
def code(run: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "nets.py").write_text(CODE)

    def report(net: str, *more: str, shape: str = "3x20x12") -> Any:
        return run("report", net, "--input", shape, "--format", "json", *more)

    return report


# 3 3 3 C + C of the convolution, C 10 + 10 of the linear layer
def params(c: int) -> str:
    return f'"params": {27 * c + c + 10 * c + 10}'


@pytest.mark.parametrize(
    ("net", "c"),
    [
        ("nets.py:small", 8), ("nets.py:small?c=16", 16), ("nets.py:Small", 8), ("nets.py:model", 4),
        ("nets.py:needs?width=4", 4), ("nets.py:anything?c=2&p=0.25", 2), ("nets.py:NotOnMeta", 8),
        ("nets.py:Two", 8), ("nets.py:MakesTensors", 8),
    ],
)  # fmt: skip
def test_factories_classes_and_modules(code: Callable[..., Any], net: str, c: int) -> None:
    more = ("--input", "mask=10") if "Two" in net else ()
    result = code(net, *more, shape="x=3x20x12" if more else "3x20x12")
    assert result.status == 0, result.err
    assert params(c) in result.out
    assert result.out.startswith("{")  # what the code prints is not in it
    assert "in the factory" in result.err or "small" not in net


def test_a_module_in_the_current_folder(code: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        assert params(3) in code("nets:small", "--set", "c=3").out
    finally:
        sys.modules.pop("nets", None)


DATA_DEPENDENT = "what it does depends on the values of a tensor, which are unknown until it runs"


def line_of(text: str) -> int:
    """The first line of the code that has this text."""
    return next(number for number, line in enumerate(CODE.splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("net", "message", "at"),
    [
        ("nets.py:smal", "`nets.py` has no net `smal`\nhelp: did you mean `Small` or `small`?", ""),
        ("nets.py:small?d=1", "`small` has no argument `d`\nhelp: arguments: c", ""),
        ("nets.py:small?c=1.5", "`c` of `small` needs a whole number, not 1.5", ""),
        ("nets.py:small?c=true", "`c` of `small` needs a whole number, not True", ""),
        ("nets.py:needs", "`needs` needs `width`\nhelp: add `?width=...`", ""),
        ("nets.py:model?c=1", "`model` is a module that exists already: `c` cannot be set", ""),
        ("nets.py:nothing", "`nothing` returns nothing, not a `torch.nn.Module`", ""),
        ("nets.py:raises", "`raises` fails: ValueError: bad luck", "bad luck"),
        ("nets.py:leaves", "`leaves` fails: SystemExit: 3", "SystemExit"),
        ("nets.py:anything?q=1", "`anything` fails: TypeError: ", "def anything"),
        ("nets.py:Branch", f"`Branch` cannot be exported: {DATA_DEPENDENT}", "if x.sum()"),
        ("nets.py:Item", f"`Item` cannot be exported: {DATA_DEPENDENT}", "int(x.sum())"),
        ("nets.py:Fails", "`Fails` cannot be exported: RuntimeError: no way", "no way"),
        ("nets.py:Two", "`forward` of `Two` needs `mask`", ""),
        ("none.py:small", "there is no file `none.py`", ""),
        ("none:small", "there is no network and no Python module `none`", ""),
    ],
)
def test_what_goes_wrong_is_one_error(code: Callable[..., Any], net: str, message: str, at: str) -> None:
    result = code(net)
    assert (result.status, result.out) == (2, "")
    error = result.err.replace("in the factory\n", "").replace("in forward\n", "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") <= 3
    assert not at or f"\nnote: it is raised at nets.py:{line_of(at)}\n" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import absent", "ModuleNotFoundError: No module named 'absent'\nnote: .*broken.py:1"),
        ("x = 1\nx +", "SyntaxError: invalid syntax.*\nnote: it is raised at .*broken.py:2"),
        ("raise SystemExit(1)", "SystemExit: 1"),
    ],
)  # fmt: skip
def test_code_that_cannot_be_imported(
    run: Callable[..., Any], tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    error = run("report", "broken.py:f").err
    assert re.match(f"error: `broken.py` cannot be imported: {message}", error), error


def test_shapes_are_needed_and_checked(code: Callable[..., Any], run: Callable[..., Any]) -> None:
    assert "`--input 3x224x224`" in run("report", "nets.py:small").err
    assert "has no argument `y`" in code("nets.py:small", shape="y=3x20x12").err
    wrong = code("nets.py:small", shape="4x20x12").err
    assert "cannot be exported" in wrong
    assert "Shapes are channels first" in wrong


def test_nothing_of_pytorch_is_printed(code: Callable[..., Any], tmp_path: Path) -> None:
    """In a process of its own, since PyTorch writes with loggers and in C++."""
    code("nets.py:small")
    call = [sys.executable, "-m", "archcalc", "report", "nets.py:Branch", "--input", "3x20x12"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: `Branch` cannot be exported")
    assert done.stderr.count("\n") == 3


def test_run_and_verify_use_a_factory(code: Callable[..., Any], run: Callable[..., Any]) -> None:
    code("nets.py:small")
    for command in ("run", "verify"):
        assert run(command, "nets.py:small", "--input", "3x20x12").status == 0
    explained = run("explain", "nets.py:small", "conv", "macs", "--input", "3x20x12")
    assert f"from nets.py:{line_of('self.conv(x)')}" in explained.out
    compared = run("compare", "nets.py:small?c=4", "nets.py:small", "--input", "3x20x12")
    assert compared.status == 0, compared.err


# --- From Python ----------------------------------------------------------------------------------------


class Stateful(nn.Module):
    """A module in training, with a hook, whose forward changes a buffer in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.drop(self.bn(self.conv(x)))


def test_a_module_is_left_as_it_was() -> None:
    module = Stateful().train()
    module.drop.eval()
    calls = []
    module.conv.register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(module.state_dict())
    modes = [each.training for each in module.modules()]
    parameters = list(map(id, module.parameters()))
    network = archcalc.from_torch(module, (3, 9, 7))
    assert [node.kind for node in network.layers] == ["conv", "bn", "dropout"]
    assert [each.training for each in module.modules()] == modes
    assert list(map(id, module.parameters())) == parameters
    after = module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert len(module.conv._forward_hooks) == 1
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    with pytest.raises(ArchError):
        archcalc.from_torch(module, (4, 9, 7))
    assert [each.training for each in module.modules()] == modes


def test_several_inputs_and_results() -> None:
    class Joined(nn.Module):
        def forward(self, left: Any, right: Any) -> Any:
            return {"sum": left + right, "parts": (left - right, left * right)}

    network = archcalc.from_torch(Joined(), (3, 9), (3, 9))
    assert list(network.inputs) == ["left", "right"]
    assert list(network.outputs) == ["output", "parts_0", "parts_1"]
    with pytest.raises(ArchError, match="takes 2 inputs, and 3 shapes were given"):
        archcalc.from_torch(Joined(), (3,), (3,), (3,))
    with pytest.raises(ArchError, match="the shape of the input is needed"):
        archcalc.from_torch(Joined())
    with pytest.raises(ArchError, match="a PyTorch module is needed, not a str"):
        archcalc.from_torch("vgg16", (3, 9))


def test_tied_arrays_are_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

    network = archcalc.from_torch(Tied(), (8,))
    assert archcalc.analyze(network).totals.params == 8 * 8 + 8


def test_heads_of_training_are_heads() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head, self.aux = nn.Linear(8, 6), nn.Linear(6, 4), nn.Linear(6, 3)

        def forward(self, x: Any) -> Any:
            x = self.body(x)
            return (self.head(x), self.aux(x)) if self.training else self.head(x)

    network = archcalc.from_torch(Auxiliary(), (8,))
    assert [node.shape for node in network.heads.values()] == [(3,)]
    assert archcalc.analyze(network).totals.params == 8 * 6 + 6 + 6 * 4 + 4
    assert archcalc.analyze(network, heads=True).totals.params == 8 * 6 + 6 + 6 * 4 + 4 + 6 * 3 + 3
    assert network.remarks == ()


def test_parameters_that_nothing_uses_are_said() -> None:
    class Unused(Stateful):
        def __init__(self) -> None:
            super().__init__()
            self.old = nn.Linear(3, 2)

    network = archcalc.from_torch(Unused(), (3, 9, 7))
    assert network.remarks == ("8 parameters of `old` are not counted: no output depends on them",)


def test_the_weights_are_those_of_the_module() -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 1e-1)):
        module = Stateful().to(dtype).eval()
        network = archcalc.from_torch(module, (3, 9, 7))
        assert network.trained is not None
        image = torch.randn(1, 3, 9, 7, dtype=dtype)
        numpy = np.float64 if dtype == torch.float64 else np.float32
        out = execute(network, image.to(torch.float64).numpy().astype(numpy), network.trained(), dtype=numpy)
        with torch.no_grad():
            want = module(image).to(torch.float64).numpy()
        assert np.allclose(out["output"], want, atol=tolerance)


def test_the_fixture_takes_a_module() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 7 * 5, 2))
    opened = Opener(Path())(model, (3, 9, 7))
    assert opened.macs == 3 * 9 * 4 * 35 + 140 * 2
    opened.check("params < 1K")
    with pytest.raises(pytest.fail.Exception, match="params is 394, not < 100"):
        opened.check("params < 100")
