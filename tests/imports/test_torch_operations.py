"""Operations of PyTorch with all their arguments: imported, and then computed by archcalc and by PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archcalc
from archcalc.executor.execute import run

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
"""An export takes a tenth of a second."""

Shape = tuple[int, ...]


class Function(nn.Module):
    """A function as a module, with the arrays that it uses."""

    def __init__(self, function: Callable[..., Any], *layers: Any) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs, *self.layers)


def compare(module: Any, *shapes: Shape, opaque: bool = False) -> archcalc.Network:
    """Import a module; its figures, its shape and its values are those of PyTorch."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                buffer.normal_()
    inputs = [torch.randn(2, *shape, dtype=torch.float64) for shape in shapes]
    with torch.no_grad():
        want = module(*inputs)
        # the products of attention are counted if they are computed one by one
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(*[each[:1] for each in inputs])
    network = archcalc.from_torch(module, *shapes)
    totals = archcalc.analyze(network).totals
    assert network.outputs["output"].shape == tuple(want.shape[1:])
    assert totals.params == sum(p.numel() for p in module.parameters())
    kinds = {node.kind for node in network.nodes}
    assert ("opaque" in kinds) == opaque
    if opaque:
        return network
    assert totals.macs == counter.get_total_flops() / 2
    names = list(network.inputs)
    arrays = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
    weights = network.trained() if network.trained is not None else {}
    got = run(network, arrays, weights, batch=2, dtype=np.float64)["output"]
    assert np.allclose(got, want.numpy(), rtol=1e-10, atol=1e-10)
    return network


def axes(rank: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * rank)


RANK = st.integers(1, 3)
SIZES = (9, 8, 7)


@FEW
@given(st.data(), RANK)
def test_convolutions(data: st.DataObject, rank: int) -> None:
    groups = data.draw(st.sampled_from([1, 2, 4]))
    out = groups * data.draw(st.integers(1, 3))
    kernel, stride, dilation = (data.draw(axes(rank, 1, high)) for high in (3, 3, 2))
    padding: Any = data.draw(axes(rank, 0, 2))
    if set(stride) == {1} and data.draw(st.booleans()):
        padding = data.draw(st.sampled_from(["same", "valid"]))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    layer = kind(4, out, kernel, stride, padding, dilation, groups, data.draw(st.booleans()))
    network = compare(layer, (4, *SIZES[:rank]))
    assert [node.kind for node in network.layers] == ["conv"]


