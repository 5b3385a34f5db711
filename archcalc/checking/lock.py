"""The lock file: the figures of networks at one time, in lines that read well in a diff.

    archcalc lock 1
    # Written by `archcalc lock`; its last line tells if anything else has changed it.

    net vgg16
    total params 138,357,544
    ...
    layer stage1/conv1 64x224x224 params 1,792 macs 86,704,128 flops 176,619,520

    checksum sha256 ...

A figure of a layer that is zero is left out; `aux` stands for `layer` in training heads, whose figures are
in no total. Line ends may be LF or CRLF. Changing anything above means a new `VERSION`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from archcalc.checking.find import Finder, each_once, lock_name
from archcalc.diagnostics import ArchError, Diagnostic, Source, Span, error
from archcalc.network import Network
from archcalc.profile import analyze
from archcalc.quantities import TOTALS, Figures
from archcalc.render.progress import Progress
from archcalc.shape import Shape

DEFAULT = "archcalc.lock"
"""The lock file where none is named."""

VERSION = 1
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


class NetFigures(Struct, frozen=True):
    """What is locked of a network, by the `NET` that opens it from the folder of the lock file."""

    name: str
    totals: Figures
    layers: dict[str, LayerFigures]


def figures_of(name: str, network: Network) -> NetFigures:
    """The figures of a network as it is now."""
    profile = analyze(network, heads=True)
    totals = analyze(network).totals if network.heads else profile.totals
    layers = {
        entry.name: LayerFigures(
            entry.shape, tuple(entry.own[figure] for figure in FIGURES), entry.node.training
        )
        for entry in profile.entries.values()
    }
    return NetFigures(name, totals, layers)


# --- Writing ----------------------------------------------------------------------------------------


def to_text(nets: Sequence[NetFigures]) -> str:
    """The lock file of some networks."""
    lines = [HEADER]
    for net in nets:
        lines.append(f"net {net.name}")
        lines += [f"total {name} {value:,}" for name, value in net.totals.items()]
        for path, layer in net.layers.items():
            words = ["aux" if layer.training else "layer", path, "x".join(map(str, layer.shape))]
            for name, value in zip(FIGURES, layer.figures, strict=True):
                if value:
                    words += [name, f"{value:,}"]
            lines.append(" ".join(words))
        lines.append("")
    body = "\n".join(lines) + "\n"
    return f"{body}checksum sha256 {_digest(body)}\n"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def lock_networks(arguments: Sequence[str], path: Path, progress: Progress) -> str:
    """The text of a lock file at `path` for what `arguments` mean (see `Finder.find`).

    Raises `ArchError`, with every mistake, if any of it cannot be read: there is no lock of a part.
    """
    finder = Finder()
    found = finder.find(arguments)
    problems = finder.problems
    nets: dict[str, NetFigures] = {}
    for subject in progress(each_once(found), "Locking"):
        name = lock_name(subject, path.parent)
        try:
            if not name.isprintable():
                raise error(f"`{subject.name}` cannot stand in a line of a lock file")
            nets[name] = figures_of(name, subject.network())
        except ArchError as mistake:
            problems += mistake.diagnostics
    for argument, group in found.items():
        if not group and argument not in finder.unread:
            problems.append(Diagnostic(f"nothing to lock: `{argument}` has no network"))
    if problems:
        raise ArchError(problems)
    return to_text(list(nets.values()))


# --- Reading ----------------------------------------------------------------------------------------

_COUNT = r"\d{1,3}(?:,\d{3}){0,30}"
_SHAPE = r"\d{1,10}(?:x\d{1,10}){0,3}"
_NET = re.compile(r"net (\S.*)")
_TOTAL = re.compile(rf"total (\w+) ({_COUNT})")
_LAYER = re.compile(rf"(layer|aux) (\S+) ({_SHAPE})((?: (?:{'|'.join(FIGURES)}) {_COUNT})*)")
_CHECKSUM = re.compile(r"^checksum sha256 ([0-9a-f]{64})\n?\Z", re.MULTILINE)


def read(path: Path) -> list[NetFigures]:
    """The figures in a lock file.

    Raises `ArchError` for a file that cannot be read, is of another version, is damaged, or has been
    edited by hand.
    """
    source = Source(str(path), _read(path), path)
    text = source.text
    first = re.match(r"archcalc lock (\d+)\n", text)
    if first is None:
        raise error(f"`{path}` is no lock file", Span(source, 0, len(source.line(1))), help=REWRITE)
    if int(first[1][:9]) != VERSION:
        message = f"`{path}` is of version {first[1][:9]} of the lock file, and this archcalc reads {VERSION}"
        raise error(message, Span(source, *first.span(1)), help=REWRITE)
    end = _CHECKSUM.search(text)
    if end is None:
        message = f"`{path}` is damaged: it does not end in its checksum"
        raise error(message, Span(source, len(text.rstrip()), len(text)), help=REWRITE)
    if _digest(text[: end.start()]) != end[1]:
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


def _parse(source: Source, body: str) -> list[NetFigures]:
    """The lines of a file that is whole: that they make sense is checked all the same."""
    nets: dict[str, NetFigures] = {}
    net: NetFigures | None = None
    at = 0
    for line in body.split("\n"):
        span = Span(source, at, at + len(line))
        at += len(line) + 1
        if not line or line.startswith("#") or span.start == 0:
            continue
        known = True
        if found := _NET.fullmatch(line):
            known = found[1] not in nets
            net = nets[found[1]] = NetFigures(found[1], Figures(), {})
        elif net is None:
            known = False
        elif found := _TOTAL.fullmatch(line):
            known = found[1] in LOCKED and found[1] not in net.totals
            net.totals[found[1]] = _number(found[2])
        elif found := _LAYER.fullmatch(line):
            known = found[2] not in net.layers
            words = found[4].split()
            given = dict(zip(words[::2], map(_number, words[1::2]), strict=True))
            shape = tuple(map(int, found[3].split("x")))
            figures = tuple(given.get(name, 0) for name in FIGURES)
            net.layers[found[2]] = LayerFigures(shape, figures, found[1] == "aux")
        else:
            known = False
        if not known:
            raise error(f"`{source.name}` is damaged: this line means nothing here", span, help=REWRITE)
    if not nets:
        raise error(f"`{source.name}` locks no network", help=REWRITE)
    return list(nets.values())


def _number(text: str) -> int:
    return int(text.replace(",", ""))
