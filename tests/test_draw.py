"""Drawings: what is drawn is the network, nothing overlaps, and other readers understand every format."""

from __future__ import annotations

import random
import re
import runpy
import sys
from itertools import combinations, pairwise
from math import dist, prod
from pathlib import Path
from xml.etree import ElementTree

import networkx
import pytest

from archcalc import NetworkBuilder, analyze, load
from archcalc.catalog import open_shipped, shipped_files
from archcalc.diagnostics import ArchError
from archcalc.layers import Add, Conv2d, ReLU
from archcalc.network import Network
from archcalc.opening import loads
from archcalc.pages.drawings_page import drawings
from archcalc.profile import Profile
from archcalc.report.rows import sortable
from archcalc.view.draw import Wanted, draw
from archcalc.view.draw import levels as choosing
from archcalc.view.draw.colors import KIND, coloring
from archcalc.view.draw.graph import draw_graph
from archcalc.view.draw.levels import LEVELS, choose
from archcalc.view.draw.palette import (
    FAMILIES,
    RAMP,
    READABLE,
    WHITE,
    contrast,
    family_color,
    letters_on,
    share_color,
)
from archcalc.view.draw.scene import Scene, scene
from archcalc.view.draw.svg import Canvas
from archcalc.view.draw.texts import MERMAID_EDGES, MERMAID_LETTERS
from archcalc.view.draw.volumes import draw_volumes
from archcalc.view.draw.words import shape_text, title
from archcalc.view.structure import structure

GOLDEN = Path(__file__).parent / "golden"
BUILT_IN = [name for name in shipped_files() if not open_shipped(name).missing]
LOOKED_AT = (
    "lenet5", "vgg16", "googlenet", "resnet50", "densenet121", "unet", "vit_b_16", "nasnet_a_mobile",
    "swin_t", "crnn", "inception_v4", "deconvnet", "highway_fc50", "resnet1202_cifar",
)  # fmt: skip
"""Networks of all sorts; their drawings were looked at."""

SVG = "{http://www.w3.org/2000/svg}"


def canvas_of(network: Network, level: str, by: str = "") -> tuple[Canvas, Scene]:
    """A network on a canvas, as `draw` draws it."""
    profile = analyze(network)
    chosen = choose(network, level, None, "", False)
    found = coloring(profile, chosen.scene.parts, by or ("macs" if chosen.level == "blocks" else KIND))
    canvas = Canvas(network.name, "")
    (draw_volumes if chosen.level == "volumes" else draw_graph)(canvas, chosen.scene, found)
    return canvas, chosen.scene


# --- Nothing overlaps, and all can be read ------------------------------------------------------------


def check_texts(canvas: Canvas) -> None:
    """Texts are apart from each other, within the drawing, and in colors that can be read."""
    wide, high = canvas.size(0)
    by_row = sorted(canvas.texts, key=lambda text: text.top)
    for number, one in enumerate(by_row):
        assert one.left >= -0.1, one
        assert one.top >= -0.1, one
        assert one.right <= wide + 0.1, one
        assert one.bottom <= high + 0.1, one
        assert contrast(one.color, one.ground) >= READABLE, one
        for other in by_row[number + 1 :]:
            if other.top >= one.bottom:
                break
            assert min(one.right, other.right) <= max(one.left, other.left) + 0.1 or (
                min(one.bottom, other.bottom) - max(one.top, other.top) < 1
            ), (one, other)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_labels_of_blocks_overlap(name):
    canvas, _ = canvas_of(load(name), "blocks")
    check_texts(canvas)


@pytest.mark.parametrize("level", ["layers", "volumes"])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_no_labels_of_layers_and_volumes_overlap(name, level):
    canvas, _ = canvas_of(load(name), level)
    check_texts(canvas)
    assert canvas.texts


def test_an_overlap_would_be_seen():
    canvas = Canvas("", "")
    canvas.write("one text", 0, 10, 10)
    canvas.write("another", 20, 12, 10)
    with pytest.raises(AssertionError):
        check_texts(canvas)


Box = tuple[float, float, float, float]


