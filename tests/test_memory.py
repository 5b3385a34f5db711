"""Memory: timelines of small networks worked by hand, arenas, plans of checkpoints, and what commands show.

Values are of 4 bytes, and batches of 1, where nothing else is said.
"""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plots import words

import archcalc
from archcalc.catalog import open_shipped, shipped_files
from archcalc.freezing import with_frozen
from archcalc.gradients import Gradients
from archcalc.memory.arena import arena
from archcalc.memory.checkpoint import best, by_stage, cuts, with_checkpoints
from archcalc.memory.inference import inference
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.memory.precision import precision
from archcalc.memory.saved import Saved
from archcalc.memory.step import training_step
from archcalc.memory.timeline import IN_TRAINING, Moment, Size, Stretch, Timeline
from archcalc.network import Network
from archcalc.render.chart_labels import overlap
from archcalc.render.charts import svg
from archcalc.report.memory.document import _draw
from archcalc.report.memory.usage import MemoryAsked, usage_of

FLOAT32 = precision("float32")
SGD = OPTIMIZERS["sgd"]


def net(text: str) -> Network:
    return archcalc.loads(f"net n {{\n{text}\n}}")


def step_of(network: Network, optimizer: str = "sgd", dtype: str = "float32") -> Timeline:
    gradients, widths = Gradients(network), precision(dtype, network)
    return training_step(gradients, Saved(gradients, widths=widths), widths, OPTIMIZERS[optimizer])


def saved_bytes(step: Timeline) -> dict[str, int]:
    """What is kept for the backward pass, by name."""
    return {t.name: t.size.of(1) for t in step.tensors if t.category == "saved"}


# --- Steps of training --------------------------------------------------------------------------------

CHAIN = "input(2x4x4) -> conv(3, 3) -> relu -> flatten -> fc(2)"
# 57 parameters of conv and 26 of fc: 332 bytes. The tensors: 128, 48, 48, the same 48, and 8 bytes.
CHAIN_BYTES = [
    332 + 128,
    332 + 128 + 48,
    332 + 128 + 48 + 48,  # conv's output is freed after this: relu's own says where it was positive
    332 + 128 + 48,  # flatten is a view
    332 + 128 + 48 + 8,
    332 + 128 + 48 + 8 + 8,  # the loss: a gradient of the output's size
    332 + 128 + 48 + 8 + 48 + 104,  # fc: gradients of its output, its input, its parameters
    332 + 128 + 48 + 48 + 104,  # flatten passes its gradient on
    332 + 128 + 48 + 48 + 48 + 104,  # relu: a new gradient; then its output is freed
    332 + 128 + 48 + 104 + 228,  # conv: nothing for the input of the network
    332 + 104 + 228,  # the update
]

FORK = "input(4)\nfc(4, bias=false)\nadd(identity, fc(4, bias=false))"
# 2 times 16 weights: 128 bytes; every tensor is of 16.
FORK_BYTES = [
    128 + 16,
    128 + 2 * 16,
    128 + 3 * 16,
    128 + 4 * 16,  # then what the second fc output is freed: add reads nothing again
    128 + 4 * 16,  # input, output of the first fc, the sum and its gradient
    128 + 3 * 16,  # add passes the gradient to both
    128 + 4 * 16 + 64,  # the second fc: another gradient, which is then added to the one that add passed on
    128 + 2 * 16 + 128,
    128 + 128,
]

TWICE = "input(4)\nfc(4, bias=false)\nadd(identity, identity)"
TWICE_BYTES = [
    64 + 16,
    64 + 2 * 16,
    64 + 3 * 16,
    64 + 3 * 16,  # input, sum, its gradient
    64 + 2 * 16,
    64 + 3 * 16,  # the same gradient comes twice: neither can be written over, so the sum is a third tensor
    64 + 2 * 16 + 64,
    64 + 64,
]

