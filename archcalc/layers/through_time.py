"""The backward pass of recurrent layers, step by step from the last step to the first.

Each layer of a stack has a cell for each direction. A cell takes part if one of its arrays is trained, or if
a layer below it needs a gradient. From the gradients of its states it computes the gradients of the gates'
sums at every step. These give the gradients of its arrays, of the state of the step before, and of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from archcalc.layers.backward import KEPT_OUTPUT, Backward, Kept, Needs, kept_input
from archcalc.layers.terms import Facts, Term, term

if TYPE_CHECKING:
    from archcalc.layers.recurrent import Recurrent


class StepBack(Struct, frozen=True):
    """One step of a cell in the backward pass.

    `kept` are the tensors of its own that a cell keeps, with the number of vectors of `hidden_size` per step.
    Its states are such a tensor too. `reads_states` says which gradients read them: only those of the
    `weights`, or those of the `gates`, which read the state of the step `before` or `after`.

    `operations` are the operations per unit at each step. `earlier` are those for the gradient of the state
    before, which the first step does not compute. `reset` is the number of gates that multiply a part of the
    state. `again` is the number of gates whose gradient for `bias_hh` differs from that for `bias_ih`.
    """

    kept: Mapping[str, int]
    reads_states: str
    operations: Mapping[str, int]
    earlier: Mapping[str, int]
    reset: int = 0
    again: int = 0


class ThroughTime:
    """The backward pass of a recurrent layer."""

    def __init__(self, layer: Recurrent, step: StepBack, facts: Facts, needs: Needs) -> None:
        self.layer, self.step = layer, step
        self.channels, self.length = facts.inputs[0]
        self.into_input = needs.any_input
        self.trained = needs.trained
        self.ends = ("", "_reverse")[: layer.directions]
        self.units = ("N_h", layer.hidden_size)

    def backward(self) -> Backward:
        return Backward(tuple(self._kept()), tuple(self._operations()))

    def cells(self, trained: frozenset[str]) -> Iterator[tuple[int, str]]:
        """The layer and the direction of all cells that take part, from the first layer to the last."""
        below = self.into_input
        for number in range(self.layer.num_layers):
            names = [f"l{number}{end}" for end in self.ends]
            of_arrays = [
                any(
                    f"{array}_{name}" in trained for array in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
                for name in names
            ]
            for end, own in zip(self.ends, of_arrays, strict=True):
                if below or own:
                    yield number, end
            below = below or any(of_arrays)

    # --- What is kept ---

    def _kept(self) -> Iterator[Kept]:
        trained, steps = self.trained, term(("L", self.length))
        if self.length == 1:  # the state before the first step is zero, and the gradient of its weights too
            trained = frozenset(name for name in trained if not name.startswith("weight_hh"))
        last = self.layer.num_layers - 1
        cells = list(self.cells(trained))
        if any(f"weight_ih_l0{end}" in trained for end in self.ends):
            yield kept_input(0)
        for number, end in cells:
            for name, count in self.step.kept.items():
                each = (str(count), count), self.units
                yield Kept(f"{name} l{number}{end}", values=term(*each[count == 1 :]) * steps)
        read = [cell for cell in self._all_cells() if self._reads_states(*cell, trained, cell in cells)]
        for number, end in read:
            if number < last or not self.layer.return_sequences:
                yield Kept(f"states l{number}{end}", values=term(self.units) * steps)
        if self.layer.return_sequences and any(number == last for number, _ in read):
            yield KEPT_OUTPUT

    def _all_cells(self) -> Iterator[tuple[int, str]]:
        for number in range(self.layer.num_layers):
            for end in self.ends:
                yield number, end

    def _reads_states(self, number: int, end: str, trained: frozenset[str], takes_part: bool) -> bool:
        """Does any gradient read the states of this cell?"""
        if any(f"weight_ih_l{number + 1}{above}" in trained for above in self.ends):
            return True
        if not takes_part:
            return False
        if self.step.reads_states == "after":
            return True
        before = self.step.reads_states == "before" or f"weight_hh_l{number}{end}" in trained
        return before and self.length > 1

    # --- What is computed ---

    def _operations(self) -> Iterator[tuple[str, Term]]:
        cells = list(self.cells(self.trained))
        for number, end in cells:
            yield from self._of_cell(number, end)
        lowest = cells[0][0]
        both = term(("L", self.length))
        for number in range(lowest, self.layer.num_layers):
            if self.layer.bidirectional and (number > lowest or self.into_input):
                yield "add", (self._width(number) * both).of(f"gradient of {self._read_by(number)}, summed")
        count = ("cells", len(cells))
        for category, each in self.step.operations.items():
            yield category, (term(count, (str(each), each), self.units) * both).of("gradients of the gates")
        for category, each in self.step.earlier.items():
            units = term(count, (str(each), each), self.units)
            yield category, (units * self._earlier()).of("gradients of the earlier states")
        # gradients from later steps and from the layer above meet at a step
        last = self.layer.num_layers - 1
        met = [cell for cell in cells if cell[0] < last or self.layer.return_sequences]
        if met:
            units = term(("cells", len(met)), self.units)
            yield "add", (units * self._earlier()).of("gradients of the states, summed")

    def _earlier(self) -> Term:
        """Every step except the first."""
        return term(("(L-1)", self.length - 1))

    def _width(self, number: int) -> Term:
        """The number of channels that a layer of the stack reads."""
        if number == 0:
            return term(("N_in", self.channels))
        return term(*[("2", 2)][: self.layer.directions - 1], self.units)

    def _read_by(self, number: int) -> str:
        return f"the states of l{number - 1}" if number else "the input"

    def _of_gates(self, gates: int) -> Term:
        return term((f"{gates}N_h" if gates > 1 else "N_h", gates * self.layer.hidden_size))

    def _of_cell(self, number: int, end: str) -> Iterator[tuple[str, Term]]:
        """The products and sums of one cell."""
        name, gates, steps = f"l{number}{end}", self._of_gates(self.layer.gates), term(("L", self.length))
        reading, again = self._width(number) * gates * steps, term(self.units) * gates * steps
        if f"weight_ih_{name}" in self.trained:
            yield "macs", reading.of(f"gradient of weight_ih_{name}")
        if f"weight_hh_{name}" in self.trained:
            yield "macs", again.of(f"gradient of weight_hh_{name}")
        biases = [which for which in ("ih", "hh") if f"bias_{which}_{name}" in self.trained]
        if biases:
            sums = self.layer.gates + (self.step.again if len(biases) == 2 else 0)
            yield "add", (self._of_gates(sums) * steps).of(f"gradient of the biases of {name}")
        if number > self.lowest or self.into_input:
            yield "macs", reading.of(f"gradient of {self._read_by(number)}, from {name}")
        whole = self._of_gates(self.layer.gates - self.step.reset)
        yield "macs", (term(self.units) * whole * self._earlier()).of(f"gradient of earlier states of {name}")
        if self.step.reset:
            part = self._of_gates(self.step.reset)
            yield "macs", (term(self.units) * part * steps).of(f"gradient of the reset states of {name}")
            if f"weight_hh_{name}" in self.trained:
                yield "mul", (term(self.units) * self._earlier()).of(f"reset states of {name}")

    @property
    def lowest(self) -> int:
        """The first layer that takes part."""
        return next(self.cells(self.trained))[0]
