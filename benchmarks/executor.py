"""Measure the reference executor: `python benchmarks/executor.py`.

The benchmark uses one thread, batch 1, and float32, with given inputs and weights. The time of each network
is compared with a matrix product in the same process, and with PyTorch (the same operations, eager) and
onnx's ReferenceEvaluator if they are installed. The second table measures the fast path, which is prepared
beforehand. It can exceed 100% of the speed of the matrix product, because Winograd convolutions need fewer
than half of the MACs that are counted. All figures are best times, measured in turn.

Environment variables that restrict NumPy's OpenBLAS to an older processor are removed first: PyTorch does not
read them, so a comparison would be meaningless. `--avx2` restricts both to AVX2. It shows the quality of the
kernels on any processor, and it checks no limit against PyTorch. The exit status is 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported
OLDER_PROCESSOR = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
REMOVED = [name for name in OLDER_PROCESSOR if os.environ.pop(name, None) is not None]
SAME_INSTRUCTIONS = "--avx2" in sys.argv
if SAME_INSTRUCTIONS:  # the libraries read these when they are imported
    os.environ |= {
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }

import numpy as np
from rich.console import Console
from rich.table import Table

import archcalc
from archcalc.executor.execute import RunOptions, execute
from archcalc.executor.fast import fast_path
from archcalc.executor.memory import Memory
from archcalc.executor.weights import Weights, random_weights
from archcalc.network import Network

NETWORKS = ("vgg16", "resnet50", "mobilenet_v1", "alexnet")
SHARES = {"vgg16": 75, "resnet50": 65}
"""The minimum share of the speed of `a @ b`, in percent. The other networks are bound by memory."""
PRODUCT = 1024**3
"""MACs of the matrix product that they are compared with."""
AGAINST_TORCH = {"vgg16": 1.0, "resnet50": 0.8, "mobilenet_v1": 0.85, "alexnet": 0.85}
"""The maximum time, relative to PyTorch."""
AGAINST_ONNX = {"vgg16": 10, "resnet50": 8, "mobilenet_v1": 8, "alexnet": 8}
"""The minimum speedup over onnx's ReferenceEvaluator."""
MEMORY = 400
"""The most MiB that a process may use for VGG-16, not counting its parameters."""


