"""Tokens to expressions: values, calls and chains.

The docstring of each method is what it parses, as the grammar page writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from archcalc.diagnostics import Diagnostic, Source, Span
from archcalc.expect import UNITS
from archcalc.language.cursor import CLOSING, OPENING, Cursor, Mistake
from archcalc.language.limits import MAX_DIGITS
from archcalc.language.syntax import (
    Arg,
    Binary,
    Body,
    Chain,
    Choice,
    Expr,
    Index,
    ListExpr,
    Literal,
    Number,
    Ref,
    Unary,
)
from archcalc.language.tokens import RESERVED, Token

T = TypeVar("T")

# Binary operators by precedence, the loosest first; `not` stands between `and` and the comparisons.
OR, AND, NOT, COMPARE, SUM, TERM = range(6)
_LEVELS = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARE),
    "+": SUM,
    "-": SUM,
    **dict.fromkeys(("*", "/", "//", "%"), TERM),
}


def read_number(source: Source, start: int, end: int) -> Number:
    """The exact value of a NUMBER token."""
    span = Span(source, start, end)
    text = span.text.replace("_", "")
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    power = int(exponent) if len(exponent) <= 4 and exponent else (10**4 if exponent else 0)
    if len(whole) + len(decimals) > MAX_DIGITS or abs(power) > MAX_DIGITS:
        problem = Diagnostic(f"a number has more than {MAX_DIGITS} digits", span)
        raise Mistake(problem)
    value = int(whole + decimals)
    shift = power - len(decimals)
    if shift >= 0:
        whole_number: int = value * 10**shift
        return whole_number
    exact = Fraction(value, 10**-shift)
    return exact.numerator if exact.denominator == 1 else exact


class Expressions(Cursor):
    """The grammar of what has a value or puts out a tensor, but for bodies, which hold statements."""

    units_anywhere = False
    """May a number have a unit outside the figure of an expectation? In claims only."""

    def body(self) -> Body:
        raise NotImplementedError

    def chain(self) -> Expr:
        """chain = expr { "->" expr } ."""
        first = self.expr()
        if self.kind != "->":
            return first
        steps = [first]
        while self.kind == "->":
            arrow = self.advance()
            if self.kind in ("}", ")", "]", ",", "->", "NEWLINE", "END"):
                problem = Diagnostic(
                    "nothing follows a `->`", self._span(arrow), help="write the next step, or remove it"
                )
                raise Mistake(problem)
            steps.append(self.expr())
        return Chain(self.span(first.span.start), tuple(steps))

    def expr(self) -> Expr:
        """expr = or [ "if" or "else" expr ] ."""
        value = self.operation(OR)
        if self.kind != "if":
            return value
        self.advance()
        self.deeper()
        condition = self.operation(OR)
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
        if self.kind == "not" and loosest <= NOT:
            self.advance()
            self.deeper()
            operand = self.operation(NOT)
            self.nesting -= 1
            left: Expr = Unary(self.span(start), "not", operand)
        else:
            left = self.factor()
        while True:
            op = self.kind
            level = _LEVELS.get(op, -1)
            if level < loosest:
                return left
            rest: list[tuple[str, Expr]] = []
            while self.kind in _LEVELS and _LEVELS[self.kind] == level:
                if rest and level == COMPARE:
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
                self.expect("]", help=self._help_for_index(base), opening=opening)
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
            value = read_number(self.source, token.start, token.end)
            if self.kind == "UNIT" and self.units_anywhere:
                value *= UNITS[self.text(self.advance())]
            return Literal(self.span(token.start), value)
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
            self.expect(")", help=self._help_for_bracket(token, 1), opening=token)
            self.nesting -= 1
            return inner
        if kind != "{":
            helps = {
                "if": "a choice between values is written `a if condition else b`",
                "->": "a chain starts with a layer, a block or a tensor",
                "else": "an `else` follows the `}` of an `if`",
                "for": "a loop is a statement of its own",
            }
            self.fail("a layer, a name or a value", help=helps.get(kind, ""))
        return self.body()

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
                help = self._help_for_bracket(opening, len(items))
                self.fail(f"`,` or `{close}`", help=help, opening=opening)
        self.advance()
        self.nesting -= 1
        return tuple(items)

    def _size(self, token: Token) -> tuple[int, ...]:
        parts = self.text(token).split("x")
        if len(parts) > 8 or max(map(len, parts)) > MAX_DIGITS:
            raise Mistake(
                Diagnostic(
                    "a size has more than 8 axes, or too many digits",
                    Span(self.source, token.start, token.end),
                )
            )
        return tuple(map(int, parts))

    def _string(self, token: Token) -> str:
        return self.text(token)[1:-1].replace('\\"', '"').replace("\\\\", "\\")

    def _help_for_bracket(self, opening: Token, items: int) -> str:
        """For what follows an item between brackets where a comma or the end is expected."""
        before = self.tokens[self.at - 1]
        closing = CLOSING[opening.kind]
        if self.kind in OPENING or self.kind in ("END", "NEWLINE", "{"):
            return f"close it with `{closing}`"
        if self._line_of(self.at - 1) < self._line_of(self.at) and self.kind != "[":
            one_line = self.source.position(opening.start)[0] == self._line_of(self.at - 1)
            return f"close it with `{closing}`" if one_line else "put a comma between them"
        if self.kind == "(":
            return "the `(` of a call follows the name without a space"
        if self.kind == "[" and opening.kind == "[":
            return "put a comma between the rows"
        if self.kind == "NAME" and before.kind in ("NUMBER", "SIZE") and self.text(self.token)[0] == "x":
            return "write a size without spaces: `3x224x224`"
        if self.kind == ":":
            return "write `=` between an argument's name and its value"
        if self.kind in ("NAME", "NUMBER", "STRING", "SIZE", "[", "true", "false"):
            return "put a comma between them, or chain layers with `->`"
        return ""

    def _help_for_index(self, base: Expr) -> str:
        if self.kind == "," and isinstance(base, ListExpr):
            return "put a comma between the rows of the list"
        if self.kind == ",":
            return "one index follows another: `rows[i][j]`"
        if self.kind == ":":
            return "there are no slices of lists; take the values one by one"
        return ""