SHARED = "input(4)\na: fc(4, bias=false)\nfc(4, bias=false, weight=a)"
SHARED_BYTES = [
    64 + 16,  # the weights are there once
    64 + 2 * 16,
    64 + 3 * 16,
    64 + 4 * 16,
    64 + 4 * 16 + 64,
    64 + 2 * 16 + 64 + 64,  # the second gradient of the weights is there until it is added to the first
    64 + 64,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(CHAIN, CHAIN_BYTES), (FORK, FORK_BYTES), (TWICE, TWICE_BYTES), (SHARED, SHARED_BYTES)],
)
def test_a_step_worked_by_hand(text: str, expected: list[int]) -> None:
    assert step_of(net(text)).bytes_alive(1) == expected


def test_the_moments_of_a_step() -> None:
    moments = [(m.phase, m.node.name if m.node else "") for m in step_of(net(CHAIN)).moments]
    layers = ["input", "conv1", "relu1", "flatten1", "fc1"]
    backward = [("backward", name) for name in reversed(layers[1:])]
    assert moments == [*(("forward", name) for name in layers), ("loss", ""), *backward, ("step", "")]


def test_the_batch_multiplies_tensors_and_not_parameters() -> None:
    alive = step_of(net(CHAIN)).bytes_alive(10)
    assert alive[:3] == [332 + 1280, 332 + 1280 + 480, 332 + 1280 + 480 + 480]
    assert alive[-1] == 332 + 332


def test_a_frozen_front_keeps_nothing_and_sends_nothing() -> None:
    step = step_of(with_frozen(net(CHAIN), ["conv1"]))
    assert saved_bytes(step) == {"relu1": 48}  # what fc's weights need
    assert step.bytes_alive(1) == [
        332 + 128,
        332 + 128 + 48,
        332 + 48 + 48,  # the input is freed after conv, conv's output after this
        332 + 48,
        332 + 48 + 8,
        332 + 48 + 8 + 8,
        332 + 48 + 8 + 104,
        332 + 104,
    ]


def test_what_optimizers_keep() -> None:
    network = net("input(3x8x8) -> conv(4, 3) -> bn -> flatten -> fc(10)")
    trained, arrays = 4 * 27 + 4 + 8 + 10 * 144 + 10, 6  # weight and bias of conv, bn, fc

    def state(name: str) -> int:
        return step_of(network, name).bytes_alive(1, "optimizer")[0]

    assert [state("none"), state("sgd"), state("momentum")] == [0, 0, 4 * trained]
    assert state("adam") == state("adamw") == 8 * trained + 4 * arrays
    assert step_of(network).bytes_alive(1, "parameters")[0] == 4 * (trained + 8)  # and bn's statistics
    assert step_of(network).bytes_alive(1, "gradients")[-1] == 4 * trained


def test_frozen_parameters_have_no_gradient_and_no_state() -> None:
    step = step_of(with_frozen(net(CHAIN), ["conv1"]), "adam")
    assert step.bytes_alive(1, "gradients")[-1] == 26 * 4
    assert step.bytes_alive(1, "optimizer")[-1] == 26 * 8 + 2 * 4


