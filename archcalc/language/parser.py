"""Tokens to syntax, by recursive descent.

The docstring of each method is what it parses, as the grammar page writes it. The parser raises at the
first mistake of a statement, notes it, and goes on at the next line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn, TypeVar

from archcalc.diagnostics import ArchError, Diagnostic, Note, Source, Span
from archcalc.expect import UNITS, Expect, Figure, Ratio
from archcalc.language.cursor import DEFINES, Mistake, Unclosed
from archcalc.language.expressions import SUM, Expressions, read_number
from archcalc.language.limits import MAX_DEFINITIONS, MAX_PARAMETERS, TOKENS_A_STEP
from archcalc.language.syntax import (
    Assertion,
    Block,
    Body,
    Definition,
    ExpectLine,
    Expr,
    File,
    Flow,
    For,
    Function,
    If,
    Import,
    Literal,
    Net,
    Number,
    Param,
    Repeat,
    Statement,
    Variant,
)
from archcalc.language.tokens import RESERVED, Token

T = TypeVar("T")

RELATIONS = ("==", "<", "<=", ">", ">=", "~")

_NET = re.compile(r'([A-Za-z_./][^\s"]*)\s*')

_ELSEWHERE = {
    "elif": "write `else if`",
    "while": "a loop is written `repeat n { ... }` or `for x in list { ... }`",
    "def": "write `block`, or `fn` for values",
    "return": "the last tensor of a block is its result",
    "let": "a name is bound with `name = ...`",
    "then": "the branches of an `if` stand in `{ }`",
}
"""Words of other languages, and what is written here."""


def parse(source: Source) -> File:
    """The syntax of a file, as far as it parses, and what is wrong with the rest."""
    if not source.text.strip():
        problem = Diagnostic(
            "the file is empty", Span(source, 0, 0), help="declare a net: `net small { ... }`"
        )
        return File(source, "", (), (problem,), frozenset(), False)
    return Parser(source).file()


def parse_value(source: Source) -> Expr:
    """The one expression that a text consists of, such as the value of an option."""
    parser = Parser(source)
    return parser.alone(parser.chain)


def parse_expectation(source: Source, *, ratios: bool = False) -> Expect:
    """An expectation without a file, as `macs <= 600M`. Raises `ArchError`.

    With `ratios`, its right side may also be another network, as in `macs <= 0.5 * vgg16`.
    """
    parser = Parser(source)
    parser.ratios = ratios
    return parser.alone(lambda: parser.expectation(0), parser.help_for_line_end)


def parse_statement(source: Source) -> Assertion:
    """The statement of a claim: `sum relation sum`, and behind `~` a figure, whose digits count.

    Numbers may have units anywhere, as in `floor(params(alexnet) / 1M) == 60`. Raises `ArchError`.
    """
    parser = Parser(source)
    parser.units_anywhere = True
    return parser.alone(parser.assertion)


def parse_expression(source: Source) -> Expr:
    """The left side of a statement alone. Raises `ArchError`."""
    parser = Parser(source)
    parser.units_anywhere = True
    return parser.alone(lambda: parser.operation(SUM))


class Parser(Expressions):
    """The grammar: what may stand at each place."""

    ratios = False
    """May the right side of an expectation be another network? On the command line only."""

    def alone(self, read: Callable[[], T], help: Callable[[T], str] | None = None) -> T:
        """What a text consists of, from its beginning to its end. Raises `ArchError`."""
        try:
            while self.take("NEWLINE"):
                pass
            value = read()
            while self.take("NEWLINE"):
                pass
            if self.kind != "END":
                self.fail("the end", help=help(value) if help is not None else "")
        except Mistake as mistake:
            raise ArchError(mistake.problem or ()) from None
        return value

    # -- files and definitions

    def file(self) -> File:
        """file = { import | define } ."""
        items: list[Import | Definition] = []
        while True:
            while self.take("NEWLINE"):
                pass
            if self.kind == "END":
                break
            first = self.at
            self.misclosed = None
            if len(items) >= MAX_DEFINITIONS:
                message = f"a file has more than {MAX_DEFINITIONS:,} definitions"
                self.problems.append(Diagnostic(message, self._span(self.token)))
                self.whole = False
                break
            try:
                item = self.import_() if self.kind == "from" else self.define(items)
                if self.kind not in ("NEWLINE", "END"):
                    self._fail_behind(item)
                items.append(item)
            except Mistake as mistake:
                self.recover_definition(mistake, first)
        if not items and not self.problems:
            span = Span(self.source, 0, 0)
            problem = Diagnostic("the file defines nothing", span, help="declare a net: `net small { ... }`")
            self.problems.append(problem)
        problems, lost = tuple(self.problems), frozenset(self.lost)
        return File(self.source, self._leading_comment(), tuple(items), problems, lost, self.whole)

    def _fail_behind(self, item: Import | Definition) -> NoReturn:
        if self.kind == "->" and isinstance(item, Function):
            self.fail("the end of the line", help="a function computes values; for layers, write a `block`")
        if self.kind == "}":
            raise Mistake(Diagnostic("a `}` closes nothing", self._span(self.token), help="remove it"))
        self.fail("the end of the line", help="put each definition on a line of its own")

    def import_(self) -> Import:
        """import = "from" STRING "import" NAME { "," NAME } ."""
        self.expect("from")
        path = self.expect("STRING", "a file's name in quotes", help='write `from "common.arch" import ...`')
        self.expect("import")
        if self.kind == "*":
            self.fail("a definition's name", help="name what is imported")
        names = [self.name("a definition's name")]
        while self.take(","):
            names.append(self.name("a definition's name"))
        span = Span(self.source, path.start, path.end)
        return Import(self._string(path), span, tuple(names))

    def define(self, above: list[Import | Definition]) -> Definition:
        """define = "fn" NAME params "=" expr
        | [ "shared" ] "block" NAME [ params ] body
        | "net" NAME [ params ] body
        | "net" NAME "=" NAME [ args ] [ body ] ."""
        doc = self._comment_above(self.token.start)
        first = self.at
        if self.take("fn"):
            name, span = self.name("the function's name")
            params = self.params()
            self.expect("=")
            value = self.expr()
            return Function(name, span, doc, params, self.cost(first), value)
        shared = self.take("shared")
        if self.kind == "block":
            self.advance()
            name, span = self.name("the block's name")
            params = self.params() if self.kind == "(" else ()
            return Block(name, span, doc, params, self.cost(first), self.body(), shared)
        if shared:
            self.fail("`block`")
        if self.kind != "net":
            self._fail_at_definition(above)
        self.advance()
        name, span = self.name("the net's name")
        if self.take("="):
            base, base_span = self.name("a net's name")
            args = self.args() if self.kind == "(" else ()
            expects = self.body().statements if self.kind == "{" else ()
            return Variant(name, span, doc, (), 1, base, base_span, args, expects)
        params = self.params() if self.kind == "(" else ()
        return Net(name, span, doc, params, 1, self.body())

    def _fail_at_definition(self, above: list[Import | Definition]) -> NoReturn:
        if self.kind == "}":
            raise Mistake(Diagnostic("a `}` closes nothing", self._span(self.token), help="remove it"))
        expected = "`net`, `block`, `fn` or `from`"
        if self.text(self.token) in _ELSEWHERE:
            self.fail(expected, help=_ELSEWHERE[self.text(self.token)])
        last = above[-1] if above else None
        if not isinstance(last, Net | Block) or self.kind not in (
            "NAME",
            "for",
            "if",
            "repeat",
            "expect",
            "->",
        ):
            self.fail(expected, help="layers stand in a `net` or a `block`: `net small { ... }`")
        token = self.token
        end = last.body.span.end
        raise Mistake(
            Diagnostic(
                f"`{self.text(token)}` stands outside a body",
                self._span(token),
                notes=(Note(f"the body of `{last.name}` ends here", Span(self.source, end - 1, end)),),
                help="move that `}` behind it, or remove one too many",
            )
        )

    def cost(self, first: int) -> int:
        """The steps of what stands from token `first` to here."""
        return 1 + (self.at - first) // TOKENS_A_STEP

    def params(self) -> tuple[Param, ...]:
        """params = "(" [ param { "," param } [ "," ] ] ")" ."""
        opening = self.token
        params: tuple[Param, ...] = self._listed("(", ")", self.param)
        if len(params) > MAX_PARAMETERS:
            raise Mistake(Diagnostic(f"more than {MAX_PARAMETERS} parameters", self._span(opening)))
        return params

    def param(self) -> Param:
        """param = NAME [ "=" expr ] ."""
        name, span = self.name("a parameter's name")
        return Param(name, span, self.expr() if self.take("=") else None)

    # -- statements

    def body(self) -> Body:
        """body = "{" { statement } "}" ."""
        opening = self.expect("{", help=self._help_for_body())
        self.deeper()
        nesting = self.nesting
        statements: list[Statement] = []
        whole = True
        while True:
            while self.take("NEWLINE"):
                pass
            if self.kind == "}":
                break
            if self.kind == "END" or (self.kind in DEFINES and self.at_margin()):
                self._fail_unclosed(opening)
            first = self.at
            try:
                statement = self.statement()
                if self.kind not in ("NEWLINE", "}", "END"):
                    self.fail("the end of the line", help=self.help_for_line_end(statement))
                statements.append(statement)
            except Unclosed:
                raise
            except Mistake as mistake:
                self.recover(mistake, first, nesting)
                whole = False
        closing = self.advance()
        if self.misclosed is None and not self._is_aligned(opening, closing):
            self.misclosed = opening, closing
        self.nesting -= 1
        return Body(self.span(opening.start), tuple(statements), whole)

    def _help_for_body(self) -> str:
        if self.kind == "NEWLINE":
            return "put the `{` on this line" if self.next_kind() == "{" else "a body follows: `{ ... }`"
        if self.kind == "->":
            return "a value stands here; layers stand in the body: `{ ... }`"
        return ""

    def _is_aligned(self, opening: Token, closing: Token) -> bool:
        """Does a `}` that begins a line have the indentation of the line with its `{`?"""
        position, text = self.source.position, self.source.text
        if position(opening.start)[0] == position(closing.start)[0]:
            return True
        before = text[text.rfind("\n", 0, closing.start) + 1 : closing.start]
        line = text[text.rfind("\n", 0, opening.start) + 1 : opening.end]
        return bool(before.strip()) or len(before) == len(line) - len(line.lstrip())

    def _fail_unclosed(self, opening: Token) -> NoReturn:
        notes = []
        if self.misclosed is not None:
            opening, closing = self.misclosed
            notes.append(
                Note("the `}` that closes it is indented like that of another one", self._span(closing))
            )
        elif self.kind != "END":
            notes.append(Note(f"`{self.kind}` begins a definition here", self._span(self.token)))
        problem = Diagnostic("a `{` is not closed", self._span(opening), notes=tuple(notes), help="add a `}`")
        raise Unclosed(problem if self.whole else None)

    def statement(self) -> Statement:
        """statement = [ NAME ":" | NAME "=" | ( "output" | "aux" ) NAME "=" ] chain
        | if
        | "for" NAME { "," NAME } "in" expr body
        | "repeat" expr body
        | "expect" [ "not" ] NAME [ args ] relation figure [ STRING ] [ "because" STRING ] ."""
        start = self.token.start
        first = self.at
        kind = self.kind
        if kind == "NAME":
            following = self.next_kind()
            if following == ":":
                name, span = self.name("")
                self.advance()
                chain = self.chain()
                return Flow(self.span(start), self.cost(first), chain, "label", name, span)
            if following == "=":
                name, span = self.name("")
                self.advance()
                chain = self.chain()
                self.bound.append(name)
                return Flow(self.span(start), self.cost(first), chain, "let", name, span)
        elif kind == "if":
            return self.if_()
        elif kind == "for":
            self.advance()
            names = [self.name("a loop's name")]
            while self.take(","):
                names.append(self.name("a loop's name"))
            self.expect("in", help="a loop is written `for x in list { ... }`")
            rows = self.expr()
            cost, mark = self.cost(first), len(self.bound)
            body = self.body()
            return For(self.span(start), cost, tuple(names), rows, body, frozenset(self.bound[mark:]))
        elif kind == "repeat":
            self.advance()
            count = self.expr()
            cost, mark = self.cost(first), len(self.bound)
            body = self.body()
            return Repeat(self.span(start), cost, count, body, frozenset(self.bound[mark:]))
        elif kind == "expect":
            self.advance()
            expect = self.expectation(start)
            return ExpectLine(expect.span, 1, expect)
        elif kind in RESERVED and self.next_kind() in (":", "="):
            self._fail_at_word()
        elif kind in ("output", "aux"):
            self.advance()
            name, span = self.name("a result's name")
            self.expect("=")
            chain = self.chain()
            return Flow(self.span(start), self.cost(first), chain, kind, name, span)
        elif kind in DEFINES:
            self.fail("a statement", help="definitions and imports stand at the top of a file, outside `{ }`")
        elif kind in (")", "]"):
            problem = Diagnostic(f"a `{kind}` closes nothing", self._span(self.token), help="remove it")
            raise Mistake(problem)
        chain = self.chain()
        return Flow(chain.span, self.cost(first), chain)

    def _fail_at_word(self) -> NoReturn:
        """A word of the language where a name is bound."""
        word = self.kind
        if word in ("output", "aux") and self.next_kind() == "=":
            self.advance()
            self.fail("a result's name", help=f"write `{word} name = ...`")
        if word in self.misnamed:
            raise Mistake(None)
        self.misnamed.add(word)
        message = f"`{word}` is a word of the language, not a name"
        raise Mistake(Diagnostic(message, self._span(self.token), help="choose another name"))

    def if_(self) -> If:
        """if = "if" expr body [ "else" ( body | if ) ] ."""
        start = self.token.start
        branches: list[tuple[Expr, Body]] = []
        otherwise = None
        tokens = 0
        while True:
            first = self.at
            self.expect("if")
            condition = self.expr()
            tokens += self.at - first
            branches.append((condition, self.body()))
            if not self.take("else"):
                break
            if self.kind != "if":
                otherwise = self.body()
                break
        return If(self.span(start), 1 + tokens // TOKENS_A_STEP, tuple(branches), otherwise)

    def expectation(self, start: int) -> Expect:
        """relation = "==" | "<" | "<=" | ">" | ">=" | "~" | "within" NUMBER "%" "of" ."""
        negated = self.take("not")
        quantity, quantity_span = self.name("a quantity, such as `params` or `macs`")
        path, path_span, training = "", None, False
        if self.kind == "(":
            for arg in self.args():
                literal = arg.value.value if isinstance(arg.value, Literal) else None
                if arg.name == "" and isinstance(literal, str):
                    path, path_span = literal, arg.span
                elif arg.name == "training" and isinstance(literal, bool):
                    training = literal
                else:
                    raise Mistake(
                        Diagnostic(
                            f"`{quantity}` takes a path in quotes and `training=true`",
                            arg.span,
                            help=f'write `{quantity}("stage1/conv2")`',
                        )
                    )
        relation, percent = self.relation()
        figure, ratio = self.right_side()
        citation = self._string(self.advance()) if self.kind == "STRING" else ""
        reason = ""
        if self.kind == "NAME" and self.text(self.token) == "because":
            self.advance()
            reason = self._string(self.expect("STRING", "the reason in quotes"))
        span = self.span(start)
        if negated and not reason:
            raise Mistake(
                Diagnostic(
                    "`expect not` needs a reason",
                    span,
                    help='add `because "..."` and say what the true figure is',
                )
            )
        if reason and not negated:
            raise Mistake(
                Diagnostic(
                    "`because` goes with `expect not`",
                    span,
                    help="write the reason as a comment, or add `not`",
                )
            )
        return Expect(
            span, negated, quantity, quantity_span, path, path_span, training,
            relation, percent, figure, citation, reason, ratio,
        )  # fmt: skip

    def relation(self) -> tuple[str, Number]:
        if self.kind in RELATIONS:
            return self.text(self.advance()), 0
        if not (self.kind == "NAME" and self.text(self.token) == "within"):
            self.fail("`==`, `~`, `<`, `<=`, `>`, `>=` or `within 2% of`")
        self.advance()
        token = self.expect("NUMBER", "a percentage")
        self.expect("%", "`%`, as in `within 2% of`")
        if not (self.kind == "NAME" and self.text(self.token) == "of"):
            self.fail("`of`, as in `within 2% of`")
        self.advance()
        return "within", read_number(self.source, token.start, token.end)

    def right_side(self) -> tuple[Figure, Ratio | None]:
        """The right side of an expectation: a figure, or another network with or without a factor."""
        start = self.token.start
        factor = Figure("1", 1, "", 1, self._span(self.token))
        net = self._net(start)
        if net is None:
            factor = self.figure()
            if self.kind != "*" or isinstance(factor.value, tuple):
                return factor, None
            net = self._net(self.tokens[self.at + 1].start)
            if net is None:
                return factor, None
        assert not isinstance(factor.value, tuple)
        self.skip_to_end()
        whole = Span(self.source, start, net.end)
        figure = Figure(whole.text, factor.value, factor.unit, factor.step, whole)
        return figure, Ratio(factor.value, net.text, net)

    def _net(self, start: int) -> Span | None:
        """The NET that the text from `start` on is, if one may stand here.

        It is read from the text, not from the tokens: it may be a path, `file.arch:net`, or `net?width=0.5`.
        """
        found = _NET.fullmatch(self.source.text, start) if self.ratios else None
        return Span(self.source, *found.span(1)) if found else None

    def figure(self) -> Figure:
        """figure = NUMBER [ UNIT ] | SIZE ."""
        token = self.token
        if self.kind == "SIZE":
            self.advance()
            span = Span(self.source, token.start, token.end)
            return Figure(span.text, self._size(token), "", 1, span)
        if self.kind != "NUMBER":
            self.fail("a figure, such as `138_357_544`, `15.5G` or `512x7x7`")
        self.advance()
        value = read_number(self.source, token.start, token.end)
        unit = self.text(self.advance()) if self.kind == "UNIT" else ""
        mantissa, _, exponent = self.text(token).replace("_", "").lower().partition("e")
        step = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * UNITS.get(unit, 1)
        span = self.span(token.start)
        return Figure(span.text, value * UNITS.get(unit, 1), unit, step, span)

    def assertion(self) -> Assertion:
        start = self.token.start
        left = self.operation(SUM)
        relation, percent = self.relation()
        figure = self.figure() if relation == "~" else None
        if figure is not None and isinstance(figure.value, tuple):
            raise Mistake(Diagnostic("`~` needs a number, and this is a size", figure.span))
        right = Literal(figure.span, figure.value) if figure is not None else self.operation(SUM)
        return Assertion(self.span(start), left, relation, percent, right, figure)

    def help_for_line_end(self, statement: Statement | Expect) -> str:
        before = self.tokens[self.at - 1]
        word, last = self.text(self.token), self.text(before)
        if last in _ELSEWHERE or word in _ELSEWHERE:
            return _ELSEWHERE.get(last) or _ELSEWHERE[word]
        if self.kind in (")", "]"):
            return f"remove the `{self.kind}`, or open it"
        if self.kind == "(":
            return "the `(` of a call follows the name without a space"
        if self.kind == "[":
            return "the `[` of an index follows without a space; rows of a list are separated by commas"
        if self.kind == ":":
            return "a label is one name, at the start of the line"
        if self.kind == "=":
            return "compare with `==`; a name is bound at the start of the line"
        if self.kind == "else":
            return "an `else` follows the `}` of an `if`"
        if before.kind == "NUMBER" and word in UNITS:
            return f"write the unit without a space: `{last}{word}`"
        if isinstance(statement, Expect | ExpectLine):
            return "behind its figure, an `expect` has a citation in quotes, and `because` with a reason"
        if self.kind in ("NAME", "STRING", "NUMBER", "SIZE", "{"):
            return "chain layers with `->`, or put each statement on a line of its own"
        return ""

    def _leading_comment(self) -> str:
        lines = []
        for line in self.source.text.splitlines():
            if line.startswith("#"):
                lines.append(line.lstrip("#").strip())
            elif line.strip() or lines:
                break
        return "\n".join(lines)

    def _comment_above(self, offset: int) -> str:
        """The comment lines right above the line of an offset."""
        number, _ = self.source.position(offset)
        lines: list[str] = []
        while number > 1:
            number -= 1
            line = self.source.line(number).strip()
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("#").strip())
        return "\n".join(reversed(lines))
