"""Networks: nodes in topological order, each with its layer, its inputs, and its place in the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from archcalc.diagnostics import ArchError, CallSite, Source, Span, did_you_mean, error, unknown
from archcalc.layers.base import Input, Layer
from archcalc.layers.terms import Facts, Weight
from archcalc.number import once
from archcalc.shape import Shape, format_shape

if TYPE_CHECKING:
    import networkx


MAX_NODES = 150_000
"""Nodes of a network. This many take some hundred megabytes."""

MAX_PATH = 500
"""Characters of a node's path."""


def is_pattern(path: str) -> bool:
    """Does a path match several nodes?"""
    return any(c in path for c in "*?[")


class Node(Struct, eq=False, gc=False):
    """A layer at its place in a network, or an input of the network.

    `name` is its path (`stage1/conv2`). `span` and `calls` give its place in a text, and the block calls
    around it. For an imported model, `origin` gives its place: `resnet.py:143`. `shares` is the node whose
    arrays this one uses, if it has none of its own. `tied` has the arrays that belong to other nodes: for
    each, the owner and the array's name there. `training` marks the nodes of training heads. `frozen` marks
    nodes whose parameters are not trained.
    """

    index: int
    name: str
    layer: Layer
    inputs: tuple[Node, ...]
    facts: Facts
    span: Span | None = None
    calls: CallSite | None = None
    shares: Node | None = None
    training: bool = False
    tied: Mapping[str, tuple[Node, str]] = {}
    origin: str = ""
    frozen: bool = False

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def shape(self) -> Shape:
        """The output shape, per sample."""
        return self.facts.output

    @property
    def is_input(self) -> bool:
        return isinstance(self.layer, Input)

    @property
    def is_opaque(self) -> bool:
        """Is it an unknown operation, which cannot be counted?"""
        return self.layer.is_opaque

    @property
    def own_weights(self) -> tuple[Weight, ...]:
        """The arrays that the node owns, not those of other nodes."""
        if self.shares is not None:
            return ()
        return tuple(weight for weight in self.facts.weights if weight.name not in self.tied)

    def trained_as_owned(self) -> None:
        """Freeze the arrays of other nodes if they are frozen there, and only then.

        A table without heads can have a node that shares an array, but not the node that owns it. Each node
        therefore knows by itself what is trained.
        """
        owner = self.shares
        if owner is None and not self.tied:
            return
        weights = []
        for weight in self.facts.weights:
            has, name = (owner, weight.name) if owner else self.tied.get(weight.name, (self, weight.name))
            frozen = next(theirs.frozen for theirs in has.facts.weights if theirs.name == name)
            weights.append(weight if weight.frozen is frozen else replace(weight, frozen=frozen))
        self.facts = once(Facts.with_weights, self.facts, tuple(weights))

    @property
    def reads(self) -> tuple[Node, ...]:
        """The nodes whose outputs it computes with: its inputs, and for an unpooling its pool's input."""
        if not self.layer.reads_before:
            return self.inputs
        return (*self.inputs, *(self.inputs[number].inputs[0] for number in self.layer.reads_before))

    @property
    def place(self) -> str:
        """Its place in a text or in a model, or an empty string."""
        return str(self.span) if self.span is not None else self.origin

    def __repr__(self) -> str:
        return f"<{self.name}: {self.layer} -> {format_shape(self.shape, cross='x')}>"


class ArraysSeen:
    """The arrays that were counted. A shared array counts once, where it comes first."""

    def __init__(self) -> None:
        self._owners: set[int] = set()
        self._tied: set[tuple[int, str]] = set()

    def repeated(self, node: Node) -> Facts:
        """Count the arrays of a node. Returns its facts with only the arrays that were counted before."""
        owner = node.shares or node
        if owner.index in self._owners:
            return node.facts
        self._owners.add(owner.index)
        again = set()
        for name, (first, array) in owner.tied.items():
            if first.index in self._owners or (first.index, array) in self._tied:
                again.add(name)
            self._tied.add((first.index, array))
        return node.facts.with_weights(weight for weight in node.facts.weights if weight.name in again)


class Group(Struct, eq=False, gc=False):
    """A block call or a labelled group: the nodes from `start` to before `stop`, and the output node."""

    name: str
    kind: str
    start: int
    stop: int
    output: Node
    span: Span | None = None

    @property
    def depth(self) -> int:
        return self.name.count("/") + 1


class Doubt(Struct, frozen=True, eq=False):
    """Something legal in a text that its author may have meant differently.

    `kind` is a key of `notes.WORDS`, which has the messages. `node` is the result of the text, `meant` is
    what to write if something else is meant, and `named` is what to write to confirm the text.
    """

    kind: str
    node: Node
    meant: str
    named: str


class Remark(Struct, frozen=True, eq=False):
    """A fact that a reader of a network's figures must know, and its consequence.

    `node` is the node that it is about, or `None` for an imported network that differs as a whole.
    """

    kind: str
    node: Node | None
    message: str
    help: str = ""


class Original(Struct, frozen=True, eq=False):
    """The model that a network was imported from, as its own framework runs it.

    `run` takes arrays in the order of the network's inputs, channels first with the batch, and returns the
    outputs by name. It raises `ArchError` if the framework is not installed or fails.
    """

    framework: str
    run: Callable[[Sequence[Any]], Mapping[str, Any]]