@FEW
@given(st.data(), RANK)
def test_transposed_convolutions(data: st.DataObject, rank: int) -> None:
    groups = data.draw(st.sampled_from([1, 2]))
    kernel, stride, dilation = (data.draw(axes(rank, 1, high)) for high in (3, 3, 2))
    padding = tuple(
        data.draw(st.integers(0, d * (k - 1) // 2)) for k, d in zip(kernel, dilation, strict=True)
    )
    more = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
    bias = data.draw(st.booleans())
    layer = kind(4, 2 * groups, kernel, stride, padding, more, groups, bias, dilation)
    compare(layer, (4, *(5, 4, 3)[:rank]))


@FEW
@given(st.data(), RANK, st.sampled_from(["max", "avg"]))
def test_pools(data: st.DataObject, rank: int, what: str) -> None:
    kernel = data.draw(axes(rank, 1, 4))
    stride = data.draw(st.none() | axes(rank, 1, 3))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil_mode = data.draw(st.booleans())
    if what == "max":
        dilation = data.draw(axes(rank, 1, 2))
        kind: Any = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[rank - 1]
        layer = kind(kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    else:
        kind = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[rank - 1]
        layer = kind(kernel, stride, padding, ceil_mode, data.draw(st.booleans()))
    compare(layer, (3, *SIZES[:rank]))


@FEW
@given(st.data(), RANK, st.sampled_from(["avg", "max"]))
def test_adaptive_pools(data: st.DataObject, rank: int, what: str) -> None:
    size = tuple(data.draw(st.integers(1, n)) for n in SIZES[:rank])
    compare(getattr(nn, f"Adaptive{what.title()}Pool{rank}d")(size), (3, *SIZES[:rank]))


NORMS = [
    lambda: nn.BatchNorm2d(6, eps=1e-3, momentum=None),
    lambda: nn.BatchNorm2d(6, affine=False),
    lambda: nn.BatchNorm2d(6, track_running_stats=False),
    lambda: nn.GroupNorm(3, 6, eps=1e-4),
    lambda: nn.GroupNorm(2, 6, affine=False),
    lambda: nn.InstanceNorm2d(6),
    lambda: nn.InstanceNorm2d(6, affine=True, eps=1e-3),
    lambda: nn.LayerNorm((6, 5, 4)),
    lambda: nn.LayerNorm((6, 5, 4), elementwise_affine=False),
    lambda: Function(lambda x, norm: norm(x.permute(0, 2, 3, 1)), nn.LayerNorm(6, eps=1e-6)),
    lambda: Function(lambda x, norm: norm(x.permute(0, 2, 3, 1)), nn.LayerNorm(6, bias=False)),
    lambda: nn.LayerNorm(4),  # over the last axis, which is not that of the channels
]


@pytest.mark.parametrize("make", NORMS)
def test_norms(make: Callable[[], Any]) -> None:
    compare(make(), (6, 5, 4))


ACTIVATIONS = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(6), nn.ELU(0.5),
    nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(),
    nn.Tanh(), nn.Softmax(1), nn.Softmax(-1), nn.Softmax(2), nn.Dropout(0.3), nn.Dropout2d(0.3),
    nn.Dropout(0.3, True), nn.Hardtanh(0, 6), nn.Identity(),
]  # fmt: skip


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_activations(layer: Any) -> None:
    if isinstance(layer, nn.Identity):
        layer = Function(lambda x: F.relu(torch.clamp(torch.abs(x), 0, 6).clamp(min=0)))
    compare(layer, (6, 5, 4))


def masked(x: Any) -> Any:
    mask = x.new_zeros(5, 4)
    mask[1:3, 2:] = -3
    return x + mask.masked_fill(mask == 0, 0.5)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum of a list": lambda x: sum([x.relu(), x.tanh()]),
    "times one": lambda x: x.relu() * 1 + 0 - 0,
    "difference": lambda x: x.relu() - x.tanh(),
    "gate": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "gate that is expanded": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid().expand_as(x),
    "gate of each place": lambda x: x * x[:, :1].sigmoid(),
    "mean of places": lambda x: x.mean((2, 3)),
    "mean of rows": lambda x: x.mean(2, keepdim=True),
    "mean of one axis": lambda x: x.mean(-1),
    "mean of the last axes of a permuted map": lambda x: x.permute(0, 2, 3, 1).mean((1, 2)),
    "maximum of places": lambda x: x.amax((2, 3)),
    "flatten": lambda x: x.flatten(1),
    "flatten of a permuted map": lambda x: x.permute(0, 2, 3, 1).flatten(1),
    "tokens": lambda x: x.flatten(2).transpose(1, 2),
    "tokens and back": lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(x.shape),
    "places of a permuted map": lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1, 6),
    "shuffle": lambda x: x.view(len(x), 3, 2, 5, 4).transpose(1, 2).contiguous().view(x.shape),
    "channel shuffle": lambda x: F.channel_shuffle(x, 3),
    "split": lambda x: torch.cat([y.relu() for y in x.split([1, 2, 3], 1)][::-1], 1),
    "split of rows": lambda x: torch.cat(x.split(2, 2)[::-1], 2),
    "chunk": lambda x: x.chunk(4, 1)[1],
    "slice": lambda x: x[:, 1:-1, :, 2:],
    "select": lambda x: x[:, :, 1],
    "unbind": lambda x: x.unbind(1)[2],
    "narrow": lambda x: x.narrow(2, 1, 3),
    "concatenation of rows": lambda x: torch.cat([y := x.permute(0, 2, 3, 1), y.relu()], 1),
    "sum of different layouts": lambda x: x.permute(0, 3, 2, 1) + x.flatten(1).view(len(x), 4, 5, 6),
    "padding": lambda x: F.pad(x, (1, 2, 3, 0)),
    "cropping": lambda x: F.pad(x, (-1, 1)),
    "padding of channels": lambda x: F.pad(x, (0, 0, 0, 0, 2, 3)),
    "nearest": lambda x: F.interpolate(x, scale_factor=(2, 3)),
    "nearest to a size": lambda x: F.interpolate(x, (7, 3)),
    "bilinear": lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "bilinear to a size": lambda x: F.interpolate(x, (11, 3), mode="bilinear"),
    "unsqueezed": lambda x: x.mean((2, 3))[:, :, None, None],
    "squeezed": lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
    "to double": lambda x: x.relu().to(torch.float64).clone().detach(),
    "scaled by a number": lambda x: x * 2,
    "shifted by a number": lambda x: x + 1,
    "divided": lambda x: x / 2,
    "scaled sum": lambda x: torch.add(x, x.relu(), alpha=2),
    "sum that is broadcast": lambda x: x + x.mean((2, 3), keepdim=True),
    "stack": lambda x: torch.stack([x, x], 1),
    "other limits": lambda x: F.hardtanh(x),
    "steps": lambda x: x[:, :, 1::2],
    "mean of channels": lambda x: x.mean(1, keepdim=True),
    "batch folded": lambda x: x.reshape(-1, 5, 4).relu().reshape(x.shape),
    "scaled and shifted": lambda x: (3 - x) / 7 * 0.3 - 1.5,
    "sum with a factor for a number": lambda x: torch.add(x, 2, alpha=3),
    "product that is broadcast to fewer axes": lambda x: x * x.mean((0 + 2, 3))[:, :, None, None],
    "quotient": lambda x: x / (x.abs().sum(1, keepdim=True) + 1),
    "windows": lambda x: x[:, :, :4].reshape(-1, 6, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 6)
    .softmax(1).view(-1, 2, 2, 2, 2, 6).permute(0, 5, 1, 3, 2, 4).reshape(-1, 6, 4, 4),
    "heads in the batch": lambda x: (
        (q := x.flatten(2).reshape(-1, 3, 20)) @ q.transpose(1, 2)
    ).softmax(-1).reshape(-1, 2, 3, 3),
    "baddbmm": lambda x: torch.baddbmm(x[:, 0, :4], x[:, 1, :4], x[:, 2, :4], beta=0.5, alpha=2),
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x.relu()),
    "einsum with a stack": lambda x: torch.einsum("bchw,bchv->bcwv", x, x.tanh()),
    "variance": lambda x: x.var((1, 3)),
    "deviation": lambda x: x.std(2, unbiased=False, keepdim=True),
    "variance and mean": lambda x: torch.cat(torch.var_mean(x, 1, keepdim=True), 1),
    "norm": lambda x: F.normalize(x, dim=1),
    "norm of places": lambda x: x.norm(dim=(2, 3)),
    "sum of channels": lambda x: x.sum(1),
    "smallest": lambda x: x.amin((1, 2)),
    "largest, with places": lambda x: x.max(2)[0],
    "functions": lambda x: (x.abs() + 1).rsqrt().exp().log().square().sin().cos().erf().pow(3),
    "clamped": lambda x: x.clamp(-0.3, 0.4) + x.clamp(min=0.2) + x.clamp_max(0.1),
    "softplus": lambda x: F.softplus(x, 2) + F.mish(x) + F.logsigmoid(x) + F.softsign(x),
    "log_softmax": lambda x: x.log_softmax(1) + F.glu(torch.cat([x, x], 3), -1),
    "rolled": lambda x: x.roll((-2, 1), (2, 3)).roll(1, 1),
    "stacked last": lambda x: torch.stack([x, x.relu()], -1).sum(2),
    "pixel shuffle": lambda x: F.pixel_shuffle(torch.cat([x, x], 1), 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x[:, :, :4], 2),
    "unfold": lambda x: F.unfold(x, (3, 2), padding=1, stride=2),
    "rms norm": lambda x: F.rms_norm(x, (4,), eps=1e-3),
    "reflected padding": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "padding with a value": lambda x: F.pad(x, (1, 1), value=1),
    "aligned corners": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "batch rolled": lambda x: x.transpose(0, 1).relu().transpose(0, 1).roll(1, 1),
    "replicated padding": lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"),
    "a mask": masked,
    "hand-written swish": lambda x: x * torch.sigmoid(x),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    compare(Function(FUNCTIONS[name]), (6, 5, 4))


