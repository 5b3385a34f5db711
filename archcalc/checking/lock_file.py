"""The lock file as text, in a form that is easy to read in a diff and to merge in git.

    archcalc lock 3
    # Written by archcalc 0.1.0. Do not edit: `archcalc lock --update` writes it again.
    path models
    checksum sha256 ...

    net vgg16
    total params 138,357,544
    total peak_bytes 25,690,112 at stage1/relu1
    ...
    layer stage1/conv1 64x224x224 params 1,792 macs 86,704,128 flops 176,619,520
    checksum sha256 ...

    net vgg16?classes=10
    with batch=32 dtype=float16 heads input:input=3x160x160
    ...
    layers 41 3f9a... x0Bq...
    checksum sha256 ...

A `path` is a file or folder of which all networks were locked. Each part of the file ends with its own
checksum, so that two branches that change different networks do not conflict.

Only totals that are listed are locked. Figures of a layer that are zero are left out. `aux` replaces `layer`
in training heads, whose figures are part of the totals only if `with` says `heads`. A compact lock has one
line `layers` instead of one line per layer: their number, a digest of all, and a mark of four characters for
each, by which layers that moved are found. Line ends can be LF or CRLF.

Version 2 had one checksum for the whole file and no `path`; version 1 also had no `with`, no `at`, and no
`layers`. Both are read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

import archcalc
from archcalc.checking.digest import MARK, Digest
from archcalc.checking.lock import FIGURES, LayerFigures, Lock, LockedNetwork, LockedPath
from archcalc.diagnostics import ArchError, Source, Span, error
from archcalc.memory.optimizers import OPTIMIZERS
from archcalc.quantities import OF_TRAINING, TOTALS, Figures
from archcalc.quantities.activations import DTYPES
from archcalc.settings import DEFAULT as PLAIN
from archcalc.settings import Settings
from archcalc.shape import format_shape

VERSION = 3
READ = (1, 2, VERSION)
HEADER = f"""\
archcalc lock {VERSION}
# Written by archcalc {archcalc.__version__}. Do not edit: `archcalc lock --update` writes it again.
"""

LOCKED = frozenset(quantity.name for quantity in (*TOTALS, *OF_TRAINING))
"""The totals that can be locked. A lock written before a quantity existed does not have it."""

MAX_BYTES = 64 * 1024 * 1024

REWRITE = "write it again: `archcalc lock NET... -o FILE`"


# --- Writing ----------------------------------------------------------------------------------------


def to_text(lock: Lock, compact: bool = False) -> str:
    """A lock as text. If it is `compact`, each network has one line for all layers."""
    head = HEADER.splitlines()
    for path in lock.paths:
        head += [f"path {path.name}", *_conditions(path.settings)]
    parts = [head, *(lines_of(net, compact or net.digest is not None) for net in lock.networks)]
    return "\n".join(map(_sealed, parts))


def _sealed(lines: Sequence[str]) -> str:
    """A part of the file: its lines and their checksum."""
    body = "".join(f"{line}\n" for line in lines)
    return f"{body}checksum sha256 {_checksum(body)}\n"


def lines_of(net: LockedNetwork, compact: bool) -> list[str]:
    """The lines of a network, without the checksum."""
    lines = [f"net {net.name}", *_conditions(net.settings)]
    for name, value in net.totals.items():
        at = f" at {net.reached_at[name]}" if name in net.reached_at else ""
        lines.append(f"total {name} {value:,}{at}")
    if not compact:
        return lines + net.lines_of_layers()
    return [*lines, (net.digest or Digest.of(net.lines_of_layers())).line]


def _conditions(settings: Settings) -> list[str]:
    """The line with the conditions of the figures, unless they are the defaults."""
    words = []
    if settings.batch != PLAIN.batch:
        words.append(f"batch={settings.batch}")
    if settings.dtype != PLAIN.dtype:
        words.append(f"dtype={settings.dtype}")
    if settings.heads:
        words.append("heads")
    if settings.training:
        words.append(f"training={settings.optimizer}")
    words += [f"input:{name}={format_shape(shape, cross='x')}" for name, shape in settings.inputs.items()]
    return [f"with {' '.join(words)}"] if words else []


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


# --- Reading ----------------------------------------------------------------------------------------

_COUNT = r"\d{1,3}(?:,\d{3}){0,30}"
_SHAPE = r"\d{1,10}(?:x\d{1,10}){0,3}"
_HEAD = re.compile(r"archcalc lock (\d+)\n(?:# Written by archcalc (\S+?)\. )?")
_CONFLICT = re.compile(r"^(?:<{7} |\|{7}(?: |$)|={7}$|>{7} ).*", re.MULTILINE)
_PATH = re.compile(r"path (\S.*)")
_NET = re.compile(r"net (\S.*)")
_WITH = re.compile(rf"with((?: batch=\d{{1,10}}| dtype=\w+| heads| training=\w+| input:[^ =]+={_SHAPE})+)")
_TOTAL = re.compile(rf"total (\w+) ({_COUNT})(?: at (\S+))?")
_LAYER = re.compile(rf"(layer|aux) (\S+) ({_SHAPE})((?: (?:{'|'.join(FIGURES)}) {_COUNT})*)")
_LAYERS = re.compile(r"layers (\d{1,7}) ([0-9a-f]{64}) ([\w-]+)")
_CHECKSUM = re.compile(r"^checksum sha256 ([0-9a-f]{64})$", re.MULTILINE)


def read(path: Path) -> Lock:
    """The lock in a file.

    Raises `ArchError` for a file that cannot be read, is of another version, has conflict markers, is
    damaged, or has been edited by hand.
    """
    source = Source(str(path), _read(path), path)
    marker = _CONFLICT.search(source.text)
    if marker is not None:
        raise error(
            f"`{path}` has conflict markers of git",
            Span(source, *marker.span()),
            help=f"`archcalc lock --update -o {path}` locks the networks of both sides again",
        )
    version, written_by = _head(source)
    nets = _LockLines(source, written_by)
    for start, end in _parts(source) if version >= 3 else [_whole(source)]:
        nets.add(start, end, loose=version < 3)
    return nets.lock()


def read_names(path: Path) -> Lock:
    """The networks locked in a file with conflict markers, from both sides, without the figures.

    A network on both sides is listed once. Raises `ArchError`.
    """
    source = Source(str(path), _read(path), path)
    _head(source)
    lines = source.text.split("\n")
    plain = [line for line in lines if _PATH.match(line) or _NET.match(line) or _WITH.match(line)]
    compact = any(_LAYERS.match(line) for line in lines)
    paths: dict[str, LockedPath] = {}
    nets: dict[str, LockedNetwork] = {}
    for line, after in zip(plain, [*plain[1:], ""], strict=True):
        found = _WITH.fullmatch(after)
        settings = (_settings(found[1].split()) if found else None) or PLAIN
        if named := _PATH.fullmatch(line):
            paths[named[1]] = LockedPath(named[1], settings)
        elif named := _NET.fullmatch(line):
            digest = Digest("", ()) if compact else None
            nets[named[1]] = LockedNetwork(named[1], Figures(), {}, settings=settings, digest=digest)
    return Lock(list(nets.values()), list(paths.values()))


def has_conflicts(path: Path) -> bool:
    """Does a lock file have git's conflict markers? Raises `ArchError` if it cannot be read."""
    return _CONFLICT.search(_read(path)) is not None