OPTIONS = [
    MemoryAsked(),
    MemoryAsked(batch=7, optimizer="adam"),
    MemoryAsked(batch=3, dtype="amp", optimizer="momentum"),
    MemoryAsked(batch=2, dtype="bfloat16", checkpoint="stage"),
    MemoryAsked(batch=64, checkpoint="best"),
    MemoryAsked(is_inference=True, dtype="int8", in_place=("activations", "add", "depthwise")),
    MemoryAsked(is_inference=True, weights_dtype="int8", has_arena=True),
]


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "googlenet", "densenet121", "vit_b_16", "unet"])
@pytest.mark.parametrize("asked", OPTIONS)
def test_lines_add_up_at_every_moment(name: str, asked: MemoryAsked) -> None:
    usage = usage_of(archcalc.load(name), asked)
    alive = usage.timeline.bytes_alive(asked.batch)
    parts = [usage.timeline.bytes_alive(asked.batch, each) for each in usage.categories]
    assert list(map(sum, zip(*parts, strict=True))) == alive
    assert sum(usage.at_peak().values()) == usage.peak[0] == max(alive)
    for moment in (0, len(alive) // 2, usage.peak[1], len(alive) - 1):
        assert sum(t.size.of(asked.batch) for t in usage.timeline.alive(moment)) == alive[moment]
    assert usage.timeline.largest_batch(usage.peak[0]) >= asked.batch
    assert usage.timeline.largest_batch(usage.peak[0] - 1) < asked.batch


def test_figures_of_nodes_add_up_to_those_of_the_step() -> None:
    for optimizer in OPTIMIZERS:
        profile = archcalc.analyze("googlenet", batch=5, heads=True, training=True, optimizer=optimizer)
        step = profile.step
        for category, figure in (("gradients", "gradient_bytes"), ("optimizer", "optimizer_bytes")):
            assert step.bytes_alive(5, category)[-1] == profile.totals[figure]
        assert profile.totals.saved_bytes == sum(
            tensor.size.of(5) for tensor in step.tensors if tensor.category == "saved"
        )
        assert profile.totals.training_macs == profile.totals.macs + profile.totals.backward_macs


# --- Mixed precision ----------------------------------------------------------------------------------


def test_mixed_precision_worked_by_hand() -> None:
    network = net("input(3x8x8) -> conv(4, 3) -> bn -> relu -> flatten -> fc(10) -> softmax")
    step = step_of(network, "momentum", "amp")
    assert saved_bytes(step) == {
        "conv1 input in 16 bits": 2 * 3 * 64,
        "conv1": 2 * 4 * 36,  # what bn reads
        "bn1 mean": 4 * 4,
        "bn1 inverse deviation": 4 * 4,
        "relu1": 2 * 4 * 36,  # what fc reads
        "fc1 arrays in 16 bits": 2 * (10 * 144 + 10),
        "softmax1": 4 * 10,
    }
    copies = {t.name: t.size.fixed for t in step.tensors if t.name.endswith("arrays in 16 bits")}
    assert copies["conv1 arrays in 16 bits"] == 2 * (4 * 27 + 4)  # no gradient of its input: not kept
    trained = 4 * 27 + 4 + 8 + 10 * 144 + 10
    assert step.bytes_alive(1, "gradients")[-1] == step.bytes_alive(1, "optimizer")[-1] == 4 * trained


@pytest.mark.parametrize(
    ("kind", "text", "module"),
    [
        ("conv", "conv(5, 3)", "Conv2d(4, 5, 3)"),
        ("depthwise", "depthwise(3)", "Conv2d(4, 4, 3, groups=4)"),
        ("conv_transpose", "conv_transpose(5, 3)", "ConvTranspose2d(4, 5, 3)"),
        ("bn", "bn", "BatchNorm2d(4)"),
        ("fc", "flatten -> fc(5)", "Sequential(Flatten(), Linear(144, 5))"),
        ("silu", "silu", "SiLU()"),
    ],
)
def test_mixed_precision_keeps_values_as_wide_as_autocast_does(kind: str, text: str, module: str) -> None:
    """Where the lists of autocast for CPUs agree with those for GPUs: not for softmax and layer norm."""
    torch = pytest.importorskip("torch")
    from torch import nn

    first = nn.Conv2d(3, 4, 3)
    second = eval(module, vars(nn))
    kept: list[int] = []

    def pack(tensor: Any) -> Any:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autocast("cpu", dtype=torch.bfloat16):
        between = first(torch.randn(1, 3, 8, 8))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            second(between)
    step = step_of(net(f"input(3x8x8) -> conv(4, 3) -> {text}"), "sgd", "amp")
    assert 2 * 4 * 36 in kept
    assert saved_bytes(step)["conv1"] == 2 * 4 * 36
    weight = next((p for p in second.parameters() if p.dim() > 1), None)
    if weight is not None:  # PyTorch keeps a copy of the weights alone: no gradient needs the bias
        assert 2 * weight.numel() in kept
        (copy,) = (size for name, size in saved_bytes(step).items() if "arrays in 16 bits" in name)
        assert copy == 2 * sum(p.numel() for p in second.parameters())
    if kind == "bn":
        assert kept.count(4 * 4) >= 2  # its statistics stay in 32 bits


# --- Inference ----------------------------------------------------------------------------------------


def test_a_run_worked_by_hand() -> None:
    network = net("input(2x4x4)\nconv(3, 3, padding=1)\nadd(identity, relu)\nglobal_avgpool -> flatten")
    # 32, 48, 48, 48, 3 and the same 3 values; conv's output waits for the join
    assert inference(network, FLOAT32).bytes_alive(1) == [
        4 * size for size in (32, 32 + 48, 48 + 48, 48 + 48 + 48, 48 + 3, 3)
    ] or inference(network, FLOAT32).bytes_alive(1) == [
        4 * size for size in (32, 32 + 48, 48 + 48, 48 + 48 + 48, 48 + 3, 3 + 3)
    ]


def test_in_place_at_inference() -> None:
    network = net("input(4x8x8) -> conv(4, 3, padding=1) -> bn -> relu -> depthwise(3, padding=1) -> relu")
    values = 4 * 64

    def alive(*names: str) -> list[int]:
        return [size // (4 * values) for size in inference(network, FLOAT32, names).bytes_alive(1)]

    assert alive() == [1, 2, 2, 2, 2, 2]
    assert alive("activations") == [1, 2, 1, 1, 2, 1]
    assert alive("activations", "depthwise") == [1, 2, 1, 1, 1, 1]


def test_what_is_read_again_is_not_written_over() -> None:
    network = net("input(4x8x8)\nconv(4, 3, padding=1)\nadd(identity, relu)")
    sizes = [size // 1024 for size in inference(network, FLOAT32, ("activations", "add")).bytes_alive(1)]
    assert sizes == [1, 2, 2, 2]  # relu's input is read again; add writes over one of the two


@pytest.mark.parametrize(
    ("names", "kib"), [((), 2352), (("activations",), 1470), (("activations", "depthwise"), 1372)]
)
def test_mobilenet_v2_as_in_mcunetv2(run: Any, names: tuple[str, ...], kib: int) -> None:
    """Lin et al. 2021, MCUNetV2, arXiv:2110.15352, Figure 1: 1372 kB for MobileNetV2 in int8."""
    options = ["--in-place", ",".join(names)] if names else []
    arguments = ["mobilenet_v2", "--inference", "--dtype", "int8", *options]
    shown = run("memory", *arguments).out
    assert f"peak of activations {kib * 1024:,} bytes" in shown
    assert f"{kib:,}.0 KiB" in shown
    document = json.loads(run("memory", *arguments, "--format", "json").out)
    assert document["at_peak"]["activations"] == kib * 1024
    assert document["at_peak"]["parameters"] == 3_504_872 + 34_112  # parameters and running statistics


def test_resnet50_with_norms_activations_and_joins_in_place() -> None:
    """The input, the output and the residual of the last convolution of a bottleneck on 56x56."""
    timeline = inference(archcalc.load("resnet50_v1_5"), FLOAT32, ("activations", "add"))
    assert timeline.peak(1)[0] == 4 * 56 * 56 * (64 + 256 + 256) == 7_225_344


# --- The largest batch --------------------------------------------------------------------------------


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    moments = draw(st.integers(1, 8))
    tensors = []
    for number in range(draw(st.integers(1, 10))):
        born = draw(st.integers(0, moments - 1))
        last = draw(st.integers(born, moments - 1))
        size = Size(draw(st.integers(0, 50)), draw(st.integers(0, 20)))
        tensors.append(Stretch(f"t{number}", "saved", None, size, born, last))
    tensors.append(Stretch("last", "saved", None, Size(0, 1), 0, 0))
    return Timeline([Moment("forward", None)] * moments, tensors)


@given(timelines(), st.integers(0, 500))
def test_the_largest_batch_against_trying_every_batch(timeline: Timeline, limit: int) -> None:
    fits = [batch for batch in range(1, limit + 2) if timeline.peak(batch)[0] <= limit]
    assert timeline.largest_batch(limit) == max(fits, default=0)


@pytest.mark.parametrize("options", [[], ["--dtype", "amp"], ["--checkpoint", "best"], ["--inference"]])
def test_fit_finds_the_largest_batch(run: Any, options: list[str]) -> None:
    arguments = ["memory", "resnet18", *options, "--format", "json"]
    fit = json.loads(run(*arguments, "--fit", "1GB").out)["fit"]
    peaks = [
        json.loads(run(*arguments, "--batch", str(batch)).out)["peak_bytes"]
        for batch in (fit["batch"], fit["batch"] + 1)
    ]
    assert [fit["peak_bytes"], fit["next_peak_bytes"]] == peaks
    assert peaks[0] <= fit["limit"] == 10**9 < peaks[1]


# --- Arenas -------------------------------------------------------------------------------------------


@given(timelines())
def test_tensors_alive_together_do_not_overlap(timeline: Timeline) -> None:
    placed = arena(timeline, batch=3)
    for one, other in combinations(placed.placed, 2):
        if one.tensor.born <= other.tensor.last and other.tensor.born <= one.tensor.last:
            assert (
                one.offset + one.size <= other.offset
                or other.offset + other.size <= one.offset
                or (not one.size or not other.size)
            )
    assert placed.size >= timeline.peak(3)[0]
    assert placed.size == max(each.offset + each.size for each in placed.placed)


@given(timelines())
def test_places_as_in_the_paper(timeline: Timeline) -> None:
    """Pisarchyk & Lee 2020, Algorithm 3, line by line."""
    sized = [tensor for tensor in timeline.tensors if tensor.size.of(1)]
    offsets: dict[int, int] = {}
    for tensor in sorted(sized, key=lambda each: -each.size.of(1)):
        previous, place, smallest = 0, None, None
        for other in sorted((each for each in sized if id(each) in offsets), key=lambda x: offsets[id(x)]):
            if max(tensor.born, other.born) <= min(tensor.last, other.last):
                gap = offsets[id(other)] - previous
                if gap >= tensor.size.of(1) and (smallest is None or gap < smallest):
                    smallest, place = gap, previous
                previous = max(previous, offsets[id(other)] + other.size.of(1))
        offsets[id(tensor)] = previous if place is None else place
    found = {id(each.tensor): each.offset for each in arena(timeline).placed if each.size}
    assert found == offsets


def test_how_near_arenas_come_to_the_bound() -> None:
    """Greedy by size needs no more than is alive at the peak in most networks; U-Net is the worst."""
    ratios = {}
    for name in shipped_files():
        if not open_shipped(name).missing:
            totals = archcalc.analyze(name)
            ratios[name] = totals.arena.size / totals.totals.peak_activations
    assert sum(ratio == 1 for ratio in ratios.values()) >= 179
    assert min(ratios.values()) == 1
    worst = max(ratios, key=lambda name: ratios[name])
    assert (worst, round(ratios[worst], 2)) == ("unet", 1.46)


# --- Checkpoints --------------------------------------------------------------------------------------


def test_checkpoints_worked_by_hand() -> None:
    network = net("input(8) -> fc(8, bias=false) -> sigmoid -> sigmoid -> sigmoid -> sigmoid")
    plan = with_checkpoints(Saved(Gradients(network)), FLOAT32, SGD, [(2, 5)])
    # 64 weights: 256 bytes; every tensor is of 32
    assert plan.timeline.bytes_alive(1) == [
        256 + size * 32
        for size in (
            1, 2, 3,  # input, fc, the first sigmoid
            4, 4, 4,  # of the three that run again, each is freed once it is read
            4,  # the loss: input, fc, the last sigmoid, its gradient
            5,  # its backward pass: another gradient
            4, 5, 6,  # again: input, fc, a gradient, and one sigmoid after the other
            6, 5, 4,  # their backward passes; fc's output is freed, since nothing reads it again
        )
    ] + [256 + 2 * 32 + 256, 256 + 256]  # fmt: skip
    phases = [moment.phase for moment in plan.timeline.moments]
    assert phases == ["forward"] * 6 + ["loss", "backward"] + ["recompute"] * 3 + ["backward"] * 4 + ["step"]
    assert [node.name for node in plan.recomputed] == ["sigmoid1", "sigmoid2", "sigmoid3"]
    assert plan.extra_macs == 0


def test_what_runs_again_costs_its_multiply_adds() -> None:
    network = net(
        "input(4x8x8) -> conv(4, 3, padding=1) -> relu -> conv(4, 3, padding=1) -> relu -> conv(2, 1)"
    )
    plan = with_checkpoints(Saved(Gradients(network)), FLOAT32, SGD, [(2, 5)])
    assert [node.name for node in plan.recomputed] == ["relu1", "conv2", "relu2"]
    assert plan.extra_macs == 4 * 4 * 9 * 64


LAYERS = st.sampled_from(
    ["conv(4, 3, padding=1)", "conv(8, 1)", "relu", "sigmoid", "bn", "silu", "maxpool(2, 1)", "tanh"]
)


@given(st.lists(LAYERS, min_size=2, max_size=7), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_the_best_plan_against_every_plan(layers: list[str], batch: int) -> None:
    network = net(" -> ".join(["input(3x12x12)", "conv(4, 3)", *layers]))
    saved = Saved(Gradients(network))
    ends = [0, *cuts(saved), len(network.nodes)]
    peaks = []
    for count in range(len(ends) - 1):
        for chosen in combinations(ends[1:-1], count):
            parts = list(pairwise([0, *chosen, ends[-1]]))[
                1:-1
            ]  # the first reads the input, the last the loss
            for number in range(len(parts) + 1):
                for segments in combinations(parts, number):
                    plan = with_checkpoints(saved, FLOAT32, SGD, segments)
                    peaks.append(plan.timeline.peak(batch)[0])
    found = best(saved, FLOAT32, SGD, batch).timeline.peak(batch)[0]
    # it adds up what parts take alone, which is nearly what they take together
    assert min(peaks) <= found <= min(peaks) * 1.01


def test_a_plan_for_each_stage() -> None:
    network = archcalc.load("resnet18")
    gradients = Gradients(network)
    saved = Saved(gradients)
    segments = by_stage(gradients)
    names = [network.nodes[start].name.split("/")[0] for start, _ in segments]
    assert names == ["conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x"]
    plain, plan = (with_checkpoints(saved, FLOAT32, SGD, each) for each in ([], segments))
    assert plan.timeline.peak(64)[0] < plain.timeline.peak(64)[0]
    assert best(saved, FLOAT32, SGD, 64).timeline.peak(64)[0] <= plan.timeline.peak(64)[0]
    assert plan.timeline.bytes_alive(1, "gradients")[-1] == plain.timeline.bytes_alive(1, "gradients")[-1]


# --- What is shown ------------------------------------------------------------------------------------

OPAQUE = """net unknown {
  input(3x32x32)
  conv(8, 3, padding=1) -> relu
  opaque(identity, op="grid_sample", shape=8x32x32, params=[8x3])
  conv(8, 3) -> relu -> global_avgpool -> flatten -> fc(10)
}
"""


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize(
    "arguments", ["resnet152 --batch 64 --optimizer adam", "mobilenet_v2 --inference --arena"]
)
def test_figures_are_never_cut(run: Any, arguments: str, width: int) -> None:
    wide, narrow = (run("memory", *arguments.split(), width=each).out for each in (300, width))

    def figures(text: str) -> set[str]:
        lines = [line for line in text.splitlines() if not set(line) & set("▁▂▃▄▅▆▇█")]
        return {word for line in lines for word in line.split() if word.replace(",", "").isdecimal()}

    assert figures(wide) <= figures(narrow)


def test_names_lose_their_beginnings(run: Any) -> None:
    lines = run("memory", "resnet50", "--checkpoint", "stage", "--batch", "64", width=60).out.splitlines()
    rows = [line for line in lines if "  256×56×56  " in line]
    assert rows
    assert all("…" in row for row in rows)
    assert max(map(len, rows)) <= 60


def test_unknown_operations_make_lower_bounds(run: Any, tmp_path: Any) -> None:
    (tmp_path / "unknown.arch").write_text(OPAQUE)
    shown = run("memory", "unknown.arch", width=200).out
    assert "peak at least " in shown
    assert "lower bounds: the memory of grid_sample is unknown" in shown
    fit = run("memory", "unknown.arch", "--fit", "1GB", width=200).out
    assert "the largest batch in 1GB: at most " in fit
    inference = run("memory", "unknown.arch", "--inference").out
    assert "peak of activations at least " in inference
    assert json.loads(run("memory", "unknown.arch", "--format", "json").out)["complete"] is False
    report = run("report", "unknown.arch", "--training", width=200).out
    assert "training figures are lower bounds: the cost of grid_sample is unknown" in report
    for quantity in ("saved_bytes", "training_peak_bytes", "backward_macs", "training_macs"):
        shown = run("explain", "unknown.arch", quantity).out
        assert "lower bound: the cost of grid_sample is unknown" in shown
        bound = f"{quantity} <= 10000000000"
        assert run("check", "unknown.arch", "--expect", bound).status == 1
        assert run("check", "unknown.arch", "--expect", bound, "--allow-unknown").status == 0
    assert run("check", "unknown.arch", "--expect", "gradient_bytes == 3688").status == 0  # 922 parameters


def test_explained_figures_hold_together(run: Any) -> None:
    shown = run("explain", "lenet5", "optimizer_bytes", "--optimizer", "adam").out
    assert "  = 2 × 246,824 + 4 × 10 = 493,688" in shown
    shown = run("explain", "lenet5", "training_peak_bytes").out
    assert "sum                     = 553,568" in shown


def test_conditions_reach_expectations(run: Any, tmp_path: Any) -> None:
    """What a file expects is of SGD; what the command line expects is of the optimizer that it names."""
    text = "net n { input(8) -> fc(4, bias=false)\n expect optimizer_bytes == 0 }\n"
    (tmp_path / "n.arch").write_text(text)
    expect = ("--optimizer", "adam", "--expect", "optimizer_bytes == 260")
    assert run("check", "n.arch", *expect).status == 0
    assert archcalc.check("googlenet", "optimizer_bytes > 1", optimizer="adam", heads=True).ok
    assert not archcalc.check("googlenet", "optimizer_bytes > 1", heads=True).ok


def test_locked_figures_of_training(run: Any, tmp_path: Any) -> None:
    run("lock", "lenet5", "--training", "--optimizer", "adam", "-o", "l.lock")
    text = (tmp_path / "l.lock").read_text()
    assert "with training=adam" in text
    assert "total optimizer_bytes 493,688" in text
    assert run("check", "--locked", "l.lock").status == 0


def test_comparisons_of_training_name_the_optimizer(run: Any) -> None:
    arguments = ("compare", "lenet5", "alexnet", "--training", "--optimizer", "momentum")
    assert "optimizer momentum" in run(*arguments).out
    document = json.loads(run(*arguments, "--format", "json").out)
    assert document["optimizer"] == "momentum"
    (row,) = (each for each in document["totals"] if each["quantity"] == "optimizer_bytes")
    assert row["values"] == [4 * 61_706, 4 * 60_965_224]


# --- Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        ("--optimizer adan", "unknown optimizer `adan`", "did you mean `adam`"),
        ("--optimizer lion", "unknown optimizer `lion`", "optimizers: none, sgd, momentum, adam, adamw"),
        ("--freeze stage9/*", "`stage9/*`", ""),
        ("--batch 0", "the batch must be a whole number from 1 to 1,000,000,000, got 0", ""),
        ("--batch 99999999999999999999", "from 1 to 1,000,000,000, got 99999999999999999999", ""),
        ("--dtype int8", "training in int8 is not supported", "add `--inference`"),
        ("--dtype amq", "unknown dtype `amq`", "bfloat16, float8, int8, amp"),
        ("--inference --in-place norms", "`norms`", "names: activations, add, depthwise"),
        ("--in-place add", "`--in-place` needs `--inference`", "add `--inference`"),
        ("--arena", "`--arena` needs `--inference`", "add `--inference`"),
        ("--weights-dtype int8", "`--weights-dtype` needs `--inference`", "add `--inference`"),
        ("--inference --weights-dtype int3", "unknown weights dtype `int3`", "int8"),
        (
            "--inference --dtype amp --weights-dtype int8",
            "cannot be combined with `--dtype amp`",
            "leave out `--weights-dtype`",
        ),
        ("--inference --checkpoint best", "`--checkpoint` cannot be combined", "leave out `--inference`"),
        ("--checkpoint bets", "unknown checkpoint plan `bets`", "did you mean `best`"),
        ("--fit 24", "`24` is not a memory size", "write `24GB` or `24GiB`"),
        ("--fit=", "the memory size is empty", "write `24GB` or `24GiB`"),
        ("--fit -1GB", "`-1GB` is not a memory size", "write `24GB` or `24GiB`"),
        ("--fit " + "9" * 400 + "GB", "is not a memory size", "write `24GB` or `24GiB`"),
        ("--inference --arena --fit 1GB", "`--fit` cannot be combined", "leave out `--arena`"),
        ("--freeze *", "no parameter of `lenet5` is trained", "freeze less, or add `--inference`"),
    ],
)
def test_mistakes_have_a_cause_and_a_remedy(run: Any, arguments: str, message: str, remedy: str) -> None:
    found = run("memory", "lenet5", *arguments.split(), width=200)
    assert found.status == 2
    assert message in found.err
    assert remedy in found.err
    assert not found.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("report lenet5 --training --dtype amp", "`archcalc memory NET --dtype amp`"),
        ("report lenet5 --training --dtype int8", "training in int8 is not supported"),
        ("report lenet5 --columns saved_bytes", "add `--training`"),
        ("explain lenet5 saved_bytes --optimizer adan", "did you mean `adam`"),
        ("memory lenet5 -o nowhere/memory.txt", "nowhere"),
    ],
)
def test_mistakes_of_other_commands(run: Any, arguments: str, message: str) -> None:
    found = run(*arguments.split(), width=200)
    assert found.status == 2
    assert message in found.err


