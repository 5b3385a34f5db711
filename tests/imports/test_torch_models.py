"""Networks of torchvision and timm: figures, shapes and values are those of PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archcalc
from archcalc.executor.execute import run
from archcalc.network import Network

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

CLASSIFIERS = [
    name
    for name in torchvision.models.list_models(module=torchvision.models)
    if not name.startswith(("vit", "swin", "maxvit"))
]
TRANSFORMERS = ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "maxvit_t"]
SHIFTED = ["swin_t", "swin_s", "swin_b"]
"""They compute masks, which are counted as buffers."""
SEGMENTERS = torchvision.models.list_models(module=torchvision.models.segmentation)

SAMPLE = [
    "resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "convnext_tiny", "googlenet",
    "lraspp_mobilenet_v3_large", "vit_b_16",
]  # fmt: skip
"""In a minute: residual, gated, shuffled, joined, channels last, with heads, with two sizes, attention."""

RUN = ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "convnext_tiny",
       "mnasnet0_5", "regnet_y_400mf", "efficientnet_b0", "alexnet", "lraspp_mobilenet_v3_large"]  # fmt: skip
ALL_RUN = [*RUN, *"""
densenet121 densenet169 efficientnet_b1 efficientnet_b2 efficientnet_v2_s googlenet inception_v3 mnasnet0_75
mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large regnet_x_400mf regnet_x_800mf regnet_x_1_6gf
regnet_y_800mf regnet_y_1_6gf resnet34 resnet50 resnet101 resnext50_32x4d shufflenet_v2_x1_0
shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 vgg11 vgg11_bn vgg13 wide_resnet50_2
deeplabv3_mobilenet_v3_large fcn_resnet50
""".split()]  # fmt: skip
"""41 networks, in ten minutes."""
SMALL = {"alexnet": 96, "inception_v3": 96}
"""The input is 64x64; where that is too small, so much."""


def build(name: str, device: str = "cpu") -> Any:
    more: dict[str, Any] = {}
    if name in SEGMENTERS:
        more = {"weights_backbone": None}
    elif name in ("googlenet", "inception_v3"):
        more = {"init_weights": False}
    try:
        with torch.device(device):
            return torchvision.models.get_model(name, weights=None, **more)
    except Exception:
        assert device == "meta"  # RegNets cannot be built there
        return build(name)


def compare(
    module: Any, shape: tuple[int, ...], computed: int = 0, network: Network | None = None
) -> Network:
    """The network of a module, after its figures were compared with PyTorch's own count."""
    from torch.utils.flop_counter import FlopCounterMode

    module.eval()
    network = network or archcalc.from_torch(module, shape)
    totals = archcalc.analyze(network, heads=True).totals
    assert totals.params == sum(each.numel() for each in module.parameters())
    counted = [each.numel() for name, each in module.named_buffers() if not name.endswith("batches_tracked")]
    assert totals.buffers == sum(counted) + computed

    shapes: dict[str, tuple[int, ...]] = {}

    def noted(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                folded = output.shape[0] > 1  # the windows of the sample, in the axis of the batch
                shapes.setdefault(name.replace(".", "/"), tuple(output.shape[0 if folded else 1 :]))

        return hook

    for name, each in module.named_modules():
        each.register_forward_hook(noted(name))
    device = next(module.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, *shape, device=device))
    assert archcalc.analyze(network).totals.macs == counter.get_total_flops() / 2
    seen = [node for node in network.layers if node.name in shapes]
    assert seen
    for node in seen:
        # where a module's map has its channels last, a layer has them first
        assert sorted(node.shape) == sorted(shapes[node.name]), node
    return network


def is_complete(network: Network) -> bool:
    return all(node.kind != "opaque" for node in network.nodes)


def input_shape(name: str) -> tuple[int, ...]:
    return (3, 299, 299) if name == "inception_v3" else (3, 224, 224)


@pytest.mark.parametrize("name", SAMPLE)
def test_torchvision(name: str) -> None:
    assert is_complete(compare(build(name, "meta"), input_shape(name)))