def boxes_and_lines(svg: str) -> tuple[list[Box], list[list[tuple[float, float]]]]:
    """The boxes of parts and the lines between them, as points close to one another, from the file alone."""
    root = ElementTree.fromstring(svg)
    boxes = []
    for element in root.iter(f"{SVG}rect"):
        if element.get("rx") == "3":
            x, y, wide, high = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
            boxes.append((x, y, x + wide, y + high))
    lines = [
        points_of(str(element.get("d")))
        for element in root.iter(f"{SVG}path")
        if element.get("stroke") and element.get("fill") == "none"
    ]
    return boxes, lines


def points_of(path: str) -> list[tuple[float, float]]:
    """Points of a path of M, V and C, at most a twentieth of a piece apart."""
    found: list[tuple[float, float]] = []
    for name, numbers in re.findall(r"([MVC])([^MVC]*)", path):
        values = [float(value) for value in numbers.split()]
        if name == "M":
            found.append((values[0], values[1]))
            continue
        x, y = found[-1]
        if name == "V":
            values = [x, y, x, values[0], x, values[0]]
        for step in range(1, 21):
            t = step / 20
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            xs, ys = (x, *values[::2]), (y, *values[1::2])
            found.append(
                (
                    sum(w * each for w, each in zip(weights, xs, strict=True)),
                    sum(w * each for w, each in zip(weights, ys, strict=True)),
                )
            )
    return found


def check_lines(svg: str) -> None:
    """No line passes through a box, and no boxes overlap."""
    boxes, lines = boxes_and_lines(svg)
    assert boxes
    assert lines
    boxes.sort(key=lambda box: box[1])
    for line in lines:
        low, high = min(y for _, y in line), max(y for _, y in line)
        near = [box for box in boxes if box[3] > low and box[1] < high]
        for left, top, right, bottom in near:
            inside = [
                (x, y) for x, y in line if left + 0.6 < x < right - 0.6 and top + 0.6 < y < bottom - 0.6
            ]
            assert not inside, (inside, (left, top, right, bottom))


@pytest.mark.parametrize("level", ["blocks", "layers"])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_no_line_passes_through_a_box(name, level):
    canvas, drawn = canvas_of(load(name), level)
    check_lines(canvas.to_svg())
    boxes, lines = boxes_and_lines(canvas.to_svg())
    assert len(boxes) == sum(3 if part.times else 1 for part in drawn.parts)
    assert len(lines) >= len({end for _, end in drawn.edges})


def test_a_line_through_a_box_would_be_seen():
    canvas = Canvas("", "")
    canvas.box(0, 0, 50, 20, "#FFFFFF", round=3)
    canvas.curve("M25.0 -9.0V40.0", [(25, -9), (25, 40)], "#000000")
    with pytest.raises(AssertionError):
        check_lines(canvas.to_svg())


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_are_drawn_without_overlaps(seed):
    network = random_network(random.Random(seed))
    for level in LEVELS:
        canvas, drawn = canvas_of(network, level)
        check_texts(canvas)
        if level != "volumes":
            check_lines(canvas.to_svg())
        assert true_edges(drawn) == {*drawn.edges}


def random_network(rng: random.Random) -> Network:
    """Layers and blocks that read any tensors before them."""
    build = NetworkBuilder("random")
    tensors = [build.input((4, 8, 8))]
    for number in range(rng.randint(3, 25)):
        layer = rng.choice([Conv2d(4, 3, padding=1), Conv2d(4, 1), ReLU(), Add(), Add()])
        reads = rng.sample(tensors, min(len(tensors), rng.randint(2, 3))) if isinstance(layer, Add) else []
        if isinstance(layer, Add) and len(reads) < 2:
            layer = ReLU()
        if rng.random() < 0.25:
            with build.group(f"block{number}"):
                inner = build.add(Conv2d(4, 1), rng.choice(tensors))
                tensors.append(build.add(layer, *(reads or [inner])))
                tensors.append(build.add(Conv2d(4, 1), inner))
        else:
            tensors.append(build.add(layer, *(reads or [rng.choice(tensors[-3:])])))
    return build.finish(build.add(Add(), *tensors))


