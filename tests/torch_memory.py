"""What a step of training takes in eager PyTorch: bytes kept for backward, products made there, the peak.

Run as a program, in an environment with PyTorch and torchvision, it measures torchvision's convolutional
networks, or those that are named, and records them in `torch_memory.json`:
`python tests/torch_memory.py [NAME ...]`.

Nothing is computed: tensors are those of the device `meta` or of a `FakeTensorMode` for the CPU, which have
shapes and storages without memory. `test_eager.py` measures a few networks on the CPU, with the same result.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "torch_memory.json"

BATCH = 2
"""Batch norms over a map of one place need two samples."""

OPTIMIZERS = ("sgd", "momentum", "adam")

SIZES = {"inception_v3": 299, "s3d": 224}
VIDEOS = {"mc3_18": (3, 8, 64, 64), "r2plus1d_18": (3, 8, 64, 64), "r3d_18": (3, 8, 64, 64),
          "s3d": (3, 16, 224, 224)}  # fmt: skip
SEGMENTERS = (
    *("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101", "deeplabv3_resnet50"),
    *("fcn_resnet101", "fcn_resnet50", "lraspp_mobilenet_v3_large"),
)
NO_CNNS = ("vit", "swin", "maxvit")


def load() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def input_shape(name: str) -> tuple[int, ...]:
    size = SIZES.get(name, 224)
    return VIDEOS.get(name, (3, size, size))


def names() -> list[str]:
    """torchvision's convolutional networks that give scores, of classes or of places."""
    import torchvision

    found = torchvision.models.list_models(module=torchvision.models)
    return [*(name for name in found if not name.startswith(NO_CNNS)), *SEGMENTERS, *VIDEOS]


def build(name: str) -> Any:
    """A network of torchvision with random weights."""
    import torchvision

    more: dict[str, Any] = {"weights_backbone": None} if name in SEGMENTERS else {}
    if name in ("googlenet", "inception_v3"):
        more = {"init_weights": False}
    with _regnets_computed():
        return torchvision.models.get_model(name, weights=None, **more)


@contextmanager
def _regnets_computed() -> Iterator[None]:
    """RegNets compute their widths with tensors, which must have values where weights have none."""
    import torch
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torchvision.models.regnet import BlockParams

    original = BlockParams.from_init_params

    def computed(*args: Any, **kwargs: Any) -> Any:
        with unset_fake_temporarily(), torch.device("cpu"):
            return original(*args, **kwargs)

    BlockParams.from_init_params = computed
    try:
        yield
    finally:
        BlockParams.from_init_params = original


# --- What is measured -------------------------------------------------------------------------------


def saved_bytes(module: Any, *inputs: Any, results: bool = False) -> int:
    """The bytes that autograd keeps of a forward pass of a module, in the mode in which the module is.

    These are the storages of all tensors that go through the hooks of `saved_tensors_hooks` while the module
    runs, each in full and once, as they are at the end: a view counts as what it looks at. Storages of
    parameters and buffers, which stay anyway, are left out; those of inputs count. The loss is not in it.
    """
    import torch

    stay = {each.untyped_storage()._cdata for each in (*module.parameters(), *module.buffers())}
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in stay:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(*inputs)
    return sum(storage.nbytes() for storage in kept.values())


def products_of(function: Any, arguments: Sequence[Any], out: Any) -> int:
    """The multiply-adds of a dispatched operation, from the shapes of its tensors."""
    name = function._schema.name
    if name in ("aten::mm", "aten::bmm"):
        return int(arguments[0].numel() * arguments[1].shape[-1])
    if name in ("aten::addmm", "aten::baddbmm"):
        return int(arguments[1].numel() * arguments[2].shape[-1])
    if name in ("aten::convolution", "aten::_convolution"):
        x, weight, transposed = arguments[0], arguments[1], arguments[6]
        return _of_convolution(x if transposed else out, weight)
    if name == "aten::convolution_backward":
        gradient, x, weight, transposed, mask = *arguments[:3], arguments[7], arguments[10]
        return (mask[0] + mask[1]) * _of_convolution(x if transposed else gradient, weight)
    return 0


def _of_convolution(places: Any, weight: Any) -> int:
    """Each value of the output (of the input, if transposed) meets the weights of one of its channels."""
    return int(places.numel() * prod(weight.shape[1:]))


@contextmanager
def products() -> Iterator[Callable[[], int]]:
    """Counts the multiply-adds that are dispatched. PyTorch's own FlopCounterMode counts those of the weights
    of a grouped convolution `groups` times (https://github.com/pytorch/pytorch/issues/183405)."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[misc]
        count = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            self.count += products_of(function, args, out)
            return out

    with Mode() as mode:
        yield lambda: mode.count


def results_of(out: Any) -> list[Any]:
    """The results of a network in training, heads included: torchvision's are tensors, tuples or mappings."""
    values = out.values() if isinstance(out, Mapping) else out if isinstance(out, tuple) else [out]
    return [value for value in values if value is not None]


