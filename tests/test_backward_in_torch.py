"""The backward pass of every kind that PyTorch has too, against its autograd.

Gradients are compared in double precision, in training, over all arguments; also where values are equal or
lie on the kink of a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from backward_checks import Applied
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_kernels import layer_of

from archcalc import NetworkBuilder
from archcalc.executor.backward import Back, run_backward
from archcalc.executor.backward.register import BACKWARD
from archcalc.executor.kernel import computing
from archcalc.layers import KINDS, Layer, LayerError
from archcalc.layers.backward import Needs
from archcalc.layers.computed import COMPUTED
from archcalc.network import Node
from archcalc.shape import Shape

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402
from torch_modules import STEPS, to_torch  # noqa: E402

Arrays = dict[str, Tensor]

# --- The arrays of a layer as the parameters of its module ---------------------------------------------


def _output_first(weight: Tensor) -> Tensor:
    return weight.movedim((-1, -2), (0, 1))


def _convolution(node: Node, w: Arrays) -> Arrays:
    if node.kind == "depthwise":
        moved = w["weight"].movedim(-1, 0).unsqueeze(1)
    elif node.kind == "conv_transpose":
        moved = w["weight"].movedim((-2, -1), (0, 1))
    else:
        moved = _output_first(w["weight"])
    others = {"bias": w["bias"]} if "bias" in w else {}
    return {**_weight(node.layer, moved, w), **others}


def _weight(layer: Any, weight: Tensor, w: Arrays) -> Arrays:
    """A weight, output channels first, as it is or as a parametrization of PyTorch or timm computes it."""
    way, outputs = getattr(layer, "weight", "own"), len(weight)
    ones = (1,) * (weight.dim() - 1)
    if way == "weight_norm":
        names = ("original0", "original1")
        arrays: tuple[Tensor, ...] = (w["gain"].reshape(-1, *ones), weight)
    elif way == "spectral_norm":
        names = ("original", "0._u", "0._v")
        v = w["v"].movedim(-1, 0) if w["v"].dim() == weight.dim() - 1 else w["v"]
        arrays = (weight, w["u"], v.reshape(-1))
    elif way in ("standardized", "scaled_standardized"):  # as timm's `StdConv2d` and `ScaledStdConv2d`
        gain = w["gain"] * weight[0].numel() ** -0.5 if way == "scaled_standardized" else None
        computed = nn.functional.batch_norm(
            weight.reshape(1, outputs, -1), None, None, gain, training=True, momentum=0.0, eps=1e-6
        )
        return {"weight": computed.reshape(weight.shape)}
    else:
        return {"weight": weight}
    return {f"parametrizations.weight.{name}": array for name, array in zip(names, arrays, strict=True)}


def _recurrent(node: Node, w: Arrays) -> Arrays:
    return {name: array.T if array.dim() == 2 else array for name, array in w.items()}


def _attention(node: Node, w: Arrays) -> Arrays:
    names = ("query", "key", "value")
    found = {"out_proj.weight": w["output"].T}
    if node.facts.inputs[0][0] == node.facts.inputs[-1][0]:
        found["in_proj_weight"] = torch.cat([w[name].T for name in names])
    else:
        found |= {f"{name[0]}_proj_weight": w[name].T for name in names}
    if "query_bias" in w:
        found["in_proj_bias"] = torch.cat([w[f"{name}_bias"] for name in names])
        found["out_proj.bias"] = w["output_bias"]
    return found


def _as_they_are(node: Node, w: Arrays) -> Arrays:
    return w


MODULES: dict[str, Callable[[Node, Arrays], Arrays]] = {
    **dict.fromkeys(("conv", "depthwise", "pointwise", "conv_transpose", "deform_conv", "fc"), _convolution),
    **dict.fromkeys(("lstm", "gru", "rnn"), _recurrent),
    "attention": _attention,
}


def parameters_of(node: Node, module: nn.Module, w: Arrays) -> Arrays:
    """All parameters and buffers of a module with one layer, from the layer's arrays."""
    name = node.name.replace("/", ":")
    if f"{name}:0" in dict(module.named_parameters()):  # a list of them
        shapes = [parameter.shape for parameter in module.parameters()]
        pairs = zip(w.values(), shapes, strict=True)
        return {f"{name}:{i}": array.reshape(shape) for i, (array, shape) in enumerate(pairs)}
    return {f"{name}.{key}": array for key, array in MODULES.get(node.kind, _as_they_are)(node, w).items()}


# --- The same in PyTorch --------------------------------------------------------------------------------


