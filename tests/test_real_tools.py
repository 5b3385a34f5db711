"""The tables of conventions against the tools themselves, wherever these can be imported.

A tool is a row of `TOOLS`: how it is run on a PyTorch module. Each is run on single layers (the samples
of `samples.py`, and more), on archcalc's networks in PyTorch, and on torchvision's own; its totals, and
those of its layers where it tells them, must be what archcalc counts under its convention.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from measured import MORE, WRITTEN, alone, is_none_alone, written_so
from msgspec.structs import replace
from samples import SAMPLES, Sample, case, make
from test_conventions_torch import TORCHVISION

import archcalc
from archcalc.conventions import Counter, find
from archcalc.network import Network

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch_modules import inputs_of, to_torch  # noqa: E402

Counts = tuple[int, dict[str, int]]
"""A total, and the counts of modules by their names, as far as the tool tells them."""


Run = Callable[[nn.Module, tuple[Tensor, ...]], Counts]


class Tool(NamedTuple):
    """A convention, the package to import, how to run it, and what it raises of what it cannot run."""

    convention: str
    package: str
    run: Run
    refuses: tuple[type[Exception], ...] = ()


class AsOne(nn.Module):
    """A module of several inputs, for tools that hand over one argument."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, given: tuple[Tensor, ...]) -> Any:
        return self.module(*given)


# --- How tools are run ------------------------------------------------------------------------------


def flop_counter(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    """On the device `meta`, where attention and an LSTM are the products that they are made of."""
    from torch.utils.flop_counter import FlopCounterMode

    module.to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*(x.to("meta") for x in inputs))
    prefix = type(module).__name__ + "."
    found = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    layers = {name.removeprefix(prefix): n for name, n in found.items() if name.startswith(prefix)}
    return counter.get_total_flops(), layers


