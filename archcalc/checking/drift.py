"""What has moved since a lock file was written, in which layer, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from archcalc.checking import lock
from archcalc.checking.digest import Digest, Move
from archcalc.checking.evaluate import format_value
from archcalc.checking.find import CheckedNetwork, Finder
from archcalc.checking.lock import FIGURES, LayerFigures, LockedNetwork
from archcalc.checking.outcome import Finding, Outcome, Result
from archcalc.checking.tolerance import Tolerance
from archcalc.network import Network
from archcalc.render.progress import Progress


def check_locks(paths: Sequence[Path], tolerances: Sequence[Tolerance], progress: Progress) -> Outcome:
    """Compute the networks of lock files again, and find every figure that has moved.

    What cannot be read, lock file or network, is among the problems of the outcome.
    """
    finder = Finder()
    results: list[Result] = []
    problems = finder.problems
    for path in paths:
        with problems.collect():
            for before in progress(lock.read(path), f"Checking {path}"):
                with problems.collect():
                    checked = finder.open(before.name, path.parent)
                    results.append(_result(before, checked, tolerances))
    return Outcome(results, problems, locked=True)


def _result(before: LockedNetwork, checked: CheckedNetwork, tolerances: Sequence[Tolerance]) -> Result:
    network = replace(checked, inputs=before.settings.inputs).network()
    now = lock.figures_of(before.name, network, before.settings)
    moves = _Moves(before, network, tolerances)
    findings = list(moves.of_totals(now))
    if before.digest is None:
        findings += moves.of_layers(now)
        figures = len(before.layers.keys() | now.layers.keys()) * (1 + len(FIGURES))
    else:
        findings += moves.of_digest(now, before.digest, findings)
        figures = max(len(before.digest.marks), len(now.layers))
    return Result(checked.name, len(before.totals) + figures, findings, checked.span)


class _Moves:
    """The figures of one network that are not what they were."""

    def __init__(self, before: LockedNetwork, network: Network, tolerances: Sequence[Tolerance]) -> None:
        self.before = before
        self.spans = {node.name: node.span for node in network.nodes}
        self.tolerances = tolerances

    def of_totals(self, now: LockedNetwork) -> Iterator[Finding]:
        for name, was in self.before.totals.items():
            value = now.totals[name]
            if was != value:
                finding = self.move(name, "", was, value)
                yield replace(finding, reached_at=now.reached_at.get(name, ""))

    def of_digest(
        self, now: LockedNetwork, digest: Digest, of_totals: Sequence[Finding]
    ) -> Iterator[Finding]:
        """The layers that moved, by their marks; by how much, the totals say.

        A layer that moved is allowed if every total that moved is.
        """
        allowed = bool(of_totals) and all(finding.held for finding in of_totals)
        current = Digest.of(now.lines_of_layers())
        if digest.whole == current.whole:
            return
        paths = list(now.layers)
        found = [self.of_mark(move, paths, now.layers, allowed) for move in digest.moves(current)]
        if not found:  # one layer in 16 million has its old mark by chance
            found = [self.layer("", "a layer moved, whose mark is the same by chance", allowed)]
        yield from found

    def of_mark(
        self, move: Move, paths: Sequence[str], layers: Mapping[str, LayerFigures], allowed: bool
    ) -> Finding:
        if move.gone:
            where = f"after `{paths[move.place - 1]}`" if move.place else "at the beginning"
            number = f"{move.gone} layers are" if move.gone > 1 else "a layer is"
            return self.layer("", f"{number} gone {where}", allowed)
        path = paths[move.place]
        if move.new:
            return self.layer(path, f"layer `{path}` is new", allowed)
        line = layers[path].line(path).split(" ", 2)[2]
        return self.layer(path, f"layer `{path}` is now {line}", allowed)

    def layer(self, path: str, reason: str, allowed: bool) -> Finding:
        """A layer that is not as its network was locked."""
        return Finding(
            text=f'layers("{path}") as locked' if path else "layers as locked",
            quantity="layers",
            path=path,
            relation="==",
            figure=None,
            value=None,
            held=allowed,
            reason="" if allowed else reason,
            is_layer=True,
            note="allowed, as its totals are" if allowed else "",
            span=self.spans.get(path),
        )

    def of_layers(self, now: LockedNetwork) -> Iterator[Finding]:
        """Of each layer in turn: that it is new or gone, its shape, its figures."""
        old = self.before.layers
        for path, layer in now.layers.items():
            was = old.get(path)
            if was is None:
                yield self.move("layers", path, 0, 1)
            elif was.shape != layer.shape:
                yield self.move("shape", path, was.shape, layer.shape)
            figures = was.figures if was is not None else (0,) * len(FIGURES)
            yield from self.figures(path, figures, layer.figures)
        for path, layer in old.items():
            if path not in now.layers:
                yield self.move("layers", path, 1, 0)
                yield from self.figures(path, layer.figures, (0,) * len(FIGURES))

    def figures(self, path: str, before: tuple[int, ...], now: tuple[int, ...]) -> Iterator[Finding]:
        for name, was, value in zip(FIGURES, before, now, strict=True):
            if was != value:
                yield self.move(name, path, was, value)

    def move(
        self, quantity: str, path: str, was: int | tuple[int, ...], value: int | tuple[int, ...]
    ) -> Finding:
        difference = value - was if isinstance(value, int) and isinstance(was, int) else None
        total = self.before.totals.get(quantity, 0)
        allowed = next((t for t in self.tolerances if t.covers(quantity, total, difference or 0)), None)
        at = f'("{path}")' if path else ""
        what = f"{quantity} of `{path}`" if path else quantity
        reason = f"{what} was {format_value(was)} and is {format_value(value)}"
        is_layer = quantity == "layers" and bool(path)
        if is_layer:
            reason = f"layer `{path}` is {'new' if value else 'gone'}"
        return Finding(
            text=f"{quantity}{at} == {format_value(was)}",
            quantity=quantity,
            path=path,
            relation="==",
            figure=was,
            value=value,
            difference=difference,
            held=allowed is not None,
            reason="" if allowed is not None else reason,
            is_layer=is_layer,
            note=f"allowed by `{allowed.text}`" if allowed is not None else "",
            span=self.spans.get(path),
        )