class Network(Struct, eq=False):
    """An architecture with all choices made. Immutable by convention; every analysis reads it.

    `nodes` are in topological order, including inputs. `groups` are the block calls and labelled groups,
    outer ones before inner ones. `outputs` are the results by name (`output` is the last tensor of the net),
    and `heads` are the training heads. `parameters` are the values that the net was made with; `overridden`
    says whether any of them differs from its default. `notes` are likely mistakes in its text, and the
    changes of an import. `see` are the names of related networks, and what each one is.
    """

    name: str
    nodes: tuple[Node, ...]
    groups: tuple[Group, ...]
    outputs: Mapping[str, Node]
    heads: Mapping[str, Node]
    parameters: Mapping[str, Any] = {}
    expectations: tuple[Any, ...] = ()
    """Each is an `archcalc.expect.Expect`."""
    overridden: bool = False
    source: Source | None = None
    notes: tuple[Doubt | Remark, ...] = ()
    see: Mapping[str, str] = {}
    written: Mapping[int, str] = {}
    """What published code calls instead of a module of `torch.nn` (`F.relu`), by node index."""
    trained: Callable[[], dict[str, dict[str, Any]]] | None = None
    """Reads the arrays of an imported model, by node and name, in the form that the executor uses."""
    original: Original | None = None
    """The imported model itself, if it can run."""

    @property
    def inputs(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes if node.is_input}

    @property
    def remarks(self) -> tuple[str, ...]:
        """The changes and omissions of an import, as sentences. They are also in `notes`."""
        notes = (note for note in self.notes if isinstance(note, Remark) and note.kind == "import")
        return tuple(note.message for note in notes)

    @property
    def is_complete(self) -> bool:
        """Is every operation known? If not, some are not counted."""
        return not any(node.is_opaque for node in self.nodes)

    @property
    def layers(self) -> Iterator[Node]:
        """The nodes that are not inputs."""
        return (node for node in self.nodes if not node.is_input)

    def __getitem__(self, path: str) -> Node:
        """The node of a path. For a block call or a group, the node that outputs its tensor.

        Raises `ArchError` if there is no such path.
        """
        for node in self.nodes:
            if node.name == path:
                return node
        for group in self.groups:
            if group.name == path:
                return group.output
        raise self.unknown_path(path)

    def select(self, path: str) -> list[Node]:
        """The nodes of a path: one node, all nodes of a block call or group, or all that match a pattern.

        In a pattern, `*` matches anything within a path. Raises `ArchError` if nothing matches.
        """
        if is_pattern(path):
            found = [node for node in self.layers if fnmatchcase(node.name, path)]
        else:
            found = [node for node in self.nodes if node.name == path]
            for group in self.groups:
                if group.name == path:
                    found = list(self.nodes[group.start : group.stop])
                    break
        if not found:
            raise self.unknown_path(path)
        return found

    def module_blocks(self) -> list[Group]:
        """The block calls that are separate modules in PyTorch, outer ones before inner ones.

        A block is one of them if any call of it joins tensors or calls a function directly, and not only in a
        block inside it. A chain of modules is a `Sequential`.
        """
        kinds = {group.kind for group in self.groups if self._computes(group)} - {"group"}
        return [group for group in self.groups if group.kind in kinds]

    def _computes(self, group: Group) -> bool:
        prefix = group.name + "/"
        return any(
            (node.layer.is_join or node.index in self.written) and "/" not in node.name.removeprefix(prefix)
            for node in self.nodes[group.start : group.stop]
        )

    def unknown_path(self, path: str, also: Iterable[str] = (), noun: str = "node or block") -> ArchError:
        """The error for an unknown path, with the paths that it may mean. Returned, not raised.

        If a path is the end of others, these are suggested. `also` are further names that may be meant.
        """
        message = f"`{self.name}` has no {noun}"
        paths = [node.name for node in self.nodes] + [group.name for group in self.groups]
        ends = [known for known in paths if known.endswith(f"/{path}")]
        if not ends:
            return unknown(message, path, [*paths, *also])
        more = f" {len(ends) - 3:,} more end in `/{path}`" if len(ends) > 3 else ""
        return error(f"{message} `{path}`", help=did_you_mean(ends[:3]) + more)

    def graph(self, *, nodes: bool = True) -> networkx.DiGraph[str]:
        """The network as a networkx graph of paths.

        Each node has the plain attributes `kind`, `layer` (in the language), and `output_shape`
        ("64x224x224"), and its `Node` as the attribute `node`. Formats such as GraphML and GEXF can only
        write plain attributes; `nodes=False` leaves the `Node`s out.

        >>> import archcalc, networkx
        >>> graph = archcalc.load("lenet5").graph(nodes=False)
        >>> graph.nodes["C1/conv1"]["layer"], len("".join(networkx.generate_graphml(graph))) > 0
        ('conv(6, 5)', True)
        """
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph()
        for node in self.nodes:
            shape = format_shape(node.shape, cross="x")
            graph.add_node(node.name, kind=node.kind, layer=str(node.layer), output_shape=shape)
            if nodes:
                graph.nodes[node.name]["node"] = node
            graph.add_edges_from((source.name, node.name) for source in node.inputs)
        return graph
