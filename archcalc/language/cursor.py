"""A cursor over the tokens of a file. It takes tokens, records mistakes, and continues after a mistake."""

from __future__ import annotations

import re
from typing import NoReturn

from archcalc.diagnostics import Diagnostic, Note, Source, Span, shorten
from archcalc.expect import UNITS
from archcalc.language.limits import MAX_MISTAKES, MAX_NESTING, MAX_REREAD
from archcalc.language.tokens import RESERVED, Token, tokenize

SHOWN = {"NEWLINE": "the end of the line", "END": "the end"}
DEFINES = frozenset(("net", "block", "shared", "fn", "from"))
OPENING = {")": "(", "]": "[", "}": "{"}
CLOSING = {opening: closing for closing, opening in OPENING.items()}


class Mistake(Exception):
    """The text does not parse. Without a diagnostic, the cause was already reported."""

    def __init__(self, problem: Diagnostic | None) -> None:
        self.problem = problem


class Unclosed(Mistake):
    """A body does not end before the next definition or the end of the file."""


class Cursor:
    """A position in the tokens of a file, and the mistakes so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Diagnostic] = []
        self.tokens = tokenize(source)
        self.at = 0
        self.kind = self.tokens[0].kind
        self.nesting = 0
        self.lost: set[str] = set()
        """The names in the text that was skipped."""
        self.misnamed: set[str] = set()
        """Reserved words that were used as names."""
        self.reread = 0
        self.whole = True

    # -- moving over tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def advance(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "END":
            self.at += 1
            self.kind = self.tokens[self.at].kind
        return token

    def skip_to_end(self) -> None:
        """Move to the end of the text."""
        self.at = len(self.tokens) - 1
        self.kind = self.tokens[self.at].kind

    def take(self, kind: str) -> bool:
        if self.kind == kind:
            self.advance()
            return True
        return False

    def expect(self, kind: str, what: str = "", help: str = "", opening: Token | None = None) -> Token:
        if self.kind != kind:
            self.fail(what or f"`{kind}`", help, opening)
        return self.advance()

    def name(self, what: str, help: str = "") -> tuple[str, Span]:
        """Take a name and return its text and span. `what` describes the name if there is an error."""
        if self.kind != "NAME":
            self.fail(what, help or ("names have no quotes" if self.kind == "STRING" else ""))
        token = self.advance()
        return self.text(token), Span(self.source, token.start, token.end)

    def glued(self) -> bool:
        """Does the token follow the previous one without a space?"""
        return self.at > 0 and self.tokens[self.at - 1].end == self.tokens[self.at].start

    def span(self, start: int) -> Span:
        """The span from an offset to the end of the last token."""
        return Span(self.source, start, max(start, self.tokens[self.at - 1].end))

    def text(self, token: Token) -> str:
        return self.source.text[token.start : token.end]

    def next_kind(self) -> str:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)].kind

    def fail(self, expected: str, help: str = "", opening: Token | None = None) -> NoReturn:
        """Raise a mistake: something other than `expected` is here."""
        token = self.token
        if token.problem is not None:
            raise Mistake(token.problem)
        if token.kind in self.misnamed:
            raise Mistake(None)
        span = Span(self.source, token.start, max(token.end, token.start + 1))
        if token.kind == "UNIT":
            self._fail_at_unit()
        notes: tuple[Note, ...] = ()
        if opening is not None:
            notes = (Note(f"`{self.text(opening)}` is opened here", self.place(opening)),)
        shown = SHOWN.get(token.kind) or f"`{shorten(self.text(token), 40)}`"
        if not help and token.kind == "=":
            help = "compare with `==`"
        elif not help and token.kind in RESERVED and expected.endswith("name"):
            help = f"`{token.kind}` is a reserved word; choose another name"
            self.misnamed.add(token.kind)
        raise Mistake(Diagnostic(f"expected {expected}, found {shown}", span, notes=notes, help=help))

    def _fail_at_unit(self) -> NoReturn:
        number, unit = self.tokens[self.at - 1], self.token
        text, factor = self.text(number), UNITS[self.text(unit)]
        zeros = len(str(factor)) - 1
        if factor == 10**zeros and not {"e", "E"} & {*text}:
            written = f"{text}e{zeros}"
        else:
            written = f"{text} * {factor}"
        raise Mistake(
            Diagnostic(
                f"the unit `{self.text(unit)}` is only allowed in the figure of an `expect`",
                Span(self.source, number.start, unit.end),
                help=f"write the number without a unit: `{written}`",
            )
        )

    def place(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def at_margin(self) -> bool:
        """Does the token begin a line, without indentation?"""
        start = self.token.start
        return start == 0 or self.source.text[start - 1] == "\n"

    def deeper(self) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            token = self.token
            raise Mistake(
                Diagnostic(
                    f"an expression is nested more than {MAX_NESTING} levels deep",
                    Span(self.source, token.start, token.end),
                    help="move a part of it to a block, or assign it to a name with `=`",
                )
            )

    # -- continuing after a mistake

    def recover(self, mistake: Mistake, first: int, nesting: int) -> None:
        """Record a mistake in the statement that begins at token `first`, and continue after it."""
        self.nesting = nesting
        resume = self._end_of_statement(first)
        if resume is not None:
            self._resume(mistake, first, resume, reread=False)
        else:
            self._resume(mistake, first, self._next_line(first), reread=True)

    def recover_definition(self, mistake: Mistake, first: int) -> None:
        """Record a mistake in the definition that begins at token `first`, and continue at the next one."""
        self.nesting = 0
        resume = self.at
        if not (isinstance(mistake, Unclosed) and resume > first):
            resume = max(resume, first + 1)
            while not (self._begins_definition(resume) or self.tokens[resume].kind == "END"):
                resume += 1
        self._resume(mistake, first, resume, reread=True)

    def _resume(self, mistake: Mistake, first: int, resume: int, reread: bool) -> None:
        if mistake.problem is not None:
            self.problems.append(mistake.problem)
        tokens = self.tokens
        for token in tokens[first:resume]:
            if token.kind == "NAME":
                self.lost.add(self.text(token))
            elif (
                token.kind == "ERROR" and token.end - token.start > 1
            ):  # such as `3xres`, or everything after an unclosed quote
                text = self.text(token)
                self.lost.update(re.findall(r"[A-Za-z_]\w*", text), text.split("x"))
        self.at = resume
        if reread:
            start = tokens[resume].start
            self.reread += len(self.source.text) - start
            tokens[resume:] = tokenize(self.source, start)
        if self.reread > MAX_REREAD or len(self.problems) >= MAX_MISTAKES:
            self.whole = False
            del tokens[resume:]
            tokens.append(Token("END", len(self.source.text), len(self.source.text)))
        self.kind = tokens[resume].kind

    def _end_of_statement(self, first: int) -> int | None:
        """The token that ends a statement, if its brackets match."""
        open_: list[str] = []
        for at in range(first, len(self.tokens)):
            kind = self.tokens[at].kind
            if kind in CLOSING:
                open_.append(kind)
            elif kind in OPENING:
                if not open_ and kind == "}" and at >= self.at:
                    return at
                if not open_ or open_.pop() != OPENING[kind]:
                    return None
            elif not open_ and at >= self.at and kind in ("NEWLINE", "END"):
                return at
            elif kind == "END" or self._begins_definition(at):
                return None
        return None

    def _next_line(self, first: int) -> int:
        """The token after the line with the mistake, and after the bodies that this line opens."""
        line_of = self.line_of
        line, begun = line_of(self.at), line_of(first)
        if begun <= line_of(max(self.at - 1, 0)) < line and self.kind not in OPENING:
            line -= 1  # the token at fault begins a line, which may be a statement of its own
        bodies = 0
        at = first
        while True:
            kind = self.tokens[at].kind
            if kind == "END" or (at > first and self._begins_definition(at)):
                return at
            if kind == "{":
                bodies += 1
            elif kind == "}":
                if bodies == 0:
                    return at
                bodies -= 1
            if bodies == 0 and at >= self.at - 1 and line_of(at) > line:
                return at
            at += 1

    def line_of(self, at: int) -> int:
        return self.source.position(self.tokens[at].start)[0]

    def _begins_definition(self, at: int) -> bool:
        token = self.tokens[at]
        return token.kind in DEFINES and (token.start == 0 or self.source.text[token.start - 1] == "\n")
