"""Parses expressions: values, calls, and chains.

The docstring of each method is the grammar rule that it parses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from archcalc.diagnostics import Diagnostic, Span
from archcalc.expect import UNITS
from archcalc.language.cursor import CLOSING, OPENING, Cursor, Mistake
from archcalc.language.literals import read_number, read_size, read_string
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
    Ref,
    Unary,
)
from archcalc.language.tokens import RESERVED, Token

T = TypeVar("T")

ARROW = "chain layers with `->`"

# Binary operators by precedence, the loosest first. `not` comes between `and` and the comparisons.
OR, AND, NOT, COMPARE, SUM, TERM = range(6)
_LEVELS = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARE),
    "+": SUM,
    "-": SUM,
    **dict.fromkeys(("*", "/", "//", "%"), TERM),
}


class ExpressionParser:
    """Parses expressions: values, calls, and chains. `body` parses a `{ ... }` in an expression."""

    def __init__(self, cursor: Cursor, body: Callable[[], Body], units_anywhere: bool = False) -> None:
        self.cursor = cursor
        self.body = body
        self.units_anywhere = units_anywhere
        """Can every number have a unit? True in claims; elsewhere only figures of expectations have one."""

    def chain(self) -> Expr:
        """chain = expr { "->" expr } ."""
        cursor = self.cursor
        first = self.expr()
        if cursor.kind != "->":
            return first
        steps = [first]
        while cursor.kind == "->":
            arrow = cursor.advance()
            if cursor.kind in ("}", ")", "]", ",", "->", "NEWLINE", "END"):
                problem = Diagnostic(
                    "nothing follows a `->`", cursor.place(arrow), help="write the next step, or remove it"
                )
                raise Mistake(problem)
            steps.append(self.expr())
        return Chain(cursor.span(first.span.start), tuple(steps))

    def expr(self) -> Expr:
        """expr = or [ "if" or "else" expr ] ."""
        cursor = self.cursor
        value = self.operation(OR)
        if cursor.kind != "if":
            return value
        cursor.advance()
        cursor.deeper()
        condition = self.operation(OR)
        cursor.expect("else", "`else`, as in `a if condition else b`")
        otherwise = self.expr()
        cursor.nesting -= 1
        return Choice(cursor.span(value.span.start), value, condition, otherwise)

    def operation(self, loosest: int) -> Expr:
        """or = and { "or" and } .
        and = not { "and" not } .
        not = "not" not | compare .
        compare = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ] .
        sum = term { ( "+" | "-" ) term } .
        term = factor { ( "*" | "/" | "//" | "%" ) factor } ."""
        cursor = self.cursor
        start = cursor.token.start
        if cursor.kind == "not" and loosest <= NOT:
            cursor.advance()
            cursor.deeper()
            operand = self.operation(NOT)
            cursor.nesting -= 1
            left: Expr = Unary(cursor.span(start), "not", operand)
        else:
            left = self.factor()
        while True:
            op = cursor.kind
            level = _LEVELS.get(op, -1)
            if level < loosest:
                return left
            rest: list[tuple[str, Expr]] = []
            while cursor.kind in _LEVELS and _LEVELS[cursor.kind] == level:
                if rest and level == COMPARE:
                    cursor.fail("one comparison", help="write `a < b and b < c`")
                op = cursor.advance().kind
                cursor.deeper()
                rest.append((op, self.operation(level + 1)))
                cursor.nesting -= 1
            left = Binary(cursor.span(start), left, tuple(rest))

    def factor(self) -> Expr:
        """factor = "-" factor | item { "[" expr "]" } [ "**" factor ] ."""
        cursor = self.cursor
        if cursor.kind == "-":
            start = cursor.advance().start
            cursor.deeper()
            operand = self.factor()
            cursor.nesting -= 1
            return Unary(cursor.span(start), "-", operand)
        base = self.item()
        if cursor.kind == "[" and cursor.glued():
            indices = []
            while cursor.kind == "[" and cursor.glued():
                opening = cursor.advance()
                cursor.deeper()
                indices.append(self.expr())
                cursor.expect("]", help=self._help_for_index(base), opening=opening)
                cursor.nesting -= 1
            base = Index(cursor.span(base.span.start), base, tuple(indices))
        if cursor.kind == "**":
            cursor.advance()
            cursor.deeper()
            power = self.factor()
            cursor.nesting -= 1
            base = Binary(cursor.span(base.span.start), base, (("**", power),))
        return base

    def item(self) -> Expr:
        """item = NUMBER | SIZE | STRING | "true" | "false" | NAME [ args ]
        | "[" [ chain { "," chain } [ "," ] ] "]" | "(" chain ")" | [ "frozen" ] body ."""
        cursor = self.cursor
        token = cursor.token
        kind = token.kind
        if kind == "NAME":
            cursor.advance()
            name_span = Span(cursor.source, token.start, token.end)
            name = cursor.text(token)
            if cursor.kind == "(" and cursor.glued():
                args = self.args()
                return Ref(cursor.span(token.start), name, name_span, args)
            return Ref(name_span, name, name_span, None)
        if kind == "NUMBER":
            cursor.advance()
            value = read_number(cursor.source, token)
            if cursor.kind == "UNIT" and self.units_anywhere:
                value *= UNITS[cursor.text(cursor.advance())]
            return Literal(cursor.span(token.start), value)
        if kind == "SIZE":
            cursor.advance()
            return Literal(cursor.span(token.start), read_size(cursor.source, token))
        if kind == "STRING":
            cursor.advance()
            return Literal(cursor.span(token.start), read_string(cursor.source, token))
        if kind in ("true", "false"):
            cursor.advance()
            return Literal(cursor.span(token.start), kind == "true")
        if kind == "[":
            items = self.listed("[", "]", self.chain)
            return ListExpr(cursor.span(token.start), items)
        if kind == "(":
            cursor.advance()
            cursor.deeper()
            inner = self.chain()
            if cursor.kind == ",":
                self._fail_at_tuple(token)
            cursor.expect(")", help=self._help_for_bracket(token, 1), opening=token)
            cursor.nesting -= 1
            return inner
        if kind == "frozen":
            cursor.advance()
            body = self.body()
            return Body(cursor.span(token.start), body.statements, body.whole, frozen=True)
        if kind != "{":
            helps = {
                "if": "a conditional value is written `a if condition else b`",
                "->": "a chain starts with a layer, a block or a tensor",
                "else": "an `else` follows the `}` of an `if`",
                "for": "a loop is a statement, not a value",
                "//": "a comment starts with `#`",
                "/": "a comment starts with `#`",
                ">": ARROW,
            }
            cursor.fail("a layer, a name or a value", help=helps.get(kind, ""))
        return self.body()

    def args(self) -> tuple[Arg, ...]:
        """args = "(" [ arg { "," arg } [ "," ] ] ")" ."""
        return self.listed("(", ")", self.arg)

    def arg(self) -> Arg:
        """arg = [ NAME "=" ] chain ."""
        cursor = self.cursor
        token = cursor.token
        if cursor.next_kind() == "=" and (token.kind == "NAME" or token.kind in RESERVED):
            name, _ = cursor.name("an argument's name")
            cursor.advance()
            value = self.chain()
            return Arg(name, cursor.span(token.start), value)
        value = self.chain()
        return Arg("", value.span, value)

    def _fail_at_tuple(self, opening: Token) -> NoReturn:
        """A comma follows the first item in parentheses."""
        cursor = self.cursor
        text = cursor.source.text
        end = text.find(")", opening.start)
        inner = text[opening.start + 1 : end] if end >= 0 else ""
        items = [item.strip() for item in inner.split(",") if item.strip()]
        help = "a list is written `[a, b]`"
        if items and len(inner) <= 60 and "\n" not in inner and "(" not in inner:
            help = f"a list is written `[{', '.join(items)}]`"
            if len(items) > 1 and all(item.isascii() and item.isdigit() for item in items):
                help += f", or `{'x'.join(items)}`"
                if len(items) > 2 and items[-1] in ("1", "3", "4") and len(items[0]) > 1:
                    help += f"; in a shape, the channels come first: `{'x'.join([items[-1], *items[:-1]])}`"
        span = Span(cursor.source, opening.start, end + 1 if end >= 0 else opening.end)
        raise Mistake(Diagnostic("there are no tuples", span, help=help))

    # -- pieces

    def listed(self, open_: str, close: str, item: Callable[[], T]) -> tuple[T, ...]:
        """Items between brackets, separated by commas. A comma can follow the last item."""
        cursor = self.cursor
        opening = cursor.expect(open_)
        cursor.deeper()
        items: list[T] = []
        while cursor.kind != close:
            items.append(item())
            if not cursor.take(",") and cursor.kind != close:
                help = self._help_for_bracket(opening, len(items))
                cursor.fail(f"`,` or `{close}`", help=help, opening=opening)
        cursor.advance()
        cursor.nesting -= 1
        return tuple(items)

    def _help_for_bracket(self, opening: Token, items: int) -> str:
        """Help for the text after an item in brackets, where a comma or the closing bracket is expected."""
        cursor = self.cursor
        before = cursor.tokens[cursor.at - 1]
        closing = CLOSING[opening.kind]
        if cursor.kind in OPENING or cursor.kind in ("END", "NEWLINE", "{"):
            return f"close it with `{closing}`"
        if cursor.line_of(cursor.at - 1) < cursor.line_of(cursor.at) and cursor.kind != "[":
            one_line = cursor.source.position(opening.start)[0] == cursor.line_of(cursor.at - 1)
            return f"close it with `{closing}`" if one_line else "separate them with a comma"
        if cursor.kind == "(":
            return "write the `(` of a call directly after the name"
        if cursor.kind == "[" and opening.kind == "[":
            return "separate the rows with a comma"
        if (
            cursor.kind == "NAME"
            and before.kind in ("NUMBER", "SIZE")
            and cursor.text(cursor.token)[0] == "x"
        ):
            return "write a size without spaces: `3x224x224`"
        if cursor.kind == ":":
            return "write `=` between the name and the value of an argument"
        if cursor.kind == "for":
            return "build the list in a loop: `for x in list { made = made + [x] }`"
        if cursor.kind in ("NAME", "NUMBER", "STRING", "SIZE", "[", "true", "false"):
            return "separate them with a comma, or chain layers with `->`"
        return ""

    def _help_for_index(self, base: Expr) -> str:
        cursor = self.cursor
        if cursor.kind == "," and isinstance(base, ListExpr):
            return "separate the rows of the list with a comma"
        if cursor.kind == ",":
            return "write one index after the other: `rows[i][j]`"
        if cursor.kind == ":":
            return "lists have no slices; index the values one by one"
        return ""
