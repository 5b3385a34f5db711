"""The lock file: the figures of networks at one time, in lines that read well in a diff.

    archcalc lock 2
    # Written by `archcalc lock`; its last line tells if anything else has changed it.

    net vgg16
    total params 138,357,544
    total peak_bytes 25,690,112 at stage1/relu1
    ...
    layer stage1/conv1 64x224x224 params 1,792 macs 86,704,128 flops 176,619,520

    net vgg16?classes=10
    with batch=32 dtype=float16 heads input=3x160x160
    ...
    layers 41 3f9a... x0Bq...

    checksum sha256 ...

A lock states what it locks: a total that it does not have is not locked. A figure of a layer that is zero
is left out; `aux` stands for `layer` in training heads, whose figures are in no total unless `with` says
`heads`. A compact lock has one line `layers` instead of a line per layer: their number, a digest of all,
and a mark of four characters for each, by which those that moved are found. Line ends may be LF or CRLF.
Version 1 had no `with`, no `at` and no `layers`; it is read like version 2.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from archcalc.checking.digest import MARK, Digest
from archcalc.checking.find import Finder, each_once, lock_name
from archcalc.diagnostics import Diagnostic, Source, Span, error
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.quantities import TOTALS, Figures
from archcalc.quantities.activations import DTYPES
from archcalc.render.progress import Progress
from archcalc.settings import DEFAULT as PLAIN
from archcalc.settings import Settings
from archcalc.shape import Shape, format_shape

DEFAULT = "archcalc.lock"
"""The lock file where none is named."""

VERSION = 2
READ = (1, 2)
HEADER = f"""\
archcalc lock {VERSION}
# Written by `archcalc lock`; its last line tells if anything else has changed it.
"""
FIGURES = ("params", "macs", "flops")
"""What is locked of a layer besides its shape."""

LOCKED = frozenset(quantity.name for quantity in TOTALS)
"""What is locked of a network; a lock written before a quantity existed does not have it."""

MAX_BYTES = 64 * 1024 * 1024

REWRITE = "write it again: `archcalc lock NET... -o FILE`"


class LayerFigures(Struct, frozen=True):
    """What is locked of a layer, or of an input."""

    shape: Shape
    figures: tuple[int, ...]
    training: bool = False

    def line(self, path: str) -> str:
        """The layer's line in a lock file."""
        words = ["aux" if self.training else "layer", path, format_shape(self.shape, cross="x")]
        for name, value in zip(FIGURES, self.figures, strict=True):
            if value:
                words += [name, f"{value:,}"]
        return " ".join(words)


class LockedNetwork(Struct, frozen=True):
    """What is locked of a network, by the `NET` that opens it from the folder of the lock file.

    `settings` are the conditions of its figures, and the shapes of its inputs; `reached_at` names the layer
    where a maximum is reached. Either `layers` or `digest` has its layers.
    """

    name: str
    totals: Figures
    layers: dict[str, LayerFigures]
    reached_at: dict[str, str] = field(default_factory=dict)
    settings: Settings = PLAIN
    digest: Digest | None = None

    def lines_of_layers(self) -> list[str]:
        return [layer.line(path) for path, layer in self.layers.items()]


def figures_of(name: str, network: Network, settings: Settings = PLAIN) -> LockedNetwork:
    """The figures of a network as it is now."""
    profile = settings.profile(network)
    whole = profile if settings.heads or not network.heads else analyze(network, heads=True)
    layers = {
        entry.name: LayerFigures(
            entry.shape, tuple(entry.own[figure] for figure in FIGURES), entry.node.training
        )
        for entry in whole.entries.values()
    }
    reached_at = {quantity.name: quantity.at(profile) for quantity in TOTALS if quantity.at is not None}
    kept = Settings(inputs=settings.inputs, batch=settings.batch, dtype=settings.dtype, heads=settings.heads)
    return LockedNetwork(name, profile.totals, layers, reached_at, kept)