# --- What is drawn is the network ---------------------------------------------------------------------


def true_edges(drawn: Scene) -> set[tuple[int, int]]:
    """The edges between the parts of a scene without runs that are open, from the nodes alone."""
    place = {node.index: number for number, part in enumerate(drawn.parts) for node in part.nodes}
    return {
        (place[source.index], place[node.index])
        for part in drawn.parts
        for node in part.nodes
        for source in node.inputs
        if place[source.index] != place[node.index]
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_layer_and_every_edge_is_drawn(name):
    network = load(name)
    found = structure(network, fold=False)
    for opened in (set(range(len(found.boxes))), choosing.opened_to(found, 0, 1)):
        drawn = scene(found, opened)
        nodes = [node.index for part in drawn.parts for node in part.nodes]
        assert sorted(nodes) == [node.index for node in network.nodes if not node.training]
        assert set(drawn.edges) == true_edges(drawn)


def test_a_run_that_is_open_shows_its_first_blocks_and_how_often_they_repeat():
    found = structure(load("resnet1202_cifar"))
    drawn = scene(found, range(len(found.boxes)))
    assert sorted(frame.box.times for frame in drawn.frames if frame.box.is_run) == [199, 199, 200]
    # one after the other, whatever repeats: three stages, each begins and ends
    graph = networkx.DiGraph(drawn.edges)
    assert networkx.is_directed_acyclic_graph(graph)
    assert networkx.number_weakly_connected_components(graph) == 1
    assert len(drawn.parts) < 40


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "resnet50", "unet", "vit_b_16"])
def test_what_boxes_say_adds_up_to_the_total(name):
    profile = analyze(name, training=True, optimizer="adam")
    drawn = choose(profile.network, "blocks", 1, "", False).scene
    for quantity in sortable(profile):
        found = coloring(profile, drawn.parts, quantity)
        # the backward pass of the first layer also needs the input, which no layer has made
        inputs = sum(prod(node.shape) * 4 for node in profile.network.inputs.values())
        missing = inputs if quantity == "saved_bytes" else 0
        assert sum(found.values) + missing == found.total == profile.totals[quantity], quantity


def test_volumes_of_lenet5_are_those_of_its_figure():
    # LeCun et al. 1998, Figure 2: the maps of each layer
    drawn = choose(load("lenet5"), "volumes", None, "", False).scene
    assert [(title(part), shape_text(part)) for part in drawn.parts] == [
        ("input", "1×32×32"), ("C1: conv 5×5", "6×28×28"), ("S2: avgpool 2×2", "6×14×14"),
        ("C3: conv 5×5", "16×10×10"), ("S4: avgpool 2×2", "16×5×5"), ("C5: conv 5×5", "120×1×1"),
        ("F6: fc", "84"), ("fc", "10"),
    ]  # fmt: skip


def test_figures_of_known_layers():
    # Szegedy et al. 2014, Table 1: 57K parameters of the 7x7 convolution would need 2.7K; computed by hand:
    # conv2's 3x3 convolution, 64 * 192 * 9 * 56 * 56 multiply-accumulates, and its 1x1, 64 * 64 * 56 * 56
    profile = analyze("googlenet")
    drawn = choose(profile.network, "blocks", None, "", False).scene
    found = coloring(profile, drawn.parts, "macs")
    place = next(n for n, part in enumerate(drawn.parts) if part.box.name == "conv2")
    assert found.values[place] == (64 * 192 * 9 + 64 * 64) * 56 * 56
    assert found.colors[place] == RAMP[-1]  # the most expensive block
    assert found.figure(place) == "359.7M · 22.7%"