def loss_of(out: Any, targets: Sequence[Any]) -> Any:
    """Cross-entropy, summed over the results."""
    from torch.nn.functional import cross_entropy

    first, *others = (cross_entropy(x, t) for x, t in zip(results_of(out), targets, strict=True))
    return sum(others, first)


def targets_of(out: Any) -> list[Any]:
    import torch

    return [torch.zeros(x.shape[0], *x.shape[2:], dtype=torch.long) for x in results_of(out)]


def backward_products(module: Any, *inputs: Any) -> tuple[int, int]:
    """The multiply-adds of a forward pass and of the backward pass from all results."""
    with products() as counted:
        out = module(*inputs)
        forward = counted()
        sum(x.sum() for x in results_of(out)).backward()
        return forward, counted() - forward


def make_optimizer(name: str, module: Any) -> Any:
    import torch

    parameters = list(module.parameters())
    if name == "adam":
        return torch.optim.Adam(parameters, lr=0.001)
    return torch.optim.SGD(parameters, lr=0.001, momentum=0.9 if name == "momentum" else 0)


def step_peak(module: Any, optimizer: Any, targets: Sequence[Any], *inputs: Any) -> dict[str, int]:
    """The peak of a step of training as PyTorch's MemTracker sees it, by use.

    Parameters, buffers, inputs and targets are there before; the state of the optimizer is there from a step
    before, and the gradients are not. Every tensor counts from the operation that returns it until nothing
    holds its storage any more; what is allocated within an operation is not seen.
    """
    from torch.distributed._tools.mem_tracker import MemTracker

    class OfAll(MemTracker):  # type: ignore[misc]
        """Without the peak of each module, which takes most of the time."""

        def _update_peak_stats(self, peak_state: Any) -> None:
            for device, snapshot in self._curr_mem_snap.items():
                if self._peak_mem.get(device, 0) < snapshot["Total"]:
                    self._peak_mem[device] = snapshot["Total"]
                    self._peak_mem_snap[device] = dict(snapshot)

    tracker = OfAll()
    tracker.track_external(module, optimizer, *inputs, *targets)
    with tracker:
        loss = loss_of(module(*inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    (peak,) = (snapshot for snapshot in tracker.get_tracker_snapshot("peak").values())
    return {getattr(key, "value", key): int(value) for key, value in peak.items()}


# --- The same network in archcalc --------------------------------------------------------------------


def imported(name: str) -> Any:
    """The network as archcalc imports it, with its stochastic depth.

    A model is imported as it is in evaluation, where torchvision's `StochasticDepth` leaves no trace: here a
    dropout stands for it, and becomes a `drop_path`.
    """
    import torch
    from torchvision.ops import StochasticDepth

    import archcalc
    from archcalc.layers import KINDS
    from archcalc.layers.base import facts

    with torch.device("meta"):
        module = build(name)
    paths: dict[str, float] = {}
    for path, each in list(module.named_modules()):
        if isinstance(each, StochasticDepth):
            assert each.mode == "row"
            parent, _, last = path.rpartition(".")
            module.get_submodule(parent).register_module(last, torch.nn.Dropout(each.p))
            paths[path.replace(".", "/")] = each.p
    network = archcalc.from_torch(module, input_shape(name))
    for node in network.nodes:
        if node.name in paths:
            node.layer = KINDS["drop_path"](paths[node.name])
            node.facts = facts(node.layer, node.facts.inputs)
    return network


# --- All networks -----------------------------------------------------------------------------------


def measure(name: str) -> dict[str, Any]:
    """The figures of a network of torchvision in training."""
    import torch

    shape = input_shape(name)
    with torch.device("meta"):
        module = build(name).train()
        x = torch.empty(BATCH, *shape)
        saved = saved_bytes(module, x)
        forward, backward = backward_products(module, x)
    return {
        "input": list(shape),
        "saved": saved,
        "forward": forward // BATCH,
        "backward": backward // BATCH,
        "peaks": {optimizer: faked_peak(name, optimizer) for optimizer in OPTIMIZERS},
    }


def faked_peak(name: str, optimizer_name: str) -> int:
    """The peak of the second step, with fake tensors of the CPU."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.device("meta"):  # first, as networks are initialized by values, which fake tensors lack
        module = build(name).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        module.to_empty(device="cpu")
        x = torch.empty(BATCH, *input_shape(name))
        targets = targets_of(module(x))
        optimizer = make_optimizer(optimizer_name, module)
        if optimizer_name != "sgd":  # which has no state
            loss_of(module(x), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
        return step_peak(module, optimizer, targets, x)["Total"]


def main(chosen: Sequence[str]) -> None:
    import torch
    import torchvision

    warnings.simplefilter("ignore")
    found = load() if FILE.exists() else {"networks": {}}
    found["versions"] = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    found["batch"] = BATCH
    for name in chosen or names():
        found["networks"][name] = measure(name)
        print(name, found["networks"][name], flush=True)
        FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
