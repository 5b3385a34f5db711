"""The structure of drawings: every edge can be rebuilt from what is drawn, and runs fold in series only."""

from __future__ import annotations

import random

import pytest

from archcalc import NetworkBuilder, load
from archcalc.catalog import open_shipped, shipped_files
from archcalc.layers import Add, Concat, Conv2d, ReLU
from archcalc.network import Network
from archcalc.view.pattern import Pattern, pattern
from archcalc.view.structure import Structure, structure

BUILT_IN = [name for name in shipped_files() if not open_shipped(name).missing]


def true_edges(network: Network, *, heads: bool = False) -> set[tuple[str, str]]:
    """The edges of a network, from its nodes alone."""
    kept = [node for node in network.nodes if heads or not node.training]
    return {(source.name, node.name) for node in kept for source in node.inputs}


def rebuilt(found: Structure) -> set[tuple[str, str]]:
    """The edges between layers, followed through the ports of the patterns and nothing else."""

    def leaves(box: int, output: int) -> str:
        while found.boxes[box].children:
            inside = found.boxes[box]
            drawn = found.patterns[inside.pattern]
            port = drawn.entries + drawn.children + output
            ((source, out, _),) = [edge for edge in drawn.edges if edge[2] == port]
            box, output = inside.children[source - drawn.entries], out
        return found.boxes[box].name

    edges = set()
    waiting: list[tuple[int, list[str]]] = [(0, [])]
    while waiting:
        number, entering = waiting.pop()
        box = found.boxes[number]
        drawn = found.patterns[box.pattern]
        read: dict[int, list[str]] = {}
        for source, out, target in drawn.edges:
            if target >= drawn.entries + drawn.children:
                continue
            name = (
                entering[source]
                if source < drawn.entries
                else leaves(box.children[source - drawn.entries], out)
            )
            read.setdefault(target - drawn.entries, []).append(name)
        for place, child in enumerate(box.children):
            names = read.get(place, [])
            if found.boxes[child].children:
                waiting.append((child, names))
            else:
                edges |= {(name, found.boxes[child].name) for name in names}
    return edges


def check_pattern(drawn: Pattern) -> None:
    """Ranks grow along edges, each vertex is in one track, and each edge has a lane where it skips ranks."""
    cells: dict[int, list[int]] = {}
    lanes: dict[int, set[int]] = {}
    for track in drawn.tracks:
        for rank, vertex in enumerate(track.vertices, track.top):
            if vertex >= 0:
                cells.setdefault(vertex, []).append(rank)
            else:
                lanes.setdefault(-1 - vertex, set()).add(rank)
    assert cells == {vertex: [rank] for vertex, rank in enumerate(drawn.ranks)}
    for source, _, target in drawn.edges:
        assert drawn.ranks[source] < drawn.ranks[target]
        passed = set(range(drawn.ranks[source] + 1, drawn.ranks[target]))
        assert passed <= lanes.get(source, set())


def check(network: Network, *, heads: bool = False) -> Structure:
    found = structure(network, heads=heads)
    assert rebuilt(found) == true_edges(network, heads=heads)
    for drawn in found.patterns:
        check_pattern(drawn)
    inner = range(len(found.boxes))
    names = {(found.nodes[a].name, found.nodes[b].name) for a, b in shown_edges(found, inner)}
    assert names == true_edges(network, heads=heads)
    for number, box in enumerate(found.boxes):
        assert [found.boxes[child].parent for child in box.children] == [number] * len(box.children)
        if box.children:
            ends = [found.boxes[child].start for child in box.children[1:]] + [box.stop]
            assert [found.boxes[child].stop for child in box.children] == ends
    return found


def shown_edges(found: Structure, opened: range) -> list[tuple[int, int]]:
    return [(source, found.boxes[target].start) for _, target, source in found.edges(opened)]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_edge_of_a_built_in_network_can_be_rebuilt(name: str) -> None:
    network = load(name)
    check(network)
    if network.heads:
        check(network, heads=True)


