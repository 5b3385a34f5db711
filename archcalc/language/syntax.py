"""The syntax of a file: one class for each form of the grammar, each with its place in the text.

Fields below `# resolved` are empty until `resolve` finds the meanings of names.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.diagnostics import Diagnostic, Source, Span
from archcalc.expect import Expect, Figure

Number = int | Fraction


class Expr(Struct, gc=False, eq=False):
    """An expression."""

    span: Span


class Literal(Expr, gc=False, eq=False):
    """A number, size, string, `true`, or `false`."""

    value: Any


class Arg(Struct, gc=False, eq=False):
    """An argument of a call. `name` is empty if the argument is given by position."""

    name: str
    span: Span
    value: Expr


class Ref(Expr, gc=False, eq=False):
    """A name, or a call if it has `args`. `resolve` finds what it means."""

    name: str
    name_span: Span
    args: tuple[Arg, ...] | None
    # resolved
    meaning: Any = None
    slots: tuple[tuple[int, Expr], ...] = ()


class ListExpr(Expr, gc=False, eq=False):
    items: tuple[Expr, ...]


class Chain(Expr, gc=False, eq=False):
    """Two or more steps with `->` between them."""

    steps: tuple[Expr, ...]


class Body(Expr, gc=False, eq=False):
    """`{ ... }`: the body of a definition, a loop, or a condition, or an anonymous block.

    `whole` is false if some of its lines do not parse and are left out. The parameters inside a `frozen` body
    are not trained.
    """

    statements: tuple[Statement, ...]
    whole: bool = True
    frozen: bool = False


class Index(Expr, gc=False, eq=False):
    base: Expr
    indices: tuple[Expr, ...]


class Unary(Expr, gc=False, eq=False):
    """`-` or `not`."""

    op: str
    operand: Expr


class Binary(Expr, gc=False, eq=False):
    """Operators of one precedence, evaluated from the left: `a + b - c`."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


class Choice(Expr, gc=False, eq=False):
    """`a if condition else b`."""

    if_true: Expr
    condition: Expr
    if_false: Expr


class Statement(Struct, gc=False, eq=False):
    """A line of a body. `cost` is the number of steps it counts for, without the bodies inside it."""

    span: Span
    cost: int


class Flow(Statement, gc=False, eq=False):
    """A chain, and what happens to its value.

    `binds` is empty (changes the current tensor), `label` (changes and names it), `let` (names a value),
    `output`, or `aux` (both mark a result).
    """

    chain: Expr
    binds: str = ""
    name: str = ""
    name_span: Span | None = None
    # resolved
    in_loop: bool = False


class If(Statement, gc=False, eq=False):
    branches: tuple[tuple[Expr, Body], ...]
    otherwise: Body | None


class For(Statement, gc=False, eq=False):
    """A loop. `rebinds` has the names that `=` binds in the body."""

    names: tuple[tuple[str, Span], ...]
    rows: Expr
    body: Body
    rebinds: frozenset[str]


class Repeat(Statement, gc=False, eq=False):
    count: Expr
    body: Body
    rebinds: frozenset[str]


class ExpectLine(Statement, eq=False):
    """`expect params("stage1") ~ 38.7K "Table 1"`."""

    expect: Expect


class WrittenLine(Statement, eq=False):
    """`written "relu2" as "F.relu"`: what the published code calls instead of a module of `torch.nn`."""

    path: str
    code: str


class SeeLine(Statement, eq=False):
    """`see resnet50_v1_5 "torchvision's resnet50"`: a related network, and what it is."""

    name: str
    about: str


class Assertion(Struct, gc=False, eq=False):
    """The statement of a claim: `params(vgg16) ~ 138M`. `figure` is the right side if its digits count."""

    span: Span
    left: Expr
    relation: str
    percent: Number
    right: Expr
    figure: Figure | None


class Param(Struct, gc=False, eq=False):
    name: str
    span: Span
    default: Expr | None


class Definition(Struct, eq=False):
    """A named definition. `doc` is the comment directly above it.

    `cost` is the number of steps that a call counts for, without the statements of a body.
    """

    name: str
    name_span: Span
    doc: str
    params: tuple[Param, ...]
    cost: int


class Function(Definition, eq=False):
    value: Expr


class Block(Definition, eq=False):
    body: Body
    shared: bool


class Net(Definition, eq=False):
    body: Body

    @property
    def expectations(self) -> tuple[Expect, ...]:
        """The expectations of its own `expect` lines, in order."""
        return _expectations(self.body.statements)

    @property
    def written(self) -> tuple[WrittenLine, ...]:
        return written_lines(self.body.statements)

    @property
    def see(self) -> dict[str, str]:
        """The related networks, and what each one is."""
        return _see(self.body.statements)


class Variant(Definition, eq=False):
    """`net b = a(...)`: `a` with other defaults. `params` is empty, because its parameters are those of `a`.

    `expects` are the lines of its body: `expect`, `written`, and `see`.
    """

    base: str
    base_span: Span
    args: tuple[Arg, ...]
    expects: tuple[Statement, ...]
    # resolved
    origin: Any = None
    defaults: dict[str, Expr] = {}
    written: tuple[WrittenLine, ...] = ()
    """The lines of its bases, and its own."""

    @property
    def expectations(self) -> tuple[Expect, ...]:
        """The expectations of its own `expect` lines, in order, without those of its base."""
        return _expectations(self.expects)

    @property
    def see(self) -> dict[str, str]:
        """The related networks, and what each one is, without those of its base."""
        return _see(self.expects)


class Imported(Definition, eq=False):
    """`net a from "model.onnx"(input=3x224x224)`: a network that another file contains.

    `params` is empty. `args` are the shapes of its inputs. `expects` are the lines of its body, as for
    variants.
    """

    path: str
    path_span: Span
    args: tuple[Arg, ...]
    expects: tuple[Statement, ...]
    # resolved
    file: Any = None
    """The path of the file, and its name in messages."""

    @property
    def expectations(self) -> tuple[Expect, ...]:
        """The expectations of its `expect` lines, in order."""
        return _expectations(self.expects)

    @property
    def written(self) -> tuple[WrittenLine, ...]:
        return written_lines(self.expects)

    @property
    def see(self) -> dict[str, str]:
        """The related networks, and what each one is."""
        return _see(self.expects)


def _expectations(statements: tuple[Statement, ...]) -> tuple[Expect, ...]:
    return tuple(statement.expect for statement in statements if isinstance(statement, ExpectLine))


def written_lines(statements: tuple[Statement, ...]) -> tuple[WrittenLine, ...]:
    """The `written` lines among statements."""
    return tuple(statement for statement in statements if isinstance(statement, WrittenLine))


def _see(statements: tuple[Statement, ...]) -> dict[str, str]:
    return {line.name: line.about for line in statements if isinstance(line, SeeLine)}


class Import(Struct, eq=False):
    path: str
    path_span: Span
    names: tuple[tuple[str, Span], ...]


class File(Struct, eq=False):
    """A parsed file. `doc` is its first comment, and `items` are in the order of the file.

    `problems` has the mistakes in text that does not parse. That text is left out, and `lost` has its names,
    so that they are not reported as unknown. `whole` is false if the end of the file was not read.
    """

    source: Source
    doc: str
    items: tuple[Import | Definition, ...]
    problems: tuple[Diagnostic, ...]
    lost: frozenset[str]
    whole: bool
