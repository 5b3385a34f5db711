"""Layers over sequences: embeddings of indices, and recurrent layers.

A sequence is a map of channels × length. At each step of the length, a recurrent layer computes a state from
the channels there and from the state of the step before. The state before the first step is zero.
"""

from typing import Annotated, ClassVar

from archcalc.layers.arguments import MAX_RANK, Count, Flag, LayerError, choice, read_count, read_flag
from archcalc.layers.backward import KEPT_INPUT, Backward, Needs
from archcalc.layers.base import Layer, layer
from archcalc.layers.terms import (
    NO_OPERATIONS,
    Facts,
    Operations,
    Reach,
    Term,
    Weight,
    Windows,
    term,
    values_of,
)
from archcalc.layers.through_time import StepBack, ThroughTime
from archcalc.shape import Shape, Window, format_shape

MAX_LAYERS = 16
"""The most layers in one stack. A larger number is probably PyTorch's `hidden_size`, after `input_size`."""


@layer("embedding")
class Embedding(Layer, frozen=True):
    """Replaces each index of the input by a trained vector of `embedding_dim` values.

    The input has whole numbers from 0 to `num_embeddings - 1`. A vector of L indices becomes a sequence of
    `embedding_dim` x L. A map gets `embedding_dim` channels, followed by all of its own axes. Vectors are
    looked up, so nothing is computed.

    Source: the documentation of `torch.nn.Embedding`.

    Example: input(100) -> embedding(20, 300)

    >>> Embedding(20, 300).output_shape((100,)), Embedding(20, 300).output_shape((1, 5, 7))
    ((300, 100), (300, 1, 5, 7))
    """

    stops_gradients: ClassVar[bool] = True

    num_embeddings: Count
    embedding_dim: Count

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) == MAX_RANK:
            shown = format_shape(inputs[0], cross="x")
            raise LayerError(
                f"`embedding` adds an axis, but {shown} already has {MAX_RANK}",
                label=shown,
                help="write `flatten -> embedding(...)` for one sequence of all indices",
            )
        return (self.embedding_dim, *inputs[0])

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", (("num", self.num_embeddings), ("dim", self.embedding_dim))),)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        return NO_OPERATIONS

    def windows(self, *inputs: Shape) -> Windows:
        return Reach.FOLDED if len(inputs[0]) == 1 else Reach.MOVED

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        """The gradient of each vector is added to the gradient of its row."""
        if "weight" not in needs.trained:
            return Backward()
        return Backward((KEPT_INPUT,), (("add", values_of(facts.output).of("gradient of the rows")),))


def read_layers(value: object) -> int:
    """A whole number from 1 to 16."""
    count = read_count(value)
    if count > MAX_LAYERS:
        raise LayerError(
            f"needs a whole number from 1 to {MAX_LAYERS}, got {count}",
            help="leave out PyTorch's `input_size`: the input channels are known; for a deeper stack, write "
            "several layers",
        )
    return count


def read_bias(value: object) -> bool | str:
    """`true`, `false`, or `"one"`."""
    if value == "one":
        return "one"
    if isinstance(value, str):
        raise LayerError(
            f'needs `true`, `false`, or "one", got "{value[:40]}"',
            help='`true` adds two biases as in PyTorch, and "one" a single bias as in Keras',
        )
    return read_flag(value)


Layers = Annotated[int, read_layers]
Bias = Annotated[bool | str, read_bias]


