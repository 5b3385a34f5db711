"""Parses files by recursive descent.

The docstring of each method is the grammar rule that it parses. At a mistake in a statement, the parser
raises, records the mistake, and continues at the next line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from archcalc.diagnostics import ArchError, Diagnostic, Note, Source, Span
from archcalc.expect import UNITS, Expect
from archcalc.language.cursor import DEFINES, Cursor, Mistake, Unclosed
from archcalc.language.expectation import ExpectationParser
from archcalc.language.expressions import ARROW, SUM, ExpressionParser
from archcalc.language.limits import MAX_DEFINITIONS, MAX_PARAMETERS, TOKENS_A_STEP
from archcalc.language.literals import read_string
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
    Imported,
    Net,
    Param,
    Repeat,
    SeeLine,
    Statement,
    Variant,
    WrittenLine,
)
from archcalc.language.tokens import COUNTED, NO_TIMES, RESERVED, TIMES, Token

T = TypeVar("T")

_ELSEWHERE = {
    "elif": "write `else if`",
    "while": "write a loop as `repeat n { ... }` or `for x in list { ... }`",
    "def": "write `block`, or `fn` for a function of values",
    "return": "leave it out: the last tensor of a block is its result",
    "let": "assign a name with `name = ...`",
    "then": "write the branches of an `if` in `{ }`",
    "class": "write `net`, or `block` for a part of a network",
    "assert": "write `expect`",
}
"""Keywords of other languages, and what to write instead."""


def parse(source: Source) -> File:
    """Parse a file. Returns the syntax of the part that parses, and the mistakes in the rest."""
    if not source.text.strip():
        problem = Diagnostic(
            "the file is empty", Span(source, 0, 0), help="declare a net: `net small { ... }`"
        )
        return File(source, "", (), (problem,), frozenset(), False)
    return Parser(source).file()


def parse_value(source: Source) -> Expr:
    """Parse a text that is one expression, such as the value of an option."""
    parser = Parser(source)
    return parser.alone(parser.expressions.chain)


def parse_expectation(source: Source, *, ratios: bool = False) -> Expect:
    """Parse an expectation that is not in a file, such as `macs <= 600M`. Raises `ArchError`.

    If `ratios` is set, the right side can also be another network, as in `macs <= 0.5 * vgg16`.
    """
    parser = Parser(source, ratios=ratios)
    return parser.alone(lambda: parser.expectations.expectation(0), parser.help_for_line_end)


def parse_statement(source: Source) -> Assertion:
    """Parse the statement of a claim: `sum relation sum`, or `sum ~ figure`, where the digits count.

    Numbers can have units anywhere, as in `floor(params(alexnet) / 1M) == 60`. Raises `ArchError`.
    """
    parser = Parser(source, units_anywhere=True)
    return parser.alone(parser.expectations.assertion)


def parse_condition(source: Source) -> Expr | Assertion:
    """Parse a condition: an expression, or `sum within 5% of sum`. Raises `ArchError`."""
    parser = Parser(source)
    return parser.alone(parser.expectations.condition)


def parse_expression(source: Source) -> Expr:
    """Parse the left side of a statement alone. Raises `ArchError`."""
    parser = Parser(source, units_anywhere=True)
    return parser.alone(lambda: parser.expressions.operation(SUM))


class Parser:
    """Parses files, definitions, and statements.

    Expressions and expectations have their own parsers, which share the cursor.
    """

    def __init__(self, source: Source, *, ratios: bool = False, units_anywhere: bool = False) -> None:
        self.cursor = Cursor(source)
        self.expressions = ExpressionParser(self.cursor, self.body, units_anywhere)
        self.expectations = ExpectationParser(self.cursor, self.expressions, ratios)
        self.bound: list[str] = []
        """The names bound with `=` so far."""
        self.misclosed: tuple[Token, Token] | None = None
        """The first `{` of the definition whose `}` has the indentation of another `{`, and that `}`."""

    def alone(self, read: Callable[[], T], help: Callable[[T], str] | None = None) -> T:
        """Parse a whole text, from its beginning to its end. Raises `ArchError`."""
        cursor = self.cursor
        try:
            while cursor.take("NEWLINE"):
                pass
            value = read()
            while cursor.take("NEWLINE"):
                pass
            if cursor.kind != "END":
                cursor.fail("the end", help=help(value) if help is not None else "")
        except Mistake as mistake:
            raise ArchError(mistake.problem or ()) from None
        return value

    # -- files and definitions

    def file(self) -> File:
        """file = { import | define } ."""
        cursor = self.cursor
        items: list[Import | Definition] = []
        while True:
            while cursor.take("NEWLINE"):
                pass
            if cursor.kind == "END":
                break
            first = cursor.at
            self.misclosed = None
            if len(items) >= MAX_DEFINITIONS:
                message = f"a file has more than {MAX_DEFINITIONS:,} definitions"
                cursor.problems.append(Diagnostic(message, cursor.place(cursor.token)))
                cursor.whole = False
                break
            try:
                item = self.import_() if cursor.kind == "from" else self.define(items)
                if cursor.kind not in ("NEWLINE", "END"):
                    self._fail_behind(item)
                items.append(item)
            except Mistake as mistake:
                cursor.recover_definition(mistake, first)
        if not items and not cursor.problems:
            span = Span(cursor.source, 0, 0)
            problem = Diagnostic("the file defines nothing", span, help="declare a net: `net small { ... }`")
            cursor.problems.append(problem)
        problems, lost = tuple(cursor.problems), frozenset(cursor.lost)
        # The parsers refer to one another, so only the garbage collector would free the tokens.
        cursor.tokens.clear()
        return File(
            cursor.source, _leading_comment(cursor.source), tuple(items), problems, lost, cursor.whole
        )

    def _fail_behind(self, item: Import | Definition) -> NoReturn:
        cursor = self.cursor
        if cursor.kind == "->" and isinstance(item, Function):
            cursor.fail(
                "the end of the line", help="a function has one expression; write a `block` for layers"
            )
        if cursor.kind == "}":
            raise Mistake(
                Diagnostic("there is no `{` for this `}`", cursor.place(cursor.token), help="remove it")
            )
        cursor.fail("the end of the line", help="put each definition on its own line")

    def import_(self) -> Import:
        """import = "from" STRING "import" NAME { "," NAME } ."""
        cursor = self.cursor
        cursor.expect("from")
        path = cursor.expect("STRING", "a file name in quotes", help='write `from "common.arch" import ...`')
        cursor.expect("import")
        if cursor.kind == "*":
            cursor.fail("a definition's name", help="name the definitions to import")
        names = [cursor.name("a definition's name")]
        while cursor.take(","):
            names.append(cursor.name("a definition's name"))
        span = Span(cursor.source, path.start, path.end)
        return Import(read_string(cursor.source, path), span, tuple(names))

    def define(self, above: list[Import | Definition]) -> Definition:
        """define = "fn" NAME params "=" expr
        | [ "shared" ] "block" NAME [ params ] body
        | "net" NAME [ params ] body
        | "net" NAME "=" NAME [ args ] [ body ]
        | "net" NAME "from" STRING [ args ] [ body ] ."""
        cursor = self.cursor
        doc = _comment_above(cursor.source, cursor.token.start)
        first = cursor.at
        if cursor.take("fn"):
            name, span = cursor.name("the function's name")
            params = self.params()
            cursor.expect("=", help="write a function as `fn f(x) = x + 1`")
            value = self.expressions.expr()
            return Function(name, span, doc, params, self.cost(first), value)
        shared = cursor.take("shared")
        if cursor.kind == "block":
            cursor.advance()
            name, span = cursor.name("the block's name")
            params = self.params() if cursor.kind == "(" else ()
            return Block(name, span, doc, params, self.cost(first), self.body(), shared)
        if shared:
            cursor.fail("`block`")
        if cursor.kind != "net":
            self._fail_at_definition(above)
        cursor.advance()
        name, span = cursor.name("the net's name")
        if cursor.take("="):
            base, base_span = cursor.name(
                "a net's name", help="write layers in `net name { ... }`, without `=`"
            )
            args = self.expressions.args() if cursor.kind == "(" else ()
            expects = self.body().statements if cursor.kind == "{" else ()
            return Variant(name, span, doc, (), 1, base, base_span, args, expects)
        if cursor.take("from"):
            path = cursor.expect("STRING", "a file name in quotes", help='write `net a from "model.pt2"`')
            args = self.expressions.args() if cursor.kind == "(" else ()
            expects = self.body().statements if cursor.kind == "{" else ()
            file, file_span = read_string(cursor.source, path), Span(cursor.source, path.start, path.end)
            return Imported(name, span, doc, (), 1, file, file_span, args, expects)
        params = self.params() if cursor.kind == "(" else ()
        return Net(name, span, doc, params, 1, self.body())

    def _fail_at_definition(self, above: list[Import | Definition]) -> NoReturn:
        cursor = self.cursor
        if cursor.kind == "}":
            raise Mistake(
                Diagnostic("there is no `{` for this `}`", cursor.place(cursor.token), help="remove it")
            )
        expected = "`net`, `block`, `fn` or `from`"
        if cursor.text(cursor.token) in _ELSEWHERE:
            cursor.fail(expected, help=_ELSEWHERE[cursor.text(cursor.token)])
        if cursor.kind in ("//", "/"):
            cursor.fail(expected, help="a comment starts with `#`")
        if cursor.kind == "import":
            cursor.fail(expected, help='write `from "common.arch" import ...`')
        last = above[-1] if above else None
        if not isinstance(last, Net | Block) or cursor.kind not in (
            "NAME",
            "for",
            "if",
            "repeat",
            "expect",
            "->",
        ):
            cursor.fail(expected, help="write layers in a `net` or a `block`: `net small { ... }`")
        token = cursor.token
        end = last.body.span.end
        raise Mistake(
            Diagnostic(
                f"`{cursor.text(token)}` is outside a body",
                cursor.place(token),
                notes=(Note(f"the body of `{last.name}` ends here", Span(cursor.source, end - 1, end)),),
                help="move that `}` after it, or remove an extra `}`",
            )
        )

    def cost(self, first: int) -> int:
        """The number of steps for the text from token `first` to here."""
        return 1 + (self.cursor.at - first) // TOKENS_A_STEP

    def params(self) -> tuple[Param, ...]:
        """params = "(" [ param { "," param } [ "," ] ] ")" ."""
        cursor = self.cursor
        opening = cursor.token
        params: tuple[Param, ...] = self.expressions.listed("(", ")", self.param)
        if len(params) > MAX_PARAMETERS:
            raise Mistake(Diagnostic(f"more than {MAX_PARAMETERS} parameters", cursor.place(opening)))
        return params

    def param(self) -> Param:
        """param = NAME [ "=" expr ] ."""
        cursor = self.cursor
        name, span = cursor.name("a parameter's name")
        return Param(name, span, self.expressions.expr() if cursor.take("=") else None)

    # -- statements

    def body(self) -> Body:
        """body = "{" { statement } "}" ."""
        cursor = self.cursor
        opening = cursor.expect("{", help=self._help_for_body())
        cursor.deeper()
        nesting = cursor.nesting
        statements: list[Statement] = []
        whole = True
        while True:
            while cursor.take("NEWLINE"):
                pass
            if cursor.kind == "}":
                break
            if cursor.kind == "END" or (cursor.kind in DEFINES and cursor.at_margin()):
                self._fail_unclosed(opening)
            first = cursor.at
            try:
                statement = self.statement()
                if cursor.kind not in ("NEWLINE", "}", "END"):
                    cursor.fail("the end of the line", help=self.help_for_line_end(statement))
                statements.append(statement)
            except Unclosed:
                raise
            except Mistake as mistake:
                cursor.recover(mistake, first, nesting)
                whole = False
        closing = cursor.advance()
        if self.misclosed is None and not self._is_aligned(opening, closing):
            self.misclosed = opening, closing
        cursor.nesting -= 1
        return Body(cursor.span(opening.start), tuple(statements), whole)

    def _help_for_body(self) -> str:
        cursor = self.cursor
        if cursor.kind == "NEWLINE" and cursor.next_kind() == "{":
            return "move the `{` to this line"
        if cursor.kind == "->":
            return "only a value is possible here; write layers in the body, `{ ... }`"
        if cursor.kind == "-" and cursor.glued():
            before = cursor.text(cursor.tokens[cursor.at - 1])
            after = cursor.text(cursor.tokens[min(cursor.at + 1, len(cursor.tokens) - 1)])
            return f"a name consists of letters, digits, and `_`: `{before}_{after}`"
        if cursor.kind == "=":
            return ""
        return _ELSEWHERE.get(cursor.text(cursor.token), "write a body in braces: `{ ... }`")

    def _is_aligned(self, opening: Token, closing: Token) -> bool:
        """Is a `}` at the start of a line indented like the line with its `{`?"""
        cursor = self.cursor
        position, text = cursor.source.position, cursor.source.text
        if position(opening.start)[0] == position(closing.start)[0]:
            return True
        before = text[text.rfind("\n", 0, closing.start) + 1 : closing.start]
        line = text[text.rfind("\n", 0, opening.start) + 1 : opening.end]
        return bool(before.strip()) or len(before) == len(line) - len(line.lstrip())

    def _fail_unclosed(self, opening: Token) -> NoReturn:
        cursor = self.cursor
        notes = []
        if self.misclosed is not None:
            opening, closing = self.misclosed
            notes.append(
                Note("the `}` that closes it has the indentation of another one", cursor.place(closing))
            )
        elif cursor.kind != "END":
            notes.append(Note(f"`{cursor.kind}` begins a definition here", cursor.place(cursor.token)))
        problem = Diagnostic(
            "a `{` is not closed", cursor.place(opening), notes=tuple(notes), help="add a `}`"
        )
        raise Unclosed(problem if cursor.whole else None)

    def statement(self) -> Statement:
        """statement = [ NAME ":" | NAME "=" | ( "output" | "aux" ) NAME "=" ] chain
        | if
        | "for" NAME { "," NAME } "in" expr body
        | "repeat" expr body
        | "written" STRING "as" STRING
        | "see" NAME STRING
        | "expect" [ "not" ] NAME [ args ] relation figure [ STRING ] [ "because" STRING ] ."""
        cursor = self.cursor
        start = cursor.token.start
        first = cursor.at
        kind = cursor.kind
        if kind == "NAME":
            following = cursor.next_kind()
            if following == ":":
                name, span = cursor.name("")
                cursor.advance()
                chain = self.expressions.chain()
                return Flow(cursor.span(start), self.cost(first), chain, "label", name, span)
            if following == "=":
                name, span = cursor.name("")
                cursor.advance()
                chain = self.expressions.chain()
                self.bound.append(name)
                return Flow(cursor.span(start), self.cost(first), chain, "let", name, span)
            if following == "STRING" and cursor.text(cursor.token) == "written":
                return self.written()
            if following == "NAME" and cursor.text(cursor.token) == "see":
                return self.see()
        elif kind == "if":
            return self.if_()
        elif kind == "for":
            cursor.advance()
            names = [cursor.name("a loop's name", help="write a loop as `for x in list { ... }`")]
            while cursor.take(","):
                names.append(cursor.name("a loop's name"))
            cursor.expect("in", help="write a loop as `for x in list { ... }`")
            rows = self.expressions.expr()
            cost, mark = self.cost(first), len(self.bound)
            body = self.body()
            return For(cursor.span(start), cost, tuple(names), rows, body, frozenset(self.bound[mark:]))
        elif kind == "repeat":
            cursor.advance()
            count = self.expressions.expr()
            cost, mark = self.cost(first), len(self.bound)
            body = self.body()
            return Repeat(cursor.span(start), cost, count, body, frozenset(self.bound[mark:]))
        elif kind == "expect":
            cursor.advance()
            expect = self.expectations.expectation(start)
            return ExpectLine(expect.span, 1, expect)
        elif kind in ("output", "aux") and cursor.next_kind() != ":":
            cursor.advance()
            name, span = cursor.name("a result's name", help=f"write `{kind} name = ...`")
            cursor.expect("=")
            chain = self.expressions.chain()
            return Flow(cursor.span(start), self.cost(first), chain, kind, name, span)
        elif kind in RESERVED and cursor.next_kind() in (":", "="):
            self._fail_at_word()
        elif kind in DEFINES:
            cursor.fail("a statement", help="move definitions and imports out of `{ }`")
        elif kind in (")", "]"):
            problem = Diagnostic(
                f"there is no bracket for this `{kind}` to close",
                cursor.place(cursor.token),
                help="remove it",
            )
            raise Mistake(problem)
        chain = self.expressions.chain()
        return Flow(chain.span, self.cost(first), chain)

    def written(self) -> WrittenLine:
        cursor = self.cursor
        start = cursor.advance().start
        path = read_string(cursor.source, cursor.advance())
        if not (cursor.kind == "NAME" and cursor.text(cursor.token) == "as"):
            cursor.fail("`as`", help='write `written "relu1" as "F.relu"`')
        cursor.advance()
        code = read_string(cursor.source, cursor.expect("STRING", "what the code calls, in quotes"))
        return WrittenLine(cursor.span(start), 1, path, code)

    def see(self) -> SeeLine:
        cursor = self.cursor
        start = cursor.advance().start
        name, _ = cursor.name("")
        token = cursor.expect("STRING", "what that network is, in quotes")
        return SeeLine(cursor.span(start), 1, name, read_string(cursor.source, token))

    def _fail_at_word(self) -> NoReturn:
        """Report a reserved word in place of a name."""
        cursor = self.cursor
        word = cursor.kind
        if word in cursor.misnamed:
            raise Mistake(None)
        cursor.misnamed.add(word)
        message = f"`{word}` is a reserved word, not a name"
        raise Mistake(Diagnostic(message, cursor.place(cursor.token), help="choose another name"))

    def if_(self) -> If:
        """if = "if" expr body [ "else" ( body | if ) ] ."""
        cursor = self.cursor
        start = cursor.token.start
        branches: list[tuple[Expr, Body]] = []
        otherwise = None
        tokens = 0
        while True:
            first = cursor.at
            cursor.expect("if")
            condition = self.expressions.expr()
            tokens += cursor.at - first
            branches.append((condition, self.body()))
            if not cursor.take("else"):
                break
            if cursor.kind != "if":
                otherwise = self.body()
                break
        return If(cursor.span(start), 1 + tokens // TOKENS_A_STEP, tuple(branches), otherwise)

    def help_for_line_end(self, statement: Statement | Expect) -> str:
        cursor = self.cursor
        before = cursor.tokens[cursor.at - 1]
        word, last = cursor.text(cursor.token), cursor.text(before)
        if last in _ELSEWHERE or word in _ELSEWHERE:
            return _ELSEWHERE.get(last) or _ELSEWHERE[word]
        if cursor.kind in (")", "]"):
            return f"remove the `{cursor.kind}`, or add the opening bracket"
        if cursor.kind == "(" and before.kind == ")" and cursor.glued():
            return "write the tensor before the layer: `x -> conv(64, 3)`"
        if cursor.kind == "(":
            return "write the `(` of a call directly after the name"
        if cursor.kind == "[":
            return "write the `[` of an index without a space; separate rows of a list with commas"
        if cursor.kind == ":":
            return "a label is a single name at the start of the line"
        if cursor.kind == "=":
            arrow = cursor.next_kind() == ">"
            return ARROW if arrow else "compare with `==`; assign a name at the start of the line"
        if cursor.kind == "else":
            return "an `else` follows the `}` of an `if`"
        if before.kind == "NUMBER" and word in UNITS:
            return f"write the unit without a space: `{last}{word}`"
        if before.kind == "NUMBER" and COUNTED.fullmatch(word):
            return f"write `{last}{word[0].upper()}`: the quantity comes first, as in `macs < 4G`"
        if " //" in cursor.source.text[statement.span.start : cursor.token.start]:
            return "a comment starts with `#`"
        if isinstance(statement, Expect | ExpectLine):
            if word in TIMES:
                return NO_TIMES
            if cursor.kind == ",":
                return "write a number without commas: `138_357_544`"
            return "after the figure, write a citation in quotes, or `because` and a reason"
        if before.kind == "NAME" and cursor.kind == "{":
            return f"a group needs a label: `{last}: {{ ... }}`"
        if before.kind == "NAME" and cursor.kind in ("NUMBER", "SIZE", "STRING"):
            return f"write arguments in parentheses: `{last}(...)`"
        if cursor.kind in ("NAME", "STRING", "NUMBER", "SIZE", "{"):
            return "chain layers with `->`, or put each statement on its own line"
        return ""


def _leading_comment(source: Source) -> str:
    lines = []
    for line in source.text.splitlines():
        if line.startswith("#"):
            lines.append(line.lstrip("#").strip())
        elif line.strip() or lines:
            break
    return "\n".join(lines)


def _comment_above(source: Source, offset: int) -> str:
    """The comment lines directly above the line of an offset."""
    number, _ = source.position(offset)
    lines: list[str] = []
    while number > 1:
        number -= 1
        line = source.line(number).strip()
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(reversed(lines))
