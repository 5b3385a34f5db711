"""The values of the language and operations on them: exact numbers, truth values, strings, and lists.

Tensors are values too, but nothing here computes with them. An operation that is not possible raises a
`ValueProblem`, which has no place in a text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from msgspec import Struct

from archcalc.language.limits import MAX_DEPTH, MAX_DIGITS, MAX_STRING, MAX_VALUES
from archcalc.layers.arguments import format_argument
from archcalc.network import Node
from archcalc.number import Symbolic, as_whole, is_exact, largest, smallest

MAX_BITS = int(MAX_DIGITS * 3.33)
MAX_SYMBOLIC = 2**MAX_BITS
MAX_FACTORS = 8
"""A power of a symbolic number with a higher exponent is computed from its plain value."""


class ValueProblem(Exception):
    """An operator or a function does not accept a value.

    For an operator, `of_both` says whether both sides cause the problem, or only the right one.
    """

    def __init__(self, message: str, help: str = "", of_both: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.of_both = of_both


def type_name(value: object) -> str:
    """The name of a value's type in a message."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | Fraction | Symbolic):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, Node):
        return "a tensor"
    return f"a {type(value).__name__}"


def is_number(value: object) -> bool:
    return is_exact(value)


def to_whole(value: object) -> str:
    """The help for a value where a whole number is needed."""
    return "write `floor(...)`, `ceil(...)`, or `round(...)`" if is_number(value) else ""


def got(value: object) -> str:
    """A value as messages about numbers show it."""
    return format_argument(value) if is_number(value) else type_name(value)


def check_value(value: object) -> None:
    """Check a value from outside against the limits of the language."""
    if isinstance(value, str):
        if len(value) > MAX_STRING:
            raise ValueProblem(f"a string has more than {MAX_STRING} characters")
    elif isinstance(value, tuple):
        make_list(value)
        for item in value:
            check_value(item)
    elif isinstance(value, int | Fraction | Symbolic):
        number(value)
    else:
        raise ValueProblem(f"it is a {type(value).__name__}")


def number(value: Any) -> Any:
    """A computed number. Whole numbers become integers, and a number with too many digits is an error."""
    if isinstance(value, Symbolic):
        if not -MAX_SYMBOLIC < value < MAX_SYMBOLIC:
            raise ValueProblem(f"a number has more than {MAX_DIGITS} digits")
        return value
    if isinstance(value, Fraction):
        if value.denominator == 1:
            value = value.numerator
        elif value.denominator.bit_length() > MAX_BITS or value.numerator.bit_length() > MAX_BITS:
            raise ValueProblem(f"a number has more than {MAX_DIGITS} digits")
        else:
            return value
    if value.bit_length() > MAX_BITS:
        raise ValueProblem(f"a number has more than {MAX_DIGITS} digits")
    return value