def test_what_is_not_known_is_not_drawn_as_zero():
    text = """net n {
      input(3x8x8)
      conv(8, 3)
      odd: { opaque(identity, op="roll", shape=8x6x6) -> conv(8, 1) }
      opaque(identity, op="mystery", shape=8x6x6)
    }"""
    profile = analyze(loads(text))
    drawn = choose(profile.network, "blocks", 1, "", False).scene
    found = coloring(profile, drawn.parts, "macs")
    assert [found.figure(number) for number in range(1, 4)] == ["7.776K", "≥ 2.304K", "?"]
    assert "mystery" in draw(profile, Wanted(), "dot").data.decode()
    params = coloring(profile, drawn.parts, "params")  # which are those that its text names
    assert params.figure(3) == "0"
    read = networkx.parse_graphml(draw(profile, Wanted(), "graphml").data.decode())
    assert "macs" not in read.nodes["opaque1"]
    assert read.nodes["opaque1"]["params"] == 0


def test_a_network_with_too_many_edges_is_an_error():
    build = NetworkBuilder("dense")
    tensors = [build.input((1, 8, 8))]
    for _ in range(110):
        tensors.append(build.add(Add(), *tensors) if len(tensors) > 1 else build.add(ReLU(), tensors[0]))
    network = build.finish(tensors[-1])
    with pytest.raises(ArchError, match="too large to draw: 6,105 edges, of 5,000 at most"):
        draw(analyze(network), Wanted())


def test_the_inception_module_by_itself():
    # Figure 2(b) of the paper: four branches from one tensor into one concatenation
    drawn = choose(load("googlenet"), "layers", None, "inception3a", False).scene
    graph = networkx.DiGraph(drawn.edges)
    (start,) = [number for number in graph if graph.in_degree(number) == 0]
    (end,) = [number for number in graph if graph.out_degree(number) == 0]
    assert drawn.parts[start].is_outside
    assert drawn.parts[end].main.kind == "concat"
    paths = [
        [drawn.parts[n].main.kind for n in path] for path in networkx.all_simple_paths(graph, start, end)
    ]
    assert sorted(map(len, paths)) == [3, 4, 4, 4]


# --- Colors -------------------------------------------------------------------------------------------


def test_letters_can_be_read_on_all_colors():
    for step in range(101):
        color = share_color(step / 100)
        assert contrast(letters_on(color), color) >= READABLE


def test_shares_are_darker_the_larger_they_are():
    lightness = [contrast(share_color(step / 50), "#000000") for step in range(1, 51)]
    assert all(a > b for a, b in pairwise(lightness))


MACHADO = {
    "all colors": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no long waves": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)
    ),
    "no middle waves": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)
    ),
    "no short waves": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)
    ),
}  # fmt: skip
"""How colors look to eyes without one of their cones (Machado et al. 2009, severity 1), in linear light."""


@pytest.mark.parametrize("eyes", MACHADO)
def test_kinds_differ_in_color_for_all_eyes(eyes):
    colors = {name: color for color, name in map(family_color, [*FAMILIES, "anything else"])} | {
        "input": WHITE
    }
    seen = {name: lab(color, MACHADO[eyes]) for name, color in colors.items()}
    for (name, one), (other_name, other) in combinations(seen.items(), 2):
        assert dist(one, other) > 12, (name, other_name)  # 2.3 is a difference that can just be seen