# --- Writing ----------------------------------------------------------------------------------------


def to_text(nets: Sequence[LockedNetwork], compact: bool = False) -> str:
    """The lock file of some networks; if it is compact, with a line for the layers of each."""
    lines = [HEADER]
    for net in nets:
        lines.append(f"net {net.name}")
        lines += _conditions(net.settings)
        for name, value in net.totals.items():
            at = f" at {net.reached_at[name]}" if name in net.reached_at else ""
            lines.append(f"total {name} {value:,}{at}")
        of_layers = net.lines_of_layers()
        digest = Digest.of(of_layers) if compact else net.digest
        lines += of_layers if digest is None else [digest.line]
        lines.append("")
    body = "\n".join(lines) + "\n"
    return f"{body}checksum sha256 {_checksum(body)}\n"


def _conditions(settings: Settings) -> list[str]:
    """The line that says under which conditions the figures were taken, unless they are the usual ones."""
    words = []
    if settings.batch != PLAIN.batch:
        words.append(f"batch={settings.batch}")
    if settings.dtype != PLAIN.dtype:
        words.append(f"dtype={settings.dtype}")
    if settings.heads:
        words.append("heads")
    words += [f"input:{name}={format_shape(shape, cross='x')}" for name, shape in settings.inputs.items()]
    return [f"with {' '.join(words)}"] if words else []


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def lock_networks(
    arguments: Sequence[str],
    path: Path,
    progress: Progress,
    settings: Settings = PLAIN,
    compact: bool = False,
) -> str:
    """The text of a lock file at `path` for what `arguments` mean (see `Finder.find`).

    Raises `ArchError`, with every mistake, if any of it cannot be read: there is no lock of a part.
    """
    finder = Finder(settings)
    found = finder.find(arguments)
    problems = finder.problems
    nets: dict[str, LockedNetwork] = {}
    for checked in progress(each_once(found), "Locking"):
        name = lock_name(checked, path.parent)
        with problems.collect():
            if not name.isprintable():
                raise error(f"`{checked.name}` cannot stand in a line of a lock file")
            nets[name] = figures_of(name, checked.network(), settings)
    for argument, group in found.items():
        if not group and argument not in finder.unread:
            problems.append(Diagnostic(f"nothing to lock: `{argument}` has no network"))
    problems.raise_any()
    return to_text(list(nets.values()), compact)


# --- Reading ----------------------------------------------------------------------------------------

_COUNT = r"\d{1,3}(?:,\d{3}){0,30}"
_SHAPE = r"\d{1,10}(?:x\d{1,10}){0,3}"
_NET = re.compile(r"net (\S.*)")
_WITH = re.compile(rf"with((?: batch=\d{{1,10}}| dtype=\w+| heads| input:[^ =]+={_SHAPE})+)")
_TOTAL = re.compile(rf"total (\w+) ({_COUNT})(?: at (\S+))?")
_LAYER = re.compile(rf"(layer|aux) (\S+) ({_SHAPE})((?: (?:{'|'.join(FIGURES)}) {_COUNT})*)")
_LAYERS = re.compile(r"layers (\d{1,7}) ([0-9a-f]{64}) ([\w-]+)")
_CHECKSUM = re.compile(r"^checksum sha256 ([0-9a-f]{64})\n?\Z", re.MULTILINE)