def in_torch(layer: Layer, shapes: tuple[Shape, ...], applied: Applied) -> tuple[np.ndarray, dict[Any, Any]]:
    """The output and the gradients by PyTorch, all with their axes as ours."""
    build = NetworkBuilder("alone")
    node = build.add(layer, *(build.input(shape, f"x{index}") for index, shape in enumerate(shapes)))
    module = to_torch(build.finish(node)).double().train()
    way = getattr(layer, "weight", "own")
    if way in ("weight_norm", "spectral_norm"):
        owner = module.get_submodule(node.name)
        getattr(parametrizations, way)(owner)
        owner.eval()  # its vectors stay as they are
    inputs = [torch.from_numpy(x).requires_grad_() for x in applied.inputs]
    weights = {name: torch.from_numpy(array.copy()) for name, array in applied.weights.items()}
    for name in trained_of(applied):
        weights[name].requires_grad_()
    given = parameters_of(node, module, weights)
    out = torch.func.functional_call(module, given, tuple(x.movedim(-1, 1) for x in inputs))
    last = out.movedim(1, -1)
    (last * torch.from_numpy(applied.gradient)).sum().backward()
    leaves = {**dict(enumerate(inputs)), **weights}
    gradients = {key: torch.zeros_like(x) if x.grad is None else x.grad for key, x in leaves.items()}
    return last.detach().numpy(), {key: gradient.numpy() for key, gradient in gradients.items()}


def trained_of(applied: Applied) -> frozenset[str]:
    return frozenset(weight.name for weight in applied.facts.weights if weight.role != "buffer")


def ours(applied: Applied) -> dict[Any, Any]:
    layer = applied.layer
    trained = trained_of(applied)
    wanted = (not layer.stops_gradients,) * len(applied.facts.inputs)
    back = Back(
        applied.gradient, applied.inputs, applied.out, applied.kept, applied.weights, Needs(wanted, trained)
    )
    with computing():
        sent, arrays = run_backward(layer, back)
    inputs = {i: array for i, array in enumerate(sent) if wanted[i] and array is not None}
    return {**inputs, **{name: arrays[name] for name in trained}}


LEFT_OUT = {
    "dropout": "what it drops is chance",
    "drop_path": "what it drops is chance",
    "maxunpool": "PyTorch sends gradients to values over which others were written, too",
}
"""These have tests of their own."""

ROUGH = {"hardsigmoid": 1e-7}
"""PyTorch has the slope of one sixth in single precision."""


def differs_there(layer: Any, shapes: tuple[Shape, ...], rounded: bool) -> bool:
    """Is PyTorch's gradient another one, and not the slope?

    Bicubic to the same size, its backward pass ignores the factor, and its own `gradcheck` fails. A pool of
    norm 1, which is a sum, sends nothing where the sum is 0.
    """
    if layer.kind == "upsample":
        return layer.mode == "bicubic" and layer.output_shape(*shapes) == shapes[0]
    return rounded and layer.kind == "lppool" and layer.norm_type == 1


DONE = sorted({kind.kind for kind in BACKWARD} & STEPS.keys() - LEFT_OUT.keys())


def close(actual: np.ndarray, expected: np.ndarray, relative: float = 1e-9) -> None:
    numbers = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(numbers.max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * scale)


def compare(kind: str, rounded: bool, examples: int, **arguments: object) -> None:
    """Draw layers of a kind, give them these arguments, and compare."""
    if kind == "deform_conv":
        pytest.importorskip("torchvision")

    @settings(
        deadline=None,
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(layer_of(kind), st.integers(0, 5))
    def holds(case: Any, seed: int) -> None:
        layer, shapes = case
        try:
            layer = replace(layer, **arguments)
        except LayerError:
            assume(False)
        assume(not differs_there(layer, shapes, rounded))
        applied = Applied(layer, shapes, seed, rounded)
        assume(np.isfinite(applied.out).all())
        try:
            out, expected = in_torch(layer, shapes, applied)
        except (NotImplementedError, ValueError, RuntimeError) as problem:
            refused.append(str(problem))
            assume(False)
        close(applied.out, np.broadcast_to(out, applied.out.shape))
        for key, gradient in ours(applied).items():
            close(gradient, expected[key], relative=ROUGH.get(kind, 1e-9))
        compared.append(layer)

    compared: list[Any] = []
    refused: list[str] = []
    holds()
    assert len(compared) >= examples // 2, set(refused)


@pytest.mark.parametrize("rounded", [False, True], ids=["", "rounded"])
@pytest.mark.parametrize("kind", DONE)
def test_gradients(kind: str, rounded: bool) -> None:
    compare(kind, rounded, 40 if KINDS[kind].parameters else 10)


@pytest.mark.parametrize("way", COMPUTED)
@pytest.mark.parametrize("kind", ["conv", "depthwise", "pointwise", "fc"])
def test_computed_weights(kind: str, way: str) -> None:
    """The gradients of the arrays behind a computed weight. Vectors of a spectral norm are constants."""
    compare(kind, rounded=False, examples=30, weight=way)
