"""Attention, and the product of two tensors that it is made of."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.layers.arguments import Count, Flag, LayerError, OptionalTensor, optional, read_count
from archcalc.layers.backward import Backward, Kept, Needs, kept_input
from archcalc.layers.base import Layer, layer
from archcalc.layers.channels import all_of
from archcalc.layers.merge import Join
from archcalc.layers.terms import Facts, Operations, Reach, Term, Weight, Windows, term, values_of
from archcalc.shape import Shape, Window, format_shape


@layer("matmul")
class MatMul(Join, frozen=True):
    """The product of two tensors as matrices, as `torch.matmul`: rows of the first by columns of the second.

    The last two axes are the matrices. The axes before them are the same, or 1, which stretches. A product of
    two activations counts in multiply-accumulates as a product with a weight does.

    Source: the documentation of `torch.matmul`; Wang et al. 2018, Non-local Neural Networks,
    arXiv:1711.07971, Figure 2, for its use.

    Example: input(64x196) -> matmul(permute([1, 0]), identity) -> softmax

    >>> MatMul().output_shape((8, 196, 64), (8, 64, 49))
    (8, 196, 49)
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise LayerError(f"`matmul` needs two tensors, got {len(inputs)}", help="write `matmul(a, b)`")
        a, b = inputs
        label = f"{format_shape(a, cross='x')} and {format_shape(b, cross='x')}"
        if len(a) != len(b) or len(a) < 2:
            raise LayerError("`matmul` needs two tensors of as many axes, two or more", label=label)
        if a[-1] != b[-2]:
            raise LayerError(
                f"`matmul` needs rows as long as columns, but rows have {a[-1]} and columns {b[-2]}",
                label=label,
                at_odds=(0, 1),
                help="`transpose` swaps the last two axes of one of them",
            )
        if any(m != n and 1 not in (m, n) for m, n in zip(a[:-2], b[:-2], strict=True)):
            message = "`matmul` needs equal axes before the last two, or axes of size 1"
            raise LayerError(message, label=label, at_odds=(0, 1))
        return (*map(max, a[:-2], b[:-2]), a[-2], b[-1])

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        *batch, rows, columns = output
        product = term(("rows", rows), ("columns", columns), ("inner", inputs[0][-1]))
        if batch:
            product = product * term(("matrices", math.prod(batch)))
        return (("macs", product),)

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.WHOLE

    def reached(self, channels: int, index: int, facts: Facts) -> int:
        # with two axes, the rows of the first are channels; with more, the channels count the matrices
        shape, output = facts.inputs[index], facts.output
        own = index == 0 if len(output) == 2 else shape[0] == output[0]
        return channels if own else all_of(output[0])

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """Of `A B`: `g Bᵀ` for A and `Aᵀ g` for B, summed where a matrix was stretched to several."""
        (_, product), *_ = facts.operations
        matrices = math.prod(facts.output[:-2])
        operations: list[tuple[str, Term]] = []
        kept = []
        for number, name in enumerate(("first", "second")):
            if not needs.inputs[number]:
                continue
            kept.append(kept_input(1 - number))
            operations.append(("macs", product.of(f"gradient of the {name} tensor")))
            *batch, rows, columns = facts.inputs[number]
            if math.prod(batch) != matrices:
                more = term(("(matrices-own)", matrices - math.prod(batch)))
                sums = more * term(("rows", rows), ("columns", columns))
                operations.append(("add", sums.of(f"gradient of the {name} tensor, stretched")))
        return Backward(tuple(kept), tuple(operations))