@pytest.mark.full
@pytest.mark.parametrize("name", [*CLASSIFIERS, *SEGMENTERS, *TRANSFORMERS])
def test_all_of_torchvision(name: str) -> None:
    assert is_complete(compare(build(name, "meta"), input_shape(name)))


def test_shifted_windows() -> None:
    """The masks are `(windows, 49, 49)`: of 64, 16 and 4 windows; the last stage has one, and no mask."""
    module = build("swin_t", "meta")
    masks = (64 + 16 + 3 * 4) * 49 * 49 - 2 * 4 * 49 * 49
    assert is_complete(compare(module, (3, 224, 224), computed=masks))


@pytest.mark.full
def test_what_is_opaque_in_swin_v2_has_no_multiply_adds() -> None:
    """It looks up biases in a table that it computes, and writes zeros over the biases of keys."""
    from torch.utils.flop_counter import FlopCounterMode

    module = build("swin_v2_t", "meta").eval()
    network = archcalc.from_torch(module, (3, 224, 224))
    totals = archcalc.analyze(network).totals
    assert totals.params == sum(each.numel() for each in module.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, 224, 224, device="meta"))
    assert totals.macs == counter.get_total_flops() / 2
    ops = {node.layer.op for node in network.nodes if node.kind == "opaque"}  # type: ignore[attr-defined]
    assert ops == {"aten.index", "aten.zero_"}


@pytest.mark.parametrize("name", RUN)
def test_executed_networks_equal_pytorch(name: str) -> None:
    check_values(name)


@pytest.mark.full
@pytest.mark.parametrize("name", ALL_RUN)
def test_all_executed_networks_equal_pytorch(name: str) -> None:
    check_values(name)


def check_values(name: str) -> None:
    """What a network computes is what PyTorch computes, in single and in double precision."""
    torch.manual_seed(0)
    module = build(name).eval()
    with torch.no_grad():
        for key, buffer in module.named_buffers():
            if key.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif key.endswith("running_mean"):
                buffer.normal_(0, 0.1)
    size = SMALL.get(name, 64)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        module = module.to(dtype)
        image = torch.randn(1, 3, size, size, dtype=dtype)
        with torch.no_grad():
            want = module(image)
        want = (want["out"] if isinstance(want, dict) else want).numpy()
        network = archcalc.from_torch(module, (3, size, size))
        assert network.trained is not None
        out = run(network, image.numpy(), network.trained(), dtype=want.dtype)["output"]
        assert np.abs(out - want).max() <= tolerance * np.abs(want).max()


def described(network: Network) -> list[Any]:
    nodes: list[Any] = [
        (
            n.name,
            n.layer,
            n.shape,
            n.origin,
            [i.name for i in n.inputs],
            n.facts.weights,
            n.shares and n.shares.name,
        )
        for n in network.nodes
    ]
    groups = [(group.name, group.kind, group.start, group.stop) for group in network.groups]
    return [nodes, groups, list(network.outputs), network.remarks]


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "lraspp_mobilenet_v3_large"])
@pytest.mark.parametrize("is_dynamic", [False, True])
def test_a_file_is_equal_to_the_direct_import(name: str, is_dynamic: bool, tmp_path: Path) -> None:
    module = build(name).eval()
    dynamic = ({0: torch.export.Dim("batch")},) if is_dynamic else None
    with torch.no_grad():
        image = torch.randn(2 if is_dynamic else 1, 3, 64, 64)
        program = torch.export.export(module, (image,), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / f"{name}.pt2")
    direct = archcalc.from_torch(module, (3, 64, 64), name=name)
    assert described(archcalc.load(tmp_path / f"{name}.pt2")) == described(direct)