def random_network(seed: int) -> Network:
    """Random joins and chains in random groups, some of which repeat."""
    pick = random.Random(seed)
    build = NetworkBuilder(f"random{seed}")
    tensors = [build.input((8, 8, 8))]

    def grow(depth: int) -> None:
        for number in range(pick.randrange(1, 6)):
            kind = pick.randrange(6)
            if kind == 0 and depth < 4:
                with build.group(f"g{len(tensors)}_{number}_{depth}"):
                    grow(depth + 1)
            elif kind == 1 and len(tensors) > 1:
                tensors.append(build.add(Add(), *pick.choices(tensors[-8:], k=pick.randrange(2, 5))))
            elif kind == 2:
                for _ in range(pick.randrange(1, 9)):
                    tensors.append(build.add(Conv2d(8, 3, padding=1), tensors[-1]))
                    tensors.append(build.add(ReLU(), tensors[-1]))
            else:
                tensors.append(build.add(ReLU(), pick.choice(tensors)))

    while len(tensors) < 30:
        grow(0)
    read = {source.index for node in build.nodes for source in node.inputs}
    return build.finish(
        build.add(Add(), *(node for node in build.nodes if node.index not in read), tensors[0])
    )


@pytest.mark.parametrize("seed", range(60))
def test_every_edge_of_a_random_network_can_be_rebuilt(seed: int) -> None:
    check(random_network(seed))


def runs(name: str) -> list[tuple[str, int, int]]:
    return [(box.name, box.times, box.period) for box in structure(load(name)).boxes if box.is_run]


def test_equal_blocks_in_series_are_folded() -> None:
    assert ("size8/basic2 to basic200", 199, 1) in runs("resnet1202_cifar")
    assert runs("googlenet") == []
    found = structure(load("resnet1202_cifar"))
    assert len(found.patterns) < 20


def test_parallel_branches_are_not_folded_and_keep_their_order() -> None:
    build = NetworkBuilder("branches")
    x = build.input((8, 8, 8))
    with build.group("inception"):
        branches = [build.add(Conv2d(8, 1), x) for _ in range(6)]
        joined = build.add(Concat(), *branches)
    found = structure(build.finish(joined))
    assert not any(box.is_run for box in found.boxes)
    drawn = found.patterns[next(box.pattern for box in found.boxes if box.name == "inception")]
    places = [vertex for track in drawn.tracks for vertex in track.vertices if 1 <= vertex <= 6]
    assert places == [1, 2, 3, 4, 5, 6]


def test_what_a_later_layer_reads_too_ends_a_run() -> None:
    build = NetworkBuilder("tapped")
    x = build.input((8, 8, 8))
    tensors = []
    for _ in range(8):
        x = build.add(Conv2d(8, 3, padding=1), x)
        tensors.append(x)
    found = structure(build.finish(build.add(Add(), x, tensors[0])))
    assert [(box.start, box.stop) for box in found.boxes if box.is_run] == [(2, 9)]


def test_a_run_begins_with_its_convolution() -> None:
    build = NetworkBuilder("plain")
    x = build.input((3, 8, 8))
    for _ in range(5):
        x = build.add(ReLU(), build.add(Conv2d(8, 3, padding=1), x))
    found = structure(build.finish(x))
    (run,) = [box for box in found.boxes if box.is_run]
    assert (found.nodes[run.start].kind, run.times, run.period) == ("conv", 4, 2)


def test_a_skip_runs_beside_a_straight_chain() -> None:
    drawn = pattern(1, 3, 1, [(0, 0, 1), (1, 0, 2), (2, 0, 3), (0, 0, 3), (3, 0, 4)])
    assert [track.vertices for track in drawn.tracks] == [(0, 1, 2, 3, 4), (-1, -1)]
    mirrored = pattern(1, 3, 1, [(0, 0, 1), (1, 0, 2), (0, 0, 3), (2, 0, 3), (3, 0, 4)])
    assert [track.vertices for track in mirrored.tracks] == [(-1, -1), (0, 1, 2, 3, 4)]


def test_a_deep_chain_needs_no_recursion() -> None:
    build = NetworkBuilder("deep")
    x = build.input((1, 4, 4))
    for number in range(4000):
        x = build.add(Conv2d(1, 1 + 2 * (number % 2), padding=number % 2), x)
        if number % 7 == 0:
            x = build.add(ReLU(), x)
    check(build.finish(x))
