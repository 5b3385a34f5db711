"""Verifies receptive fields with NaNs: the inputs that each place depends on, predicted and measured.

If the input has NaNs before or after a place, the outputs that stay numbers depend on none of them. `visible`
predicts from the windows of the layers which inputs each place reads, without padding. This prediction is
compared with the NaNs. The reported receptive fields, which are unions and ignore edges, are compared with
the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import product

import numpy as np
from msgspec import Struct

from archcalc.executor.execute import RunOptions, Step, execute
from archcalc.executor.inputs import given_inputs
from archcalc.executor.kernel import Array, each_axis
from archcalc.executor.resize import nearest_places, padded_places
from archcalc.executor.weights import Weights
from archcalc.layers.base import Layer
from archcalc.layers.channels import all_of
from archcalc.layers.reshape import PixelShuffle, PixelUnshuffle
from archcalc.layers.resize import Pad, Upsample
from archcalc.layers.terms import Reach, Stacked, Swapped
from archcalc.network import Network, Node
from archcalc.profile import Profile
from archcalc.quantities.receptive_field import Field
from archcalc.shape import Window

CHEAP = 200_000_000
"""MACs up to which receptive fields are tested at several places."""

MOST_CUTS = 4
"""The most places along an axis at which receptive fields are tested."""

MOST_TAPS = 2_000_000
"""A node whose windows have more taps along an axis is not followed."""

BY_VALUE = ("maxunpool", "deform_conv")
"""Kinds whose receptive field depends on the values of another tensor, so that it cannot be followed."""


class Verdict(Struct):
    """One figure of one network: the prediction, the measurement, and the first difference."""

    figure: str
    predicted: int
    measured: int
    held: bool
    remark: str = ""


class Ends(Struct, frozen=True):
    """The first and the last input that each place along an axis depends on. The last is before the first if
    there is none."""

    first: Array
    last: Array


class Seen(Struct, frozen=True):
    """What the places of a map depend on along one axis of the input, which is the axis `axis` of the map.

    `parts` has an entry for each set of channels, as bits. A channel in several parts depends on all of them,
    and a channel in none depends on nothing. `moved` are the places that depend on something else than the
    windows say, because PyTorch's single precision or a padding with values of the map moves what they read.
    `exact` says whether the ends are also unions away from the edges: nothing was cut off or left over on the
    way.
    """

    axis: int
    parts: tuple[tuple[Ends, int], ...]
    moved: Array
    exact: bool = True

    @property
    def first(self) -> Array:
        first: Array = np.min([ends.first for ends, _ in self.parts], axis=0)
        return first

    @property
    def last(self) -> Array:
        last: Array = np.max([ends.last for ends, _ in self.parts], axis=0)
        return last


def fields(
    profile: Profile, weights: Weights, seed: int, unmarked: set[int], watch: Callable[[], None] | None
) -> Verdict:
    """Cut the input at places `j` along each axis in turn.

    A receptive field that moves by several places shows its ends only at some `j`. As many neighboring places
    are therefore tested as is cheap. The nodes in `unmarked`, which have NaNs in any case, are left out.
    """
    network = profile.network
    if len(network.inputs) != 1:
        return Verdict("fields", 0, 0, True, "several inputs: not measured")
    ((name, source),) = network.inputs.items()
    if len(source.shape) < 2:
        return Verdict("fields", 0, 0, True, "no spatial axes")
    clean_input = given_inputs(network, None, 1, seed, np.dtype(np.float32))[name]
    # where branches are misaligned, the reported union is that of the first place
    drifting = {node.index for node in network.nodes if len(node.inputs) > 1 and _drifts(profile, node)}
    left_out = unmarked | _behind(network, drifting)
    found: dict[int, bool] = {}
    remark = ""
    cheap = max(1, min(MOST_CUTS, CHEAP // max(1, profile.totals.macs)))
    sights = [visible(network, axis) for axis in range(len(source.shape) - 1)]
    # a place that reads only padding along one axis depends on nothing along the others either
    blind = {index for sight in sights for index, seen in sight.items() if (seen.last < seen.first).all()}
    for axis, sight in enumerate(sights):
        n = source.shape[axis + 1]
        for node in network.nodes:
            if node.index in sight and node.index not in left_out:
                problem = _strays(node, profile.fields[node.index], axis, n, sight[node.index])
                found[node.index] = found.get(node.index, True) and not problem
                remark = remark or problem
        cuts = range(
            n // 3, min(n // 2 + 1, n // 3 + cheap)
        )  # far from the ends, where receptive fields are cut off
        for j, before in product(cuts, (True, False)):
            places = slice(0, j) if before else slice(j + 1, n)
            if not range(n)[places]:
                continue
            spoiled = clean_input.copy()
            spoiled[(slice(None),) * (axis + 1) + (places,)] = np.nan
            numbers = _clean_places(network, weights, {name: spoiled}, sight, watch)
            for node in network.nodes:
                if node.index not in numbers or node.index not in sight or node.index in unmarked:
                    continue
                problem = ""
                if not (node.index in blind and numbers[node.index].all()):
                    problem = _disagrees(node, sight[node.index], axis, j, before, numbers[node.index])
                found[node.index] = found.get(node.index, True) and not problem
                remark = remark or problem
    held = sum(found.values())
    return Verdict("fields", len(found), held, held == len(found), remark)


# --- Measured -----------------------------------------------------------------------------------------


def _clean_places(
    network: Network,
    weights: Weights,
    inputs: dict[str, Array],
    sight: Mapping[int, Seen],
    watch: Callable[[], None] | None,
) -> dict[int, Array]:
    """For each node that is followed, the places along an axis of the input that have only numbers."""
    places: dict[int, Array] = {}
    spoiled: set[int] = set()

    def look(step: Step, reads: list[Array], arrays: Mapping[str, Array], out: Array) -> None:
        node = step.node
        if any(s.index in spoiled for s in node.inputs) or node.kind in BY_VALUE:
            spoiled.add(node.index)
        elif node.index in sight:
            others = tuple(i for i in range(out.ndim) if i != sight[node.index].axis + 1)
            places[node.index] = np.logical_not(np.isnan(out).any(axis=others))
        if watch is not None:
            watch()

    channels_first = {name: np.moveaxis(array, -1, 1) for name, array in inputs.items()}
    execute(network, channels_first, weights, RunOptions(inspect=look, finite=False))
    return places


# --- Predicted ----------------------------------------------------------------------------------------


def visible(network: Network, axis: int) -> dict[int, Seen]:
    """What each place of each node depends on along an axis of the input, if places can be followed."""
    seen: dict[int, Seen] = {}
    blind: set[int] = set()  # nodes that do not depend on the input, such as a parameter
    for node in network.nodes:
        if node.training:
            continue
        if not node.is_input and all(source.index in blind for source in node.inputs):
            blind.add(node.index)
            continue
        if node.is_input:
            if len(node.shape) > axis + 1:
                every = np.arange(node.shape[axis + 1])
                ends = (Ends(every, every), all_of(node.shape[0]))
                seen[node.index] = Seen(axis, (ends,), np.zeros(len(every), bool))
        elif all(source.index in seen or source.index in blind for source in node.inputs):
            found = _through(node, {i: seen[s.index] for i, s in enumerate(node.inputs) if s.index in seen})
            if found is not None:
                seen[node.index] = found
    return seen


def _through(node: Node, seeing: Mapping[int, Seen]) -> Seen | None:
    """What a node depends on, given the same for its inputs, by number; `None` if places are not separate."""
    windows, reads = node.facts.windows, list(seeing.values())
    if len(reads) < len(node.inputs) and windows not in (Reach.SAME, Reach.WHOLE):
        return None
    axis = reads[0].axis
    if windows in (Reach.MOVED, Reach.FOLDED) or node.kind in BY_VALUE or len(node.shape) < 2:
        return None
    if any(read.axis != axis for read in reads):
        return None
    if len(node.shape) != len(node.inputs[0].shape):
        return None  # an axis is new, or was removed
    if isinstance(node.layer, PixelShuffle | PixelUnshuffle):
        return _through_pixels(node, reads[0])
    if isinstance(windows, Swapped):
        axis = windows.axes.index(axis)
    places = node.shape[axis + 1]
    exact = all(read.exact for read in reads)
    moved = np.zeros(places, bool)
    taps: list[list[int]] | None = None
    if isinstance(windows, tuple):
        window, size = windows[axis], len(reads[0].first)
        if places * window.extent > MOST_TAPS:
            return None
        taps = [[tap for tap in _taps(window, place) if 0 <= tap < size] for place in range(places)]
        exact = exact and not _cuts(window, size, places)
        copied = _copied(node.layer, axis, size, places, window, len(windows))
        if copied is not None:
            moved = np.array([taps[place] != [source] for place, source in enumerate(copied)])
            taps = [[int(source)] for source in copied]
    elif windows is Reach.SAME and any(len(read.first) != places for read in reads):
        exact = False  # stretched
    elif isinstance(windows, Stacked):
        full = [all_of(source.shape[0]) for source in node.inputs]
        if [[channels for _, channels in read.parts] for read in reads] != [[every] for every in full]:
            return None  # channels differ, and each would have to be stacked separately
        exact = False
        if windows.axis == axis:
            ends = Ends(
                *(np.concatenate(end) for end in zip(*((r.first, r.last) for r in reads), strict=True))
            )
            moved = np.concatenate([read.moved for read in reads])
            return Seen(axis, ((ends, all_of(node.shape[0])),), moved, exact)
    for read in reads:
        moved = moved | _read_moved(read.moved, node, places, taps)
    reaching: dict[int, list[Ends]] = {}
    for index, read in seeing.items():
        for ends, channels in read.parts:
            reached = node.layer.reached(channels, index, node.facts)
            reaching.setdefault(reached, []).append(_moved(ends, node, places, taps))
    reaching.pop(0, None)
    parts = tuple((_hull(ends), channels) for channels, ends in reaching.items())
    return Seen(axis, parts or ((_nothing(places), all_of(node.shape[0])),), moved, exact)


def _through_pixels(node: Node, read: Seen) -> Seen:
    """Through a layer that moves every `r`-th place to a channel, or every `r`-th channel to a place.

    Channel `i*r + j` of a square of `r` by `r` is its row `i` and its column `j`. The window of such a layer
    covers all of them, so single channels can depend on less than their receptive field.
    """
    layer, parts = node.layer, []
    if isinstance(layer, PixelUnshuffle):
        r, count = layer.downscale_factor, node.shape[0]
        phases = _phases(read.axis, r, count)
        for ends, channels in read.parts:
            reached = layer.reached(channels, 0, node.facts)
            parts += [
                (Ends(ends.first[i::r], ends.last[i::r]), reached & phase)
                for i, phase in enumerate(phases)
                if reached & phase
            ]
        return Seen(
            read.axis, tuple(parts), np.logical_or.reduce(read.moved.reshape(-1, r), axis=1), exact=False
        )
    assert isinstance(layer, PixelShuffle)
    r, count = layer.upscale_factor, node.inputs[0].shape[0]
    reaching: dict[int, list[Ends]] = {}
    for ends, channels in read.parts:
        for i, phase in enumerate(_phases(read.axis, r, count)):
            found = _nothing(node.shape[read.axis + 1])
            found.first[i::r], found.last[i::r] = ends.first, ends.last
            reached = layer.reached(channels & phase, 0, node.facts)
            reaching.setdefault(reached, []).append(found)
    reaching.pop(0, None)
    alike = [channels for _, channels in read.parts] == [all_of(count)]
    parts = [(_hull(ends), channels) for channels, ends in reaching.items()]
    return Seen(read.axis, tuple(parts), np.repeat(read.moved, r), read.exact and alike)


def _phases(axis: int, r: int, count: int) -> list[int]:
    """Of `count` channels, as bits, those of each row (axis 0) or column (axis 1) of their squares."""
    rows = [channel // r % r if axis == 0 else channel % r for channel in range(count)]
    rows.reverse()  # the first bit is the last channel
    return [int("".join("1" if row == phase else "0" for row in rows), 2) for phase in range(r)]


def _moved(ends: Ends, node: Node, places: int, taps: list[list[int]] | None) -> Ends:
    """What the places of a node depend on if they read these ends."""
    if node.facts.windows is Reach.WHOLE:
        return Ends(np.full(places, ends.first.min()), np.full(places, ends.last.max()))
    if taps is None:
        return Ends(np.broadcast_to(ends.first, places), np.broadcast_to(ends.last, places))
    found = _nothing(places)
    for place, at in enumerate(taps):
        if at:
            found.first[place], found.last[place] = ends.first[at].min(), ends.last[at].max()
    return found


def _read_moved(moved: Array, node: Node, places: int, taps: list[list[int]] | None) -> Array:
    """The places of a node that read a moved place."""
    if node.facts.windows is Reach.WHOLE:
        return np.full(places, moved.any())
    if taps is None:
        return np.broadcast_to(moved, places)
    return np.array([any(moved[tap] for tap in at) for at in taps])


def _hull(several: list[Ends]) -> Ends:
    first, last = [ends.first for ends in several], [ends.last for ends in several]
    return Ends(np.min(first, axis=0), np.max(last, axis=0))


def _nothing(places: int) -> Ends:
    limits = np.iinfo(np.int64)
    return Ends(np.full(places, limits.max), np.full(places, limits.min))


def _copied(layer: Layer, axis: int, size: int, places: int, window: Window, rank: int) -> Array | None:
    """The input that each place copies, for the kinds that copy and whose windows are not exact."""
    if isinstance(layer, Upsample) and layer.copies:  # in PyTorch's single precision
        factor = None if layer.size is not None else Fraction(each_axis(layer.scale_factor, rank)[axis])
        return nearest_places(layer.mode, size, places, factor, rank)
    if isinstance(layer, Pad) and layer.mode != "constant":
        return padded_places(layer.mode, size, int(window.before), int(window.after))
    return None


def _taps(window: Window, place: int) -> Iterator[int]:
    """The inputs that a place reads along an axis, including padding."""
    s, k, d, before = window.stride, window.kernel_size, window.dilation, window.before
    whole = all(isinstance(number, int) for number in (s, k, before))
    if whole and window.transposed:
        for tap in range(int(k)):
            source, rest = divmod(place + before - tap * d, s)
            if not rest:
                yield int(source)
    elif whole:
        yield from range(int(place * s - before), int(place * s - before + k * d), d)
    elif window.transposed:  # all inputs `i` with `0 <= place + before - i·s < extent`
        yield from range(int((place + before - window.extent) // s) + 1, int((place + before) // s) + 1)
    else:  # all values that it touches
        start = place * s - before
        yield from range(math.floor(start), math.ceil(start + window.extent))


def _cuts(window: Window, size: int, places: int) -> bool:
    """Can places away from the edges depend on less than their union?

    This is so if the places before the first one and after the last one would read the input beyond its edge,
    because the next layer's padding then lies within the input; or if the taps of a transposed window are
    apart.
    """
    if window.transposed and (window.dilation > 1 or window.extent < window.stride):
        return True
    before, behind = list(_taps(window, -1)), list(_taps(window, places))
    return not before or not behind or min(before) >= 0 or max(behind) < size


def _disagrees(node: Node, seen: Seen, axis: int, j: int, before: bool, clean: Array) -> str:
    """How a node's clean places differ from the prediction, or an empty string."""
    says = seen.first >= j if before else seen.last <= j
    if (says == clean).all():
        return ""
    place = int(np.argmax(says != clean))
    sees = "depends on nothing" if says[place] else "depends on something"
    side = "before" if before else "after"
    return f"{node.name}, axis {axis}: the prediction is that place {place} {sees} {side} {j}"


