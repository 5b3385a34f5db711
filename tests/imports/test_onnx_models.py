"""Exports of PyTorch's two exporters: figures, shapes and values are those of PyTorch."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.executor.execute import run
from archcalc.executor.original import compare_with_original

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")

OLD, NEW = False, True
"""The exporters: the one that traces with TorchScript, and the one that uses `torch.export`."""

SAMPLE = [
    ("squeezenet1_1", OLD, 7, True), ("mnasnet0_5", OLD, 8, False), ("shufflenet_v2_x0_5", OLD, 10, True),
    ("mobilenet_v3_small", OLD, 13, False), ("resnet18", OLD, 17, True), ("resnet18", NEW, 18, True),
    ("mobilenet_v3_small", NEW, 20, False),
]  # fmt: skip
"""In a minute: names, exporters, versions of the operations, and whether the batch is open."""

ALL = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet0_5
mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50
resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 vgg11_bn wide_resnet50_2
densenet169 efficientnet_b1 mnasnet1_3 regnet_x_800mf regnet_y_800mf resnet34 resnet101 shufflenet_v2_x1_0
squeezenet1_0 vgg13
""".split()
"""30 networks; with both exporters and both batches, all versions of the operations from 7 to 20."""
VERSIONS = list(range(7, 21))
SIZES = {"alexnet": 224, "vgg11_bn": 224, "vgg13": 224, "inception_v3": 128}
"""Adaptive pools of other sizes are not exported, or as many operations."""


def build(name: str) -> Any:
    torch.manual_seed(0)
    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    module = torchvision.models.get_model(name, weights=None, **more).eval()
    return trained(module)


def trained(module: Any) -> Any:
    """The module with values as after training: exporters leave out biases that are zero."""
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return module


def export(module: Any, x: Any, path: Path, exporter: bool, opset: int, is_open: bool) -> None:
    more: dict[str, Any] = {}
    if exporter == NEW and is_open:
        more = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    elif is_open:
        more = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(module, (x,), path, dynamo=exporter, opset_version=opset, **more)


def check(name: str, exporter: bool, opset: int, is_open: bool, folder: Path) -> archcalc.Network:
    module, size = build(name), SIZES.get(name, 96)
    x = torch.randn(2, 3, size, size)
    export(module, x, folder / "model.onnx", exporter, opset, is_open)
    network = archcalc.load(folder / "model.onnx")
    assert network.is_complete
    direct = archcalc.from_torch(module, (3, size, size))
    mine, theirs = archcalc.analyze(network), archcalc.analyze(direct)
    assert (mine.totals.macs, mine.totals.depth) == (theirs.totals.macs, theirs.totals.depth)
    kinds = ("conv", "fc", "pointwise", "maxpool", "global_avgpool")  # the exporters flatten joins
    shapes = [
        [node.shape for node in net.layers if node.kind in kinds and not node.training]
        for net in (network, direct)
    ]
    assert shapes[0] == shapes[1]
    folded = [text for text in network.remarks if "folded into" in text]
    norms = sum(node.kind == "bn" for node in direct.layers if not node.training)
    left = sum(node.kind == "bn" for node in network.layers)
    assert mine.totals.params == theirs.totals.params or folded
    if folded:
        assert int(folded[0].split("convolutions")[0].split()[-1]) == norms - left
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    out = run(network, x.numpy(), network.trained(), batch=2)["output"]
    assert np.abs(out - want).max() <= 1e-5 * np.abs(want).max()
    return network


@pytest.mark.parametrize(("name", "exporter", "opset", "is_open"), SAMPLE)
def test_exports(name: str, exporter: bool, opset: int, is_open: bool, tmp_path: Path) -> None:
    network = check(name, exporter, opset, is_open, tmp_path)
    if name == "resnet18":
        assert {"conv1", "layer1/0/conv1", "layer4/1/conv2", "fc"} <= {node.name for node in network.layers}
        assert "folded into 20 convolutions" in network.remarks[0]
        if exporter == NEW:
            assert {group.kind for group in network.groups} == {"Sequential", "BasicBlock"}


@pytest.mark.full
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("exporter", [OLD, NEW])
def test_all_exports(name: str, exporter: bool, tmp_path: Path) -> None:
    place = ALL.index(name)
    for turn, is_open in enumerate((False, True)):
        opset = VERSIONS[(place * 5 + turn * 7) % len(VERSIONS)] if exporter == OLD else (18, 20)[turn]
        check(name, exporter, opset, is_open, tmp_path)