def make_list(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list. It is an error if the list, with the lists inside it, has too many values."""
    if len(items) > MAX_VALUES or weight(items) > MAX_VALUES:
        raise ValueProblem(f"a list has more than {MAX_VALUES:,} values, including nested lists")
    return items


def weight(value: Any, _depth: int = 0) -> int:
    """The number of values in a list, including nested lists; 0 if it is not a list."""
    if type(value) is not tuple:
        return 0
    if _depth >= MAX_DEPTH:
        raise ValueProblem(f"lists are nested more than {MAX_DEPTH} levels deep")
    total = len(value)
    for item in value:
        if type(item) is tuple:
            total += weight(item, _depth + 1)
            if total > MAX_VALUES:
                break
    return total


def binary(op: str, left: Any, right: Any) -> Any:
    """`left op right` for every binary operator except `and` and `or`."""
    if type(left) is int and type(right) is int:
        fast = _INTEGER.get(op)
        if fast is not None:
            value = fast(left, right)
            if type(value) is int and value.bit_length() > MAX_BITS:
                raise ValueProblem(f"a number has more than {MAX_DIGITS} digits")
            return value
    if op in ("==", "!="):
        if is_number(left) != is_number(right) or (not is_number(left) and type(left) is not type(right)):
            raise ValueProblem(f"`{op}` cannot compare {type_name(left)} with {type_name(right)}")
        if isinstance(left, Node):
            raise ValueProblem(f"`{op}` compares values, not tensors", help="compare their `shape(...)`")
        return (left == right) == (op == "==")
    if op == "+" and type(left) is tuple and type(right) is tuple:
        return make_list(left + right)
    if not (is_number(left) and is_number(right)):
        if isinstance(left, Node) and isinstance(right, Node):
            joins = {"+": "add(x, y)", "*": "mul(x, y)", "-": "sub(x, y)"}
            help = f"write `{joins[op]}`" if op in joins else ""
            raise ValueProblem(f"`{op}` computes with numbers, not tensors", help)
        one, other = type_name(left), type_name(right)
        both = f"two {one.partition(' ')[2]}s" if one == other else f"{one} and {other}"
        raise ValueProblem(f"`{op}` does not accept {both}")
    if op == "**":
        return _power(left, right)
    if op in ("/", "//", "%"):
        if right == 0:
            raise ValueProblem("division by zero", of_both=False)
        if op == "/":
            return number(_quotient(left, right))
        result = left // right if op == "//" else left % right
        return number(result if isinstance(result, Symbolic) else Fraction(result))
    result = _ANY_NUMBER[op](left, right)
    return result if isinstance(result, bool) else number(result)


def _quotient(left: Any, right: Any) -> Any:
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        return left / right
    return Fraction(left) / Fraction(right)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, Symbolic):
        exponent = exponent.plain()
    if isinstance(base, Symbolic):
        if 0 <= exponent <= MAX_FACTORS and exponent == int(exponent):
            factors: list[Any] = [base] * int(exponent)
            return number(math.prod(factors))
        base = base.plain()
    if isinstance(exponent, Fraction):
        raise ValueProblem(
            f"the exponent of `**` must be a whole number, got {got(exponent)}",
            help=to_whole(exponent),
            of_both=False,
        )
    if base == 0 and exponent < 0:
        raise ValueProblem("division by zero")
    size = max(Fraction(base).numerator.bit_length(), Fraction(base).denominator.bit_length())
    if base not in (0, 1, -1) and (size - 1) * abs(exponent) > MAX_BITS:
        raise ValueProblem(f"a number has more than {MAX_DIGITS} digits")
    if base in (1, -1):
        exponent %= 2
    return number(Fraction(base) ** exponent)


_INTEGER: dict[str, Callable[[int, int], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_ANY_NUMBER: dict[str, Callable[[Any, Any], Any]] = {**_INTEGER}


# --- Functions --------------------------------------------------------------------------------------


class Builtin(Struct, frozen=True):
    """A function of the language."""

    name: str
    call: Callable[..., Any]
    fewest: int
    most: int


def _numbers(name: str, values: tuple[Any, ...]) -> list[int | Fraction]:
    for value in values:
        if not is_number(value):
            raise ValueProblem(f"`{name}` needs numbers, got {type_name(value)}")
    return list(values)


def _list(name: str, value: Any) -> tuple[Any, ...]:
    if type(value) is not tuple:
        raise ValueProblem(f"`{name}` needs a list, got {type_name(value)}")
    return value


def _whole(name: str, value: Any) -> int:
    whole = as_whole(value)
    if whole is None:
        raise ValueProblem(f"`{name}` needs a whole number, got {got(value)}", help=to_whole(value))
    return whole  # type: ignore[no-any-return]


def _floor(x: Any) -> int:
    return math.floor(_numbers("floor", (x,))[0])


def _ceil(x: Any) -> int:
    return math.ceil(_numbers("ceil", (x,))[0])


def _round(x: Any) -> int:
    return math.floor(_numbers("round", (x,))[0] + Fraction(1, 2))


def _extreme(name: str, choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        items = _list(name, values[0]) if len(values) == 1 else values
        if not items:
            raise ValueProblem(f"`{name}` of an empty list")
        return choose(_numbers(name, items))

    return call


def _sum(values: Any) -> Any:
    total: Any = 0
    for value in _numbers("sum", _list("sum", values)):
        total = number(total + value)
    return total


def _range(*bounds: Any) -> tuple[int, ...]:
    whole = [_whole("range", bound) for bound in bounds]
    if len(whole) == 3 and whole[2] == 0:
        raise ValueProblem("the step of `range` is zero")
    numbers = range(*whole)
    if numbers and abs(numbers[-1] - numbers[0]) // abs(numbers.step) >= MAX_VALUES:
        raise ValueProblem(f"`range` has more than {MAX_VALUES:,} values")
    return tuple(numbers)


def _enumerate(values: Any) -> tuple[Any, ...]:
    return make_list(tuple(enumerate(_list("enumerate", values))))


def _zip(*lists: Any) -> tuple[Any, ...]:
    rows = [_list("zip", value) for value in lists]
    if len({len(row) for row in rows}) > 1:
        lengths = ", ".join(str(len(row)) for row in rows)
        raise ValueProblem(f"`zip` needs lists of equal length, got {lengths}")
    return make_list(tuple(zip(*rows, strict=True)))


MANY = 1_000

BUILTINS = {
    function.name: function
    for function in (
        Builtin("floor", _floor, 1, 1),
        Builtin("ceil", _ceil, 1, 1),
        Builtin("round", _round, 1, 1),
        Builtin("min", _extreme("min", smallest), 1, MANY),
        Builtin("max", _extreme("max", largest), 1, MANY),
        Builtin("sum", _sum, 1, 1),
        Builtin("len", lambda values: len(_list("len", values)), 1, 1),
        Builtin("range", _range, 1, 3),
        Builtin("enumerate", _enumerate, 1, 1),
        Builtin("zip", _zip, 2, MANY),
    )
}
"""The functions of the language, by name."""