@layer("attention")
class Attention(Layer, frozen=True):
    """Multi-head attention, as `torch.nn.MultiheadAttention`: each place looks at every place.

    The tokens are the places of a sequence or a map, the channels are their features. `key_dim` and
    `value_dim` are the sizes of a head: the channels divided by `num_heads`, if left out. `key_value` is the
    tensor that keys and values come from, for cross-attention; the tensor itself, if left out.

    Projections make queries, keys and values, and the result; `bias` adds one to each of the four. Scores are
    products of queries, which are scaled first, and keys. Their softmax weighs the values. Both products are
    counted as multiply-accumulates. With `is_causal`, a token looks at itself and those before; the products
    are counted in full, as tools compute them, and the mask adds one addition to a score.

    Source: Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762, Section 3.2.

    Example: input(768x197) -> attention(12)

    >>> Attention(12).output_shape((768, 197))
    (768, 197)
    """

    num_heads: Count
    key_dim: Annotated[Any, optional(read_count)] = None
    value_dim: Annotated[Any, optional(read_count)] = None
    bias: Flag = True
    is_causal: Flag = False
    key_value: OptionalTensor = None

    def _widths(self, channels: int) -> tuple[int, int]:
        """The sizes of all heads together: of queries and keys, and of values."""
        if (self.key_dim is None or self.value_dim is None) and channels % self.num_heads:
            raise LayerError(
                f"`num_heads` of `attention` must divide the channels, but {self.num_heads} does not divide "
                f"{channels}",
                argument="num_heads",
                help="give the size of a head: `key_dim` and `value_dim`",
            )
        each = channels // self.num_heads
        return self.num_heads * (self.key_dim or each), self.num_heads * (self.value_dim or each)

    def output_shape(self, *inputs: Shape) -> Shape:
        for shape in inputs:
            if len(shape) < 2:
                raise LayerError(
                    f"`attention` needs a sequence or a map, got a vector of {shape[0]}",
                    help="a sequence is channels x length",
                )
        if self.is_causal and len(inputs) > 1:
            raise LayerError("`is_causal` is for attention of a tensor to itself", argument="is_causal")
        self._widths(inputs[0][0])
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels, memory = inputs[0][0], inputs[-1][0]
        keys, values = self._widths(channels)
        arrays = []
        for name, before, after, symbols in (
            ("query", channels, keys, ("C_q", "heads·d_k")),
            ("key", memory, keys, ("C_kv", "heads·d_k")),
            ("value", memory, values, ("C_kv", "heads·d_v")),
            ("output", values, channels, ("heads·d_v", "C_q")),
        ):
            arrays.append(Weight(name, ((symbols[0], before), (symbols[1], after))))
            if self.bias:
                arrays.append(Weight(f"{name}_bias", ((symbols[1], after),), "bias"))
        return tuple(arrays)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        queries, memory = _places(inputs[0], "_q"), _places(inputs[-1], "_kv")
        keys, values = self._widths(inputs[0][0])
        heads = ("heads", self.num_heads)
        d_k, d_v = ("d_k", keys // self.num_heads), ("d_v", values // self.num_heads)
        channels, features = ("C_q", inputs[0][0]), ("C_kv", inputs[-1][0])
        scores = term(queries, memory, heads)
        others = term(queries, ("(n_kv-1)", memory[1] - 1), heads)
        found: list[tuple[str, Term]] = [
            ("macs", (term(queries) * term(channels, heads, d_k)).of("queries")),
            ("macs", (term(memory) * term(features, heads, d_k)).of("keys")),
            ("macs", (term(memory) * term(features, heads, d_v)).of("values")),
            ("macs", (term(queries, memory) * term(heads, d_k)).of("scores: queries by keys")),
            ("macs", (term(queries, memory) * term(heads, d_v)).of("scores by values")),
            ("macs", (term(queries) * term(heads, d_v, channels)).of("output")),
            ("mul", (term(queries) * term(heads, d_k)).of("queries scaled")),
        ]
        if self.bias:
            found += [
                ("bias", (term(queries) * term(heads, d_k)).of("bias of queries")),
                ("bias", (term(memory) * term(heads, d_k)).of("bias of keys")),
                ("bias", (term(memory) * term(heads, d_v)).of("bias of values")),
                ("bias", (term(queries) * term(channels)).of("bias of the output")),
            ]
        if self.is_causal:
            found.append(("add", scores.of("mask")))
        found += [
            ("compare", others.of("softmax: maximum")),
            ("add", scores.of("softmax: difference")),
            ("special", scores.of("softmax: exponential")),
            ("add", others.of("softmax: sum")),
            ("div", scores.of("softmax: division")),
        ]
        return tuple(found)

    def windows(self, *inputs: Shape) -> Windows:
        if not self.is_causal or len(inputs[0]) != 2:
            return Reach.WHOLE
        length = inputs[0][1]
        return (Window(length, 1, length - 1, 0),)

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The chain rule through `y = O W_o + b_o`, `O = P v`, `P = softmax(q kᵀ)` and the projections.

        `q` are the queries after they are scaled, by `s`. With the gradient `g` of the output:

            dO = g W_oᵀ         dv = Pᵀ dO       dP = dO vᵀ
            dS = P (dP - sum of dP P over the keys)
            dq = s dS k         dk = dSᵀ q
            dx = dq W_qᵀ, and for what keys and values come from: dk W_kᵀ + dv W_vᵀ

        The gradient of each array is the product of what it multiplied with the gradient of the result, and
        of each bias the sum of that gradient. Of `key_bias` it is zero but for rounding, as a softmax does
        not change with it; it is computed all the same. Only what a gradient that is asked for depends on is
        computed. What is kept is what these formulas read, and nothing is computed twice. With `is_causal`
        the products are counted in full, as in the forward pass.

        Source: Vaswani et al. 2017, Equation 1, derived; the softmax's as in PyTorch's
        `_softmax_backward_data`.
        """
        return _AttentionBackward(self, facts, needs).backward()


class _AttentionBackward:
    """Which steps the backward pass of an attention takes."""

    def __init__(self, layer: Attention, facts: Facts, needs: Needs) -> None:
        self.trained = needs.trained
        self.crossed = len(facts.inputs) > 1
        self.into_queries, self.into_memory = needs.inputs[0], needs.inputs[-1]
        self.of_query, self.of_key, self.of_value = (
            into or not self.trained.isdisjoint((name, f"{name}_bias"))
            for name, into in (
                ("query", self.into_queries),
                ("key", self.into_memory),
                ("value", self.into_memory),
            )
        )
        self.macs = {count.label: count for category, count in facts.operations if category == "macs"}
        self.facts = facts
        keys, values = layer._widths(facts.inputs[0][0])
        self.n_q, self.n_kv = _places(facts.inputs[0], "_q"), _places(facts.inputs[-1], "_kv")
        self.heads = ("heads", layer.num_heads)
        self.d_k, self.d_v = ("d_k", keys // layer.num_heads), ("d_v", values // layer.num_heads)

    def backward(self) -> Backward:
        return Backward(tuple(self._kept()), tuple(self._operations()))

    def _kept(self) -> Iterator[Kept]:
        of_scores = self.of_query or self.of_key
        from_memory = not self.trained.isdisjoint(("key", "value"))
        if "query" in self.trained or (from_memory and not self.crossed):
            yield kept_input(0)
        if from_memory and self.crossed:
            yield kept_input(1)
        queries, memory = term(self.n_q), term(self.n_kv)
        if self.of_key:
            yield Kept("queries", values=queries * term(self.heads, self.d_k))
        if self.of_query:
            yield Kept("keys", values=memory * term(self.heads, self.d_k))
        if of_scores:
            yield Kept("values", values=memory * term(self.heads, self.d_v))
        if of_scores or self.of_value:
            yield Kept("probabilities", values=term(self.n_q, self.n_kv, self.heads))
        if "output" in self.trained:
            yield Kept("heads", values=queries * term(self.heads, self.d_v))

    def _operations(self) -> Iterator[tuple[str, Term]]:
        of_scores = self.of_query or self.of_key
        macs, channels = self.macs, ("C_q", self.facts.inputs[0][0])
        queries, memory = term(self.n_q), term(self.n_kv)
        scores = term(self.n_q, self.n_kv, self.heads)
        yield from self._of_arrays("output", "output", queries * term(channels))
        if of_scores or self.of_value:
            yield "macs", macs["output"].of("gradient of the heads' results")
        if self.of_value:
            yield "macs", macs["scores by values"].of("gradient of the values")
        if of_scores:
            yield "macs", macs["scores by values"].of("gradient of the softmax")
            others = term(self.n_q, ("(n_kv-1)", self.n_kv[1] - 1), self.heads)
            yield "mul", (term(("2", 2)) * scores).of("softmax: products")
            yield "add", scores.of("softmax: difference")
            yield "add", others.of("softmax: sum")
        if self.of_query:
            yield "macs", macs["scores: queries by keys"].of("gradient of the queries")
            yield "mul", (queries * term(self.heads, self.d_k)).of("gradient of the queries, scaled")
        if self.of_key:
            yield "macs", macs["scores: queries by keys"].of("gradient of the keys")
        yield from self._of_arrays("query", "queries", queries * term(self.heads, self.d_k))
        yield from self._of_arrays("key", "keys", memory * term(self.heads, self.d_k))
        yield from self._of_arrays("value", "values", memory * term(self.heads, self.d_v))
        source = "what keys and values come from" if self.crossed else "the input"
        if self.into_queries:
            yield "macs", macs["queries"].of("gradient of the input, through the queries")
        if self.into_memory:
            yield "macs", macs["keys"].of(f"gradient of {source}, through the keys")
            yield "macs", macs["values"].of(f"gradient of {source}, through the values")
            total = values_of(self.facts.inputs[-1])
            if not self.crossed:
                total = term(("2", 2)) * total
            yield "add", total.of(f"gradient of {source}, summed")

    def _of_arrays(self, name: str, product: str, summed: Term) -> Iterator[tuple[str, Term]]:
        """The gradients of a projection's arrays."""
        if name in self.trained:
            yield "macs", self.macs[product].of(f"gradient of the {name} weights")
        if f"{name}_bias" in self.trained:
            yield "add", summed.of(f"gradient of the {name} bias")


def _places(shape: Shape, suffix: str) -> tuple[str, int]:
    return f"n{suffix}", math.prod(shape[1:])
