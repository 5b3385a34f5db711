"""Drawings as text: Mermaid for READMEs, DOT for Graphviz, GraphML for other tools."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.diagnostics import error
from archcalc.profile import Profile
from archcalc.quantities import TOTALS, Scope
from archcalc.render.charts import INK
from archcalc.view.draw.colors import Coloring
from archcalc.view.draw.letters import shown
from archcalc.view.draw.palette import LINE, letters_on
from archcalc.view.draw.scene import Scene
from archcalc.view.draw.words import box_lines, frame_name

MERMAID_EDGES, MERMAID_LETTERS = 500, 50_000
"""Limits above which Mermaid refuses to draw with its default settings, as on GitHub."""


def fits_mermaid(scene: Scene, text: str) -> bool:
    """Return whether Mermaid would draw the graph, with a safety margin."""
    return len(scene.edges) <= MERMAID_EDGES * 9 // 10 and len(text) <= MERMAID_LETTERS * 9 // 10


def to_mermaid(scene: Scene, found: Coloring) -> str:
    """Return a Mermaid flowchart: <https://mermaid.js.org/syntax/flowchart.html>."""
    lines = ["flowchart TB"]
    for depth, kind, number in _nested(scene):
        indent = "  " * depth
        if kind == "frame":
            lines.append(f'{indent}subgraph f{number}["{_mermaid(frame_name(scene, number))}"]')
        elif kind == "end":
            lines.append(f"{indent}end")
        else:
            label = "<br>".join(map(_mermaid, box_lines(scene.parts[number], found.figure(number))))
            lines.append(f'{indent}p{number}["{label}"]')
    lines += [f"  p{start} --> p{end}" for start, end in scene.edges]
    groups: dict[str, list[str]] = {}
    for number, color in enumerate(found.colors):
        groups.setdefault(color, []).append(f"p{number}")
    for place, (color, members) in enumerate(groups.items()):
        lines.append(f"  classDef c{place} fill:{color},stroke:{INK},color:{letters_on(color)}")
        lines.append(f"  class {','.join(members)} c{place}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Escape text for Mermaid: characters with a meaning in Mermaid or HTML become entities."""
    return "".join(c if c.isalnum() or c in " .,:/×·…%()+-_≈" else f"#{ord(c)};" for c in shown(text))


def to_dot(scene: Scene, found: Coloring) -> str:
    """Return a Graphviz graph: <https://graphviz.org/doc/info/lang.html>."""
    lines = [
        f"digraph {_dot(shown(scene.structure.network.name))} {{",
        f'  node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=10, color="{INK}"]',
        f'  edge [color="{LINE}", arrowsize=0.7]',
        '  graph [fontname="Helvetica", fontsize=10, color="#999999", style=rounded, labeljust=l]',
    ]
    for depth, kind, number in _nested(scene):
        indent = "  " * depth
        if kind == "frame":
            name = _dot(frame_name(scene, number))
            lines += [f"{indent}subgraph cluster{number} {{", f"{indent}  label={name}"]
        elif kind == "end":
            lines.append(f"{indent}}}")
        else:
            color = found.colors[number]
            label = _dot("\n".join(box_lines(scene.parts[number], found.figure(number))))
            lines.append(
                f'{indent}p{number} [label={label}, fillcolor="{color}", fontcolor="{letters_on(color)}"]'
            )
    lines += [f"  p{start} -> p{end}" for start, end in scene.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    """Quote a text. In labels, a backslash starts a command, so it is doubled."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _nested(scene: Scene) -> Iterator[tuple[int, str, int]]:
    """Return frames and parts in the order of the text, each with its depth, what it is, and its number."""
    inside: list[list[tuple[int, str, int]]] = [[] for _ in scene.frames]
    for number, part in enumerate(scene.parts):
        inside[part.frame].append((part.box.start, "part", number))
    for number, frame in enumerate(scene.frames[1:], 1):
        inside[frame.parent].append((frame.box.start, "frame", number))
    waiting = [(1, kind, number) for _, kind, number in sorted(inside[0], reverse=True)]
    while waiting:
        depth, kind, number = waiting.pop()
        yield depth, kind, number
        if kind == "frame":
            waiting.append((depth, "end", number))
            waiting += [(depth + 1, kind, n) for _, kind, n in sorted(inside[number], reverse=True)]


def to_graphml(profile: Profile) -> str:
    """Return every layer with its figures, and every edge: <http://graphml.graphdrawing.org>."""
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    names: dict[int, str] = {}
    for index, entry in profile.entries.items():
        node = entry.node
        if node.training and not profile.heads:
            continue
        name = shown(node.name, 500)
        names[index] = name if name not in graph else f"{name} ({index})"
        figures = {
            quantity.name: entry.own[quantity.name]
            for quantity in TOTALS
            if quantity.scope is Scope.LAYER and not (quantity.of_operations and node.is_opaque)
        }
        graph.add_node(
            names[index],
            kind=node.kind,
            layer=shown(str(node.layer), 500),
            block=names[index].rpartition("/")[0],
            output_shape="x".join(map(str, node.shape)),
            **figures,
        )
        graph.add_edges_from((names[source.index], names[index]) for source in node.inputs)
    return "\n".join(networkx.generate_graphml(graph)) + "\n"


def too_large_for_mermaid(name: str) -> Exception:
    """Return the error for a graph that Mermaid would refuse even with closed blocks."""
    return error(
        f"`{name}` is too large for Mermaid, which draws at most {MERMAID_EDGES} edges",
        help="draw one block with `--block`, or use `--format dot`",
    )
