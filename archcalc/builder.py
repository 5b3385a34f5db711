"""Builds a network node by node. The elaborator uses it for texts, and anyone can use it in Python."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from archcalc.diagnostics import ArchError, CallSite, Diagnostic, Note, Source, Span, error
from archcalc.doubts import can_be_doubted, doubt_of, doubt_of_input, leading_arguments
from archcalc.layers.arguments import LayerError, format_argument
from archcalc.layers.base import Input, Layer, facts
from archcalc.layers.terms import Facts
from archcalc.network import MAX_NODES, MAX_PATH, Doubt, Group, Network, Node, Remark
from archcalc.notes import unknown_remark
from archcalc.number import once
from archcalc.shape import format_shape

if TYPE_CHECKING:
    from archcalc.expect import Expect


class NameScope:
    """The names within one block call, group, or network: counters by kind, and names in use."""

    __slots__ = ("counters", "labels", "prefix", "taken")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.counters: dict[str, int] = {}
        self.labels: dict[str, int] = {}
        self.taken: dict[str, Span | None] = {}

    def count(self, kind: str) -> str:
        """The next name of a kind: `conv2`. After a digit, the number is separated by `_`: `relu6_1`."""
        return next_name(self.counters, kind)

    def count_label(self, label: str) -> str:
        """The next name of a label in a loop: `stage2`."""
        return next_name(self.labels, label)


def next_name(counters: dict[str, int], name: str) -> str:
    count = counters.get(name, 0) + 1
    counters[name] = count
    return f"{name}_{count}" if name[-1].isdigit() else f"{name}{count}"


class BuildProblem(LayerError):
    """A node does not fit the other nodes. `notes` say which ones, and where they are."""

    def __init__(self, message: str, *, label: str = "", help: str = "", notes: Sequence[Note] = ()) -> None:
        super().__init__(message, label=label, help=help)
        self.notes = notes


def _taken(path: str, span: Span | None) -> BuildProblem:
    notes = [Note("the first one is here", span)] if span is not None else []
    return BuildProblem(
        f"two nodes have the path `{path}`", help="give one of them another label", notes=notes
    )


class OpenGroup:
    """A group whose nodes are being added."""

    __slots__ = ("kind", "name", "outer", "slot", "span", "start")

    def __init__(
        self, name: str, kind: str, span: Span | None, outer: NameScope, slot: int, start: int
    ) -> None:
        self.name = name
        self.kind = kind
        self.span = span
        self.outer = outer
        self.slot = slot
        self.start = start


class NetworkBuilder:
    """Builds a `Network` without any `.arch` text.

    >>> from archcalc import NetworkBuilder
    >>> from archcalc.layers.conv import Conv
    >>> from archcalc.layers.activation import ReLU
    >>> build = NetworkBuilder("tiny")
    >>> x = build.input((3, 32, 32))
    >>> with build.group("stem"):
    ...     x = build.add(Conv(16, 3, padding=1), x)
    ...     x = build.add(ReLU(), x)
    >>> network = build.finish(x)
    >>> [node.name for node in network.layers]
    ['stem/conv1', 'stem/relu1']
    """

    def __init__(self, name: str, *, judge: bool = True) -> None:
        """Create a builder. With `judge`, layers and shapes with another meaning in another tool get a note.

        Turn `judge` off if the layers are certainly as intended, as readers of files do.
        """
        self.name = name
        self.judge = judge
        self.doubts: dict[tuple[str, Layer], Doubt] = {}
        """The doubts about legal layers, once for each layer with its arguments."""
        self.nodes: list[Node] = []
        self.groups: list[Group | None] = []
        self.scope = NameScope("")
        self.sharing: tuple[object, int] | None = None
        """While a shared block is built: its identity, and the length of the path of this call."""
        self.frozen = False
        """Are the parameters of added nodes frozen?"""
        self._owners: dict[tuple[object, str], Node] = {}

    def input(self, shape: Sequence[int], name: str = "input", span: Span | None = None) -> Node:
        """Add an input with this shape per sample, channels first. Raises `LayerError` for a bad shape."""
        return self.add(Input(tuple(shape)), name=name, span=span)

    def add(
        self,
        layer: Layer,
        *inputs: Node,
        name: str = "",
        span: Span | None = None,
        calls: CallSite | None = None,
        origin: str = "",
        fixed: Collection[str] = (),
        tied: Mapping[str, tuple[Node, str]] | None = None,
    ) -> Node:
        """Apply a layer to tensors, and return the new node. The default name is its kind and a number.

        `fixed` names arrays that are not trained, and are therefore buffers. `tied` has the arrays that
        belong to earlier nodes: for each name, the owner and the array's name there. Raises `LayerError` if
        the shapes do not fit, or if the name is in use.
        """
        if not inputs and not (layer.is_source or isinstance(layer, Input)):
            raise BuildProblem(f"`{layer.kind}` needs a tensor, and none is given: `add(layer, tensor)`")
        for node in inputs:
            if not isinstance(node, Node):
                raise BuildProblem(
                    f"a tensor must be a result of `input` or `add`, not a {type(node).__name__}"
                )
            if node.index >= len(self.nodes) or self.nodes[node.index] is not node:
                raise BuildProblem(f"`{node.name}` belongs to another network")
        if "weight" in fixed and getattr(layer, "weight", "") == "own":
            layer = replace(layer, weight="fixed")
        found = facts(layer, tuple([n.facts.output for n in inputs]))
        if fixed:
            found = once(Facts.with_buffers, found, frozenset(fixed))
        if self.frozen:
            found = once(Facts.frozen, found)
        scope = self.scope
        counted = scope.count(layer.kind)
        local = name or counted
        if local in scope.taken:
            raise _taken(scope.prefix + local, scope.taken[local])
        scope.taken[local] = span
        if len(self.nodes) >= MAX_NODES:
            raise error(f"a network has more than {MAX_NODES:,} nodes", span)
        path, frozen = scope.prefix + local, self.frozen
        node = Node(len(self.nodes), path, layer, inputs, found, span, calls, origin=origin, frozen=frozen)
        if tied:
            _tie(node, tied)
        elif self.sharing is not None and found.weights:
            self._share(node)
        node.trained_as_owned()
        self.nodes.append(node)
        if self.judge:
            self._judge(node)
        return node

    def _judge(self, node: Node) -> None:
        """Add notes on likely mistakes, by the same rules as for texts."""
        layer = node.layer
        if isinstance(layer, Input):
            kind, shape = doubt_of_input(node.shape)
            meant = format_shape(shape, cross="x")
        else:
            by_position = leading_arguments(layer)
            if not can_be_doubted(layer.kind, by_position):
                return
            kind = doubt_of(layer, by_position, node.inputs[0].shape, lambda number: False)
            values = [format_argument(getattr(layer, p.name)) for p in layer.parameters[:by_position]]
            values = [f"scale_factor={values[0]}"] if kind == "shrinks" else values[1:]
            meant = f"{type(layer).__name__}({', '.join(values)})"
        if kind:
            kind = (
                "in_channels" if kind == "wrong" else kind
            )  # a text is refused, but a program may have a reason
            doubt = Doubt(kind, node, meant, "NetworkBuilder(..., judge=False)")
            self.doubts.setdefault((kind, layer), doubt)

    def _share(self, node: Node) -> None:
        assert self.sharing is not None
        block, length = self.sharing
        path = node.name[length:]
        owner = self._owners.setdefault((block, path), node)
        if owner is node:
            return
        mine = [(weight.name, weight.shape) for weight in node.facts.weights]
        theirs = [(weight.name, weight.shape) for weight in owner.facts.weights]
        if mine != theirs:
            shapes = " and ".join(
                ", ".join(format_shape(shape, cross="x") for _, shape in weights)
                for weights in (theirs, mine)
            )
            call = owner.calls
            while call is not None and call.outer is not None:
                call = call.outer
            raise BuildProblem(
                f"calls of a shared block need equal parameters, but those of `{path}` differ",
                label=shapes,
                help="give the calls inputs with the same channels, or remove `shared`",
                notes=[Note("the first call is here", call.span)] if call is not None else [],
            )
        node.shares = owner

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """A labelled group. Nodes added inside it have `name/` before their own name."""
        group = self.enter(name)
        yield
        self.leave(group, self.nodes[-1] if len(self.nodes) > group.start else None)

    def enter(self, label: str, block: str = "", span: Span | None = None) -> OpenGroup:
        """Open a group. A block call counts among the calls of its kind, even if it has a label."""
        outer = self.scope
        counted = outer.count(block) if block else ""
        name = label or counted
        if name in outer.taken:
            raise _taken(outer.prefix + name, outer.taken[name])
        path = outer.prefix + name
        if len(path) > MAX_PATH:
            raise BuildProblem(
                f"a path has more than {MAX_PATH} characters", help="use shorter names, or fewer calls"
            )
        outer.taken[name] = span
        self.scope = NameScope(path + "/")
        self.groups.append(None)
        return OpenGroup(path, block or "group", span, outer, len(self.groups) - 1, len(self.nodes))

    def leave(self, group: OpenGroup, output: Node | None) -> None:
        """Close a group. A group without nodes is removed."""
        self.scope = group.outer
        stop = len(self.nodes)
        if output is not None and stop > group.start:
            self.groups[group.slot] = Group(group.name, group.kind, group.start, stop, output, group.span)

    def finish(
        self,
        output: Node | None = None,
        *,
        outputs: Mapping[str, Node] | None = None,
        heads: Mapping[str, Node] | None = None,
        parameters: Mapping[str, Any] | None = None,
        expectations: tuple[Expect, ...] = (),
        overridden: bool = False,
        source: Source | None = None,
        notes: Sequence[Doubt | Remark] = (),
    ) -> Network:
        """Return the network. Raises `ArchError` if a node reaches neither a result nor a head."""
        results = dict(outputs or {})
        if output is not None:
            results["output"] = output
        heads = dict(heads or {})
        if not any(not node.is_input for node in self.nodes):
            raise error(f"`{self.name}` has no layers")
        needed = self._reaching(results.values())
        trained = self._reaching(heads.values())
        dead = [
            node for node, is_needed, is_trained in zip(self.nodes, needed, trained, strict=True)
            if not (is_needed or is_trained)
        ]  # fmt: skip
        if dead:
            raise ArchError(_unused(dead))
        for node, is_needed in zip(self.nodes, needed, strict=True):
            node.training = not is_needed
        return Network(
            self.name,
            tuple(self.nodes),
            tuple(group for group in self.groups if group is not None),
            results,
            heads,
            parameters or {},
            expectations,
            overridden,
            source,
            (*unknown_remark(self.nodes), *notes, *self.doubts.values()),
        )

    def _reaching(self, results: Iterable[Node]) -> list[bool]:
        """For each node, does one of the results depend on it?"""
        reaching = [False] * len(self.nodes)
        for node in results:
            reaching[node.index] = True
        for node in reversed(self.nodes):
            if reaching[node.index]:
                for source in node.inputs:
                    reaching[source.index] = True
        return reaching


def _first(owner: Node, array: str) -> tuple[Node, str]:
    """The node that owns an array, and its name there."""
    owner = owner.shares or owner
    return owner.tied.get(array, (owner, array))


def _tie(node: Node, tied: Mapping[str, tuple[Node, str]]) -> None:
    """Let a node use arrays of earlier nodes. Raises `LayerError` if the numbers of values differ."""
    tied = {name: _first(*place) for name, place in tied.items()}
    sizes = {weight.name: weight.term.value for weight in node.facts.weights}
    for name, (owner, array) in tied.items():
        theirs = {weight.name: weight.term.value for weight in owner.facts.weights}
        if array not in theirs:
            raise BuildProblem(
                f"`{owner.name}` has no `{array}` for `{node.name}` to use",
                help="label the layer that has it, without later steps: `enc: conv(...)`",
            )
        if theirs[array] != sizes.get(name):
            raise BuildProblem(
                f"`{name}` of `{node.name}` has {sizes.get(name, 0):,} values, but `{array}` of "
                f"`{owner.name}` has {theirs[array]:,}"
            )
    owners = {owner.index: owner for owner, _ in tied.values()}
    whole = sizes.keys() == tied.keys() and all(name == array for name, (_, array) in tied.items())
    if whole and len(owners) == 1:
        (node.shares,) = owners.values()
    else:
        node.tied = dict(tied)


def _unused(dead: list[Node]) -> list[Diagnostic]:
    """A diagnostic for the last node of each chain that leads nowhere."""
    read = {source.index for node in dead for source in node.inputs}
    problems = []
    places = set()
    for node in dead:
        if node.index in read or node.span in places:
            continue
        places.add(node.span)
        what = "the input" if node.is_input else "the result of"
        help = "label it (`x: ...`) and use it, mark it as an `output`, or remove it"
        problems.append(Diagnostic(f"nothing uses {what} `{node.name}`", node.span, help=help))
    return problems