@pytest.mark.parametrize(("batch", "is_dynamic"), [(1, False), (3, False), (2, True)])
def test_shifted_windows_are_read_from_files(batch: int, is_dynamic: bool, tmp_path: Path) -> None:
    """Masks are made by code: constants fill parts of an array, whose size may follow from the input's."""
    swin = pytest.importorskip("torchvision").models.SwinTransformer
    module = swin([4, 4], embed_dim=8, depths=[2], num_heads=[2], window_size=[3, 3]).eval()
    free = torch.export.Dim.AUTO
    dynamic = ({0: free, 2: free},) if is_dynamic else None
    program = torch.export.export(module, (torch.zeros(batch, 3, 48, 56),), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "swin.pt2")
    sizes = [(3, 48, 56), (3, 64, 56)] if dynamic else [(3, 48, 56)]
    for shape in sizes:
        network = archcalc.load(tmp_path / "swin.pt2", inputs=shape)
        assert network.is_complete
        direct = archcalc.analyze(archcalc.from_torch(module, shape)).totals
        found = archcalc.analyze(network).totals
        assert (found.params, found.macs, found.flops) == (direct.params, direct.macs, direct.flops)


# --- timm ---------------------------------------------------------------------------------------------

FAMILIES = """
byobnet convmixer convnext csatv2 cspnet densenet dla dpn efficientnet fasternet ghostnet hardcorenas hgnet
hrnet inception_next inception_resnet_v2 inception_v3 inception_v4 mambaout mobilenetv3 nasnet nfnet pnasnet
rdnet regnet repghost repvit res2net resnest resnet resnetv2 rexnet selecsls senet sknet starnet tresnet vgg
vovnet xception xception_aligned
""".split()
"""The modules of timm whose models are convolutional."""


def timm_sample(count: int) -> list[str]:
    timm = pytest.importorskip("timm")
    names = sorted({name for family in FAMILIES for name in timm.list_models(module=family)})
    return [names[place * len(names) // count] for place in range(count)]


def of_timm(name: str) -> bool:
    """Is the import of a model complete? Its parameters are right in any case, and all figures if it is."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        module = timm.create_model(name)
    shape = tuple(module.default_cfg["input_size"])
    network = archcalc.from_torch(module, shape)
    if not is_complete(network):
        unused = "not counted" in " ".join(network.remarks)
        params = archcalc.analyze(network, heads=True).totals.params
        assert unused or params == sum(each.numel() for each in module.parameters())
        return False
    compare(module, shape, COMPUTED.get(name, 0), network)
    return True


COMPUTED = {"bat_resnext26ts": 8 * 8 + 4 * 4 + 2 * 2}
"""Values that a model computes from sizes, which count as buffers: identity matrices here."""


@pytest.mark.parametrize(
    ("name", "complete"),
    [
        ("convnextv2_atto", True),
        ("repvgg_a0", True),
        ("res2net50_14w_8s", True),
        ("nf_resnet26", True),
        ("nfnet_l0", True),
        ("resnetv2_50x1_bit", True),
        ("skresnet18", True),
        ("resnest14d", True),
        ("vit_tiny_patch16_224", True),
        ("swin_tiny_patch4_window7_224", True),
        ("halonet26t", True),
        ("bat_resnext26ts", True),
        ("csatv2", False),  # it multiplies samples with one another
    ],
)
def test_timm(name: str, complete: bool) -> None:
    assert of_timm(name) == complete


@pytest.mark.full
def test_a_sample_of_timm() -> None:
    names = timm_sample(200)
    complete = [name for name in names if of_timm(name)]
    assert len(complete) >= 0.985 * len(names)  # 197 of 200


@pytest.mark.parametrize(
    ("name", "convention", "count"),
    [
        # printed by thop 0.1.1.post2209072238 and ptflops 0.7.5 with torchvision 0.29.1
        ("mobilenet_v2", "thop", 327_486_720),  # its pool is a function, which thop does not see
        ("densenet121", "thop", 2_897_007_104),
        ("densenet121", "ptflops-pytorch", 2_899_843_048),
    ],
)
def test_functions_that_a_model_calls_are_counted_as_tools_do(name: str, convention: str, count: int) -> None:
    network = archcalc.from_torch(build(name), (3, 224, 224))
    assert archcalc.analyze(network, convention=convention).count == count