def flop_counter_training(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    """The same with the backward pass, from the sum of all results, if something is trained."""
    from torch.utils.flop_counter import FlopCounterMode

    module.to("meta")
    with FlopCounterMode(display=False) as counter:
        out = module(*(x.to("meta") for x in inputs))
        total = sum(x.sum() for x in (out if isinstance(out, tuple) else (out,)))
        if total.requires_grad:
            total.backward()
    return counter.get_total_flops(), {}


def halved(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    """torchvision's own counter is part of its tests: PyTorch's grew out of it, and counts double."""
    total, layers = flop_counter(module, inputs)
    return total // 2, {name: n // 2 for name, n in layers.items()}


def fvcore(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    layers = {name: int(n) for name, n in analysis.by_module().items() if name}
    return int(analysis.total()), layers


def fvcore_activations(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from fvcore.nn import ActivationCountAnalysis

    analysis = ActivationCountAnalysis(module, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    layers = {name: 4 * int(n) for name, n in analysis.by_module().items() if name}
    return 4 * int(analysis.total()), layers


def ptflops(backend: str) -> Callable[[nn.Module, tuple[Tensor, ...]], Counts]:
    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        from ptflops import get_model_complexity_info

        whole = module if len(inputs) == 1 else AsOne(module)
        total, _ = get_model_complexity_info(
            whole,
            tuple(inputs[0].shape[1:]),
            print_per_layer_stat=False,
            as_strings=False,
            input_constructor=lambda _: inputs[0] if len(inputs) == 1 else {"given": inputs},
            backend=backend,
        )
        return total, {}

    return run


def thop(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from thop import profile

    total, _, layers = profile(module, inputs, verbose=False, ret_layer_info=True)
    return int(total), {name: int(found[0]) for name, found in layers.items()}


def torchinfo(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from torchinfo import summary

    found = summary(module, input_data=inputs, verbose=0)
    layers = {info.var_name: info.macs for info in found.summary_list if info.is_leaf_layer}
    return found.total_mult_adds, layers


def torchinfo_memory(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from torchinfo import summary

    found = summary(module, input_data=inputs, verbose=0)
    layers = {
        info.var_name: 2 * info.output_bytes if info.num_params else 0
        for info in found.summary_list
        if info.is_leaf_layer
    }
    return found.total_output_bytes, layers


def torchprofile(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    from torchprofile import profile_macs

    return profile_macs(module, inputs), {}


def calflops(what: str) -> Run:
    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        from calflops import calculate_pipline, utils

        count = getattr(utils, f"get_module_{what}")
        pipeline = calculate_pipline.CalFlopsPipline(module, False, 2.0)
        pipeline.start_flops_calculate(None)
        try:
            module(*inputs)
            return count(module), {name: count(layer) for name, layer in module.named_modules() if name}
        finally:
            pipeline.end_flops_calculate()

    return run


def calflops_training(number: int) -> Run:
    """Its FLOPs (0) or MACs (1) with the backward pass."""

    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        from calflops import calculate_flops

        calflops("flops")(module, inputs)  # it stops here at what it fails on, and leaves PyTorch as it was
        if not list(module.parameters()):
            module.register_parameter("unused", nn.Parameter(torch.zeros(1)))  # it asks for their device
        totals = calculate_flops(
            module,
            args=list(inputs),
            include_backPropagation=True,
            print_results=False,
            output_as_string=False,
        )
        return int(totals[number]), {}

    return run


def torchscan(metric: str) -> Run:
    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        from torchscan import crawl_module

        report = crawl_module(module, args=inputs)
        layers: dict[str, int] = {}
        for layer in report["layers"]:
            if metric in layer["metrics"]:
                found = layer["metrics"][metric]["known_value"] or 0
                layers[layer["path"]] = layers.get(layer["path"], 0) + int(found)
        return int(report["totals"][metric]["known_value"]), layers

    return run


def torchstat(column: str, unit: int = 1) -> Run:
    """Its report is not printed: that takes an older pandas."""

    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        from torchstat import ModelHook

        (image,) = inputs
        calls = {type(layer): type(layer).__call__ for layer in module.modules()}
        try:
            leaves = ModelHook(module, tuple(image.shape[1:])).retrieve_leaf_modules()
        finally:
            for kind, call in calls.items():
                kind.__call__ = call
        layers = {name: round(unit * float(getattr(leaf, column))) for name, leaf in leaves.items()}
        return sum(layers.values()), layers

    return run


def torchsummary(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    """It prints mebibytes to two places; here are the sizes that it prints, row by row."""
    from torchsummary import summary

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            summary(module, [tuple(x.shape[1:]) for x in inputs], 1, "cpu")
        except AttributeError as problem:
            if "numpy" not in str(problem):  # it cannot print that there are no parameters
                raise
    if "[[" in printed.getvalue():
        pytest.skip("of several outputs it multiplies the sizes with each other")
    rows = re.findall(r"^ *\S+-\d+ +\[([\d, ]+)\]", printed.getvalue(), re.MULTILINE)
    return sum(2 * 4 * math.prod(map(int, row.split(","))) for row in rows), {}


def onnx_tool(training: str) -> Run:
    def run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
        import onnx
        from onnx_tool import Model

        file = io.BytesIO()
        mode = getattr(torch.onnx.TrainingMode, training)
        torch.onnx.export(module, inputs, file, dynamo=False, training=mode)
        graph = Model(onnx.load_from_string(file.getvalue())).graph
        graph.shape_infer()
        graph.profile()
        return int(graph.macs[0]), {}

    return run


NOT_EXPORTED = (NotImplementedError, torch.onnx.errors.OnnxExporterError)
"""Of operators that onnx-tool does not know, and of those that PyTorch cannot write."""

ONE_TENSOR = (ValueError, AttributeError)
"""Of networks with several inputs, and of layers that give several tensors."""

TOOLS = [
    Tool("torch-flop-counter", "torch", flop_counter),
    Tool("torch-flop-counter-training", "torch", flop_counter_training),
    Tool("torchvision", "torch", halved),
    Tool("fvcore", "fvcore", fvcore),
    Tool("fvcore-activations", "fvcore", fvcore_activations),
    Tool("ptflops-pytorch", "ptflops", ptflops("pytorch")),
    Tool("ptflops-aten", "ptflops", ptflops("aten")),
    Tool("thop", "thop", thop),
    Tool("torchinfo", "torchinfo", torchinfo),
    Tool("torchinfo-memory", "torchinfo", torchinfo_memory),
    Tool("torchprofile", "torchprofile", torchprofile),
    Tool("calflops", "calflops", calflops("macs"), (TypeError,)),
    Tool("calflops-flops", "calflops", calflops("flops"), (TypeError,)),
    Tool("calflops-training", "calflops", calflops_training(1), (TypeError,)),
    Tool("calflops-flops-training", "calflops", calflops_training(0), (TypeError,)),
    Tool("torchscan", "torchscan", torchscan("macs")),
    Tool("torchscan-flops", "torchscan", torchscan("module_flops")),
    Tool("torchstat", "torchstat", torchstat("Flops"), ONE_TENSOR),
    Tool("torchstat-madd", "torchstat", torchstat("MAdd"), ONE_TENSOR),
    Tool("torchstat-memory", "torchstat", torchstat("inference_memory", 2**20), ONE_TENSOR),
    Tool("torchsummary", "torchsummary", torchsummary, (AttributeError,)),
    Tool("onnx-tool", "onnx_tool", onnx_tool("EVAL"), NOT_EXPORTED),
    Tool("onnx-tool-unfolded", "onnx_tool", onnx_tool("PRESERVE"), NOT_EXPORTED),
]


@pytest.fixture(scope="module", params=TOOLS, ids=[tool.convention for tool in TOOLS])
def tool(request: pytest.FixtureRequest) -> Tool:
    found: Tool = request.param
    if found.package != "torch":
        torchvision_or_none()  # some of the tools import it
    pytest.importorskip(found.package)
    return found


@cache
def torchvision_or_none() -> Any:
    """torchvision, if it is there; also where its compiled operators, which no network here needs, do not
    load because PyTorch was built otherwise: it stumbles over what it registers for them."""
    try:
        import torchvision
    except ImportError:
        return None
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = ModuleType("_meta_registrations")
        import torchvision
    return torchvision


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


# --- What they are run on ---------------------------------------------------------------------------

NETWORKS = (
    "vgg16 alexnet_owt resnet50 resnet50_v1_5 mobilenet_v1 mobilenet_v2 densenet121 googlenet_torchvision "
    "squeezenet1_0_torchvision se_resnet50 shufflenet_v2_x1_0 mobilenet_v3_small efficientnet_b0 "
    "convnext_tiny convnextv2_atto lp_pooling deconvnet"
).split()


def run(tool: Tool, module: nn.Module, inputs: tuple[Tensor, ...]) -> Counts:
    """As tools are run: with gradients, unless they switch them off, for without them PyTorch has operators
    for self-attention that most do not know."""
    with quietly():
        try:
            return tool.run(module, inputs)
        except tool.refuses as problem:
            pytest.skip(f"{type(problem).__name__}: {problem}")


def made(build: Callable[[], nn.Module]) -> nn.Module:
    """A module whose weights are zeros: drawing them would take longer than running it."""
    with torch.device("meta"), quietly():
        module = build()
    module.to_empty(device="cpu")
    with torch.no_grad():
        for values in (*module.parameters(), *module.buffers()):
            values.zero_()
    return module.eval()


@pytest.mark.parametrize("sample", [*SAMPLES, *MORE], ids=str)
def test_single_layers(tool: Tool, sample: Sample) -> None:
    if is_none_alone(sample):
        pytest.skip("no layer that a tool can be run on alone; see the networks")
    network = alone(sample)
    assert network.outputs["output"].shape == sample.output
    try:
        module = made(lambda: to_torch(network))
    except NotImplementedError as problem:
        pytest.skip(str(problem))
    total, _ = run(tool, module, inputs_of(network))
    assert archcalc.analyze(network, convention=tool.convention).count == total


@pytest.mark.parametrize("code", WRITTEN)
def test_what_is_not_a_module_of_torch_nn(tool: Tool, code: str) -> None:
    network = written_so(code)
    total, _ = run(tool, made(lambda: to_torch(network)), inputs_of(network))
    assert archcalc.analyze(network, convention=tool.convention).count == total


def apart(network: Network, name: str) -> dict[str, int]:
    """What a convention counts of each layer as a module of its own: there are no blocks around them here,
    and none is called twice."""
    profile = archcalc.analyze(network, convention=name)
    counter = Counter(replace(find(name), containers=None), network)
    return {layer.name: profile.per_count * counter(layer.node) for layer in profile}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(tool: Tool, name: str) -> None:
    network = archcalc.load(name)
    total, found = run(tool, made(lambda: to_torch(network, logits=True)), inputs_of(network))
    layers = {name.replace(":", "/"): count for name, count in found.items()}
    counts = apart(network, tool.convention)
    assert {name: counts[name] for name in layers if name in counts} == {
        name: count for name, count in layers.items() if name in counts
    }
    assert sum(counts.values()) == total


NOT_THEIRS = {
    # Inception's pools and pairs of convolutions are blocks here; torchvision has no modules for them
    "inception_v3": {"torchsummary"},
    # torchvision writes its pointwise convolutions as `Linear`, of maps with their channels last, and has
    # stochastic depth: modules that these tools count in another way
    "convnext_tiny": {
        *("torchinfo", "torchsummary", "calflops-flops", "torchscan-flops"),
        *("torchstat", "torchstat-madd", "torchstat-memory"),
    },
}


@pytest.mark.parametrize("spec", TORCHVISION)
def test_torchvision_own_networks(tool: Tool, spec: str) -> None:
    torchvision = torchvision_or_none()
    if torchvision is None:
        pytest.skip("no torchvision")
    if tool.convention in NOT_THEIRS.get(spec, ()):
        pytest.skip("its modules are others")
    theirs = TORCHVISION[spec]
    module = made(lambda: getattr(torchvision.models, theirs.name)(**theirs.arguments))
    total, _ = run(tool, module, (torch.rand(1, 3, theirs.size, theirs.size),))
    assert archcalc.analyze(archcalc.load(spec), convention=tool.convention).count == total


SIZES = {"torchprofile": 1, "onnx-tool": 6, "onnx-tool-unfolded": 6}
"""What tools count of torchvision's ViT-B/16 alone: products of sizes are operators of a trace."""

STOPS = ("torchsummary", "torchstat", "torchstat-madd", "torchstat-memory")
"""At attention, which gives two tensors, and at a tensor of tokens."""


def test_a_vision_transformer(tool: Tool) -> None:
    """Of torchvision, whose layers over tokens are linear ones, and of archcalc's network in PyTorch."""
    torchvision = pytest.importorskip("torchvision")
    network = archcalc.load("vit_b_16")
    plain = replace(network, written={})
    count = archcalc.analyze(plain, convention=tool.convention).count
    if tool.convention != "torchsummary":  # it runs two images, and the class token is one
        total, _ = run(tool, made(lambda: to_torch(plain, logits=True)), inputs_of(plain))
        assert count == total
    if tool.convention not in STOPS:
        theirs = archcalc.analyze(network, convention=tool.convention).count
        total, _ = run(tool, made(torchvision.models.vit_b_16), inputs_of(network))
        assert theirs is not None
        assert total - theirs == SIZES.get(tool.convention, 0)


TRANSFORMERS = {
    "swin_t": lambda: pytest.importorskip("torchvision").models.swin_t(),
    "maxvit_t": lambda: pytest.importorskip("torchvision").models.maxvit_t(),
    "deit_tiny": lambda: pytest.importorskip("timm").create_model("deit_tiny_patch16_224"),
}
"""Linear layers over tokens. Swin calls `Tensor.matmul`, MaxViT `torch.einsum`, and DeiT is timm's."""

MORE_OF_A_TRACE = {
    # products of sizes, in each attention: they are operators of a trace
    ("torchprofile", "swin_t"): 2 * 12,
    ("torchprofile", "maxvit_t"): 22,
    ("onnx-tool", "maxvit_t"): 8 * 22,
    ("onnx-tool-unfolded", "maxvit_t"): 8 * 22,
    ("onnx-tool", "deit_tiny"): 6,  # the class token has the batch's size
    ("onnx-tool-unfolded", "deit_tiny"): 6,
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_as_they_are_published(tool: Tool, name: str) -> None:
    if tool.convention in STOPS:
        pytest.skip("stops, or lists the modules around layers")
    if name == "swin_t" and tool.convention.startswith("onnx-tool"):
        pytest.skip("the masks of shifted windows are computed in the exported graph")
    network = archcalc.load(name)
    total, _ = run(tool, made(TRANSFORMERS[name]), inputs_of(network))
    count = archcalc.analyze(network, convention=tool.convention).count
    assert count is not None
    assert total - count == MORE_OF_A_TRACE.get((tool.convention, name), 0)


EXACT = ("thop", "torchinfo", "torchinfo-memory", "torchscan", "fvcore", "torch-flop-counter", "torchvision")
"""Tools whose counts of ConvNeXt do not depend on how linear layers over places are written."""


def test_linear_layers_over_places(tool: Tool) -> None:
    """torchvision's ConvNeXt has modules for them."""
    torchvision = pytest.importorskip("torchvision")
    if tool.convention not in EXACT:
        pytest.skip("counts something of ConvNeXt in another way")
    network = archcalc.load("convnext_tiny")
    total, _ = run(tool, made(torchvision.models.convnext_tiny), inputs_of(network))
    assert archcalc.analyze(network, convention=tool.convention).count == total


def test_without_gradients_self_attention_is_an_operator_that_tools_do_not_know(tool: Tool) -> None:
    """PyTorch fuses it if the number of heads is even, and nothing is left for these tools to see."""
    unknown = ("fvcore", "fvcore-activations", "ptflops-aten", "calflops", "calflops-flops")
    if tool.convention not in unknown:
        pytest.skip("counts modules, or stops")
    network = alone(case(make("attention", 2), (8, 7), (8, 7), ""))
    with torch.no_grad():
        total, _ = run(tool, made(lambda: to_torch(network)), inputs_of(network))
    assert total == 0


PUBLISHED = (
    "vgg11 vgg11_bn vgg13 vgg16 vgg19 vgg19_bn resnet18 resnet34 resnext50_32x4d resnext101_32x8d "
    "resnext101_64x4d wide_resnet50_2 wide_resnet101_2 densenet121 densenet161 densenet169 densenet201 "
    "inception_v3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small convnext_tiny convnext_small "
    "convnext_base convnext_large efficientnet_b0 efficientnet_b1 efficientnet_b3 efficientnet_b4 "
    "efficientnet_b5 efficientnet_b6 efficientnet_b7 vit_b_16 vit_b_32 vit_l_16 swin_t swin_s "
    "maxvit_t"
).split()


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        *((name, name) for name in PUBLISHED),
        *((f"resnet{depth}", f"resnet{depth}_v1_5") for depth in (50, 101, 152)),
        *((name, f"{name}_torchvision") for name in ("googlenet", "squeezenet1_0", "squeezenet1_1")),
        *((f"shufflenet_v2_{x}", f"shufflenet_v2_{x}_torchvision") for x in ("x0_5", "x1_0", "x1_5", "x2_0")),
        ("alexnet", "alexnet_owt"),
        ("efficientnet_b2", "efficientnet_b2?resolution=288"),  # the paper's has 260
    ],
)
def test_what_torchvision_publishes(name: str, spec: str) -> None:
    torchvision = torchvision_or_none()
    if torchvision is None:
        pytest.skip("no torchvision")
    count = archcalc.analyze(archcalc.load(spec), convention="torchvision").count
    for weights in torchvision.models.get_model_weights(name):
        if not weights.name.startswith("IMAGENET1K_SWAG_E2E"):  # of another resolution
            assert round(count / 10**9, 3) == weights.meta["_ops"]


# --- Imported models ---------------------------------------------------------------------------------

IMPORTED = (
    "mobilenet_v2 densenet121 googlenet inception_v3 shufflenet_v2_x0_5 efficientnet_b0 mobilenet_v3_small "
    "convnext_tiny mnasnet0_5 squeezenet1_0 regnet_x_400mf vgg11_bn"
).split()


CALLS = ("torchstat", "torchstat-madd", "torchstat-memory", "torchsummary", "torchscan-flops")
"""Tools that also look at repeated calls of a module, or at the modules around a layer."""


@pytest.mark.parametrize("name", IMPORTED)
def test_models_of_torchvision_as_they_are_imported(tool: Tool, name: str) -> None:
    """Functions that a model calls are known from its export, so the counts are those of the tools."""
    if tool.convention in CALLS:
        pytest.skip("an export does not say what it looks at")
    torchvision = pytest.importorskip("torchvision")
    module = getattr(torchvision.models, name)().eval()
    network = archcalc.from_torch(module, (3, 224, 224))
    total, _ = run(tool, made(lambda: module), (torch.randn(1, 3, 224, 224),))
    assert archcalc.analyze(network, convention=tool.convention).count == total