class Recurrent(Layer, frozen=True):
    """The base class of recurrent layers. Kinds declare most arguments, because `rnn` has one more."""

    gates: ClassVar[int]
    """The number of vectors of `hidden_size` that a step computes from its input and the last state."""
    hidden_size: Count
    num_layers: Layers = 1

    @property
    def bias(self) -> bool | str:
        raise NotImplementedError

    @property
    def bidirectional(self) -> bool:
        raise NotImplementedError

    @property
    def return_sequences(self) -> bool:
        raise NotImplementedError

    def per_unit(self) -> dict[str, int]:
        """The operations of each unit at each step, without MACs and bias additions."""
        raise NotImplementedError

    def step_back(self) -> StepBack:
        """What a step keeps, and what the backward pass computes per unit."""
        raise NotImplementedError

    def backward(self, facts: Facts, needs: Needs) -> Backward:
        return ThroughTime(self, self.step_back(), facts, needs).backward()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def biases(self) -> int:
        """The number of biases that each gate adds."""
        return 1 if self.bias == "one" else 2 * int(self.bias)

    def output_shape(self, *inputs: Shape) -> Shape:
        _, length = _sequence(self.kind, inputs[0])
        channels = self.directions * self.hidden_size
        return (channels, length) if self.return_sequences else (channels,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        hidden, doubled = self.hidden_size, "2" if self.bidirectional else ""
        gates = (_times(self.gates, "N_h"), self.gates * hidden)
        found = []
        for number in range(self.num_layers):
            reads = ("N_in", inputs[0][0]) if number == 0 else (f"{doubled}N_h", self.directions * hidden)
            for end in ("", "_reverse")[: self.directions]:
                found += [
                    Weight(f"weight_ih_l{number}{end}", (reads, gates)),
                    Weight(f"weight_hh_l{number}{end}", (("N_h", hidden), gates)),
                ]
                for which in ("ih", "hh")[: self.biases]:
                    found.append(Weight(f"bias_{which}_l{number}{end}", (gates,), "bias"))
        return tuple(found)

    def operations(self, inputs: tuple[Shape, ...], output: Shape) -> Operations:
        channels, length = inputs[0]
        hidden, gates = self.hidden_size, self.gates
        ways = _unless_one(("2", self.directions))
        layers = _unless_one(("layers", self.num_layers))
        units, steps = ("N_h", hidden), term(("L", length))

        def per_step(*factors: tuple[str, int]) -> Term:
            return term(*layers, *ways, *factors) * steps

        times = _unless_one((str(gates), gates))
        found = [("macs", term(*ways, *times, ("N_in", channels), units) * steps)]
        found.append(("macs", per_step(*times, units, units)))
        if self.num_layers > 1:  # later layers read the states of the layer below, in both directions
            below = ("(layers-1)", self.num_layers - 1)
            found.append(("macs", term(below, *ways, *times, *ways, units, units) * steps))
        if self.biases:
            count = self.biases * gates
            found.append(("bias", per_step(*_unless_one((str(count), count)), units)))
        for category, count in self.per_unit().items():
            found.append((category, per_step(*_unless_one((str(count), count)), units)))
        return tuple(found)

    def windows(self, *inputs: Shape) -> Windows:
        if not self.return_sequences:
            return Reach.WHOLE
        ahead = inputs[0][1] - 1  # every place depends on the whole sequence before it
        if self.bidirectional:
            return (Window(2 * ahead + 1, 1, ahead, ahead, clamped=True),)
        return (Window(ahead + 1, 1, ahead, 0, clamped=True),)


def _sequence(kind: str, shape: Shape) -> Shape:
    """The channels and the length of an input, which must be a sequence."""
    if len(shape) == 2:
        return shape
    shown = format_shape(shape, cross="x")
    if len(shape) == 1:
        raise LayerError(
            f"`{kind}` needs a sequence of channels x length, got a vector of {shown}",
            label=shown,
            help=f"write `embedding(...) -> {kind}(...)` for indices, or `reshape(1x{shown})` for "
            "one value per step",
        )
    rows = 1
    for size in shape[:-1]:
        rows *= size
    raise LayerError(
        f"`{kind}` needs a sequence of channels x length, got a map of {shown}",
        label=shown,
        help=f"write `reshape({rows}x{shape[-1]})` for a step at each place of the last axis",
    )


def _times(count: int, symbol: str) -> str:
    return symbol if count == 1 else f"{count}{symbol}"


def _unless_one(factor: tuple[str, int]) -> tuple[tuple[str, int], ...]:
    """A factor of a formula; empty if it is 1."""
    return () if factor[1] == 1 else (factor,)


@layer("lstm")
class LSTM(Recurrent, frozen=True):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), as `torch.nn.LSTM`.

    `i, f, o = sigmoid(...)` and `g = tanh(...)` of `W_ih x + b_ih + W_hh h + b_hh`. Then `c = f c + i g` and
    `h = o tanh(c)`. The columns of the arrays are in the order i, f, g, o.

    A step costs `4 (N_in + N_h)` MACs per unit. The two products are one sum. It also costs 8 bias additions,
    5 exponentials or tanh, 4 additions, 3 multiplications, and 3 divisions per unit. A sigmoid is an
    exponential, an addition, and a division. Products with the state before the first step count too,
    although it is zero.

    `bias="one"` has one bias per gate, like Keras. With `return_sequences=false` the output is the state of
    the last layer after the last step. With `bidirectional` it also has the state of the backward direction
    after its last step, which is at the first place. With `num_layers`, each layer reads the states of the
    layer below.

    Source: Hochreiter & Schmidhuber 1997, Long Short-Term Memory; Gers et al. 2000, Learning to Forget; the
    documentation of `torch.nn.LSTM`.

    Example: input(10x5) -> lstm(20)

    >>> LSTM(20, bidirectional=True).output_shape((10, 5))
    (40, 5)
    >>> LSTM(20, return_sequences=False).output_shape((10, 5))
    (20,)
    """

    bias: Bias = True
    bidirectional: Flag = False
    return_sequences: Flag = True
    gates = 4

    def per_unit(self) -> dict[str, int]:
        return {"special": 5, "add": 4, "mul": 3, "div": 3}

    def step_back(self) -> StepBack:
        """With `dh` and `dc`, the gradients of a state and a memory from above and from the next step:

            dc += dh o (1 - tanh(c)²)
            do = dh tanh(c) o (1 - o)      di = dc g i (1 - i)
            df = dc c' f (1 - f)           dg = dc i (1 - g²)

        and `dc' = dc f` for the memory `c'` of the step before. Each step keeps the four gates after their
        functions, and the memory c. It keeps the state h for the gradient of `weight_hh`, and for `weight_ih`
        of the layer above. The states of the last layer are the output, if the output has all of them. Only
        `tanh(c)` is recomputed, as in PyTorch (`_thnn_fused_lstm_cell_backward`).
        """
        return StepBack(
            kept={"gates": 4, "memories": 1},
            reads_states="weights",
            operations={"special": 1, "mul": 15, "add": 5},
            earlier={"mul": 1, "add": 1},
        )


@layer("gru")
class GRU(Recurrent, frozen=True):
    """Gated recurrent unit (Cho et al. 2014), as `torch.nn.GRU`.

    `r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)`, `n = tanh(W_in x + b_in + r (W_hn h + b_hn))`, and
    `h = (1 - z) n + z h`. The columns of the arrays are in the order r, z, n.

    `bias="one"` has one bias per gate, and applies the reset gate before the product:
    `n = tanh(W_in x + W_hn (r h) + b_n)`. This is the cell of Cho et al. 2014, and of Keras with
    `reset_after=False`. The cell with `true` or `false` is that of Keras with `reset_after=True`.

    A step costs `3 (N_in + N_h)` MACs per unit. It also costs 6 bias additions, 5 other additions, 3
    exponentials or tanh, 3 multiplications, and 2 divisions per unit. With `bias="one"` there are 3 bias
    additions and 4 other additions. A sigmoid is an exponential, an addition, and a division. Products with
    the state before the first step count too, although it is zero. `return_sequences` and `num_layers` are as
    in `lstm`.

    Source: Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder, arXiv:1406.1078,
    Equations 5 to 8; the documentation of `torch.nn.GRU`.

    Example: input(64x100) -> gru(64)

    >>> GRU(64).output_shape((64, 100))
    (64, 100)
    """

    bias: Bias = True
    bidirectional: Flag = False
    return_sequences: Flag = True
    gates = 3

    def per_unit(self) -> dict[str, int]:
        # with the reset gate inside the product, all of it is one sum
        return {"special": 3, "add": 4 if self.bias == "one" else 5, "mul": 3, "div": 2}

    def step_back(self) -> StepBack:
        """With `dh`, the gradient of a state from above and from the next step, and `h'`, the state before:

            dn = dh (1 - z) (1 - n²)       dz = dh (h' - n) z (1 - z)       dr = dn p r (1 - r)

        with `p = W_hn h' + b_hn`, whose gradient is `dn r`. The gradient of `h'` is `dh z`, plus the part
        that comes through the products. Each step keeps the three gates after their functions, the product p,
        and the state h. The states of the last layer are the output, if the output has all of them.

        With `bias="one"`, `dr = q h' r (1 - r)` with `q = dn W_hnᵀ`, the gradient of `r h'`, and the gradient
        of `h'` has a part `q r`. Products are not kept.
        """
        if self.bias == "one":
            return StepBack(
                kept={"gates": 3},
                reads_states="before",
                operations={"mul": 9, "add": 4},
                earlier={"mul": 2, "add": 2},
                reset=1,
            )
        return StepBack(
            kept={"gates": 3, "products": 1},
            reads_states="before",
            operations={"mul": 10, "add": 4},
            earlier={"mul": 1, "add": 1},
            again=1,
        )


@layer("rnn")
class RNN(Recurrent, frozen=True):
    """Recurrent layer without gates (Elman 1990), as `torch.nn.RNN`.

    `h = tanh(W_ih x + b_ih + W_hh h + b_hh)`, or `max(..., 0)` with `nonlinearity="relu"`.

    A step costs `N_in + N_h` MACs, 2 bias additions, and a tanh or a comparison per unit. Products with the
    state before the first step count too, although it is zero. `bias`, `return_sequences`, and `num_layers`
    are as in `lstm`.

    Source: Elman 1990, Finding Structure in Time; the documentation of `torch.nn.RNN`.

    Example: input(8x30) -> rnn(32, nonlinearity="relu")

    >>> RNN(32).output_shape((8, 30))
    (32, 30)
    """

    nonlinearity: Annotated[str, choice("tanh", "relu")] = "tanh"
    bias: Bias = True
    bidirectional: Flag = False
    return_sequences: Flag = True
    gates = 1

    def per_unit(self) -> dict[str, int]:
        return {"special": 1} if self.nonlinearity == "tanh" else {"compare": 1}

    def step_back(self) -> StepBack:
        """With `dh`, the gradient of a state: `dh (1 - h²)`, or with `relu`, `dh` where `h` is positive.

        Each step keeps its state h. The states of the last layer are the output, if it has all of them.
        """
        tanh = self.nonlinearity == "tanh"
        return StepBack(
            kept={},
            reads_states="after",
            operations={"mul": 2, "add": 1} if tanh else {"compare": 1},
            earlier={},
        )