def _strays(node: Node, field: Field, axis: int, n: int, seen: Seen) -> str:
    """How the reported receptive field differs from what the places depend on, or an empty string."""
    if field.is_global or not field.keeps_places:
        return ""
    turn = field.along()[axis]
    exact = seen.exact and turn.in_order and not field.at_most
    for place, (first, last) in enumerate(zip(seen.first, seen.last, strict=True)):
        if seen.moved[place]:
            continue
        start, end = turn.first(place), turn.last(place)
        inside = exact and start >= 0 and end < n
        wrong = (first, last) != (start, end) if inside else not start <= first <= last <= end
        if wrong and first <= last:
            sees = f"place {place} depends on {first} to {last}, but its receptive field is {start} to {end}"
            return f"{node.name}, axis {axis}: {sees}"
    return ""


def _drifts(profile: Profile, node: Node) -> bool:
    """Do branches of a join have unequal strides? The reported union is then that of the first place."""
    read = {source.index for source in node.inputs}
    fields = [profile.fields[index] for index in read]
    parts = [part for index in read for part in profile.field_fold.parts.get(index, ())]
    return len({field.stride for field in (*fields, *parts) if field.stride}) > 1


def _behind(network: Network, nodes: set[int]) -> set[int]:
    """These nodes, and all nodes that depend on them."""
    found = set(nodes)
    for node in network.nodes:
        if any(source.index in found for source in node.inputs):
            found.add(node.index)
    return found
