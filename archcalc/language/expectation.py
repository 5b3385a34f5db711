"""Parses expectations, and the statements of claims, which use the same relations."""

from __future__ import annotations

import re
from fractions import Fraction

from archcalc.diagnostics import Diagnostic, Span
from archcalc.expect import UNITS, Expect, Figure, Ratio
from archcalc.language.cursor import Cursor, Mistake
from archcalc.language.expressions import OR, SUM, ExpressionParser
from archcalc.language.literals import read_number, read_size, read_string
from archcalc.language.syntax import Assertion, Expr, Literal, Number

RELATIONS = ("==", "<", "<=", ">", ">=", "~")

_NET = re.compile(r'([A-Za-z_./][^\s"]*)\s*')


class ExpectationParser:
    """Parses an expectation, or the statement of a claim."""

    def __init__(self, cursor: Cursor, expressions: ExpressionParser, ratios: bool = False) -> None:
        self.cursor = cursor
        self.expressions = expressions
        self.ratios = ratios
        """Can the right side be a ratio to another network? This is possible only on the command line."""

    def expectation(self, start: int) -> Expect:
        """An expectation without the word `expect`. `start` is the offset of its statement."""
        cursor = self.cursor
        negated = cursor.take("not")
        quantity, quantity_span = cursor.name("a quantity, such as `params` or `macs`")
        path, path_span, training = "", None, False
        if cursor.kind == "(":
            for arg in self.expressions.args():
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
        citation = read_string(cursor.source, cursor.advance()) if cursor.kind == "STRING" else ""
        reason = ""
        if cursor.kind == "NAME" and cursor.text(cursor.token) == "because":
            cursor.advance()
            reason = read_string(cursor.source, cursor.expect("STRING", "the reason in quotes"))
        span = cursor.span(start)
        if negated and not reason:
            raise Mistake(
                Diagnostic(
                    "`expect not` needs a reason",
                    span,
                    help='add `because "..."` and state the correct figure',
                )
            )
        if reason and not negated:
            raise Mistake(
                Diagnostic(
                    "`because` is only allowed with `expect not`",
                    span,
                    help="write the reason in a comment, or add `not`",
                )
            )
        return Expect(
            span, negated, quantity, quantity_span, path, path_span, training,
            relation, percent, figure, citation, reason, ratio,
        )  # fmt: skip

    def relation(self) -> tuple[str, Number]:
        """relation = "==" | "<" | "<=" | ">" | ">=" | "~" | "within" NUMBER "%" "of" ."""
        cursor = self.cursor
        if cursor.kind in RELATIONS:
            return cursor.text(cursor.advance()), 0
        if not (cursor.kind == "NAME" and cursor.text(cursor.token) == "within"):
            turned = cursor.kind == "=" and cursor.next_kind() in ("<", ">")
            help = f"write `{cursor.next_kind()}=`" if turned else ""
            cursor.fail("`==`, `~`, `<`, `<=`, `>`, `>=` or `within 2% of`", help=help)
        cursor.advance()
        token = cursor.expect("NUMBER", "a percentage")
        cursor.expect("%", "`%`, as in `within 2% of`")
        if not (cursor.kind == "NAME" and cursor.text(cursor.token) == "of"):
            cursor.fail("`of`, as in `within 2% of`")
        cursor.advance()
        return "within", read_number(cursor.source, token)

    def right_side(self) -> tuple[Figure, Ratio | None]:
        """The right side: a figure, or a ratio such as `0.5 * vgg16` or `vgg16`."""
        cursor = self.cursor
        start = cursor.token.start
        factor = Figure("1", 1, "", 1, cursor.place(cursor.token))
        net = self._net(start)
        if net is None:
            factor = self.figure()
            if cursor.kind != "*" or isinstance(factor.value, tuple):
                return factor, None
            net = self._net(cursor.tokens[cursor.at + 1].start)
            if net is None:
                return factor, None
        assert not isinstance(factor.value, tuple)
        cursor.skip_to_end()
        whole = Span(cursor.source, start, net.end)
        figure = Figure(whole.text, factor.value, factor.unit, factor.step, whole)
        return figure, Ratio(factor.value, net.text, net)

    def _net(self, start: int) -> Span | None:
        """The NET from `start` to the end of the text, if there is one and ratios are allowed.

        It is matched in the text because it can be a path or `net?width=0.5`, which are not tokens.
        """
        cursor = self.cursor
        found = _NET.fullmatch(cursor.source.text, start) if self.ratios else None
        return Span(cursor.source, *found.span(1)) if found else None

    def figure(self) -> Figure:
        """figure = NUMBER [ UNIT ] | SIZE ."""
        cursor = self.cursor
        token = cursor.token
        if cursor.kind == "SIZE":
            cursor.advance()
            span = Span(cursor.source, token.start, token.end)
            return Figure(span.text, read_size(cursor.source, token), "", 1, span)
        if cursor.kind != "NUMBER":
            helps = {"STRING": "a figure is written without quotes", "~": "write `~` alone"}
            help = helps.get(cursor.kind, "a size is written `512x7x7`" if cursor.kind in ("(", "[") else "")
            cursor.fail("a figure, such as `138_357_544`, `15.5G` or `512x7x7`", help=help)
        cursor.advance()
        value = read_number(cursor.source, token)
        unit = cursor.text(cursor.advance()) if cursor.kind == "UNIT" else ""
        mantissa, _, exponent = cursor.text(token).replace("_", "").lower().partition("e")
        step = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * UNITS.get(unit, 1)
        span = cursor.span(token.start)
        return Figure(span.text, value * UNITS.get(unit, 1), unit, step, span)

    def condition(self) -> Expr | Assertion:
        """An expression that is true or false, or `sum within NUMBER % of sum`."""
        cursor = self.cursor
        start = cursor.token.start
        left = self.expressions.operation(OR)
        if not (cursor.kind == "NAME" and cursor.text(cursor.token) == "within"):
            return left
        relation, percent = self.relation()
        right = self.expressions.operation(SUM)
        return Assertion(cursor.span(start), left, relation, percent, right, None)

    def assertion(self) -> Assertion:
        """The statement of a claim."""
        cursor = self.cursor
        start = cursor.token.start
        left = self.expressions.operation(SUM)
        relation, percent = self.relation()
        figure = self.figure() if relation == "~" else None
        if figure is not None and isinstance(figure.value, tuple):
            raise Mistake(Diagnostic("`~` needs a number, and this is a size", figure.span))
        right = Literal(figure.span, figure.value) if figure is not None else self.expressions.operation(SUM)
        return Assertion(cursor.span(start), left, relation, percent, right, figure)