def _head(source: Source) -> tuple[int, str]:
    """The version of the file, and of the archcalc that wrote it, if that is known."""
    first = _HEAD.match(source.text)
    if first is None:
        message = f"`{source.name}` is not a lock file"
        raise error(message, Span(source, 0, len(source.line(1))), help=REWRITE)
    version = int(first[1][:9])
    if version not in READ:
        message = (
            f"`{source.name}` has version {version} of the lock file format, but this archcalc reads 1 to 3"
        )
        raise error(message, Span(source, *first.span(1)), help="use a newer archcalc, or " + REWRITE)
    return version, first[2] or ""


def _whole(source: Source) -> tuple[int, int]:
    """The start and end of the body of a file of version 1 or 2. Its last line is the checksum."""
    text = source.text
    found = next(reversed([*_CHECKSUM.finditer(text)]), None)
    if found is None or text[found.end() :] not in ("", "\n"):
        raise _damaged(source, "it does not end in its checksum", len(text.rstrip()), len(text))
    if _checksum(text[: found.start()]) != found[1]:
        raise _edited(source, found.span(1))
    return 0, found.start()


def _parts(source: Source) -> Iterator[tuple[int, int]]:
    """The start and end of each part of a file, without its checksum and the blank line after it."""
    text = source.text
    start = 0
    for found in _CHECKSUM.finditer(text):
        if _checksum(text[start : found.start()]) != found[1]:
            raise _edited(source, found.span(1))
        yield start, found.start()
        start = found.end() + 1
        if start < len(text):
            if text[start] != "\n":
                raise _damaged(source, "a blank line is missing", start, start + 1)
            start += 1
    if start < len(text) or not text.endswith("\n") or text.endswith("\n\n"):
        raise _damaged(source, "it does not end in a checksum", len(text.rstrip()), len(text))