def lab(color: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """A color as CIELAB has it, after what eyes make of it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    red, green, blue = (max(0, sum(a * b for a, b in zip(row, linear, strict=True))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    a, b, c = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * b - 16, 500 * (a - b), 200 * (b - c)


def test_contrast_is_that_of_the_standard():
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)  # WCAG's well-known near miss


# --- Formats, read by others --------------------------------------------------------------------------

TAGS = {"svg", "title", "desc", "defs", "path", "rect", "polygon", "g", "use", "text"}
ATTRIBUTES = {
    "width", "height", "viewBox", "role", "aria-labelledby", "aria-label", "id", "d", "x", "y", "rx", "fill",
    "stroke", "stroke-width", "stroke-dasharray", "points", "transform", "font-family", "font-size",
    "textLength", "lengthAdjust", "{http://www.w3.org/1999/xlink}href",
    "{http://www.w3.org/XML/1998/namespace}space",
}  # fmt: skip


def check_svg(svg: str) -> ElementTree.Element:
    """Well-formed, of plain shapes alone, and without references to anything outside."""
    root = ElementTree.fromstring(svg)
    ids = {element.get("id") for element in root.iter()}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in TAGS
        assert set(element.keys()) <= ATTRIBUTES
        target = element.get("{http://www.w3.org/1999/xlink}href", "")
        assert not target or (target.startswith("#") and target[1:] in ids)
    return root


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["lenet5", "resnet50", "googlenet"])
def test_svg_is_of_plain_shapes(name, level):
    svg = draw(analyze(name), Wanted(level=level)).data.decode()
    root = check_svg(svg)
    assert root.find(f"{SVG}title").text == f"{name}, {level}"
    assert "3×224×224" in root.find(f"{SVG}desc").text or name == "lenet5"
    assert "nan" not in svg


@pytest.mark.parametrize("level", LEVELS)
def test_lenet5_is_drawn_as_ever(level, golden):
    data = draw(analyze("lenet5"), Wanted(level=level, editable=True)).data
    golden(GOLDEN / f"draw_lenet5_{level}.svg", data.decode())


@pytest.mark.parametrize("format", ["mermaid", "dot"])
def test_texts_of_lenet5_are_as_ever(format, golden):
    data = draw(analyze("lenet5"), Wanted(level="layers"), format).data
    golden(GOLDEN / f"draw_lenet5.{format}", data.decode())


DOT = re.compile(r'p(\d+) \[label="((?:[^"\\]|\\.)*)", fillcolor="(#\w{6})", fontcolor="(#\w{6})"\]$')


def read_dot(text: str) -> tuple[dict[int, str], set[tuple[int, int]]]:
    """The labels and edges of a DOT file; every line must be one of those that are known."""
    labels, edges, depth = {}, set(), 0
    lines = text.splitlines()
    assert lines[0].startswith("digraph ")
    for line in map(str.strip, lines[1:]):
        if node := DOT.match(line):
            label = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], node[2])
            labels[int(node[1])] = label
            assert contrast(node[3], node[4]) >= READABLE
        elif edge := re.match(r"p(\d+) -> p(\d+)$", line):
            edges.add((int(edge[1]), int(edge[2])))
        elif re.match(r"subgraph cluster\d+ \{$", line):
            depth += 1
        elif line == "}":
            depth -= 1
        else:
            assert re.match(r'(node|edge|graph) \[|label="(?:[^"\\]|\\.)*"$', line), line
    assert depth == -1
    return labels, edges


@pytest.mark.parametrize("name", LOOKED_AT)
def test_dot_has_every_part_and_edge(name):
    for level in ("blocks", "layers"):
        drawn = choose(load(name), level, None, "", False).scene
        labels, edges = read_dot(draw(analyze(name), Wanted(level=level), "dot").data.decode())
        assert edges == set(drawn.edges)
        assert len(labels) == len(drawn.parts)


def read_mermaid(text: str) -> tuple[dict[int, str], set[tuple[int, int]]]:
    """The labels and edges of a flowchart; every line must be one of those that are known."""
    labels, edges, depth = {}, set(), 0
    lines = text.splitlines()
    assert lines[0] == "flowchart TB"
    for line in map(str.strip, lines[1:]):
        if node := re.match(r'p(\d+)\["([^"<>]*(?:<br>[^"<>]*)*)"\]$', line):
            labels[int(node[1])] = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), node[2])
        elif edge := re.match(r"p(\d+) --> p(\d+)$", line):
            edges.add((int(edge[1]), int(edge[2])))
        elif re.match(r'subgraph f\d+\["[^"<>]*"\]$', line):
            depth += 1
        elif line == "end":
            depth -= 1
        else:
            assert re.match(
                r"classDef c\d+ fill:#\w{6},stroke:#\w{6},color:#\w{6}$|class [p\d,]+ c\d+$", line
            )
    assert depth == 0
    return labels, edges


@pytest.mark.parametrize("name", LOOKED_AT)
def test_mermaid_has_every_part_and_edge_and_draws_it(name):
    drawing = draw(analyze(name), Wanted(level="layers"), "mermaid")
    text = drawing.data.decode()
    labels, edges = read_mermaid(text)
    drawn = choose(load(name), "blocks" if drawing.note else "layers", None, "", False).scene
    assert edges == set(drawn.edges)
    assert len(labels) == len(drawn.parts)
    assert len(edges) <= MERMAID_EDGES * 0.9
    assert len(text) <= MERMAID_LETTERS * 0.9


def test_what_mermaid_would_refuse_is_folded_and_said():
    drawing = draw(analyze("nasnet_a_large"), Wanted(level="layers"), "mermaid")
    assert drawing.note == "`nasnet_a_large` is too large for Mermaid layer by layer: its blocks are drawn"
    assert len(drawing.data) < MERMAID_LETTERS


def test_what_mermaid_refuses_in_any_case_is_an_error():
    with pytest.raises(ArchError, match="too large for Mermaid, which draws at most 500 edges"):
        draw(analyze(flat(480)), Wanted(), "mermaid")


def flat(layers: int) -> Network:
    """A network without blocks or runs."""
    build = NetworkBuilder("flat")
    tensor = build.input((1, 8, 8))
    for number in range(layers):
        tensor = build.add(Conv2d(1 + number % 7 + number // 100, 1), tensor)
    return build.finish(tensor)


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "resnet50", "vit_b_16"])
def test_graphml_has_the_network_with_its_figures(name):
    profile = analyze(name)
    read = networkx.parse_graphml(draw(profile, Wanted(), "graphml").data.decode())
    network = profile.network
    kept = [node for node in network.nodes if not node.training]
    assert set(read.nodes) == {node.name for node in kept}
    assert set(read.edges) == {(source.name, node.name) for node in kept for source in node.inputs}
    for quantity in ("params", "macs", "flops", "activations"):
        figures = [
            figure for node, figure in read.nodes(data=quantity) if read.nodes[node]["kind"] != "input"
        ]
        assert sum(figures) == profile.totals[quantity]


# --- Imported models ----------------------------------------------------------------------------------

MODELS = Path(__file__).parent / "models"


@pytest.mark.parametrize("name", ["resnet50.keras", "residual.pt2", "light_inception_v1.onnx"])
def test_imported_models_are_drawn_at_all_levels(name):
    path = MODELS / name
    if path.suffix == ".onnx":
        onnx = pytest.importorskip("onnx")
        path = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / name
    network = load(path)
    for level in LEVELS:
        canvas, drawn = canvas_of(network, level)
        check_texts(canvas)
        check_svg(canvas.to_svg())
        assert sum(len(part.nodes) for part in drawn.parts) <= len(network.nodes)


# --- Names are data -----------------------------------------------------------------------------------

HOSTILE = [
    "</svg><script>alert(1)</script>", '"];p0-->p1;%%{init: {}}%%', "a\x00b\x1b[31mc\nd", "x" * 10_000,
    "&amp;&lt;]]>", '\\"; evil [label="', "end", "卷积/層", "\u202egnp.exe", "#lt;b#gt;", "-->", "<br>", " ",
]  # fmt: skip


def hostile() -> Network:
    """LeNet-5 with names that other formats would obey."""
    network = load("lenet5")
    for node, name in zip(network.nodes, HOSTILE, strict=False):
        node.name = name
    for group, name in zip(network.groups, HOSTILE, strict=False):
        group.name = name.replace("/", "") or "g"
    network.name = 'n"</title>\n\udc80' + HOSTILE[0]  # the name of a file need not be UTF-8
    return network


@pytest.mark.parametrize("level", LEVELS)
def test_markup_in_names_is_shown_and_not_obeyed(level):
    profile = analyze(hostile())
    for editable in (False, True):
        svg = draw(profile, Wanted(level=level, editable=editable, depth=1)).data.decode()
        check_svg(svg)
        assert "<script" not in svg
        assert len(svg) < 100_000
    read_dot(draw(profile, Wanted(level=level), "dot").data.decode())
    labels, _ = read_mermaid(draw(profile, Wanted(level=level), "mermaid").data.decode())
    assert labels
    text = draw(profile, Wanted(), "graphml").data.decode()
    assert len(networkx.parse_graphml(text)) == len(profile.network.nodes)
    canvas, _ = canvas_of(hostile(), level)
    check_texts(canvas)


def test_a_note_has_nothing_that_a_terminal_obeys():
    network = flat(60)
    network.name = "a\x1b[31mb\n"
    assert draw(analyze(network), Wanted()).note == "`a?[31mb ` has no blocks: its layers are drawn"


def test_letters_without_outlines_are_text_that_keeps_its_place():
    canvas = Canvas("", "")
    canvas.write("卷积", 10, 20, 10)
    (text,) = ElementTree.fromstring(canvas.to_svg()).iter(f"{SVG}text")
    assert text.text == "卷积"
    assert float(text.get("textLength")) == canvas.texts[0].right - canvas.texts[0].left


# --- What is too large --------------------------------------------------------------------------------


def test_a_network_with_too_many_layers_is_drawn_as_blocks_and_says_so(monkeypatch):
    monkeypatch.setattr(choosing, "MOST", 50)
    drawing = draw(analyze("googlenet"), Wanted(level="layers"))
    assert drawing.note == (
        "`googlenet` has 84 layers to draw, which is too many to read: its blocks are drawn"
    )
    assert ">googlenet, blocks<" in drawing.data.decode()


def test_a_large_network_without_blocks_is_drawn_in_parts():
    for level in LEVELS:
        shown = draw(analyze(flat(1200)), Wanted(level=level)).data.decode()
        assert 30 < shown.count(" to conv") < 100


def test_a_drawing_that_is_too_large_is_an_error():
    for level in LEVELS:
        with pytest.raises(ArchError, match="`flat` is too large to draw: 1,201 boxes, of 1,000 at most"):
            draw(analyze(flat(1200)), Wanted(level=level, depth=9))


def test_a_network_without_blocks_is_drawn_layer_by_layer_and_says_so():
    assert draw(analyze(flat(60)), Wanted()).note == "`flat` has no blocks: its layers are drawn"
    assert draw(analyze(flat(10)), Wanted()).note == ""


def test_volumes_say_when_blocks_are_closed():
    drawing = draw(analyze("resnet50"), Wanted(level="volumes"))
    assert drawing.note == (
        "`resnet50` has 73 volumes, too many for a row: blocks are drawn as one each, and `--depth` opens "
        "more of them"
    )
    assert draw(analyze("vgg16"), Wanted(level="volumes")).note == ""


def test_long_chains_need_no_recursion():
    assert draw(analyze(flat(990)), Wanted(level="layers")).data


# --- PDF and PNG --------------------------------------------------------------------------------------


@pytest.fixture
def lenet5() -> Profile:
    return analyze("lenet5")


@pytest.fixture
def cairo() -> None:
    """Skip a test where cairosvg or the library that it needs is not installed."""
    try:
        import cairosvg  # noqa: F401
    except (ImportError, OSError) as problem:
        pytest.skip(str(problem))


@pytest.mark.usefixtures("cairo")
def test_a_pdf_needs_no_fonts(lenet5):
    data = draw(lenet5, Wanted(), "pdf").data
    assert data.startswith(b"%PDF-")
    assert b"/Font <<\n" not in data
    assert b"BaseFont" not in data


@pytest.mark.usefixtures("cairo")
def test_a_png_has_the_size_that_was_asked_for(lenet5):
    images = pytest.importorskip("PIL.Image")
    import io

    svg = ElementTree.fromstring(draw(lenet5, Wanted()).data)
    size = (int(svg.get("width")), int(svg.get("height")))
    for scale in (1.0, 3.0):
        with images.open(io.BytesIO(draw(lenet5, Wanted(scale=scale), "png").data)) as image:
            assert image.size == (size[0] * scale, size[1] * scale)
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_larger_than_cairo_can_make_is_an_error():
    with pytest.raises(ArchError, match="more than 32,767 on a side"):
        draw(analyze(flat(900)), Wanted(level="layers"), "png")


def test_without_cairosvg_the_error_says_what_to_install(lenet5, monkeypatch):
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(ArchError, match=r"pip install 'archcalc\[draw\]'"):
        draw(lenet5, Wanted(), "pdf")


def without_cairo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cairosvg be installed without the library that it needs."""

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "cairosvg":
                raise OSError("no library called cairo-2 was found")

    monkeypatch.delitem(sys.modules, "cairosvg", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])