def test_a_shuffle_is_one_layer() -> None:
    network = compare(Function(FUNCTIONS["shuffle"]), (6, 5, 4))
    assert [str(node.layer) for node in network.layers] == ["channel_shuffle(3)"]


@pytest.mark.parametrize(
    ("shape", "kinds"), [((6,), ["fc"]), ((5, 6), ["permute", "pointwise", "permute"]), ((3, 5, 6), None)]
)
def test_linear_over_the_last_axis(shape: Shape, kinds: list[str] | None) -> None:
    network = compare(nn.Linear(6, 7), shape)
    assert kinds is None or [node.kind for node in network.layers] == kinds


def test_a_block_of_convnext_needs_no_permute() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 3, padding=1, groups=6)
            self.norm, self.up, self.down = nn.LayerNorm(6), nn.Linear(6, 24), nn.Linear(24, 6)
            self.scale = nn.Parameter(torch.randn(6))

        def forward(self, x: Any) -> Any:
            y = self.norm(self.conv(x).permute(0, 2, 3, 1))
            return x + (self.down(F.gelu(self.up(y))) * self.scale).permute(0, 3, 1, 2)

    kinds = [node.kind for node in compare(Block(), (6, 5, 4)).layers]
    assert kinds == ["conv", "layer_norm", "pointwise", "gelu", "pointwise", "layer_scale", "add"]


