"""The functions of the Python interface, such as `archcalc.analyze`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcalc import profile as profiles
from archcalc.diagnostics import error
from archcalc.network import Network
from archcalc.opening import by_name, load, loads
from archcalc.profile import Profile

if TYPE_CHECKING:
    import keras
    import onnx
    import torch

    from archcalc.checking.outcome import Result
    from archcalc.comparison import Comparison
    from archcalc.opened import Shapes
    from archcalc.sweeping.result import SweepResult

Net = str | os.PathLike[str] | Network | Profile
"""A network: an argument of `load`, a `Network`, or a `Profile`."""

__all__ = ["analyze", "check", "compare", "from_keras", "from_onnx", "from_torch", "load", "loads", "sweep"]


def analyze(
    net: Net,
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Shapes | tuple[int, ...] | None = None,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
    training: bool = False,
    optimizer: str = "sgd",
) -> Profile:
    """Compute every quantity of a network.

    `net` is a `Network`, or an argument of `load`, with the same `overrides` and `inputs`. `batch` and
    `dtype` affect only byte counts. Shapes, operations, and activations are per sample. `heads` also counts
    heads that are used only in training. `convention` sets how `count` is counted; `archcalc conventions`
    lists the names. With `training`, the totals include a training step; `optimizer` is the one whose state
    is in memory: "none", "sgd", "momentum", "adam", or "adamw".

    The result is a sequence of layers. Their attributes have the names that JSON and expectations use. Raises
    `ArchError` for an unknown network, dtype, or convention.

    >>> import archcalc
    >>> profile = archcalc.analyze("mobilenet_v1", {"width": 0.5}, batch=8)
    >>> profile.totals.macs, profile.totals.peak_bytes
    (149497088, 25690112)
    >>> max(profile, key=lambda layer: layer.params).name
    'fc1'
    """
    network = _network(net, overrides, inputs)
    return profiles.analyze(
        network,
        batch=batch,
        dtype=dtype,
        heads=heads,
        convention=convention,
        training=training,
        optimizer=optimizer,
    )


def compare(*nets: Net, **settings: Any) -> Comparison:
    """Compare networks, each with the first: totals, stages, kinds of layers, and changes.

    `nets` are arguments of `analyze`, or profiles, which are compared unchanged. `settings` are those of
    `analyze`. `str()` of the result is the text that `archcalc compare` prints. Raises `ArchError`.

    >>> import archcalc
    >>> comparison = archcalc.compare("vgg16", "mobilenet_v1")
    >>> comparison["params"].figures[1].ratio < 0.04
    True
    """
    from archcalc.comparison import ComparedNetwork
    from archcalc.comparison import compare as compared

    networks = []
    for net in nets:
        found = net if isinstance(net, Profile) else analyze(net, **settings)
        name = str(net) if isinstance(net, str | os.PathLike) else found.network.name
        networks.append(ComparedNetwork(name, found))
    return compared(networks)


def check(net: Net, *expectations: str, **settings: Any) -> Result:
    """Check a network against the given expectations or, if there are none, against its own.

    The syntax is that of `archcalc check --expect`: `"macs <= 4.2G"`, `"params('stage1/*') < 1M"`. `net` and
    `settings` are those of `analyze`. The result has `ok`, `findings`, and `failures`; `str()` of it is a
    table. Raises `ArchError` for text that is not an expectation.

    >>> import archcalc
    >>> archcalc.check("vgg16", "macs <= 16G", "peak_bytes <= 30MB").ok
    True
    >>> [finding.reason for finding in archcalc.check("vgg16", "depth < 16").failures]
    ['depth is 16, not < 16']
    """
    from archcalc.checking.bounds import parse_bounds
    from archcalc.checking.evaluate import Evaluator
    from archcalc.checking.evaluate import check as declared
    from archcalc.checking.outcome import Result
    from archcalc.checking.run import to_finding
    from archcalc.settings import Settings

    found = net if isinstance(net, Profile) else analyze(net, **settings)
    conditions = Settings(
        batch=found.batch,
        dtype=found.dtype,
        heads=found.heads,
        convention=found.convention_name,
        optimizer=found.optimizer.name,
    )
    if expectations:
        evaluator = Evaluator(found, found.heads)
        checks = [bound.check(evaluator) for bound in parse_bounds(expectations, conditions)]
    else:
        checks = declared(found)
    findings = [to_finding(each) for each in checks]
    return Result(found.network.name, len(findings), findings)


def sweep(
    net: str | os.PathLike[str],
    values: Mapping[str, Any],
    *,
    where: str | Sequence[str] = (),
    expect: str | Sequence[str] = (),
    columns: str | Sequence[str] = (),
    sort: str = "",
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    inputs: Shapes | tuple[int, ...] | None = None,
    batch: int = 1,
    dtype: str = "float32",
    heads: bool = False,
    convention: str = "",
    optimizer: str = "sgd",
) -> SweepResult:
    """Compute the figures of a network for all combinations of values of its parameters.

    `values` has for each parameter a sequence, a `range`, one value, or a text as for `--set`:
    `"0.25..1.4:0.05"`. `"input"` is the side of the input, `"batch"` the batch size. A text can use other
    names: `"depth": "1.2**phi"` is computed from `phi`. `where` keeps the points at which conditions hold
    for these values, such as `"width * depth <= 2"`. `expect` keeps the networks for which expectations hold,
    written as for `check`. `columns` are names of figures. `sort` is a column, least first, or with a `-`
    before it largest first. `sample` draws so many points at random.

    The result has a NumPy array for each parameter and figure, and `to_pandas`. Raises `ArchError`.

    >>> import archcalc
    >>> found = archcalc.sweep("mobilenet_v1", {"width": [0.25, 0.5, 1]}, columns=["macs"])
    >>> found["width"].tolist(), found["macs"].tolist()
    ([0.25, 0.5, 1.0], [41030272, 149497088, 568740352])
    """
    from archcalc.settings import Settings
    from archcalc.sweeping import blocks, run
    from archcalc.sweeping.plan import plan
    from archcalc.sweeping.relations import given
    from archcalc.sweeping.result import SweepResult

    dimensions, relations = given(
        [("values", name, several) for name, several in values.items()],
        [where] if isinstance(where, str) else where,
    )
    made = plan(
        _net_name(net),
        dimensions,
        columns.split(",") if isinstance(columns, str) else columns,
        [expect] if isinstance(expect, str) else expect,
        Settings(
            inputs=by_name(inputs),
            batch=batch,
            dtype=dtype,
            heads=heads,
            convention=convention,
            optimizer=optimizer,
        ),
        relations,
    )
    for name, value, least in (("limit", limit, 1), ("sample", sample, 1), ("seed", seed, 0)):
        if value is not None and (type(value) is not int or value < least):
            raise error(f"`{name}` must be a whole number of at least {least}, got {value!r}")
    asked = blocks.SweepAsked(sort.removeprefix("-"), sort.startswith("-"), limit, sample, seed)
    run.check_sort(made, asked)
    blocks.check_size(made, asked)
    return SweepResult(run.sweep_rows(blocks.Sweeper(made, asked)))


def _net_name(net: str | os.PathLike[str]) -> str:
    if not isinstance(net, str | os.PathLike):
        raise error(
            f"a sweep makes networks from a name or a file, not from a {type(net).__name__}",
            help='write `archcalc.sweep("mobilenet_v1", {"width": [0.5, 1]})`',
        )
    return os.fspath(net)


def from_torch(
    module: torch.nn.Module,
    *shapes: tuple[int, ...],
    inputs: Shapes | tuple[int, ...] | None = None,
    name: str = "",
) -> Network:
    """The network of a PyTorch module, for inputs of these shapes: channels first, without the batch.

    `inputs` gives the shapes by the argument names of `forward`, as in `load`. `torch.export` traces
    `forward` in evaluation mode without allocating tensors. The module does not change. An operation that
    archcalc does not know becomes an `opaque` node. `name` is the name of the network, by default that of the
    class. Raises `ArchError` if the module cannot be exported.

        network = archcalc.from_torch(torchvision.models.resnet50(), (3, 224, 224))
        archcalc.analyze(network).totals.macs
    """
    from archcalc.importing.torch_export.module import network_of

    return network_of(module, _given(shapes, inputs), name)


def from_keras(
    model: keras.Model | str | os.PathLike[str],
    *shapes: tuple[int, ...],
    inputs: Shapes | tuple[int, ...] | None = None,
    name: str = "",
) -> Network:
    """The network of a Keras model, or of a `.keras` file.

    `shapes` are the shapes of its inputs, channels first and without the batch. They are needed if the model
    leaves sizes open. `inputs` gives them by name, as in `load`. The model is not run. A layer that archcalc
    does not know becomes an `opaque` node. `name` is the name of the network, by default that of the model or
    the file. Raises `ArchError` if the model cannot be read.

        network = archcalc.from_keras(keras.applications.ResNet50(weights=None))
        archcalc.analyze(network).totals.macs
    """
    if isinstance(model, str | os.PathLike):
        from archcalc.importing.keras_config.archive import network_in_file

        return network_in_file(os.fspath(model), _given(shapes, inputs), name)
    from archcalc.importing.keras_config.model import network_of

    return network_of(model, _given(shapes, inputs), name)


def from_onnx(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *shapes: tuple[int, ...],
    inputs: Shapes | tuple[int, ...] | None = None,
    name: str = "",
) -> Network:
    """The network of an ONNX model, from a file or from memory.

    The model is not run, and its arrays are not read. `shapes` are the shapes of its inputs, channels first
    and without the batch; `inputs` gives them by name, as in `load`. They replace the shapes in the model,
    and are needed if it leaves sizes open. An operation that archcalc does not know becomes an `opaque` node.
    Raises `ArchError`.

        network = archcalc.from_onnx("model.onnx", (3, 224, 224))
        archcalc.analyze(network).totals.macs
    """
    from archcalc.importing.given import named_shapes
    from archcalc.importing.onnx_graph.convert import to_network
    from archcalc.importing.onnx_graph.inputs import input_names
    from archcalc.importing.onnx_graph.model import read_file, read_proto

    if isinstance(model, str | os.PathLike):
        path = os.fspath(model)
        record = read_file(Path(path), path, name)
    else:
        record = read_proto(model, name)
    return to_network(record, named_shapes(input_names(record.graph), _given(shapes, inputs)))


def _given(shapes: tuple[Any, ...], inputs: Any) -> Any:
    """Input shapes, in order or by name. Raises `ArchError` if they are given both ways."""
    from archcalc.opening import by_name

    if shapes and inputs is not None:
        raise error("input shapes are given both by position and as `inputs`")
    return shapes or by_name(inputs)


def _network(net: Net, overrides: Mapping[str, Any] | None, inputs: Any) -> Network:
    if isinstance(net, Profile):
        net = net.network
    if isinstance(net, Network):
        if overrides or inputs:
            raise error(
                "a network that is already built cannot take other parameters or input shapes",
                help="give the name or the file instead of the network",
            )
        return net
    if isinstance(net, str | os.PathLike):
        return load(net, overrides, inputs=inputs)
    raise error(
        f"a network is a name, a path, or an `archcalc.Network`, not a {type(net).__name__}",
        help='write `archcalc.analyze("vgg16")`, or build one with `archcalc.NetworkBuilder`',
    )
