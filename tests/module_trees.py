"""Networks with the module trees of torchvision, as an importer would make them.

Paths are those of `named_modules()`, with `/` for the dots; the kinds of groups are the names of the classes.
The layers are written here by hand from the code of torchvision 0.29.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from samples import make

from archcalc import Network, NetworkBuilder
from archcalc.network import Node


class Modules:
    """Adds layers within modules."""

    def __init__(self, name: str, *shape: int) -> None:
        self.build = NetworkBuilder(name)
        self.x = self.build.input(shape, "x")

    @contextmanager
    def module(self, name: str, kind: str) -> Iterator[None]:
        group = self.build.enter(name, kind)
        yield
        self.build.leave(group, self.build.nodes[-1])

    def add(self, name: str, kind: str, *args: Any, **named: Any) -> Node:
        """A layer on the current tensor."""
        self.x = self.build.add(make(kind, *args, **named), self.x, name=name)
        return self.x

    def join(self, name: str, kind: str, *tensors: Node) -> Node:
        self.x = self.build.add(make(kind), *tensors, name=name)
        return self.x

    def conv(self, name: str, channels: int, kernel: Any, **named: Any) -> Node:
        return self.add(name, "conv", channels, kernel, bias=False, **named)

    def finish(self, heads: dict[str, Node] | None = None) -> Network:
        return self.build.finish(self.x, heads=heads)


def resnet(name: str, *depths: int) -> Network:
    m = Modules(name, 3, 224, 224)
    m.conv("conv1", 64, 7, stride=2, padding=3)
    m.add("bn1", "bn")
    m.add("relu", "relu")
    m.add("maxpool", "maxpool", 3, 2, padding=1)
    for stage, depth in enumerate(depths):
        with m.module(f"layer{stage + 1}", "Sequential"):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                with m.module(str(number), "Bottleneck"):
                    _bottleneck(m, 64 << stage, stride, project=not number)
    m.add("avgpool", "adaptive_avgpool", 1)
    m.add("flatten", "flatten")
    m.add("fc", "fc", 1000)
    return m.finish()


def _bottleneck(m: Modules, c: int, stride: int, project: bool) -> None:
    identity = m.x
    m.conv("conv1", c, 1)
    m.add("bn1", "bn")
    m.add("relu", "relu")
    m.conv("conv2", c, 3, stride=stride, padding=1)
    m.add("bn2", "bn")
    m.add("relu_1", "relu")
    m.conv("conv3", 4 * c, 1)
    main = m.add("bn3", "bn")
    m.x = identity
    if project:
        with m.module("downsample", "Sequential"):
            m.conv("0", 4 * c, 1, stride=stride)
            m.add("1", "bn")
    m.join("add", "add", main, m.x)
    m.add("relu_2", "relu")


def mobilenet_v2() -> Network:
    m = Modules("mobilenet_v2", 3, 224, 224)
    rows = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    with m.module("features", "Sequential"):
        _conv_norm(m, "0", 32, 3, 2)
        number = 1
        for t, c, n, s in rows:
            for i in range(n):
                with m.module(str(number), "InvertedResidual"):
                    _inverted(m, t, c, s if not i else 1)
                number += 1
        _conv_norm(m, str(number), 1280, 1, 1)
    m.add("adaptive_avg_pool2d", "adaptive_avgpool", 1)
    m.add("flatten", "flatten")
    with m.module("classifier", "Sequential"):
        m.add("0", "dropout")
        m.add("1", "fc", 1000)
    return m.finish()


def _conv_norm(m: Modules, name: str, c: int, kernel: int, stride: int, groups: int = 1) -> None:
    with m.module(name, "Conv2dNormActivation"):
        m.conv("0", c, kernel, stride=stride, padding=kernel // 2, groups=groups)
        m.add("1", "bn")
        m.add("2", "relu6")


def _inverted(m: Modules, t: int, c: int, stride: int) -> None:
    identity, hidden = m.x, m.x.shape[0] * t
    with m.module("conv", "Sequential"):
        if t != 1:
            _conv_norm(m, "0", hidden, 1, 1)
        place = 1 if t != 1 else 0
        _conv_norm(m, str(place), hidden, 3, stride, hidden)
        m.conv(str(place + 1), c, 1)
        m.add(str(place + 2), "bn")
    if stride == 1 and identity.shape[0] == c:
        m.join("add", "add", identity, m.x)


def densenet121() -> Network:
    m = Modules("densenet121", 3, 224, 224)
    with m.module("features", "Sequential"):
        m.conv("conv0", 64, 7, stride=2, padding=3)
        m.add("norm0", "bn")
        m.add("relu0", "relu")
        m.add("pool0", "maxpool", 3, 2, padding=1)
        for block, layers in enumerate((6, 12, 24, 16), 1):
            with m.module(f"denseblock{block}", "_DenseBlock"):
                maps = [m.x]
                for number in range(1, layers + 1):
                    with m.module(f"denselayer{number}", "_DenseLayer"):
                        if len(maps) > 1:
                            m.join("cat", "concat", *maps)
                        m.add("norm1", "bn")
                        m.add("relu1", "relu")
                        m.conv("conv1", 128, 1)
                        m.add("norm2", "bn")
                        m.add("relu2", "relu")
                        maps.append(m.conv("conv2", 32, 3, padding=1))
                m.join("cat", "concat", *maps)
            if block < 4:
                with m.module(f"transition{block}", "_Transition"):
                    m.add("norm", "bn")
                    m.add("relu", "relu")
                    m.conv("conv", m.x.shape[0] // 2, 1)
                    m.add("pool", "avgpool", 2, 2)
        m.add("norm5", "bn")
    m.add("relu", "relu")
    m.add("adaptive_avg_pool2d", "adaptive_avgpool", 1)
    m.add("flatten", "flatten")
    m.add("classifier", "fc", 1000)
    return m.finish()


def googlenet() -> Network:
    m = Modules("googlenet", 3, 224, 224)

    def conv(name: str, c: int, kernel: int, **named: Any) -> Node:
        with m.module(name, "BasicConv2d"):
            m.conv("conv", c, kernel, **named)
            m.add("bn", "bn")
            return m.add("relu", "relu")

    def inception(name: str, c1: int, c3r: int, c3: int, c5r: int, c5: int, pool: int) -> None:
        start = m.x
        with m.module(name, "Inception"):
            branches = [conv("branch1", c1, 1)]
            for branch, reduced, c in (("branch2", c3r, c3), ("branch3", c5r, c5)):
                m.x = start
                with m.module(branch, "Sequential"):
                    conv("0", reduced, 1)
                    branches.append(conv("1", c, 3, padding=1))
            m.x = start
            with m.module("branch4", "Sequential"):
                m.add("0", "maxpool", 3, 1, padding=1, ceil_mode=True)
                branches.append(conv("1", pool, 1))
            m.join("cat", "concat", *branches)

    conv("conv1", 64, 7, stride=2, padding=3)
    m.add("maxpool1", "maxpool", 3, 2, ceil_mode=True)
    conv("conv2", 64, 1)
    conv("conv3", 192, 3, padding=1)
    m.add("maxpool2", "maxpool", 3, 2, ceil_mode=True)
    inception("inception3a", 64, 96, 128, 16, 32, 32)
    inception("inception3b", 128, 128, 192, 32, 96, 64)
    m.add("maxpool3", "maxpool", 3, 2, ceil_mode=True)
    inception("inception4a", 192, 96, 208, 16, 48, 64)
    inception("inception4b", 160, 112, 224, 24, 64, 64)
    inception("inception4c", 128, 128, 256, 24, 64, 64)
    inception("inception4d", 112, 144, 288, 32, 64, 64)
    inception("inception4e", 256, 160, 320, 32, 128, 128)
    m.add("maxpool4", "maxpool", 2, 2, ceil_mode=True)
    inception("inception5a", 256, 160, 320, 32, 128, 128)
    inception("inception5b", 384, 192, 384, 48, 128, 128)
    m.add("avgpool", "adaptive_avgpool", 1)
    m.add("flatten", "flatten")
    m.add("dropout", "dropout", 0.2)
    m.add("fc", "fc", 1000)
    return m.finish()


def convnext_tiny() -> Network:
    m = Modules("convnext_tiny", 3, 224, 224)
    with m.module("features", "Sequential"):
        with m.module("0", "Conv2dNormActivation"):
            m.add("0", "conv", 96, 4, stride=4)
            m.add("1", "layer_norm", "channels")
        for stage, (c, n) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
            if stage:
                with m.module(str(2 * stage), "Sequential"):
                    m.add("0", "layer_norm", "channels")
                    m.add("1", "conv", c, 2, stride=2)
            with m.module(str(2 * stage + 1), "Sequential"):
                for number in range(n):
                    identity = m.x
                    with m.module(str(number), "CNBlock"):
                        with m.module("block", "Sequential"):
                            m.add("0", "depthwise", 7, padding=3)
                            m.add("2", "layer_norm", "channels")
                            m.add("3", "pointwise", 4 * c)
                            m.add("4", "gelu")
                            m.add("5", "pointwise", c)
                        m.add("mul", "layer_scale")
                        m.join("add", "add", m.x, identity)
    m.add("avgpool", "adaptive_avgpool", 1)
    with m.module("classifier", "Sequential"):
        m.add("0", "layer_norm", "channels")
        m.add("1", "flatten")
        m.add("2", "fc", 1000)
    return m.finish()


def res2net_block() -> Network:
    """Gao et al. 2019: the channels in four groups, each convolved together with the one before it."""
    m = Modules("res2net", 8, 14, 14)
    for number in range(2):
        identity = m.x
        with m.module(f"layer{number}", "Bottle2neck"):
            split = m.conv("conv1", 32, 1)
            groups = []
            for k in range(4):
                m.x = split
                m.add(f"split{k}", "slice", 8 * k, 8 * k + 8)
                if k > 1:
                    m.join(f"sum{k}", "add", m.x, groups[-1])
                if k:
                    m.conv(f"convs_{k}", 8, 3, padding=1)
                groups.append(m.x)
            m.join("cat", "concat", *groups)
            m.conv("conv3", 8, 1)
            m.join("add", "add", m.x, identity)
    return m.finish()


def hrnet_module() -> Network:
    """Sun et al. 2019: two resolutions side by side, each of which reads both."""
    m = Modules("hrnet", 3, 32, 32)
    high = m.conv("conv1", 8, 3, padding=1)
    with m.module("transition1", "ModuleList"):
        low = m.conv("1", 16, 3, stride=2, padding=1)
    for number in range(3):
        with m.module(f"stage{number}", "HighResolutionModule"):
            m.x = high
            with m.module("branch0", "Sequential"):
                high = m.conv("conv", 8, 3, padding=1)
            m.x = low
            with m.module("branch1", "Sequential"):
                low = m.conv("conv", 16, 3, padding=1)
            m.add("fuse0", "pointwise", 8)
            up = m.add("up", "upsample", scale_factor=2)
            m.x = high
            down = m.conv("down", 16, 3, stride=2, padding=1)
            high, low = m.join("add0", "add", high, up), m.join("add1", "add", low, down)
    m.x = low
    up = m.add("up", "upsample", scale_factor=2)
    m.join("cat", "concat", high, up)
    return m.finish()