@FEW
@given(st.permutations([0, 1, 2]), st.permutations([0, 1, 2]), st.integers(-1, 2))
def test_axes_in_any_order(one: list[int], two: list[int], dim: int) -> None:
    """Two transpositions, a join in each layout, and a slice."""
    assume(dim != 0)
    first, second = ((0, *(axis + 1 for axis in order)) for order in (one, two))

    def function(x: Any) -> Any:
        y = x.permute(first)
        y = torch.cat([y, y.relu()], dim)
        z = y.permute(second).narrow(1, 0, 2)
        return (z + z.contiguous().tanh()).flatten(1)

    compare(Function(function), (6, 5, 4))


# --- What changes in place -----------------------------------------------------------------------------


def in_place(x: Any) -> Any:
    y = x.tanh()
    y += x
    y.mul_(x)
    return F.relu_(y)


def in_place_then_the_old_name(x: Any) -> Any:
    y = x.tanh()
    F.relu_(y)
    return y - x


def in_place_through_a_transposition(x: Any) -> Any:
    y = x.tanh()
    y.permute(0, 2, 3, 1).relu_()
    return y - x


@pytest.mark.parametrize("function", [in_place, in_place_then_the_old_name, in_place_through_a_transposition])
def test_changes_in_place(function: Callable[[Any], Any]) -> None:
    compare(Function(function), (6, 5, 4))


def through_a_slice(x: Any) -> Any:
    y = x.tanh()
    y[:, :2] += x[:, :2]
    return y.relu()


def through_a_copy(x: Any) -> Any:
    y = x.tanh()
    y[:, :2] = x[:, :2]
    return y.relu()


def what_is_sliced(x: Any) -> Any:
    y = x.tanh()
    part = y[:, :2]
    y.add_(x)
    return part.relu()


@pytest.mark.parametrize("function", [through_a_slice, through_a_copy, what_is_sliced])
def test_changes_of_a_part_are_not_lost(function: Callable[[Any], Any]) -> None:
    compare(Function(function), (6, 5, 4), opaque=True)


# --- Arrays of the model in other places ---------------------------------------------------------------


