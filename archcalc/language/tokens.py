"""Splits text into tokens."""

from __future__ import annotations

import re

from msgspec import Struct

from archcalc.diagnostics import Diagnostic, Source, Span, error, shorten
from archcalc.expect import UNITS
from archcalc.language.limits import MAX_NAME, MAX_STRING, MAX_TOKENS

RESERVED = frozenset(
    (
        "from", "import", "fn", "shared", "frozen", "block", "net", "if", "else", "for", "in", "repeat",
        "expect", "not", "and", "or", "true", "false", "output", "aux",
    )
)  # fmt: skip
"""Reserved words, which cannot be names. (`within`, `of`, `because`, `written`, `as`, and `see` can.)"""


class Token(Struct, frozen=True, gc=False):
    """`kind` is NAME, NUMBER, SIZE, UNIT, STRING, NEWLINE, END, ERROR, or the symbol or word itself."""

    kind: str
    start: int
    end: int
    problem: Diagnostic | None = None


_TOKEN = re.compile(
    r"""
    [ \t]*
    (?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<newline>\r?\n(?:[ \t]*(?:\#[^\n]*)?\r?\n)*+)
    | (?P<skip>\#[^\n]*|\Z)
    | (?P<size>\d+(?:x\d+)++(?![\w.]))
    | (?P<number>\d+(?:_\d+)*+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<string>"(?:[^"\\\n]++|\\["\\])*+")
    | (?P<symbol>->|\*\*|//|==|!=|<=|>=|[-+*/%<>=~()\[\]{},:])
    )
    """,
    re.VERBOSE | re.ASCII,
)
_NAME, _NEWLINE, _SKIP, _SIZE, _NUMBER, _STRING, _SYMBOL = range(1, 8)
_WORDS = {word: word for word in RESERVED}
_SYMBOLS = {symbol: symbol for symbol in "-> ** // == != <= >= - + * / % < > = ~ ( ) [ ] { } , :".split()}
_UNIT = re.compile(r"(?:[KMG]i?B|[KMGT])(?![A-Za-z0-9_])")
_WORD = re.compile(r"[\w.]*", re.ASCII)
_FACTOR = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z_]\w*)", re.ASCII)
COUNTED = re.compile(r"[KMGTkmgt](?:FLOPs?|FLOPS|MACs?|MACS|flops|macs|params?|Params?|Ops|OPs)", re.ASCII)
"""A unit together with what is counted, as in `4 GFLOPs`."""
TIMES = ("s", "ms", "us", "ns", "fps", "FPS")
NO_TIMES = "archcalc does not predict times; figures are counts and bytes"
_AXIS = re.compile(r"\d+|[A-Za-z_]\w*", re.ASCII)


def tokenize(source: Source, start: int = 0) -> list[Token]:
    """The tokens from an offset on. A NEWLINE token marks the end of a statement.

    Newlines do not count directly inside `( )` and `[ ]`, next to `->` on either side, or before `else`. A
    `{` inside parentheses makes them count again. Text that is not a token becomes an ERROR token with its
    diagnostic, so that the parser reports it in order. Raises `ArchError` if the file has too many tokens.
    """
    text = source.text
    tokens: list[Token] = []
    append = tokens.append
    brackets: list[str] = []
    match = _TOKEN.match
    pending = -1
    previous = ""
    at, end = start, len(text)
    while at < end and len(tokens) <= MAX_TOKENS:
        found = match(text, at)
        if found is None:
            while text[at] in " \t":
                at += 1
            token = _bad_character(source, at)
            if pending >= 0 and not (brackets and brackets[-1] != "{") and previous != "->":
                append(Token("NEWLINE", pending, pending + 1))
            append(token)
            pending, previous, at = -1, "ERROR", token.end
            continue
        group = found.lastindex or 0
        at, stop = found.span(group)
        if group == _NAME:
            kind = _WORDS.get(found[group], "NAME")
            if stop - at > MAX_NAME:
                kind = "ERROR"
        elif group == _SYMBOL:
            kind = _SYMBOLS[found[group]]
        elif group == _NEWLINE or group == _SKIP:
            if pending < 0 and group == _NEWLINE:
                pending = at
            at = stop
            continue
        elif group == _NUMBER:
            kind = "NUMBER"
        elif group == _STRING:
            kind = "STRING" if stop - at <= MAX_STRING + 2 else "ERROR"
        else:
            kind = "SIZE"
        if pending >= 0:
            if not (brackets and brackets[-1] != "{") and previous != "->" and kind not in ("->", "else"):
                append(Token("NEWLINE", pending, pending + 1))
            pending = -1
        if group == _SYMBOL:
            if kind in "([{":
                brackets.append(kind)
            elif kind in ")]}" and brackets:
                brackets.pop()
        append(Token(kind, at, stop) if kind != "ERROR" else _too_long(source, at, stop, group))
        if group == _NUMBER and stop < end and (text[stop].isalnum() or text[stop] in "_."):
            unit = _UNIT.match(text, stop)
            if unit is not None:
                append(Token("UNIT", stop, unit.end()))
                stop = unit.end()
            else:
                tokens[-1] = _bad_number(source, at, stop)
                stop = tokens[-1].end
        previous, at = kind, stop
    if len(tokens) > MAX_TOKENS:
        raise error(f"a file has more than {MAX_TOKENS:,} words and symbols", Span(source, at, at + 1))
    if pending >= 0:
        append(Token("NEWLINE", pending, pending + 1))
    append(Token("END", end, end))
    return tokens


