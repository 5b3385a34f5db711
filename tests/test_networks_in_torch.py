"""Built-in networks whose figures come from programs: built in PyTorch, and counted by its own counter."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

import archcalc

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def torchvision_model(name: str) -> nn.Module:
    return getattr(pytest.importorskip("torchvision").models, name)()


def timm_model(name: str) -> nn.Module:
    return pytest.importorskip("timm").create_model(name)


def deformable_flops(x: Any, weight: Any, *args: Any, out_shape: Any, **kwargs: Any) -> int:
    """FLOPs of a deformable convolution, which PyTorch's counter does not know: those of a convolution."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def counted(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """The trained parameters, and the MACs of convolutions and products of matrices."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    rules = {torch.ops.torchvision.deform_conv2d: deformable_flops} if "torchvision" in sys.modules else {}
    counter = FlopCounterMode(display=False, custom_mapping=rules)
    with counter, sdpa_kernel(SDPBackend.MATH):
        model.eval()(torch.zeros(1, *shape))
    params = sum(array.numel() for array in model.parameters() if array.requires_grad)
    return params, counter.get_total_flops() // 2


def conv_bn(conv: nn.Module) -> nn.Sequential:
    norm = nn.BatchNorm3d if isinstance(conv, nn.Conv3d) else nn.BatchNorm2d
    return nn.Sequential(conv, norm(conv.out_channels))


class NonLocal(nn.Module):
    """Wang et al. 2018, Figure 2, with the subsampling of Section 3.3."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv3d(c, c // 2, 1) for _ in range(3))
        self.out = conv_bn(nn.Conv3d(c // 2, c, 1))
        self.pool = nn.MaxPool3d((1, 2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.pool(x)
        theta, phi, g = self.theta(x).flatten(2), self.phi(pooled).flatten(2), self.g(pooled).flatten(2)
        scores = (theta.transpose(1, 2) @ phi / theta.shape[1] ** 0.5).softmax(2)
        y = (g @ scores.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.out(y)


class VideoBottleneck(nn.Module):
    def __init__(self, before: int, c: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            conv_bn(nn.Conv3d(before, c, 1, bias=False)),
            nn.ReLU(),
            conv_bn(nn.Conv3d(c, c, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)),
            nn.ReLU(),
            conv_bn(nn.Conv3d(c, 4 * c, 1, bias=False)),
        )
        self.shortcut = nn.Identity()
        if before != 4 * c:
            self.shortcut = conv_bn(nn.Conv3d(before, 4 * c, 1, (1, stride, stride), bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.convs(x) + self.shortcut(x)).relu()


def c2d_resnet50(non_local: bool) -> nn.Sequential:
    """Wang et al. 2018, Table 1, with non-local blocks in res3 and res4, one after every two blocks."""
    layers = [
        conv_bn(nn.Conv3d(3, 64, (1, 7, 7), 2, (0, 3, 3), bias=False)),
        nn.ReLU(),
        nn.MaxPool3d(3, 2, 1),
    ]
    before = 64
    for stage, (c, n) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        if stage == 1:
            layers.append(nn.MaxPool3d((3, 1, 1), (2, 1, 1), (1, 0, 0)))
        for i in range(n):
            layers.append(VideoBottleneck(before, c, 2 if stage and i == 0 else 1))
            before = 4 * c
            if non_local and stage in (1, 2) and i % 2:
                layers.append(NonLocal(before))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2048, 400))


class MeanShift(nn.Module):
    def __init__(self, sign: int) -> None:
        super().__init__()
        self.register_buffer("mean", sign * torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mean


class SuperResolutionBlock(nn.Module):
    """Lim et al. 2017, Figure 2c."""

    def __init__(self, f: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.convs = nn.Sequential(nn.Conv2d(f, f, 3, padding=1), nn.ReLU(), nn.Conv2d(f, f, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.convs(x) * self.factor


class EDSR(nn.Module):
    """Lim et al. 2017, Figure 3, to 4 times the size."""

    def __init__(self, b: int, f: int, factor: float) -> None:
        super().__init__()
        self.head = nn.Sequential(MeanShift(-1), nn.Conv2d(3, f, 3, padding=1))
        blocks = (SuperResolutionBlock(f, factor) for _ in range(b))
        self.body = nn.Sequential(*blocks, nn.Conv2d(f, f, 3, padding=1))
        twice = (layer for _ in range(2) for layer in (nn.Conv2d(f, 4 * f, 3, padding=1), nn.PixelShuffle(2)))
        self.tail = nn.Sequential(*twice, nn.Conv2d(f, 3, 3, padding=1), MeanShift(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        head = self.head(x)
        return self.tail(head + self.body(head))


class CBAM(nn.Module):
    """Woo et al. 2018, Equations 2 and 3."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(c, c // 16), nn.ReLU(), nn.Linear(c // 16, c))
        self.conv = conv_bn(nn.Conv2d(2, 1, 7, padding=3, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        x = x * channels.sigmoid()[:, :, None, None]
        places = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.conv(places).sigmoid()


def cbam_resnet50() -> nn.Module:
    """torchvision's ResNet-50 with a CBAM at the end of each residual branch."""
    model = torchvision_model("resnet50")
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for unit in stage:
            unit.bn3 = nn.Sequential(unit.bn3, CBAM(unit.conv3.out_channels))
    return model


class Deformable(nn.Module):
    """Dai et al. 2017, Figure 2."""

    def __init__(self, c: int, dilation: int) -> None:
        from torchvision.ops import DeformConv2d

        super().__init__()
        self.offset = nn.Conv2d(c, 18, 3, padding=dilation, dilation=dilation)
        self.conv = DeformConv2d(c, c, 3, padding=dilation, dilation=dilation, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x, self.offset(x))


def dcn_resnet50() -> nn.Module:
    """torchvision's ResNet-50 to its last stage, which is deformable and keeps the size."""
    model = torchvision_model("resnet50")
    for unit in model.layer4:
        unit.conv2 = Deformable(512, dilation=2)
    model.layer4[0].downsample[0].stride = (1, 1)
    return nn.Sequential(*list(model.children())[:-2], nn.Conv2d(2048, 1024, 1))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "vit_b_16": lambda: torchvision_model("vit_b_16"),
    "vit_b_32": lambda: torchvision_model("vit_b_32"),
    "vit_l_16": lambda: torchvision_model("vit_l_16"),
    "deit_tiny": lambda: timm_model("deit_tiny_patch16_224"),
    "deit_small": lambda: timm_model("deit_small_patch16_224"),
    "nfnet_f0": lambda: timm_model("dm_nfnet_f0"),
    "c2d_resnet50": lambda: c2d_resnet50(non_local=False),
    "swin_t": lambda: torchvision_model("swin_t"),
    "swin_s": lambda: torchvision_model("swin_s"),
    "maxvit_t": lambda: torchvision_model("maxvit_t"),
    "edsr": lambda: EDSR(32, 256, 0.1),
    "edsr_baseline": lambda: EDSR(16, 64, 1),
    "cbam_resnet50": cbam_resnet50,
    "dcn_resnet50": dcn_resnet50,
    "non_local_resnet50": lambda: c2d_resnet50(non_local=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_params_and_macs_are_those_of_the_model(name: str) -> None:
    profile = archcalc.analyze(name)
    (shape,) = (node.shape for node in profile.network.inputs.values())
    with torch.device("meta"):
        found = counted(MODELS[name](), shape)
    assert found == (profile.totals.params, profile.totals.macs)