class Arrays(nn.Module):
    """Arrays that belong to no layer: tokens, positions, factors, tables and their indices."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {
            "token": (1, 1, 6),
            "position": (1, 21, 6),
            "gain": (),
            "factors": (6, 1, 1),
            "rows": (5, 1),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))
        self.table = nn.Parameter(torch.randn(9, 2))
        self.register_buffer("index", torch.randint(0, 9, (21, 21)))

    def forward(self, x: Any) -> Any:
        x = x * self.gain + self.rows / 2 - self.factors * x
        x = (
            torch.cat([self.token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
            + self.position
        )
        q = x.reshape(-1, 21, 2, 3).transpose(1, 2)
        scores = q @ q.transpose(-2, -1) + self.table[self.index.view(-1)].view(21, 21, 2).permute(2, 0, 1)
        return (scores.softmax(-1) @ q).transpose(1, 2).reshape(-1, 21, 6)[:, 0]


def test_arrays_in_arithmetic() -> None:
    network = compare(Arrays(), (6, 5, 4))
    assert archcalc.analyze(network).totals.buffers == 21 * 21


class StandardizedConv(nn.Conv2d):
    """As timm has it, with and without a gain."""

    def __init__(self, eps: float, gamma: float | None) -> None:
        super().__init__(6, 4, 3, groups=2)
        self.eps = eps
        self.gain = None if gamma is None else nn.Parameter(torch.rand(4, 1, 1, 1))
        self.scale = (gamma or 1) * 27**-0.5

    def forward(self, x: Any) -> Any:
        gain = None if self.gain is None else (self.gain * self.scale).view(-1)
        weight = F.batch_norm(
            self.weight.reshape(1, 4, -1), None, None, weight=gain, training=True, momentum=0.0, eps=self.eps
        )
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias, groups=2)


@pytest.mark.parametrize(("eps", "gamma"), [(1e-6, None), (1e-2, None), (1e-6, 1.0), (1e-5, 1.7)])
def test_standardized_weights(eps: float, gamma: float | None) -> None:
    network = compare(StandardizedConv(eps, gamma), (6, 5, 4))
    (node,) = network.layers
    assert getattr(node.layer, "weight", "") == ("standardized" if gamma is None else "scaled_standardized")


def test_weight_norm() -> None:
    compare(nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 3)), (6, 5, 4))


@pytest.mark.parametrize("make", [
    lambda: nn.LSTM(4, 7, 2, batch_first=True, bidirectional=True),
    lambda: nn.GRU(4, 7, batch_first=True, bias=False),
    lambda: nn.RNN(4, 7, nonlinearity="relu", batch_first=True),
])  # fmt: skip
@pytest.mark.parametrize("place", [0, 1])
def test_recurrent_layers(make: Callable[[], Any], place: int) -> None:
    layer = make()
    if place == 1 and layer.num_layers > 1:
        pytest.skip("archcalc does not have the last states of stacked layers")

    def function(x: Any, recurrent: Any) -> Any:
        found = recurrent(x)[place]
        return (found[0] if isinstance(found, tuple) else found).transpose(0, 1) if place else found

    network = archcalc.from_torch(Function(function, layer), (5, 4))
    assert "opaque" not in {node.kind for node in network.nodes}
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(p.numel() for p in layer.parameters())
    x = torch.randn(2, 5, 4)
    want = function(x, layer).detach().numpy()
    got = run(network, x.numpy(), network.trained(), batch=2)["output"]
    assert np.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("make", [
    lambda: Function(lambda x, layer: layer(x, x, x)[0], nn.MultiheadAttention(6, 2, batch_first=True)),
    lambda: Function(lambda x, layer: layer(x, x, x, need_weights=False)[0],
                     nn.MultiheadAttention(6, 3, batch_first=True)),
    lambda: nn.TransformerEncoderLayer(6, 2, 11, batch_first=True),
    lambda: nn.TransformerEncoderLayer(6, 2, 11, batch_first=True, norm_first=True, activation="gelu"),
])  # fmt: skip
def test_attention_modules(make: Callable[[], Any]) -> None:
    """PyTorch does not count the fast paths that it takes itself: products are counted by hand."""
    torch.manual_seed(0)
    module = make().double().eval()
    network = archcalc.from_torch(module, (5, 6))
    assert "opaque" not in {node.kind for node in network.nodes}
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(p.numel() for p in module.parameters())
    matrices = [p for p in module.parameters() if p.dim() == 2]
    assert totals.macs == 5 * sum(p.numel() for p in matrices) + 2 * 5 * 5 * 6
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        want = module(x).numpy()
    got = run(network, x.numpy(), network.trained(), batch=2, dtype=np.float64)["output"]
    assert np.allclose(got, want, rtol=1e-9, atol=1e-9)


# --- Repeated axes, windows, constants ------------------------------------------------------------------


class EvoNormS0(nn.Module):
    """Liu et al. 2020, Equation 4: `x * sigmoid(v * x) / std of groups * gamma + beta`."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.v, self.gamma, self.beta = (nn.Parameter(torch.randn(channels)) for _ in range(3))

    def forward(self, x: Any) -> Any:
        b, c, h, w = x.shape
        grouped = x.reshape(b, self.groups, c // self.groups, h, w)
        std = grouped.var(dim=(2, 3, 4), unbiased=False, keepdim=True).add(1e-5).sqrt()
        v, gamma, beta = (each.view(1, -1, 1, 1) for each in (self.v, self.gamma, self.beta))
        x = x * (x * v).sigmoid() / std.expand(grouped.shape).reshape(b, c, h, w)
        return x * gamma + beta


def test_evonorm() -> None:
    network = compare(EvoNormS0(12, 3), (12, 5, 4))
    assert "upsample" in [node.kind for node in network.layers]  # the deviations of groups, for each channel


@FEW
@given(
    st.permutations([0, 1, 2]),
    st.sets(st.integers(1, 3), min_size=1),
    st.sampled_from([(24,), (6, 4), (2, 12), (2, 3, 4), (4, 3, 2), (1, 24), (8, 3)]),
)
def test_repeated_axes_in_a_view(order: list[int], ones: set[int], want: tuple[int, ...]) -> None:
    """Means keep axes of size 1, which are repeated, moved and merged with others."""
    dims = (0, *(axis + 1 for axis in order))

    def function(x: Any) -> Any:
        mean = x.mean(tuple(ones), keepdim=True)
        y = mean.expand_as(x).permute(dims).reshape(-1, *want)
        return y + y.tanh() * x.reshape(-1, *want)

    compare(Function(function), (2, 3, 4))


def test_what_is_repeated_for_every_sample_elsewhere_is_opaque() -> None:
    """The batch is the second axis: the values of a sample are no axis of their own."""

    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.row = nn.Parameter(torch.randn(4))

        def forward(self, x: Any) -> Any:
            return x + (self.row * 2).unsqueeze(1).expand(-1, x.shape[0]).tanh().transpose(0, 1)

    network = compare(Repeated(), (4,), opaque=True)
    assert {node.shape for node in network.nodes if node.kind == "opaque"} == {(4,)}


def test_a_repeated_result() -> None:
    network = compare(Function(lambda x: x.mean(1, keepdim=True).expand(-1, 7, -1, -1)), (3, 5, 4))
    assert network.outputs["output"].shape == (7, 5, 4)


@FEW
@given(st.data())
def test_windows_along_axes(data: st.DataObject) -> None:
    """`Tensor.unfold`, once or twice, along any axes, of a tensor whose axes may have moved."""
    order = data.draw(st.permutations([1, 2, 3]))
    first, second = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=2, unique=True))
    (size1, step1), (size2, step2) = (
        data.draw(st.tuples(st.integers(1, 4), st.integers(1, 3))) for _ in "12"
    )

    def function(x: Any) -> Any:
        y = x.permute(0, *order).unfold(first, size1, step1)
        return y.unfold(second, size2, step2).tanh().flatten(1)

    compare(Function(function), (4, 6, 5))