def _too_long(source: Source, start: int, end: int, group: int) -> Token:
    what, limit = ("name", MAX_NAME) if group == _NAME else ("string", MAX_STRING)
    problem = Diagnostic(f"a {what} has more than {limit} characters", Span(source, start, end))
    return Token("ERROR", start, end, problem)


def _bad_character(source: Source, at: int) -> Token:
    text = source.text
    character = text[at]
    if character == '"':
        stop = text.find("\n", at)
        span = Span(source, at, len(text) if stop < 0 else stop)
        if "\\" in span.text:
            help = (
                'in a string, write `\\"` for a quote and `\\\\` for a backslash; end it on its line with `"`'
            )
        else:
            help = 'end the string with `"` on its line'
        return Token("ERROR", at, span.end, Diagnostic("a string does not end", span, help=help))
    if character == ".":
        from archcalc.language.foreign import help_for_dots

        start, end, help = help_for_dots(text, at)
        if help:
            span = Span(source, start, end)
            return Token("ERROR", at, end, Diagnostic("a name cannot contain a dot", span, help=help))
    span = Span(source, at, at + 1)
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    help = _HELPS.get(character, "")
    if not help and character.isalpha():
        help = "names consist of the letters a to z, digits, and `_`"
    elif not help and character.isspace():
        help = "write an ordinary space, or end the line"
    return Token("ERROR", at, at + 1, Diagnostic(f"`{shown}` is not allowed here", span, help=help))


_HELPS = {
    **dict.fromkeys("'`\u2018\u2019\u201c\u201d", 'write strings with `"`'),
    ";": "put each statement on its own line",
    "!": "write `not`",
    "&": "write `and`",
    "|": "write `or` between conditions, `->` between layers",
    "^": "write a power with `**`",
    "×": "write the letter `x`: `3x224x224`",
    "→": "write `->`",
    "?": "write a conditional value as `a if condition else b`",
    ".": "a name cannot contain a dot, and a number starts with a digit: `0.5`",
}


def _bad_number(source: Source, start: int, stop: int) -> Token:
    word = _WORD.match(source.text, stop)
    end = max(word.end() if word else stop, stop + 1)
    span = Span(source, start, end)
    text = shorten(span.text, 40)
    axes = text.split("x")
    factor = _FACTOR.fullmatch(text)
    if factor is not None and source.text[:start].rstrip(" \t").endswith(("net", "block", "fn")):
        help = f"a name starts with a letter: `{factor[2]}{factor[1].replace('.', '_')}`"
    elif len(axes) > 1 and all(map(_AXIS.fullmatch, axes)):
        help = f"a size contains whole numbers only; to use a variable, write a list: `[{', '.join(axes)}]`"
    elif factor is None:
        help = "a number is written `16`, `138_357_544`, `0.75` or `1.8e9`"
    elif factor[2].lower() in ("b", "bn"):
        help = f"write `{factor[1]}G`: `G` is a billion"
    elif COUNTED.fullmatch(factor[2]):
        help = f"write `{factor[1]}{factor[2][0].upper()}`: the quantity comes first, as in `macs < 4G`"
    elif factor[2] in TIMES:
        help = NO_TIMES
    elif factor[2].upper() in UNITS:
        help = f"write `{factor[1]}{factor[2].upper()}`: the units are `K`, `M`, `G` and `T`"
    else:
        help = f"write `{factor[1]} * {factor[2]}`"
    return Token("ERROR", start, end, Diagnostic(f"`{text}` is neither a number nor a name", span, help=help))