def best(action: Callable[[], Any], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_product() -> Callable[[], Any]:
    """A large matrix product in single precision, with `PRODUCT` MACs."""
    a = np.random.default_rng(0).random((1024, 1024), np.float32)
    b = a.copy()
    return lambda: a @ b


def torch_program(network: Network, weights: Weights) -> Callable[[], Any] | None:
    """The operations of the network in PyTorch, eager and channels first, or `None` without PyTorch."""
    try:
        import torch
        import torch.nn.functional as f
    except ImportError:
        return None
    torch.set_num_threads(1)
    arrays = {
        (name, key): torch.from_numpy(np.ascontiguousarray(_as_torch(key, array)))
        for name, owned in weights.items()
        for key, array in owned.items()
    }
    ((_, source),) = network.inputs.items()
    x = torch.randn(1, *source.shape)

    def program() -> Any:
        alive = {source.index: x}
        with torch.inference_mode():
            for node in network.nodes:
                if node.is_input or node.training:
                    continue
                t = [alive[s.index] for s in node.inputs]
                a, la = t[0], node.layer
                w = arrays.get((node.name, "weight"))
                b = arrays.get((node.name, "bias"))
                match node.kind:
                    case "conv":
                        y = f.conv2d(a, w, b, la.stride, la.padding, la.dilation, la.groups)
                    case "depthwise":
                        y = f.conv2d(a, w, b, la.stride, la.padding, la.dilation, a.shape[1])
                    case "pointwise":
                        y = f.conv2d(a, w, b)
                    case "fc":
                        y = f.linear(a, w, b)
                    case "bn":
                        mean, var = arrays[node.name, "running_mean"], arrays[node.name, "running_var"]
                        y = f.batch_norm(a, mean, var, w, b)
                    case "relu":
                        y = f.relu(a)
                    case "maxpool":
                        y = f.max_pool2d(a, la.kernel_size, la.stride, la.padding, ceil_mode=la.ceil_mode)
                    case "global_avgpool":
                        y = f.adaptive_avg_pool2d(a, 1)
                    case "lrn":
                        y = f.local_response_norm(a, la.size, float(la.alpha), float(la.beta), float(la.k))
                    case "add":
                        y = t[0] + t[1]
                    case "flatten":
                        y = a.flatten(1)
                    case "softmax":
                        y = f.softmax(a, 1)
                    case "dropout":
                        y = a
                    case kind:
                        raise NotImplementedError(kind)
                alive[node.index] = y
        return y

    return program


def _as_torch(key: str, array: Any) -> Any:
    """A convolution's `(k_h, k_w, C_in, C_out)` as `(C_out, C_in, k_h, k_w)`; that of an fc transposed."""
    if key == "weight" and array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if key == "weight" and array.ndim == 3:
        return array.transpose(2, 0, 1)[:, None]
    if key == "weight" and array.ndim == 2:
        return array.T
    return array


def onnx_program(network: Network, weights: Weights) -> Callable[[], Any] | None:
    """The network in onnx's ReferenceEvaluator, or `None` without onnx."""
    try:
        from onnx import TensorProto, helper, numpy_helper
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        return None
    ((_, source),) = network.inputs.items()
    nodes, initializers = [], []
    names = {source.index: "x"}
    for node in network.nodes:
        if node.is_input or node.training:
            continue
        inputs = [names[s.index] for s in node.inputs]
        output, la = f"n{node.index}", node.layer
        owned = weights.get(node.name, {})
        order = [k for k in ("weight", "bias", "running_mean", "running_var") if k in owned]
        for key in order:
            array = np.ascontiguousarray(_as_torch(key, owned[key]))
            initializers.append(numpy_helper.from_array(array, f"{output}.{key}"))
        inputs += [f"{output}.{key}" for key in order]
        channels = node.inputs[0].shape[0]
        pair = lambda v: [v, v] if isinstance(v, int) else list(v)  # noqa: E731
        attributes: dict[str, Any] = {}
        if node.kind in ("conv", "depthwise", "pointwise"):
            kind = "Conv"
            padding, stride = getattr(la, "padding", 0), getattr(la, "stride", 1)
            groups = channels if node.kind == "depthwise" else getattr(la, "groups", 1)
            attributes = {"strides": pair(stride), "pads": pair(padding) * 2, "group": groups}
        elif node.kind == "maxpool":
            kind = "MaxPool"
            attributes = {
                "kernel_shape": pair(la.kernel_size),
                "strides": pair(la.kernel_size if la.stride is None else la.stride),
                "pads": pair(la.padding) * 2,
                "ceil_mode": int(la.ceil_mode),
            }
        elif node.kind == "fc":
            kind, attributes = "Gemm", {"transB": 1}
        elif node.kind == "lrn":
            kind = "LRN"
            attributes = {
                "size": la.size,
                "alpha": float(la.alpha),
                "beta": float(la.beta),
                "bias": float(la.k),
            }
        elif node.kind == "bn":
            kind = "BatchNormalization"
        else:
            simple = {
                "relu": "Relu", "add": "Add", "flatten": "Flatten", "softmax": "Softmax",
                "global_avgpool": "GlobalAveragePool", "dropout": "Identity",
            }  # fmt: skip
            kind = simple[node.kind]
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        names[node.index] = output
    shape = [1, *source.shape]
    graph = helper.make_graph(
        nodes,
        network.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    evaluator = ReferenceEvaluator(model)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return lambda: evaluator.run(None, {"x": x})


def measured(actions: list[Callable[[], Any]], runs: int) -> list[float]:
    """The best time of each. They run in turn, so that a busy moment of the machine affects all of them."""
    times = [[best(action, 1) for action in actions] for _ in range(runs + 1)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def process_memory() -> float:
    """MiB of a process that runs VGG-16, not counting its parameters."""
    code = (  # ru_maxrss would be inherited from this process, VmHWM is the new one's own
        "import re, archcalc\n"
        "from archcalc.executor.execute import execute\n"
        "run = execute(archcalc.load('vgg16'))\n"
        "peak = int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "print((peak - run.weight_bytes) / 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each network (default 15)")
    parser.add_argument("--no-onnx", action="store_true", help="leave out onnx's slow evaluator")
    parser.add_argument("--avx2", action="store_true", help="restrict NumPy and PyTorch to AVX2")
    options = parser.parse_args()
    table = Table(title="reference executor", box=None, padding=(0, 2, 0, 0), header_style="bold")
    fast_table = Table(
        title="fast path (Winograd, folded norms)", box=None, padding=(0, 2, 0, 0), header_style="bold"
    )
    for heading in ("Network", "ms", "of a @ b", "limit", "x PyTorch", "limit", "onnx x", "limit", ""):
        table.add_column(heading, justify="right" if heading != "Network" else "left")
    for heading in ("Network", "ms", "of a @ b", "x PyTorch"):
        fast_table.add_column(heading, justify="right" if heading != "Network" else "left")
    good = True
    for name in NETWORKS:
        network = archcalc.load(name)
        weights = random_weights(network)
        ((_, source),) = network.inputs.items()
        x = np.random.default_rng(0).standard_normal((1, *source.shape)).astype(np.float32)
        shortcuts = fast_path(network.nodes, weights)
        memory = Memory()
        ours = lambda: execute(network, x, weights, RunOptions(memory=memory))  # noqa: B023, E731
        fast = lambda: execute(network, x, weights, RunOptions(fast=shortcuts, memory=memory))  # noqa: B023, E731
        rival = torch_program(network, weights)
        reference = None if options.no_onnx else onnx_program(network, weights)
        product, seconds, fast_seconds, *others = measured(
            [matrix_product(), ours, fast, *([rival] if rival is not None else [])], options.runs
        )
        whole = 100 * archcalc.analyze(network).totals.macs * product / PRODUCT
        share, fast_share = whole / seconds, whole / fast_seconds
        against, fast_against = (seconds / others[0], fast_seconds / others[0]) if others else (None, None)
        slower = None if reference is None else best(reference, 2) / seconds
        least = SHARES.get(name, 0)
        most = None if SAME_INSTRUCTIONS else AGAINST_TORCH[name]
        held = (
            share >= least
            and (against is None or most is None or against <= most)
            and (slower is None or slower >= AGAINST_ONNX[name])
        )
        good = good and held
        table.add_row(
            name,
            f"{seconds * 1e3:.1f}",
            f"{share:.0f} %",
            f">= {least} %" if least else "-",
            "-" if against is None else f"{against:.2f}",
            "-" if most is None else f"<= {most:.2f}",
            "-" if slower is None else f"{slower:.1f}",
            f">= {AGAINST_ONNX[name]}",
            "" if held else "MISSED",
        )
        fast_table.add_row(
            name,
            f"{fast_seconds * 1e3:.1f}",
            f"{fast_share:.0f} %",
            "-" if fast_against is None else f"{fast_against:.2f}",
        )
    used = process_memory()
    console = Console(width=max(Console().width, 90))  # so that no name is cut in a pipe
    if REMOVED:
        names = " and ".join(REMOVED)
        console.print(f"Measured without {names}, which restricts NumPy to an older processor.\n")
    console.print(table)
    console.print()
    console.print(fast_table)
    if SAME_INSTRUCTIONS:
        console.print("\nNumPy and PyTorch are restricted to AVX2, and there is no limit against PyTorch.")
    console.print(f"\nMemory of the process for VGG-16, without parameters: {used:.0f} MiB (limit {MEMORY})")
    return 0 if good and used <= MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