def test_pieces_of_one_place_joined_along_another_axis() -> None:
    """As in bilinear attention: each value becomes a scaled identity matrix."""

    def function(x: Any) -> Any:
        x = x.reshape(-1, 3, 2, 1, 1) * torch.eye(4, dtype=x.dtype, device=x.device)
        x = torch.cat(torch.split(x, 1, dim=1), dim=3)
        x = torch.cat(torch.split(x, 1, dim=2), dim=4)
        return x.view(-1, 12, 8)

    network = compare(Function(function), (6,))
    assert {"slice", "concat"}.isdisjoint(node.kind for node in network.layers)
    assert archcalc.analyze(network).totals.buffers == 16


@pytest.mark.parametrize("shape", [(6,), (5, 6)])
def test_a_bias_that_is_computed(shape: Shape) -> None:
    layer = nn.Linear(6, 7)
    network = compare(Function(lambda x, fc: F.linear(x, fc.weight, fc.bias.tanh()), layer), shape)
    assert "add" in [node.kind for node in network.layers]


class AttentionPool(nn.Module):
    """A mean token, position embeddings that are resized where a model is exported, and attention (CLIP)."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, grid * grid + 1, 6))
        self.grid, self.qkv, self.out = grid, nn.Linear(6, 18), nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        b, _, h, w = x.shape
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], dim=1)
        grid = self.positions[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(h, w), mode="bicubic", antialias=True)
        x = x + torch.cat([self.positions[:, :1], grid.permute(0, 2, 3, 1).reshape(1, -1, 6)], dim=1)
        q, k, v = self.qkv(x).reshape(b, -1, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        x = (q @ k.transpose(-2, -1) * 3**-0.5).softmax(-1) @ v
        return self.out(x.transpose(1, 2).reshape(b, -1, 6))[:, 0]


@pytest.mark.parametrize(("grid", "opaque"), [(4, False), (3, True)])
def test_attention_pool(grid: int, opaque: bool) -> None:
    """At the usual size nothing is resized; at another one, only the resizing is not known."""
    network = compare(AttentionPool(grid), (6, 4, 4), opaque=opaque)
    assert [node.kind for node in network.nodes].count("opaque") == opaque


def in_two(x: Any, y: Any, attention: Any) -> Any:
    return attention(x, y, y, need_weights=False)[0]


def in_three(x: Any, y: Any, attention: Any) -> Any:
    return attention(x, y, y + 1, need_weights=False)[0]


def both_ways(x: Any, y: Any, attention: Any) -> Any:
    """The weights are cut twice, in the same way: each piece is used by two layers, and counted once."""
    x = x + attention(x, y, y, need_weights=False)[0]
    return y + attention(y, x, x, need_weights=False)[0]


@pytest.mark.parametrize("function", [in_two, in_three, both_ways])
def test_cross_attention(function: Callable[..., Any]) -> None:
    """The module has the weights of queries, keys and values in one array, and cuts it."""
    compare(Function(function, nn.MultiheadAttention(6, 2, batch_first=True)), (5, 6), (7, 6))


class CutWeight(nn.Module):
    def __init__(self, *cuts: tuple[int, int]) -> None:
        super().__init__()
        self.weight, self.bias, self.cuts = (
            nn.Parameter(torch.randn(9, 6)),
            nn.Parameter(torch.randn(9)),
            cuts,
        )

    def forward(self, x: Any) -> Any:
        return torch.cat([F.linear(x, self.weight[a:b], self.bias[a:b]) for a, b in self.cuts], 1)


@pytest.mark.parametrize(
    ("cuts", "opaque"),
    [
        ([(0, 4), (4, 9)], False),
        ([(4, 9), (0, 4), (0, 4)], False),
        ([(0, 4), (3, 9)], True),  # rows of two layers: counting both would be too much
        ([(0, 4), (5, 9)], True),  # a row of none
    ],
)
def test_rows_of_a_weight(cuts: list[tuple[int, int]], opaque: bool) -> None:
    compare(CutWeight(*cuts), (6,), opaque=opaque)


# --- What archcalc cannot say ---------------------------------------------------------------------------

OPAQUE: dict[str, Callable[..., Any]] = {
    "indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[1].to(x.dtype),
    "comparison": lambda x: (x > 0).to(x.dtype) * x,
}


@pytest.mark.parametrize("name", OPAQUE)
def test_what_cannot_be_said_is_opaque(name: str) -> None:
    network = compare(Function(OPAQUE[name]), (6, 5, 4), opaque=True)
    assert all(node.layer.op.startswith("aten.") for node in network.nodes if node.kind == "opaque")


def test_arrays_of_an_opaque_operation_are_counted_once() -> None:
    class Standardized(nn.Conv2d):
        def forward(self, x: Any) -> Any:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias) + F.conv2d(x, self.weight)

    compare(Standardized(6, 4, 3), (6, 5, 4), opaque=True)


def test_the_batch_may_be_anywhere() -> None:
    layer = nn.Linear(6, 6)
    network = compare(
        Function(lambda x, fc: fc(x.transpose(0, 1)).relu().transpose(0, 1), layer), (5, 6), opaque=False
    )
    assert "pointwise" in [node.kind for node in network.layers]


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_deformable_convolutions(bias: bool, has_mask: bool) -> None:
    """Without a bias, torchvision passes zeros to its operator."""
    ops = pytest.importorskip("torchvision.ops")

    class Deformed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset, self.mask = torch.nn.Conv2d(4, 8, 2), torch.nn.Conv2d(4, 4, 2)
            self.deform = ops.DeformConv2d(4, 6, 2, bias=bias)

        def forward(self, x: Any) -> Any:
            mask = torch.sigmoid(self.mask(x)) if has_mask else None
            return self.deform(x, self.offset(x), mask)

    network = archcalc.from_torch(Deformed().eval(), (4, 7, 8))
    assert network.is_complete
    assert network["deform"].facts.output == (6, 6, 7)
    assert archcalc.analyze(network).totals.params == 136 + 68 * has_mask + 96 + 6 * bias