def read(path: Path) -> list[LockedNetwork]:
    """The figures in a lock file.

    Raises `ArchError` for a file that cannot be read, is of another version, is damaged, or has been
    edited by hand.
    """
    source = Source(str(path), _read(path), path)
    text = source.text
    first = re.match(r"archcalc lock (\d+)\n", text)
    if first is None:
        raise error(f"`{path}` is no lock file", Span(source, 0, len(source.line(1))), help=REWRITE)
    if int(first[1][:9]) not in READ:
        message = f"`{path}` is of version {first[1][:9]} of the lock file, and this archcalc reads 1 and 2"
        raise error(message, Span(source, *first.span(1)), help=REWRITE)
    end = _CHECKSUM.search(text)
    if end is None:
        message = f"`{path}` is damaged: it does not end in its checksum"
        raise error(message, Span(source, len(text.rstrip()), len(text)), help=REWRITE)
    if _checksum(text[: end.start()]) != end[1]:
        message = f"`{path}` has been edited by hand, or is damaged: its checksum does not fit"
        raise error(message, Span(source, *end.span(1)), help=REWRITE)
    return _parse(source, text[: end.start()])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise error(
            f"there is no lock file `{path}`", help=f"write it: `archcalc lock NET... -o {path}`"
        ) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"`{path}` cannot be read: {reason[:1].lower()}{reason[1:]}") from None
    if len(data) > MAX_BYTES:
        raise error(f"`{path}` has more than {MAX_BYTES // 2**20} MiB")
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise error(f"`{path}` is damaged: it is not UTF-8 text", help=REWRITE) from None


def _parse(source: Source, body: str) -> list[LockedNetwork]:
    """The lines of a file that is whole: that they make sense is checked all the same."""
    nets: dict[str, LockedNetwork] = {}
    at = 0
    for line in body.split("\n"):
        span = Span(source, at, at + len(line))
        at += len(line) + 1
        if not line or line.startswith("#") or span.start == 0:
            continue
        if not _add_line(line, nets):
            raise error(f"`{source.name}` is damaged: this line means nothing here", span, help=REWRITE)
    if not nets:
        raise error(f"`{source.name}` locks no network", help=REWRITE)
    return list(nets.values())


def _add_line(line: str, nets: dict[str, LockedNetwork]) -> bool:
    """Add what a line says to the last network, or begin another; false if it makes no sense there."""
    if found := _NET.fullmatch(line):
        if found[1] in nets:
            return False
        nets[found[1]] = LockedNetwork(found[1], Figures(), {})
        return True
    if not nets:
        return False
    name, net = next(reversed(nets.items()))
    if found := _WITH.fullmatch(line):
        settings = _settings(found[1].split())
        if settings is None or net.totals:
            return False
        nets[name] = replace(net, settings=settings)
        return True
    if found := _TOTAL.fullmatch(line):
        if found[1] not in LOCKED or found[1] in net.totals:
            return False
        net.totals[found[1]] = _number(found[2])
        if found[3]:
            net.reached_at[found[1]] = found[3]
        return True
    if found := _LAYERS.fullmatch(line):
        marks = tuple(found[3][i : i + MARK] for i in range(0, len(found[3]), MARK))
        if net.layers or net.digest is not None or len(marks) != int(found[1]):
            return False
        nets[name] = replace(net, digest=Digest(found[2], marks))
        return True
    if found := _LAYER.fullmatch(line):
        if found[2] in net.layers or net.digest is not None:
            return False
        words = found[4].split()
        given = dict(zip(words[::2], map(_number, words[1::2]), strict=True))
        shape = tuple(map(int, found[3].split("x")))
        figures = tuple(given.get(each, 0) for each in FIGURES)
        net.layers[found[2]] = LayerFigures(shape, figures, found[1] == "aux")
        return True
    return False


def _settings(words: Sequence[str]) -> Settings | None:
    """The conditions of a line `with`; none if they cannot be."""
    batch, dtype, inputs = PLAIN.batch, PLAIN.dtype, {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "batch":
            batch = int(value)
        elif name == "dtype":
            dtype = value
        elif name != "heads":
            inputs[name.removeprefix("input:")] = tuple(map(int, value.split("x")))
    if dtype not in DTYPES or batch < 1:
        return None
    return Settings(inputs=inputs, batch=batch, dtype=dtype, heads="heads" in words)


def _number(text: str) -> int:
    return int(text.replace(",", ""))
