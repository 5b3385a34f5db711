"""The figures that moved since a lock file was written: in which layer, and by how much."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from archcalc.checking import lock_file
from archcalc.checking.digest import Digest, Move
from archcalc.checking.evaluate import format_value
from archcalc.checking.find import CheckedNetwork, Finder, lock_name
from archcalc.checking.lock import FIGURES, TRAINABLE, LayerFigures, Lock, LockedNetwork, figures_of
from archcalc.checking.locking import networks_at
from archcalc.checking.outcome import CheckedLock, Finding, Outcome, Result
from archcalc.checking.tolerance import ALL, Tolerance
from archcalc.diagnostics import Problems
from archcalc.layers.base import KINDS
from archcalc.network import Network
from archcalc.render.progress import Progress


def check_locks(paths: Sequence[Path], tolerances: Sequence[Tolerance], progress: Progress) -> Outcome:
    """Compute the networks of lock files again, and find every figure that has moved.

    Lock files and networks that cannot be read are among the problems of the outcome.
    """
    finder = Finder()
    results: list[Result] = []
    locks: list[CheckedLock] = []
    for path in paths:
        with finder.problems.collect():
            lock = lock_file.read(path)
            own = []
            for before in progress(lock.networks, f"Checking {path}"):
                with finder.problems.collect():
                    checked = finder.open(before.name, path.parent)
                    own.append(_result(before, checked, tolerances))
            results += own
            moved = not all(result.ok for result in own)
            new = _not_locked(lock, path.parent, finder)
            locks.append(CheckedLock(str(path), lock.written_by, moved, new))
    return Outcome(results, finder.problems, True, locks)


def _not_locked(lock: Lock, folder: Path, finder: Finder) -> list[str]:
    """The networks in the paths of a lock that are not locked. Broken files are skipped."""
    known = {net.name for net in lock.networks}
    problems, finder.problems = finder.problems, Problems()
    names = [lock_name(net, folder) for path in lock.paths for net in networks_at(path, folder, finder)]
    finder.problems = problems
    return [name for name in dict.fromkeys(names) if name not in known]


def _result(before: LockedNetwork, checked: CheckedNetwork, tolerances: Sequence[Tolerance]) -> Result:
    network = replace(checked, inputs=before.settings.inputs).network()
    now = figures_of(before.name, network, before.settings)
    moves = _Moves(before, network, tolerances)
    findings = moves.of_totals(now)
    if before.digest is None:
        findings += moves.of_layers(now)
        figures = len(before.layers.keys() | now.layers.keys()) * (1 + len(FIGURES))
    else:
        findings += moves.of_digest(now, before.digest, findings)
        figures = max(len(before.digest.marks), len(now.layers))
    return Result(checked.name, len(before.totals) + figures, findings, checked.span, network.notes)


class _Moves:
    """The figures of one network that moved."""

    def __init__(self, before: LockedNetwork, network: Network, tolerances: Sequence[Tolerance]) -> None:
        self.before = before
        self.spans = {node.name: node.span for node in network.nodes}
        self.tolerances = tolerances
        self.of_all: Tolerance | None = None
        """The tolerance that allows every change of a layer, because no total moved too far."""

    def of_totals(self, now: LockedNetwork) -> list[Finding]:
        """The totals that moved. They come first, because they can decide which layers may move."""
        findings = []
        before = dict(self.before.totals)
        if TRAINABLE in now.totals and "params" in before:
            before.setdefault(TRAINABLE, before["params"])
        for name, was in before.items():
            value = now.totals[name] if name in now.totals else now.totals["params"]
            if was != value:
                finding = self.move(name, "", was, value)
                findings.append(replace(finding, reached_at=now.reached_at.get(name, "")))
        if all(finding.held for finding in findings):
            self.of_all = next((each for each in self.tolerances if each.quantity == ALL), None)
        return findings

    def of_digest(
        self, now: LockedNetwork, digest: Digest, of_totals: Sequence[Finding]
    ) -> Iterator[Finding]:
        """The layers that moved, found by their marks. Only the totals show by how much.

        A layer that moved is allowed if every total that moved is.
        """
        allowed = self.of_all is not None
        allowed |= bool(of_totals) and all(finding.held for finding in of_totals)
        current = Digest.of(now.lines_of_layers())
        if digest.whole == current.whole:
            return
        paths = list(now.layers)
        found = [self.of_mark(move, paths, now.layers, allowed) for move in digest.moves(current)]
        if not found:  # one layer in 16 million has its old mark by chance
            found = [self.layer("", "a layer moved, but its mark is the same by chance", allowed)]
        yield from found

    def of_mark(
        self, move: Move, paths: Sequence[str], layers: Mapping[str, LayerFigures], allowed: bool
    ) -> Finding:
        if move.gone:
            where = f"after `{paths[move.place - 1]}`" if move.place else "at the beginning"
            number = f"{move.gone} layers are" if move.gone > 1 else "1 layer is"
            return self.layer("", f"{number} gone {where}", allowed)
        path = paths[move.place]
        if move.new:
            return self.layer(path, f"layer `{path}` is new", allowed)
        line = layers[path].line(path).split(" ", 2)[2]
        return self.layer(path, f"layer `{path}` is now {line}", allowed)

    def layer(self, path: str, reason: str, allowed: bool) -> Finding:
        """A layer that changed since it was locked."""
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
            note="allowed, because the totals are" if allowed else "",
            span=self.spans.get(path),
        )

    def of_layers(self, now: LockedNetwork) -> Iterator[Finding]:
        """For each layer: whether it is new, renamed, or gone, its shape, and its figures."""
        old = self.before.layers
        renamed = _renamed(old, now.layers)
        for path, layer in now.layers.items():
            if path in renamed:
                yield self.rename(renamed[path], path)
                continue
            was = old.get(path)
            if was is None:
                yield self.move("layers", path, 0, 1)
            elif was.shape != layer.shape:
                yield self.move("shape", path, was.shape, layer.shape)
            figures = was.figures if was is not None else (0,) * len(FIGURES)
            yield from self.figures(path, figures, layer.figures)
        names = set(renamed.values())
        for path, layer in old.items():
            if path not in now.layers and path not in names:
                yield self.move("layers", path, 1, 0)
                yield from self.figures(path, layer.figures, (0,) * len(FIGURES))

    def figures(self, path: str, before: tuple[int, ...], now: tuple[int, ...]) -> Iterator[Finding]:
        for name, was, value in zip(FIGURES, before, now, strict=True):
            if was != value:
                yield self.move(name, path, was, value)

    def rename(self, was: str, path: str) -> Finding:
        """A layer of which only the name changed: a move of `layers` by 0."""
        finding = self.move("layers", path, 1, 1)
        reason = "" if finding.held else f"layer `{was}` is now `{path}`; its shape and figures are unchanged"
        return replace(finding, text=f'layers("{was}") == 1', reason=reason, renamed=was)

    def move(
        self, quantity: str, path: str, was: int | tuple[int, ...], value: int | tuple[int, ...]
    ) -> Finding:
        difference = value - was if isinstance(value, int) and isinstance(was, int) else None
        total = self.before.totals.get(quantity, 0)
        allowed = next((t for t in self.tolerances if t.covers(quantity, total, difference or 0)), None)
        if path:
            allowed = allowed or self.of_all
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


def _renamed(old: Mapping[str, LayerFigures], now: Mapping[str, LayerFigures]) -> dict[str, str]:
    """The old names of new layers. Each takes the next gone layer with the same shape and figures."""
    gone: dict[LayerFigures, deque[str]] = defaultdict(deque)
    for path, layer in old.items():
        if path not in now:
            gone[layer].append(path)
    renamed = {}
    for path, layer in now.items():
        if path not in old and gone[layer] and not _differ_in_kind(gone[layer][0], path):
            renamed[path] = gone[layer].popleft()
    return renamed


def _differ_in_kind(was: str, path: str) -> bool:
    """Do the names of two layers, such as `a/relu1` and `b/gelu3`, have two different kinds?"""
    kinds = {name.rpartition("/")[2].rstrip("_0123456789") for name in (was, path)}
    return len(kinds) == 2 and kinds <= KINDS.keys()
