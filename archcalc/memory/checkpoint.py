"""Checkpointing: parts of a network whose tensors are discarded after the forward pass and recomputed.

A segment is a range of nodes. Its forward pass keeps only its inputs. Before its backward pass it runs again,
as `torch.utils.checkpoint` does (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost,
arXiv:1604.06174).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

from archcalc.gradients import Gradients
from archcalc.memory.optimizers import Optimizer
from archcalc.memory.precision import Widths
from archcalc.memory.saved import Saved
from archcalc.memory.step import Machine
from archcalc.memory.timeline import Timeline
from archcalc.network import Node
from archcalc.quantities.activations import count_activations
from archcalc.quantities.operations import MACS
from archcalc.render.progress import Progress, unseen

MAX_CUTS = 24
"""The most places between segments that are tried. The work grows with their square."""
# ResNet-152 has 50 such places. With 12, 24, and 50 of them, its best peaks differ by at most 4%.

TRIED = 8
"""Plans that are simulated in full, because the costs of their parts do not add up exactly."""

Range = tuple[int, int]
"""A range of nodes in order: the first, and the one after the last."""


class Checkpoints(Struct, frozen=True, eq=False):
    """Segments that are recomputed, the resulting step, and its additional MACs.

    `recomputed` are the nodes that run twice. `extra_macs` are for one sample.
    """

    segments: tuple[Range, ...]
    timeline: Timeline
    recomputed: tuple[Node, ...]

    @property
    def extra_macs(self) -> int:
        return sum(MACS.of_layer(node.facts) for node in self.recomputed)


def with_checkpoints(
    saved: Saved, widths: Widths, optimizer: Optimizer, segments: Sequence[Range]
) -> Checkpoints:
    """A training step in which these segments are recomputed.

    >>> import archcalc
    >>> from archcalc.memory.optimizers import OPTIMIZERS
    >>> from archcalc.memory.precision import precision
    >>> network = archcalc.loads("net n {\\n input(4x8x8)\\n repeat 6 { conv(4, 3, padding=1) -> relu }\\n}")
    >>> saved = Saved(Gradients(network))
    >>> plain, plan = (
    ...     with_checkpoints(saved, precision("float32"), OPTIMIZERS["sgd"], segments)
    ...     for segments in ([], [(1, 7), (7, 13)])
    ... )
    >>> plain.timeline.peak(64)[0] > plan.timeline.peak(64)[0], len(plan.recomputed)
    (True, 12)
    """
    machine = _Checkpointing(saved, widths, segments)
    machine.hold_parameters(optimizer)
    machine.run()
    machine.update()
    return Checkpoints(tuple(segments), machine.timeline(), tuple(machine.recomputed))


class _Checkpointing(Machine):
    def __init__(self, saved: Saved, widths: Widths, segments: Sequence[Range]) -> None:
        self.segments = [saved.gradients.nodes[start:stop] for start, stop in segments]
        self.segment_of = {node.index: i for i, nodes in enumerate(self.segments) for node in nodes}
        self.saved = saved
        self.needed = [self._needed(number) for number in range(len(self.segments))]
        """The nodes of each segment that are recomputed."""
        self.recomputed: list[Node] = []
        self.waiting = set(range(len(self.segments)))
        super().__init__(saved.gradients, saved, widths)

    def _first_claims(self) -> dict[int, set[int]]:
        """Users of a tensor after the forward pass: a node, or (-1 - n) for a segment n that runs again."""
        claims: dict[int, set[int]] = {}
        for memory, keepers in self.saved.keepers.items():
            for keeper in keepers:
                segment = self.segment_of.get(keeper)
                if segment is None:
                    claims.setdefault(memory, set()).add(keeper)
                elif segment != self.segment_of.get(memory):
                    claims.setdefault(memory, set()).add(-1 - segment)
        for number, nodes in enumerate(self.needed):
            for node in nodes:
                for source in node.reads:
                    memory = self.saved.memory_of[source.index]
                    if self.segment_of.get(memory) != number:
                        claims.setdefault(memory, set()).add(-1 - number)
        return claims

    def _needed(self, number: int) -> list[Node]:
        """The nodes of a segment whose tensors its backward passes read, and those that they depend on."""
        wanted: set[int] = set()
        for node in self.segments[number]:
            if self.saved.own.get(node.index):
                wanted.add(node.index)
            for memory in self.saved.kept_for.get(node.index, ()):
                if self.segment_of.get(memory) == number:
                    wanted.add(memory)
        for node in reversed(self.segments[number]):
            if node.index in wanted or self.saved.memory_of[node.index] in wanted:
                wanted.add(node.index)
                wanted |= {
                    source.index for source in node.reads if self.segment_of.get(source.index) == number
                }
        return [node for node in self.segments[number] if node.index in wanted]

    def forward(self, node: Node, phase: str = "forward", keep: bool = True) -> None:
        super().forward(node, phase, keep and node.index not in self.segment_of)

    def backward(self, node: Node) -> None:
        segment = self.segment_of.get(node.index)
        if segment in self.waiting:
            self.waiting.discard(segment)
            self._run_again(segment)
        super().backward(node)

    def _run_again(self, number: int) -> None:
        nodes = self.needed[number]
        inside = {node.index for node in nodes}
        for node in self.segments[number]:  # their inputs are kept until then
            for memory in self.saved.kept_for.get(node.index, ()):
                self.claims.setdefault(memory, set()).add(node.index)
        memory_of = self.saved.memory_of
        last = {memory_of[source.index]: node.index for node in nodes for source in (node, *node.reads)}
        for node in nodes:
            super().forward(node, "recompute")
            self.recomputed.append(node)
            for source in (node, *node.reads):
                memory = memory_of[source.index]
                if last[memory] == node.index and memory in inside and not self.claims.get(memory):
                    self._forget(memory)
        for memory in [memory for memory, claims in self.claims.items() if -1 - number in claims]:
            self._release(memory, -1 - number)


# --- Plans --------------------------------------------------------------------------------------------


def by_stage(gradients: Gradients) -> list[Range]:
    """One segment for each block or group at the top of the network."""
    place = {node.index: i for i, node in enumerate(gradients.nodes)}
    found = []
    for group in gradients.network.groups:
        inside = [place[i] for i in range(group.start, group.stop) if i in place]
        if group.depth == 1 and len(inside) > 1:
            found.append((inside[0], inside[-1] + 1))
    return found


def cuts(saved: Saved) -> list[int]:
    """The places between nodes where a single tensor continues. Segments can end there."""
    nodes = saved.gradients.nodes
    last: dict[int, int] = {}
    for i, node in enumerate(nodes):
        for source in (node, *node.reads):
            last[saved.memory_of[source.index]] = i
    alive: set[int] = set()
    ends: dict[int, list[int]] = {}
    for memory, end in last.items():
        ends.setdefault(end, []).append(memory)
    found = []
    for i, node in enumerate(nodes):
        if not node.layer.is_source:
            alive.add(saved.memory_of[node.index])
        alive.difference_update(ends.get(i, ()))
        if alive == {saved.memory_of[node.index]} and i + 1 < len(nodes):
            found.append(i + 1)
    return found


def best(
    saved: Saved, widths: Widths, optimizer: Optimizer, batch: int, progress: Progress = unseen
) -> Checkpoints:
    """The plan with the lowest peak. Of several, the one with the fewest extra MACs.

    Segments begin and end where a single tensor continues, at no more than `MAX_CUTS` of these places. Every
    combination is compared, by the cost of each part alone (Beaumont et al. 2019, Optimal checkpointing for
    heterogeneous chains, arXiv:1911.13214, solve the same problem with more kinds of steps).
    """
    plain = with_checkpoints(saved, widths, optimizer, [])
    nodes = saved.gradients.nodes
    ends = [0, *_spread(cuts(saved), plain.timeline, batch), len(nodes)]
    chain = _Chain(saved, widths, ends, batch)
    plans = [with_checkpoints(saved, widths, optimizer, each) for each in chain.plans(progress)]
    return min([plain, *plans], key=lambda plan: (plan.timeline.peak(batch)[0], plan.extra_macs))


def _spread(places: list[int], step: Timeline, batch: int) -> list[int]:
    """At most `MAX_CUTS` places, with about equal amounts kept between them."""
    if len(places) <= MAX_CUTS:
        return places
    alive = step.bytes_alive(batch, "saved")
    chosen: dict[int, int] = {}
    for place in places:  # the forward pass has one moment per node
        chosen[alive[place] * (MAX_CUTS - 1) // max(1, max(alive))] = place
    return sorted(chosen.values())


class _Option(Struct, frozen=True):
    """The parts up to a place: what they leave in memory, the highest peak so far, and what runs again.

    The tensor that continues to the next part is not included, because it depends on that part whether it is
    kept. `again` says whether the last part runs again.
    """

    left: int
    peak: int
    macs: int
    again: bool = False
    segments: tuple[Range, ...] = ()


class _Chain:
    """Parts of a network in sequence, between places where a single tensor continues."""

    def __init__(self, saved: Saved, widths: Widths, ends: list[int], batch: int) -> None:
        self.saved, self.widths, self.ends, self.batch = saved, widths, ends, batch
        self.nodes = saved.gradients.nodes
        self.place = {node.index: i for i, node in enumerate(self.nodes)}

    def plans(self, progress: Progress) -> list[tuple[Range, ...]]:
        """The segments of the best plans from the first place to the last, the best plan first."""
        options: list[list[_Option]] = [[_Option(0, 0, 0)]]
        for stop in progress(range(1, len(self.ends)), "checkpoints"):
            found: list[_Option] = []
            for start in range(stop):
                for way in self._ways(self.ends[start], self.ends[stop]):
                    for before in options[start]:
                        held = before.left + self._between(self.ends[start], before.again, way.again)
                        found.append(
                            _Option(
                                held + way.left,
                                max(before.peak, held + way.peak),
                                before.macs + way.macs,
                                way.again,
                                before.segments + way.segments,
                            )
                        )
            by_way = ([each for each in found if each.again is again] for again in (False, True))
            options.append([each for group in by_way for each in _undominated(group)])
        best = sorted(options[-1], key=lambda option: (option.peak, option.macs))
        return [option.segments for option in best[:TRIED]]

    def _ways(self, start: int, stop: int) -> list[_Option]:
        """The options for a part: as it is, and recomputed.

        Only the gradients of the parameters after it are also alive in its backward pass.
        """
        part = self.nodes[start:stop]
        machine = Machine(self.saved.gradients, self.saved, self.widths, part, self._results(stop))
        for memory, keepers in machine.claims.items():  # later parts have freed their tensors by then
            machine.claims[memory] = {keeper for keeper in keepers if self.place[keeper] < stop}
        for node in part:
            machine.forward(node)
        machine.loss()
        at_loss = len(machine.moments) - 1
        for node in reversed(part):
            if node.index in machine.coming:
                machine.backward(node)
        timeline = machine.timeline()
        kept = timeline.bytes_alive(self.batch, "saved")[at_loss]
        is_last = stop == len(self.nodes)
        left = kept if is_last or not self._kept_by(stop, before=True) else kept - self._leaving(stop)
        if len(machine.moments) == at_loss + 1:  # nothing is trained here or before it
            return [_Option(left, 0, 0)]
        alive, later = timeline.bytes_alive(self.batch), self._gradients_after(stop)
        backward = max(alive[at_loss if is_last else at_loss + 1 :])
        ways = [_Option(left, later + backward, 0)]
        if start and not is_last:
            again = part[: len(part) - self._not_needed(part)]
            gradient = self._leaving(stop)
            read = self._kept_by(start, before=True) or self._kept_by(start, before=False)
            freed = 0 if read else self._leaving(start)  # its input is not read after the part has run again
            peak = later + max(max(alive[: len(again)], default=0) + gradient, backward - freed)
            macs = sum(MACS.of_layer(node.facts) for node in again)
            ways.append(_Option(0, peak, macs, True, ((start, stop),)))
        return ways

    def _not_needed(self, part: Sequence[Node]) -> int:
        """The number of last nodes of a part that do not run again, because no gradient in it needs them."""
        kept = {memory for node in part for memory in self.saved.kept_for.get(node.index, ())}
        for number, node in enumerate(reversed(part)):
            if node.index in self.saved.own or self.saved.memory_of[node.index] in kept:
                return number
        return len(part)

    def _between(self, place: int, before_again: bool, after_again: bool) -> int:
        """The bytes of the tensor between two parts, if it is kept from the forward pass."""
        if not place:
            return 0
        by_former = not before_again and self._kept_by(place, before=True)
        return self._leaving(place) if by_former or after_again or self._kept_by(place, before=False) else 0

    def _kept_by(self, place: int, before: bool) -> bool:
        """Is the tensor that continues at a place kept for nodes before it, or for nodes after it?"""
        keepers = self.saved.keepers.get(self.saved.memory_of[self.nodes[place - 1].index], ())
        return any((self.place[keeper] < place) is before for keeper in keepers)

    def _results(self, stop: int) -> list[Node]:
        """The nodes of a part that receive gradients from outside."""
        gradients = self.saved.gradients
        if stop == len(gradients.nodes):
            return gradients.results
        last = gradients.nodes[stop - 1]
        return [last] if last.index in gradients.needs else []

    def _leaving(self, stop: int) -> int:
        """The bytes of the tensor that continues to the next part."""
        memory = self.saved.memory_of[self.nodes[stop - 1].index]
        node = self.saved.gradients.network.nodes[memory]
        return count_activations(node.facts) * self.widths.of_output(node) * self.batch

    def _gradients_after(self, stop: int) -> int:
        """The bytes of the parameter gradients that exist when the backward pass reaches a place."""
        needs = self.saved.gradients.needs
        return self.widths.parameters * sum(
            weight.term.value
            for node in self.nodes[stop:]
            if node.index in needs
            for weight in node.facts.weights
            if weight.name in needs[node.index].trained
        )


def _undominated(options: list[_Option]) -> list[_Option]:
    """The options for which no other option is better in every respect."""
    found: list[_Option] = []
    peaks: list[int] = []  # of the options so far: the higher the peak, the fewer MACs
    macs: list[int] = []
    for option in sorted(options, key=lambda each: (each.left, each.peak, each.macs)):
        place = bisect_right(peaks, option.peak)
        if place and macs[place - 1] <= option.macs:
            continue
        found.append(option)
        end = place
        while end < len(macs) and macs[end] >= option.macs:
            end += 1
        peaks[place:end], macs[place:end] = [option.peak], [option.macs]
    return found