def test_without_cairo_the_error_says_what_to_install(lenet5, monkeypatch):
    without_cairo(monkeypatch)
    with pytest.raises(ArchError, match="apt install libcairo2"):
        draw(lenet5, Wanted(), "png")


# --- The command --------------------------------------------------------------------------------------


def test_the_format_follows_from_the_name(run, tmp_path):
    for name, begin in {
        "a.svg": "<?xml", "a.mmd": "flowchart", "a.mermaid": "flowchart", "a.dot": "digraph",
        "a.gv": "digraph", "a.graphml": "<graphml",
    }.items():  # fmt: skip
        assert run("draw", "lenet5", "-o", name) == (0, "", "")
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)
    assert run("draw", "lenet5", "--format", "dot", "-o", "a.txt").status == 0
    assert (tmp_path / "a.txt").read_text().startswith("digraph")


def test_the_drawing_goes_to_the_standard_output(run):
    assert run("draw", "lenet5").out.startswith("<?xml")
    assert run("draw", "lenet5", "--format", "mermaid", "-o", "-").out.startswith("flowchart TB")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.jpg"], "`a.jpg` does not say in which format to draw"),
        (["--format", "png"], "`--format png` needs a file"),
        (["--block", "C9"], "`lenet5` has no block `C9`"),
        (["--block", "C1/conv1"], "`C1/conv1` is a layer of `lenet5`, not a block"),
        (["--color", "depth"], "a drawing cannot be colored by `depth`"),
        (["--color", "mcs"], "did you mean `macs`?"),
        (["--format", "graphml", "--depth", "1"], "GraphML has every layer"),
        (["--depth", "0"], "invalid value for `--depth`"),
        (["--scale", "1000"], "invalid value for `--scale`"),
    ],
)
def test_mistakes_are_named(run, arguments, message):
    status, out, err = run("draw", "lenet5", *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_colors_of_conventions_and_training(run):
    training = run("draw", "lenet5", "--color", "backward_macs", "--training")
    assert training.status == 0
    assert run("draw", "lenet5", "--color", "backward_macs").status == 2
    assert run("draw", "lenet5", "--color", "count", "--convention", "fvcore").status == 0
    assert run("draw", "lenet5", "--color", "count").status == 2


def test_the_same_network_is_drawn_the_same():
    for level, format in [*((level, "svg") for level in LEVELS), ("layers", "dot")]:
        first, second = (draw(analyze("googlenet"), Wanted(level=level), format).data for _ in range(2))
        assert first == second


def test_parts_that_say_the_same_in_two_formats():
    profile = analyze("resnet50")
    dot, _ = read_dot(draw(profile, Wanted(level="layers"), "dot").data.decode())
    mermaid, _ = read_mermaid(draw(profile, Wanted(level="layers"), "mermaid").data.decode())
    assert {n: label.replace("\n", "<br>") for n, label in dot.items()} == mermaid
    assert all(a != b for a, b in combinations([*dot], 2))


# --- The pictures of the documentation and the reports ------------------------------------------------


def test_the_pictures_of_the_documentation_are_current():
    docs = Path(__file__).parent.parent / "docs"
    generate = runpy.run_path(str(docs / "generate.py"))
    assert {path.stem for path in (docs / "drawings").iterdir()} == set(generate["PICTURES"])
    for name in generate["PICTURES"]:
        text = (docs / "drawings" / f"{name}.svg").read_text(encoding="utf-8")
        assert text == generate["picture"](name), f"{name} is out of date: run `make docs-tables`"


def test_the_reports_have_drawings_of_well_known_networks():
    files = drawings()
    for net in ("lenet5", "alexnet", "vgg16", "googlenet", "resnet50", "mobilenet_v1"):
        check_svg(files[f"drawings/{net}.svg"])
        assert f"](drawings/{net}.svg)" in files["drawings.md"]
