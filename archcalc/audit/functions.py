"""The functions that a statement can call in addition to those of the language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import archcalc.layers  # noqa: F401 - registers every kind
from archcalc.audit.expression import Asked, FigureEvaluator, StatementFunction
from archcalc.checking.evaluate import argument, measure, select
from archcalc.diagnostics import ArchError, unknown
from archcalc.language.syntax import Expr, Ref
from archcalc.language.values import type_name
from archcalc.layers.base import FAMILIES, KINDS
from archcalc.network import Network, Node, is_pattern
from archcalc.profile import LayerProfile, Profile
from archcalc.quantities import QUANTITIES

Given = dict[str, Expr]


SIZES = frozenset(name for name, known in QUANTITIES.items() if not known.is_number)
"""The quantities whose values are lengths along axes."""


def quantity(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """A quantity of a network, or of the layers that a path names."""
    network = _frozen(evaluator, given)
    path = evaluator.text(given, "path")
    if ref.name == "count" and "convention" not in given:
        help = 'write `count(vgg16, convention="macs")`; `archcalc conventions` lists them'
        evaluator.fail("`count` needs `convention`", ref.span, help=help)
    heads, convention = evaluator.flag(given, "heads"), evaluator.text(given, "convention")
    try:
        profile = evaluator.networks.profile(network, heads, convention)
    except ArchError as found:
        evaluator.fail_at(given["convention"].span, found)
    try:
        if is_pattern(path) and ref.name in SIZES:
            value: Any = tuple(measure(profile, ref.name, layer.name) for layer in select(profile, path))
        else:
            value = measure(profile, ref.name, path)
    except ArchError as found:
        evaluator.fail_at(given.get("path", ref).span, found)
    evaluator.asked.append(Asked(ref.span.text, value, profile, ref.name, path))
    return value


def _frozen(evaluator: FigureEvaluator, given: Given) -> Network:
    """The network that a call is about, with the parameters of the layers in `freeze` not trained."""
    network = evaluator.network(given["net"])
    if "freeze" not in given:
        return network
    value = evaluator.eval(given["freeze"], {}, None)
    patterns = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(pattern, str) for pattern in patterns):
        evaluator.fail("`freeze` is a path or a list of paths", given["freeze"].span, help='write `"conv*"`')
    try:
        return evaluator.networks.frozen(network, patterns)
    except ArchError as found:
        evaluator.fail_at(given["freeze"].span, found)


def argument_of(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """An argument of the layer at a path. For several layers, or for a pattern, it is a list."""
    name = evaluator.text(given, "name")
    layers = _layers(evaluator, given)
    found = [(layer, _single(value)) for layer in layers if (value := argument(layer, name)) is not None]
    path = evaluator.text(given, "path")
    if not found:
        known = sorted({p.name for layer in layers for p in layer.node.layer.parameters})
        what, span = f"no layer of `{path}` has an argument", given["name"].span
        evaluator.fail_with(unknown(what, name, known, span, listing="arguments"))
    values = tuple(value for _, value in found)
    value = values[0] if len(values) == 1 and not is_pattern(path) else values
    return _answered(evaluator, ref, value, [layer for layer, _ in found])


def held_in_training(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """The most bytes of activations and their gradients alive at once in training, for one sample."""
    profile: Profile = evaluator.networks.profile(_frozen(evaluator, given))
    alive = [profile.step.bytes_alive(1, category) for category in ("saved", "temporary")]
    return _answered(evaluator, ref, max(map(sum, zip(*alive, strict=True))), ())


def _single(value: Any) -> Any:
    """An argument along the axes as a single value if it is the same along each axis."""
    if isinstance(value, tuple) and value and all(item == value[0] for item in value):
        return _single(value[0])
    return value


def kinds(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """The kinds of layers, in order."""
    layers = _layers(evaluator, given)
    return _answered(evaluator, ref, tuple(layer.kind for layer in layers), layers)


def number(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """The number of layers of a kind or family. The path is optional."""
    if "kind" not in given:
        given = {"net": given["net"], "kind": given["path"]}
    wanted = evaluator.text(given, "kind")
    families = sorted(FAMILIES - {"input"})
    if wanted not in (*KINDS, *families):
        what, span, known = "there is no layer kind or family", given["kind"].span, [*KINDS, *families]
        evaluator.fail_with(unknown(what, wanted, known, span, help="families: " + ", ".join(families)))
    layers = [la for la in _layers(evaluator, given) if wanted in (la.kind, la.node.layer.family)]
    return _answered(evaluator, ref, len(layers), layers)


def sources(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """For each convolution, how many tensors it reads through joins, normalizations, and activations."""
    layers = [layer for layer in _layers(evaluator, given) if layer.node.layer.family == "conv"]
    if not layers:
        span = given.get("path", ref).span
        evaluator.fail("no layer here is a convolution", span, help="name one: `conv1`")
    counts, seen = [], 0
    for layer in layers:
        found, visited = _read_by(layer.node)
        counts.append(found)
        seen += visited
        if seen > MOST_VISITED:
            message = f"`sources` looks at more than {MOST_VISITED:,} layers"
            evaluator.fail(message, ref.span, help="name fewer convolutions")
    return _answered(evaluator, ref, tuple(counts), layers)


PASSED = frozenset({"concat", "bn", "relu", "dropout"})
"""The kinds of layers that `sources` looks through."""

MOST_VISITED = 100_000
"""The most layers that `sources` visits. A layer counts once for every convolution that reads it."""


def _read_by(node: Node) -> tuple[int, int]:
    """How many tensors a layer reads through layers that pass them on, and how many layers were visited."""
    found: set[int] = set()
    visited = {source.index: source for source in node.inputs}
    waiting = [*visited.values()]
    while waiting:
        source = waiting.pop()
        if source.kind not in PASSED:
            found.add(source.index)
            continue
        new = {other.index: other for other in source.inputs if other.index not in visited}
        visited |= new
        waiting += new.values()
    return len(found), len(visited)


def _answered(evaluator: FigureEvaluator, ref: Ref, value: Any, layers: Sequence[LayerProfile]) -> Any:
    """A value, recorded with the layers that it comes from."""
    evaluator.asked.append(Asked(ref.span.text, value, layers=tuple(layers)))
    return value


def _layers(evaluator: FigureEvaluator, given: Given) -> Sequence[LayerProfile]:
    """The layers that a path names, or all layers; without inputs and training heads."""
    profile: Profile = evaluator.networks.profile(evaluator.network(given["net"]))
    path = evaluator.text(given, "path")
    try:
        layers = select(profile, path) if path else profile.layers
    except ArchError as found:
        evaluator.fail_at(given["path"].span, found)
    return [layer for layer in layers if not layer.node.is_input]


def distinct(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
    """A list without repeats."""
    values = evaluator.eval(given["list"], {}, None)
    if not isinstance(values, tuple):
        evaluator.fail(f"`distinct` needs a list, got {type_name(values)}", given["list"].span)
    return tuple(dict.fromkeys(values))


def worked(name: str) -> Callable[[FigureEvaluator, Ref, Given], Any]:
    """A worked example, with the numbers of the statement."""

    def call(evaluator: FigureEvaluator, ref: Ref, given: Given) -> Any:
        from archcalc.audit.worked import EXAMPLES

        values = {key: evaluator.eval(expr, {}, None) for key, expr in given.items()}
        try:
            return EXAMPLES[name](**values)
        except ArchError as found:
            evaluator.fail_at(ref.span, found)

    return call


WORKED = {
    "correlation(image, kernel)": (("image", "kernel", "stride", "padding"), 2),
    "convolution(image, kernel)": (("image", "kernel", "stride", "padding"), 2),
    "max_pool(image, kernel_size)": (("image", "kernel_size", "stride"), 2),
    "forward(layers, input)": (("layers", "input", "weights", "train", "batch", "digits"), 2),
    "gradient(layers, input)": (("layers", "input", "upstream", "weights", "by", "digits"), 2),
    "affected(layers, shape, place)": (("layers", "shape", "place"), 3),
    "dropped(values, p)": (("values", "p"), 2),
}
"""How worked examples are written, their parameters, and how many of them must be given."""

FUNCTIONS = {
    **{
        name: StatementFunction(f"{name}(vgg16)", ("net", "path", "heads", "freeze"), 1, quantity)
        for name in QUANTITIES
    },
    "count": StatementFunction(
        'count(vgg16, convention="fvcore")', ("net", "path", "heads", "convention", "freeze"), 1, quantity
    ),
    "argument": StatementFunction(
        'argument(vgg16, "fc1", "out_features")', ("net", "path", "name"), 3, argument_of
    ),
    "kinds": StatementFunction("kinds(lenet5)", ("net", "path"), 1, kinds),
    "number": StatementFunction('number(vgg16, "conv")', ("net", "path", "kind"), 2, number),
    "sources": StatementFunction('sources(densenet121, "block1/*")', ("net", "path"), 1, sources),
    "held_in_training": StatementFunction("held_in_training(vgg16)", ("net", "freeze"), 1, held_in_training),
    "distinct": StatementFunction("distinct([1, 2, 1])", ("list",), 1, distinct),
    **{
        name: StatementFunction(usage, parameters, required, worked(name))
        for usage, (parameters, required) in WORKED.items()
        for name in [usage.partition("(")[0]]
    },
}
"""Every function of statements, by name."""