def test_no_sample_fits(run: Any) -> None:
    shown = run("memory", "vgg16", "--fit", "1MB", width=200).out
    assert "not even one sample fits into 1MB: it takes " in shown
    assert "batch 1," in shown


def test_a_batch_beyond_the_largest_is_not_tried(run: Any) -> None:
    shown = run("memory", "lenet5", "--fit", "99999999999999999999TB", width=200).out
    assert "1,000,000,000 samples fit into 99999999999999999999TB" in shown


def test_parameters_of_another_dtype(run: Any) -> None:
    """Weights of int8 with activations in float32, as post-training quantization of weights has them."""
    text = "net t { input(3x32x32) -> conv(16, 3, padding=1) -> relu -> flatten -> fc(10) }"
    usage = usage_of(archcalc.loads(text), MemoryAsked(is_inference=True, weights_dtype="int8"))
    assert usage.at_peak() == {"activations": 4 * 2 * 16 * 32 * 32, "parameters": 448 + 163_850}


@pytest.mark.parametrize(
    "asked",
    [
        MemoryAsked(batch=64, optimizer="adam", checkpoint="best"),
        MemoryAsked(is_inference=True, dtype="int8", in_place=("activations", "depthwise")),
    ],
)
def test_texts_of_the_chart_do_not_overlap(asked: MemoryAsked) -> None:
    pytest.importorskip("matplotlib")
    usage = usage_of(archcalc.load("mobilenet_v2"), asked)
    drawn: list[Any] = []

    def draw() -> Any:
        drawn.append(_draw(usage, "mobilenet_v2: memory over time"))
        return drawn[0]

    assert "<svg" in svg(draw, "mobilenet_v2: memory over time")
    # ticks beyond the ends of the axes are not drawn, and have places all the same
    shown = [(text, box) for text, box in words(drawn[0].figure) if not text[0].isdecimal()]
    assert {"MB", "parameters"} <= {text for text, _ in shown}
    for (one, box), (other, second) in combinations(shown, 2):
        assert overlap(box, second) < 1.5, f"`{one}` and `{other}` overlap"


def test_categories_are_those_of_the_command() -> None:
    assert usage_of(net(CHAIN), MemoryAsked()).categories == IN_TRAINING