def _damaged(source: Source, reason: str, start: int, end: int) -> ArchError:
    return error(f"`{source.name}` is damaged: {reason}", Span(source, start, end), help=REWRITE)


def _edited(source: Source, span: tuple[int, int]) -> ArchError:
    message = f"`{source.name}` has been edited by hand or is damaged: its checksum does not match"
    return error(message, Span(source, *span), help=REWRITE)


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


class _LockLines:
    """The lines of a file whose checksums match. Their meaning is checked as well."""

    def __init__(self, source: Source, written_by: str) -> None:
        self.source = source
        self.written_by = written_by
        self.paths: dict[str, LockedPath] = {}
        self.nets: dict[str, LockedNetwork] = {}

    def lock(self) -> Lock:
        if not self.nets:
            raise error(f"`{self.source.name}` locks no network", help=REWRITE)
        return Lock(list(self.nets.values()), list(self.paths.values()), self.written_by)

    def add(self, start: int, end: int, loose: bool) -> None:
        """Add the lines of a part. A `loose` one may have blank lines and several networks."""
        at, number = start, len(self.nets)
        for line in self.source.text[start : max(start, end - 1)].split("\n"):
            span = Span(self.source, at, at + len(line))
            at += len(line) + 1
            if span.start == 0 or line.startswith("#") or (loose and not line):
                continue
            # `lock` never writes names with NUL or with terminal escapes
            if not line.isprintable() or not self._add_line(line):
                raise _damaged(self.source, "this line means nothing here", span.start, span.end)
        if start > 0 and not loose and len(self.nets) != number + 1:
            raise _damaged(self.source, "a part has one network", start, end)

    def _add_line(self, line: str) -> bool:
        """Add a line to the last network, or start another; false if the line is not valid there."""
        if found := _PATH.fullmatch(line):
            if self.nets or found[1] in self.paths:
                return False
            self.paths[found[1]] = LockedPath(found[1])
            return True
        if found := _NET.fullmatch(line):
            if found[1] in self.nets:
                return False
            self.nets[found[1]] = LockedNetwork(found[1], Figures(), {})
            return True
        if found := _WITH.fullmatch(line):
            return self._add_conditions(_settings(found[1].split()))
        if not self.nets:
            return False
        name, net = next(reversed(self.nets.items()))
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
            self.nets[name] = replace(net, digest=Digest(found[2], marks))
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

    def _add_conditions(self, settings: Settings | None) -> bool:
        """Add conditions to the last network, which has no figures yet, or else to the last path."""
        if settings is None:
            return False
        if self.nets:
            name, net = next(reversed(self.nets.items()))
            self.nets[name] = replace(net, settings=settings)
            return not net.totals
        if self.paths:
            name = next(reversed(self.paths))
            self.paths[name] = LockedPath(name, settings)
        return bool(self.paths)


def _settings(words: Sequence[str]) -> Settings | None:
    """The conditions of a `with` line; `None` if they are not valid."""
    batch, dtype, optimizer, inputs = PLAIN.batch, PLAIN.dtype, "", {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "batch":
            batch = int(value)
        elif name == "dtype":
            dtype = value
        elif name == "training":
            optimizer = value
        elif name != "heads":
            inputs[name.removeprefix("input:")] = tuple(map(int, value.split("x")))
    if dtype not in DTYPES or batch < 1 or (optimizer and optimizer not in OPTIMIZERS):
        return None
    return Settings(
        inputs=inputs,
        batch=batch,
        dtype=dtype,
        heads="heads" in words,
        training=bool(optimizer),
        optimizer=optimizer or PLAIN.optimizer,
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))
