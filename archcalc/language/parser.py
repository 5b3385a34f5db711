"""Tokens to syntax, by recursive descent.

The docstring of each method is what it parses, as the grammar page writes it. The parser raises at the
first mistake of a statement, notes it, and goes on at the next line.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn, TypeVar

from archcalc.language.limits import MAX_DIGITS, MAX_NESTING
from archcalc.language.syntax import (
    Arg,
    Binary,
    Block,
    Body,
    Chain,
    Choice,
    Definition,
    Expect,
    Expr,
    Figure,
    File,
    Flow,
    For,
    Function,
    If,
    Import,
    Index,
    ListExpr,
    Literal,
    Net,
    Number,
    Param,
    Ref,
    Repeat,
    Statement,
    Unary,
    Variant,
)
from archcalc.language.tokens import RESERVED, UNITS, Token, tokenize
from archcalc.source import ArchError, Diagnostic, Note, Source, Span, shorten

T = TypeVar("T")

RELATIONS = ("==", "<", "<=", ">", ">=", "~")

# Binary operators by precedence, the loosest first; `not` stands between `and` and the comparisons.
_OR, _AND, _NOT, _COMPARE, _SUM, _TERM = range(6)
_LEVELS = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARE),
    "+": _SUM,
    "-": _SUM,
    **dict.fromkeys(("*", "/", "//", "%"), _TERM),
}
_COMPARISONS = frozenset(op for op, level in _LEVELS.items() if level == _COMPARE)

_SHOWN = {"NEWLINE": "the end of the line", "END": "the end of the file"}


def parse(source: Source) -> tuple[File, list[Diagnostic]]:
    """The syntax of a file, and what is wrong with its text. The syntax leaves out what is wrong."""
    if not source.text.strip():
        return File(source, "", ()), [Diagnostic("the file is empty", Span(source, 0, 0))]
    parser = Parser(source)
    return parser.file(), parser.problems


def parse_value(source: Source) -> Expr:
    """The one expression that a text consists of, such as the value of an option."""
    parser = Parser(source)
    try:
        value = parser.chain()
        if parser.kind not in ("END", "NEWLINE"):
            parser.fail("a value ends here")
    except _Mistake as mistake:
        raise ArchError(mistake.problem) from None
    return value


def parse_expectation(source: Source) -> Expect:
    """An expectation without a file, as `macs <= 600M`."""
    parser = Parser(source)
    try:
        expectation = parser.expectation(0)
        if parser.kind not in ("END", "NEWLINE"):
            parser.fail("an expectation ends here")
    except _Mistake as mistake:
        raise ArchError(mistake.problem) from None
    return expectation


def read_number(source: Source, start: int, end: int) -> Number:
    """The exact value of a NUMBER token."""
    span = Span(source, start, end)
    text = span.text.replace("_", "")
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent) if len(exponent) <= 4 and exponent else (10**4 if exponent else 0)
    if len(whole) + len(decimals) > MAX_DIGITS or abs(power) > MAX_DIGITS:
        problem = Diagnostic(f"a number has more than {MAX_DIGITS} digits", span)
        raise _Mistake(problem)
    value = int(whole + decimals)
    shift = power - len(decimals)
    if shift >= 0:
        return value * 10**shift
    exact = Fraction(value, 10**-shift)
    return exact.numerator if exact.denominator == 1 else exact


class _Mistake(Exception):
    def __init__(self, problem: Diagnostic) -> None:
        self.problem = problem


class Parser:
    """The state of a parse: the tokens, the place in them, and the mistakes so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Diagnostic] = []
        self.tokens = tokenize(source)
        self.at = 0
        self.kind = self.tokens[0].kind
        self.nesting = 0

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

    def take(self, kind: str) -> bool:
        if self.kind == kind:
            self.advance()
            return True
        return False

    def expect(self, kind: str, what: str = "", opening: Token | None = None) -> Token:
        if self.kind != kind:
            self.fail(what or f"`{kind}`", opening=opening)
        return self.advance()

    def glued(self) -> bool:
        """Does the token follow the one before it without a space?"""
        return self.at > 0 and self.tokens[self.at - 1].end == self.tokens[self.at].start

    def span(self, start: int) -> Span:
        """From an offset to the end of the last token."""
        return Span(self.source, start, max(start, self.tokens[self.at - 1].end))

    def text(self, token: Token) -> str:
        return self.source.text[token.start : token.end]

    def next_kind(self) -> str:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)].kind

    def fail(self, expected: str, help: str = "", opening: Token | None = None) -> NoReturn:
        """Raise the mistake that something else stands here than expected."""
        token = self.token
        if token.problem is not None:
            raise _Mistake(token.problem)
        notes = ()
        if opening is not None:
            span = Span(self.source, opening.start, opening.end)
            notes = (Note(f"`{self.text(opening)}` is opened here", span),)
        shown = _SHOWN.get(token.kind) or f"`{shorten(self.text(token), 40)}`"
        if not help and token.kind == "UNIT":
            help = "units stand in the figures of `expect` only; write the number out: `138e6`"
        elif not help and token.kind == "=":
            help = "compare with `==`"
        elif not help and token.kind in RESERVED and expected.endswith("name"):
            help = f"`{token.kind}` is a word of the language; choose another name"
        raise _Mistake(
            Diagnostic(
                f"expected {expected}, found {shown}",
                Span(self.source, token.start, max(token.end, token.start + 1)),
                notes=notes,
                help=help,
            )
        )

    def deeper(self) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            token = self.token
            raise _Mistake(
                Diagnostic(
                    f"this is nested more than {MAX_NESTING} deep",
                    Span(self.source, token.start, token.end),
                    help="name a part of it, in a block or with `=`",
                )
            )

    def recover(self, mistake: _Mistake, first: int, nesting: int, outermost: bool) -> None:
        """Note a mistake in what begins at token `first`, and go on at the next line."""
        self.problems.append(mistake.problem)
        self.nesting = nesting
        source = self.source
        at = self.at
        if self.kind == "END":
            return
        line, _ = source.position(self.token.start)
        begun, _ = source.position(self.tokens[first].start)
        before, _ = source.position(self.tokens[max(at - 1, 0)].start)
        if begun <= before < line and self.kind not in ("}", ")", "]"):
            line -= 1  # the token at fault begins a line: that line may be a statement of its own
        open_bodies = 0
        at = first
        while self.tokens[at].kind != "END":
            token = self.tokens[at]
            if token.kind == "{":
                open_bodies += 1
            elif token.kind == "}":
                if open_bodies == 0 and not outermost:
                    break
                open_bodies = max(0, open_bodies - 1)
            if open_bodies == 0 and at >= self.at - 1 and source.position(token.start)[0] > line:
                break
            at += 1
        resume = self.tokens[at].start
        self.tokens[at:] = tokenize(source, resume)
        self.at = at
        self.kind = self.tokens[at].kind

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
            try:
                items.append(self.import_() if self.kind == "from" else self.define())
                if self.kind not in ("NEWLINE", "END"):
                    self.fail("the end of the line", help="put each definition on a line of its own")
            except _Mistake as mistake:
                self.recover(mistake, first, 0, outermost=True)
        return File(self.source, self._leading_comment(), tuple(items))

    def import_(self) -> Import:
        """import = "from" STRING "import" NAME { "," NAME } ."""
        self.expect("from")
        path = self.expect("STRING", 'the file\'s name in quotes, as in `from "common.arch" import cbr`')
        self.expect("import")
        names = [self.name("a definition's name")]
        while self.take(","):
            names.append(self.name("a definition's name"))
        span = Span(self.source, path.start, path.end)
        return Import(self._string(path), span, tuple(names))

    def define(self) -> Definition:
        """define = "fn" NAME params "=" expr
        | [ "shared" ] "block" NAME [ params ] body
        | "net" NAME [ params ] body
        | "net" NAME "=" NAME [ args ] [ body ] ."""
        doc = self._comment_above(self.token.start)
        if self.take("fn"):
            name, span = self.name("the function's name")
            params = self.params()
            self.expect("=")
            return Function(name, span, doc, params, self.expr())
        shared = self.take("shared")
        if self.kind == "block":
            self.advance()
            name, span = self.name("the block's name")
            params = self.params() if self.kind == "(" else ()
            return Block(name, span, doc, params, self.body(), shared)
        if shared:
            self.fail("`block`")
        if self.kind != "net":
            help = ""
            if self.kind == "NAME":
                help = "layers stand in a `net` or a `block`: `net small { ... }`"
            self.fail("`net`, `block`, `fn` or `from`", help=help)
        self.advance()
        name, span = self.name("the net's name")
        if self.take("="):
            base, base_span = self.name("the name of a net above")
            args = self.args() if self.kind == "(" else ()
            expects = self.body().statements if self.kind == "{" else ()
            return Variant(name, span, doc, (), base, base_span, args, expects)
        params = self.params() if self.kind == "(" else ()
        return Net(name, span, doc, params, self.body())

    def params(self) -> tuple[Param, ...]:
        """params = "(" [ param { "," param } [ "," ] ] ")" ."""
        return self._listed("(", ")", self.param)

    def param(self) -> Param:
        """param = NAME [ "=" expr ] ."""
        name, span = self.name("a parameter's name")
        return Param(name, span, self.expr() if self.take("=") else None)

    # -- statements

    def body(self) -> Body:
        """body = "{" { statement } "}" ."""
        opening = self.expect("{")
        self.deeper()
        nesting = self.nesting
        statements: list[Statement] = []
        while True:
            while self.take("NEWLINE"):
                pass
            if self.kind in ("}", "END"):
                break
            first = self.at
            try:
                statements.append(self.statement())
                if self.kind not in ("NEWLINE", "}", "END"):
                    self.fail("the end of the line", help=self._help_for_line_end())
            except _Mistake as mistake:
                self.recover(mistake, first, nesting, outermost=False)
        self.expect("}", opening=opening)
        self.nesting -= 1
        return Body(self.span(opening.start), tuple(statements))

    def statement(self) -> Statement:
        """statement = [ NAME ":" | NAME "=" | ( "output" | "aux" ) NAME "=" ] chain
        | if
        | "for" NAME { "," NAME } "in" expr body
        | "repeat" expr body
        | "expect" [ "not" ] NAME [ args ] relation figure [ STRING ] [ "because" STRING ] ."""
        start = self.token.start
        kind = self.kind
        if kind == "NAME":
            following = self.next_kind()
            if following == ":":
                name, span = self.name("")
                self.advance()
                return Flow(self.span(start), self.chain(), "label", name, span)
            if following == "=":
                name, span = self.name("")
                self.advance()
                chain = self.chain()
                return Flow(self.span(start), chain, "let", name, span)
        elif kind == "if":
            return self.if_()
        elif kind == "for":
            self.advance()
            names = [self.name("a name for the loop")]
            while self.take(","):
                names.append(self.name("a name for the loop"))
            self.expect("in")
            rows = self.expr()
            return For(self.span(start), tuple(names), rows, self.body())
        elif kind == "repeat":
            self.advance()
            count = self.expr()
            return Repeat(self.span(start), count, self.body())
        elif kind == "expect":
            self.advance()
            return self.expectation(start)
        elif kind in ("output", "aux"):
            self.advance()
            name, span = self.name("a name for the result")
            self.expect("=")
            return Flow(self.span(start), self.chain(), kind, name, span)
        elif kind in ("net", "block", "fn", "from", "shared"):
            self.fail("a statement", help="definitions stand at the top of a file, outside `{ }`")
        chain = self.chain()
        return Flow(chain.span, chain)

    def if_(self) -> If:
        """if = "if" expr body [ "else" ( body | if ) ] ."""
        start = self.token.start
        branches: list[tuple[Expr, Body]] = []
        otherwise = None
        while True:
            self.expect("if")
            condition = self.expr()
            branches.append((condition, self.body()))
            if not self.take("else"):
                break
            if self.kind != "if":
                otherwise = self.body()
                break
        return If(self.span(start), tuple(branches), otherwise)

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
                    raise _Mistake(
                        Diagnostic(
                            f"`{quantity}` takes a path in quotes and `training=true`",
                            arg.span,
                            help=f'write `{quantity}("stage1/conv2")`',
                        )
                    )
        relation, percent = self.relation()
        figure = self.figure()
        citation = self._string(self.advance()) if self.kind == "STRING" else ""
        reason = ""
        if self.kind == "NAME" and self.text(self.token) == "because":
            self.advance()
            reason = self._string(self.expect("STRING", "the reason in quotes"))
        span = self.span(start)
        if negated and not reason:
            raise _Mistake(
                Diagnostic(
                    "`expect not` needs a reason",
                    span,
                    help='add `because "..."` and say what the true figure is',
                )
            )
        if reason and not negated:
            raise _Mistake(
                Diagnostic(
                    "`because` goes with `expect not`", span, help="write the reason as a comment, or add `not`"
                )
            )
        return Expect(
            span, negated, quantity, quantity_span, path, path_span, training,
            relation, percent, figure, citation, reason,
        )  # fmt: skip

    def relation(self) -> tuple[str, Number]:
        if self.kind in RELATIONS:
            return self.text(self.advance()), 0
        if self.kind == "NAME" and self.text(self.token) == "within":
            self.advance()
            token = self.expect("NUMBER", "a percentage")
            self.expect("%", "`%`, as in `within 2% of`")
            if not (self.kind == "NAME" and self.text(self.token) == "of"):
                self.fail("`of`, as in `within 2% of`")
            self.advance()
            return "within", read_number(self.source, token.start, token.end)
        self.fail("`==`, `~`, `<`, `<=`, `>`, `>=` or `within 2% of`")

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

    # -- expressions

    def chain(self) -> Expr:
        """chain = expr { "->" expr } ."""
        first = self.expr()
        if self.kind != "->":
            return first
        steps = [first]
        while self.take("->"):
            steps.append(self.expr())
        return Chain(self.span(first.span.start), tuple(steps))

    def expr(self) -> Expr:
        """expr = or [ "if" or "else" expr ] ."""
        value = self.operation(_OR)
        if self.kind != "if":
            return value
        self.advance()
        self.deeper()
        condition = self.operation(_OR)
        self.expect("else", "`else`, as in `a if condition else b`")
        otherwise = self.expr()
        self.nesting -= 1
        return Choice(self.span(value.span.start), value, condition, otherwise)

    def operation(self, loosest: int) -> Expr:
        """or = and { "or" and } .
        and = not { "and" not } .
        not = "not" not | compare .
        compare = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ] .
        sum = term { ( "+" | "-" ) term } .
        term = factor { ( "*" | "/" | "//" | "%" ) factor } ."""
        start = self.token.start
        if self.kind == "not" and loosest <= _NOT:
            self.advance()
            self.deeper()
            operand = self.operation(_NOT)
            self.nesting -= 1
            left: Expr = Unary(self.span(start), "not", operand)
        else:
            left = self.factor()
        while True:
            op = self.kind
            level = _LEVELS.get(op, -1)
            if level < loosest:
                return left
            rest = []
            while self.kind in _LEVELS and _LEVELS[self.kind] == level:
                if rest and level == _COMPARE:
                    self.fail("one comparison", help="write `a < b and b < c`")
                op = self.advance().kind
                self.deeper()
                rest.append((op, self.operation(level + 1)))
                self.nesting -= 1
            left = Binary(self.span(start), left, tuple(rest))

    def factor(self) -> Expr:
        """factor = "-" factor | item { "[" expr "]" } [ "**" factor ] ."""
        if self.kind == "-":
            start = self.advance().start
            self.deeper()
            operand = self.factor()
            self.nesting -= 1
            return Unary(self.span(start), "-", operand)
        base = self.item()
        if self.kind == "[" and self.glued():
            indices = []
            while self.kind == "[" and self.glued():
                opening = self.advance()
                self.deeper()
                indices.append(self.expr())
                self.expect("]", opening=opening)
                self.nesting -= 1
            base = Index(self.span(base.span.start), base, tuple(indices))
        if self.kind == "**":
            self.advance()
            self.deeper()
            power = self.factor()
            self.nesting -= 1
            base = Binary(self.span(base.span.start), base, (("**", power),))
        return base

    def item(self) -> Expr:
        """item = NUMBER | SIZE | STRING | "true" | "false" | NAME [ args ]
        | "[" [ chain { "," chain } [ "," ] ] "]" | "(" chain ")" | body ."""
        token = self.token
        kind = token.kind
        if kind == "NAME":
            self.advance()
            name_span = Span(self.source, token.start, token.end)
            name = self.text(token)
            if self.kind == "(" and self.glued():
                args = self.args()
                return Ref(self.span(token.start), name, name_span, args)
            return Ref(name_span, name, name_span, None)
        if kind == "NUMBER":
            self.advance()
            return Literal(self.span(token.start), read_number(self.source, token.start, token.end))
        if kind == "SIZE":
            self.advance()
            return Literal(self.span(token.start), self._size(token))
        if kind == "STRING":
            self.advance()
            return Literal(self.span(token.start), self._string(token))
        if kind in ("true", "false"):
            self.advance()
            return Literal(self.span(token.start), kind == "true")
        if kind == "[":
            items = self._listed("[", "]", self.chain)
            return ListExpr(self.span(token.start), items)
        if kind == "(":
            self.advance()
            self.deeper()
            inner = self.chain()
            self.expect(")", opening=token)
            self.nesting -= 1
            return inner
        if kind == "{":
            return self.body()
        helps = {
            "if": "a choice between values is written `a if condition else b`",
            "->": "a chain starts with a layer, a block or a tensor",
            "for": "a loop is a statement of its own",
        }
        self.fail("a layer, a name or a value", help=helps.get(kind, ""))

    def args(self) -> tuple[Arg, ...]:
        """args = "(" [ arg { "," arg } [ "," ] ] ")" ."""
        return self._listed("(", ")", self.arg)

    def arg(self) -> Arg:
        """arg = [ NAME "=" ] chain ."""
        token = self.token
        if self.kind in ("NAME", *RESERVED) and self.next_kind() == "=":
            name, _ = self.name("an argument's name")
            self.advance()
            value = self.chain()
            return Arg(name, self.span(token.start), value)
        value = self.chain()
        return Arg("", value.span, value)

    # -- pieces

    def name(self, what: str) -> tuple[str, Span]:
        if self.kind != "NAME":
            self.fail(what)
        token = self.advance()
        return self.text(token), Span(self.source, token.start, token.end)

    def _listed(self, open_: str, close: str, item: Callable[[], T]) -> tuple[T, ...]:
        """Items between brackets, separated by commas, one of which may stand behind the last."""
        opening = self.expect(open_)
        self.deeper()
        items: list[T] = []
        while self.kind != close:
            items.append(item())
            if not self.take(",") and self.kind != close:
                help = ""
                if open_ == "[" and self.kind == "[":
                    help = "put a comma between the rows"
                elif self.kind in ("NAME", "NUMBER", "STRING", "SIZE", "[", "true", "false"):
                    help = "put a comma between them, or chain layers with `->`"
                self.fail(f"`,` or `{close}`", help=help, opening=opening)
        self.advance()
        self.nesting -= 1
        return tuple(items)

    def _size(self, token: Token) -> tuple[int, ...]:
        parts = self.text(token).split("x")
        if len(parts) > 8 or max(map(len, parts)) > MAX_DIGITS:
            raise _Mistake(
                Diagnostic("a size has more than 8 axes, or too many digits", Span(self.source, token.start, token.end))
            )
        return tuple(map(int, parts))

    def _string(self, token: Token) -> str:
        return self.text(token)[1:-1].replace('\\"', '"').replace("\\\\", "\\")

    def _help_for_line_end(self) -> str:
        if self.kind == "(":
            return "the `(` of a call follows the name without a space"
        if self.kind == "[":
            return "the `[` of an index follows without a space; rows of a list are separated by commas"
        if self.kind == ":":
            return "a label is one name, at the start of the line"
        if self.kind == "=":
            return "compare with `==`; a name is bound at the start of the line"
        if self.kind in ("NAME", "STRING", "NUMBER"):
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