class Shared(nn.Module):
    """Arrays that are shared, and others that are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.b.weight = self.a.weight
        self.norms = nn.Sequential(nn.GroupNorm(3, 3), nn.ReLU(), nn.GroupNorm(3, 3))
        nn.init.ones_(self.a.bias)
        nn.init.ones_(self.c.bias)
        self.register_buffer("blur", torch.randn(3, 1, 3, 3))

    def forward(self, x: Any) -> Any:
        x = self.c(self.b(self.a(x)))
        return torch.nn.functional.conv2d(self.c(self.norms(x)), self.blur, groups=3)


@pytest.mark.parametrize("exporter", [OLD, NEW])
def test_arrays_that_exporters_merge(exporter: bool, tmp_path: Path) -> None:
    """`a` and `b` share a weight, `c` is called twice, and its bias equals that of `a`; norms are equal."""
    module = Shared().eval()
    export(module, torch.randn(1, 3, 16, 16), tmp_path / "model.onnx", exporter, 18, False)
    network = archcalc.load(tmp_path / "model.onnx")
    params = sum(parameter.numel() for parameter in module.parameters())
    totals = archcalc.analyze(network).totals
    # the older exporter does not say what is a buffer
    assert (totals.params, totals.buffers) == ((params, 27) if exporter == NEW else (params + 27, 0))
    assert network.is_complete
    assert any("merged equal arrays" in text for text in network.remarks) == (exporter == NEW)
    assert any("`a.weight`" in text or "`b.weight`" in text for text in network.remarks) == (exporter == NEW)


class Composites(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.groups = nn.Conv2d(3, 8, 3), nn.LayerNorm(8), nn.GroupNorm(2, 8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Any) -> Any:
        x = nn.functional.hardswish(nn.functional.silu(self.conv(x)))
        y = self.down(nn.functional.gelu(self.up(self.norm(x.permute(0, 2, 3, 1)))))
        x = self.groups(x + y.permute(0, 3, 1, 2)) * nn.functional.hardsigmoid(x.mean((2, 3), keepdim=True))
        b, c, h, w = x.shape
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


@pytest.mark.parametrize("opset", [9, 11, 13, 14, 17, 20])
def test_functions_that_are_written_as_nodes(opset: int, tmp_path: Path) -> None:
    """Before version 14, 17 and 20 there is no `HardSwish`, no `LayerNormalization` and no `Gelu`."""
    module = trained(Composites().eval())
    x = torch.randn(2, 3, 9, 8)
    export(module, x, tmp_path / "model.onnx", OLD, opset, True)
    network = archcalc.load(tmp_path / "model.onnx")
    kinds = [node.kind for node in network.layers]
    assert kinds == [
        "conv", "silu", "hardswish", "layer_norm", "pointwise", "gelu", "pointwise", "add",
        "group_norm", "global_avgpool", "hardsigmoid", "mul", "channel_shuffle",
    ]  # fmt: skip
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(parameter.numel() for parameter in module.parameters())
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    out = run(network, x.numpy(), network.trained(), batch=2)["output"]
    assert np.abs(out - want).max() <= 1e-5 * np.abs(want).max()


# --- Transformers and sequences ------------------------------------------------------------------------

SMALL = {
    "vit": lambda: torchvision.models.VisionTransformer(32, 8, 2, 4, 24, 48, num_classes=7),
    "swin": lambda: torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 4], [4, 4], num_classes=7),
}
MADE_OF_TABLES = {"vit": 0, "swin": (2 * 2 + 2 * 4) * (16 * 16 - 7 * 7)}
"""Values that biases of relative positions have beyond those of their tables."""


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("exporter", [OLD, NEW])
def test_transformers(name: str, exporter: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, size = SMALL[name]().eval(), 32 if name == "vit" else 64
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    x = torch.randn(2, 3, size, size)
    export(module, x, tmp_path / "model.onnx", exporter, 18, True)
    network = archcalc.load(tmp_path / "model.onnx")
    assert network.is_complete
    direct = archcalc.analyze(archcalc.from_torch(module, (3, size, size))).totals
    mine = archcalc.analyze(network).totals
    params = sum(parameter.numel() for parameter in module.parameters())
    assert (mine.params, mine.macs) == (params + MADE_OF_TABLES[name], direct.macs)
    said = [text for text in network.remarks if "biases of positions from their table: 3,072 values" in text]
    assert len(said) == bool(MADE_OF_TABLES[name])
    _same_values(network, module, x)


@pytest.mark.parametrize("exporter", [OLD, NEW])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_vision_transformer_with_a_fixed_batch(batch: int, exporter: bool, tmp_path: Path) -> None:
    """The newer exporter writes the class token for each sample. A batch of 1 looks like other axes."""
    module = trained(SMALL["vit"]().eval())
    x = torch.randn(batch, 3, 32, 32)
    export(module, x, tmp_path / "model.onnx", exporter, 18, False)
    network = archcalc.load(tmp_path / "model.onnx")
    direct = archcalc.analyze(archcalc.from_torch(module, (3, 32, 32))).totals
    mine = archcalc.analyze(network).totals
    assert network.is_complete
    assert (mine.params, mine.macs) == (direct.params, direct.macs)
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    out = run(network, x.numpy(), network.trained(), batch=batch)["output"]
    assert np.abs(out - want).max() <= 1e-5 * np.abs(want).max()


def _same_values(network: archcalc.Network, module: Any, x: Any) -> None:
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    out = run(network, x.numpy().astype(np.float32), network.trained(), batch=2)["output"]
    assert np.abs(out - want).max() <= 1e-5 * np.abs(want).max()


class Sequences(nn.Module):
    def __init__(self, kind: str, both: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 12)
        self.layers = getattr(nn, kind)(12, 8, 2, batch_first=True, bidirectional=both)
        self.fc = nn.Linear(8 * (2 if both else 1), 5)

    def forward(self, x: Any) -> Any:
        states, last = self.layers(self.table(x))
        last = last[0] if isinstance(last, tuple) else last
        if self.layers.bidirectional:
            return self.fc(torch.cat([last[-2], last[-1]], -1) + states.mean(1))
        return self.fc(last[-1])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("kind", "exporter"),  # the newer one writes an RNN step by step
    [("LSTM", OLD), ("LSTM", NEW), ("GRU", OLD), ("GRU", NEW), ("RNN", OLD), ("RNN", NEW)],
)
def test_recurrent_layers(kind: str, both: bool, exporter: bool, tmp_path: Path) -> None:
    module = Sequences(kind, both).eval()
    x = torch.randint(0, 50, (2, 7))
    export(module, x, tmp_path / "model.onnx", exporter, 18, True)
    network = archcalc.load(tmp_path / "model.onnx")
    assert network.is_complete
    params = sum(parameter.numel() for parameter in module.parameters())
    assert archcalc.analyze(network).totals.params == params
    _same_values(network, module, x)


@pytest.mark.parametrize("exporter", [OLD, NEW])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_with_a_batch_of_1(kind: str, exporter: bool, tmp_path: Path) -> None:
    module = Sequences(kind, False).eval()
    x = torch.randint(0, 50, (1, 7))
    export(module, x, tmp_path / "model.onnx", exporter, 18, False)
    network = archcalc.load(tmp_path / "model.onnx")
    assert network.is_complete
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(parameter.numel() for parameter in module.parameters())
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    assert totals.macs == 7 * gates * 8 * ((12 + 8) + (8 + 8)) + 8 * 5  # 7 steps of two layers
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    out = run(network, x.numpy(), network.trained())["output"]
    assert np.allclose(out, want, atol=1e-5)


@pytest.mark.parametrize(
    ("bias", "both", "is_open"), [(True, False, False), (False, True, True), (False, False, True)]
)
def test_steps_that_are_a_recurrent_layer(bias: bool, both: bool, is_open: bool, tmp_path: Path) -> None:
    """Products of a state of zeros are computed by the exporter, or left to the file."""
    module = nn.RNN(4, 7, bias=bias, batch_first=True, bidirectional=both, nonlinearity="relu").eval()
    x = torch.randn(2, 5, 4)
    export(module, x, tmp_path / "model.onnx", NEW, 18, is_open)
    network = archcalc.load(tmp_path / "model.onnx")
    (layer,) = (node for node in network.layers if node.kind == "rnn")
    assert str(layer.layer).startswith("rnn(7")
    assert network.is_complete
    params = sum(parameter.numel() for parameter in module.parameters())
    assert archcalc.analyze(network).totals.params == params
    assert network.trained is not None
    out = run(network, x.numpy(), network.trained(), batch=2)["output"]
    assert np.allclose(out, module(x)[0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_last_state_that_is_read_alone(is_open: bool, tmp_path: Path) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.RNN(4, 7, 2, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.layers(x)[1][-1]

    module, x = Last().eval(), torch.randn(2, 5, 4)
    export(module, x, tmp_path / "model.onnx", NEW, 18, is_open)
    network = archcalc.load(tmp_path / "model.onnx")
    assert [node.kind for node in network.layers if node.kind == "rnn"] == ["rnn", "rnn"]
    assert network.is_complete
    _same_values(network, module, x)


class TimeFirst(nn.Module):
    """The batch is the second axis of the sequence, as PyTorch has it without `batch_first=True`."""

    def __init__(self, kind: str, both: bool, last: bool) -> None:
        super().__init__()
        self.layers = getattr(nn, kind)(5, 6, 2 if both else 1, bidirectional=both)
        self.fc, self.last = nn.Linear(12 if both else 6, 4), last

    def forward(self, x: Any) -> Any:
        states, _ = self.layers(x)
        return self.fc(states[-1] if self.last else states)


@pytest.mark.parametrize("exporter", [OLD, NEW])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(
    ("kind", "both", "last"), [("LSTM", True, False), ("GRU", False, False), ("GRU", True, True)]
)
def test_sequences_with_the_batch_as_their_second_axis(
    kind: str, both: bool, last: bool, is_open: bool, exporter: bool, tmp_path: Path
) -> None:
    module, x, path = TimeFirst(kind, both, last).eval(), torch.randn(7, 2, 5), tmp_path / "model.onnx"
    more: dict[str, Any] = {}
    if is_open and exporter == NEW:
        more = {"dynamic_shapes": ({1: torch.export.Dim("batch")},)}
    elif is_open:
        more = {"input_names": ["x"], "dynamic_axes": {"x": {1: "n"}}}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(module, (x,), path, dynamo=exporter, opset_version=18, **more)
    network = archcalc.load(path)
    assert network.is_complete
    assert [node.shape for node in network.inputs.values()] == [(7, 5)]  # as after a batch
    params = sum(parameter.numel() for parameter in module.parameters())
    assert archcalc.analyze(network).totals.params == params
    with torch.no_grad():
        want = module(x).numpy()
    assert network.trained is not None
    given = np.ascontiguousarray(x.numpy().swapaxes(0, 1))
    outputs = run(network, given, network.trained(), batch=2)
    assert np.allclose(outputs["output"], want if last else want.swapaxes(0, 1), atol=1e-6)
    pytest.importorskip("onnxruntime")
    (name,) = network.inputs
    found = compare_with_original(network, {name: given}, outputs)
    assert (found.compared, found.held) == (1, True), found.problem
    assert not compare_with_original(network, {name: given[::-1].copy()}, outputs).held


class Stepped(nn.Module):
    """Not the steps of `nn.RNN`: other weights in one step, a first state of ones, another order."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.i, self.h, self.o = how, nn.Linear(4, 7), nn.Linear(7, 7), nn.Linear(7, 7)

    def forward(self, x: Any) -> Any:
        steps = self.i(x.transpose(0, 1))
        state = x.new_full((1, x.shape[0], 7), 1.0 if self.how == "state" else 0.0)
        states = []
        for place, step in enumerate(steps.unbind(0)):
            before = self.o if self.how == "weights" and place == 2 else self.h
            state = torch.tanh(step + before(state))
            states.append(state)
        return torch.cat(states[::-1] if self.how == "order" else states, 0)


@pytest.mark.parametrize("how", ["weights", "state", "order"])
def test_steps_that_are_no_recurrent_layer(how: str, tmp_path: Path) -> None:
    export(Stepped(how).eval(), torch.randn(2, 3, 4), tmp_path / "model.onnx", NEW, 18, True)
    network = archcalc.load(tmp_path / "model.onnx")
    assert all(node.kind != "rnn" for node in network.layers)
