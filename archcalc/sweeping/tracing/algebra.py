"""Integer expressions of the parameters of a sweep: builds, simplifies and bounds them.

A `Polynomial` has integer coefficients and is built from `Atom`s: parameters, and expressions that are not
polynomials of them: quotients rounded down, maxima, minima and choices. Equal expressions are one object, so
a part that many layers share is computed once. Every expression has bounds over all values of the parameters.
The bounds decide most comparisons and show where 64 bits are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import gcd, lcm
from typing import Any

from archcalc.sweeping.tracing.expressions import NEGATIVE, ZERO, Atom, Polynomial, Product, Question, answer

MOST_EXPANDED = 16
"""A product of two polynomials with more terms than this together is not multiplied out."""


class Algebra:
    """All expressions of a sweep."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._atoms: dict[tuple[Any, ...], Polynomial] = {}
        self._polynomials: dict[tuple[Any, ...], Polynomial] = {}
        self._constants: dict[int, Polynomial] = {}
        self._bounds: dict[Product, tuple[int, int, int]] = {}

    # -- construction

    def polynomial(self, const: int, terms: Mapping[Product, int]) -> Polynomial:
        return self._interned(const, tuple(sorted([item for item in terms.items() if item[1]])))

    def _interned(self, const: int, items: tuple[tuple[Product, int], ...]) -> Polynomial:
        """Return the one polynomial with these terms, which must be in order."""
        key = (const, items)
        found = self._polynomials.get(key)
        if found is None:
            low = high = const
            magnitude = abs(const)
            for product, factor in items:
                least, most, size = self.product_bounds(product)
                low += factor * (least if factor > 0 else most)
                high += factor * (most if factor > 0 else least)
                magnitude += abs(factor) * size
            found = Polynomial(len(self._polynomials), const, items, (low, high, magnitude))
            self._polynomials[key] = found
        return found

    def constant(self, value: int) -> Polynomial:
        found = self._constants.get(value)
        if found is None:
            found = self._constants[value] = self._interned(int(value), ())
        return found

    def shift(self, a: Polynomial, plus: int) -> Polynomial:
        """`a + plus`."""
        return self._interned(a.const + plus, a.terms) if plus else a

    def total(self, values: Sequence[Polynomial]) -> Polynomial:
        """Return the sum of several polynomials in one step."""
        const = 0
        terms: dict[Product, int] = {}
        for value in values:
            const += value.const
            for product, factor in value.terms:
                terms[product] = terms.get(product, 0) + factor
        return self.polynomial(const, terms)

    def product_bounds(self, product: Product) -> tuple[int, int, int]:
        """Return the bounds of a product, and a bound on all intermediate results."""
        found = self._bounds.get(product)
        if found is None:
            low = high = size = 1
            for number in product:
                atom = self.atoms[number]
                ends = (low * atom.low, low * atom.high, high * atom.low, high * atom.high)
                low, high = min(ends), max(ends)
                size *= max(1, abs(atom.low), abs(atom.high))
            found = self._bounds[product] = (low, high, size)
        return found

    def atom(self, kind: str, args: tuple[Any, ...], low: int, high: int) -> Polynomial:
        """Return an atom as a polynomial, or a constant if its bounds leave one value."""
        if low == high:
            return self.constant(low)
        key = (kind, *(arg.number if isinstance(arg, Polynomial) else ("value", arg) for arg in args))
        found = self._atoms.get(key)
        if found is None:
            atom = Atom(len(self.atoms), kind, args, low, high)
            self.atoms.append(atom)
            found = self._atoms[key] = self.polynomial(0, {(atom.number,): 1})
        return found

    def parameter(self, number: int, low: int, high: int) -> Polynomial:
        return self.atom("parameter", (number,), low, high)

    # -- arithmetic

    def add(self, a: Polynomial, b: Polynomial, times: int = 1) -> Polynomial:
        """`a + times * b`."""
        if not b.terms and not a.terms:
            return self.constant(a.const + times * b.const)
        terms = dict(a.terms)
        for product, factor in b.terms:
            terms[product] = terms.get(product, 0) + times * factor
        return self.polynomial(a.const + times * b.const, terms)

    def scale(self, a: Polynomial, factor: int, plus: int = 0) -> Polynomial:
        if factor == 0:
            return self.constant(plus)
        return self._interned(a.const * factor + plus, tuple([(p, c * factor) for p, c in a.terms]))

    def multiply(self, a: Polynomial, b: Polynomial) -> Polynomial:
        if not a.terms:
            return self.scale(b, a.const)
        if not b.terms:
            return self.scale(a, b.const)
        if (len(a.terms) + (a.const != 0)) * (len(b.terms) + (b.const != 0)) > MOST_EXPANDED:
            larger, other = (a, b) if len(a.terms) >= len(b.terms) else (b, a)
            return self.multiply(self.atom("whole", (larger,), larger.low, larger.high), other)
        terms: dict[Product, int] = {}
        for product, factor in (*a.terms, ((), a.const)):
            for second, other_factor in (*b.terms, ((), b.const)):
                if factor and other_factor:
                    joint = tuple(sorted(product + second))
                    terms[joint] = terms.get(joint, 0) + factor * other_factor
        return self.polynomial(terms.pop((), 0), terms)

    def floor(self, a: Polynomial, by: int) -> Polynomial:
        """Return `floor(a / by)` for a positive integer `by`.

        Multiples of `by` are taken out, and nested quotients become one quotient, so that equal numbers
        mostly have equal expressions: `((n-1)//2 + 1 - 1)//2 + 1` is `(n-1)//4 + 1`.
        """
        if by == 1:
            return a
        if a.terms and all(factor < 0 for _, factor in a.terms):  # -floor((by - 1 - a) / by)
            return self.scale(self.floor(self.scale(a, -1, by - 1), by), -1)
        outside: dict[Product, int] = {}
        inside: dict[Product, int] = {}
        for product, factor in a.terms:
            (inside if factor % by else outside)[product] = factor
        whole, const = divmod(a.const, by)
        rest = self.polynomial(const, inside)
        taken = {product: factor // by for product, factor in outside.items()}
        common = gcd(by, *(factor for _, factor in rest.terms))
        if common > 1:
            rest = self.polynomial(rest.const // common, {p: c // common for p, c in rest.terms})
            by //= common
        quotient = self._quotient(rest, by)
        return self.add(self.polynomial(whole, taken), quotient)

    def _quotient(self, rest: Polynomial, by: int) -> Polynomial:
        low, high = rest.low // by, rest.high // by
        if low == high:
            return self.constant(low)
        if len(rest.terms) == 1:
            (product, factor), *_ = rest.terms
            inner = self.atoms[product[0]] if len(product) == 1 and factor == 1 else None
            if inner is not None and inner.kind == "floor" and isinstance(inner.args[1], int):
                numerator, divisor = inner.args
                return self.floor(self.scale(numerator, 1, rest.const * divisor), by * divisor)
        return self.atom("floor", (rest, by), low, high)

    def divide(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """Return `floor(a / b)` for an expression `b` that is always positive."""
        exact = self.exact_quotient(a, b)
        if exact is not None:
            return exact
        ends = [x // y for x in (a.low, a.high) for y in (b.low, b.high)]
        return self.atom("floor", (a, b), min(ends), max(ends))

    def exact_quotient(self, a: Polynomial, b: Polynomial) -> Polynomial | None:
        """Return `a / b`, if `b` is a single product that divides every term of `a`."""
        if a is b:
            return self.constant(1)
        if b.const or a.const or len(b.terms) != 1:
            return None
        ((product, factor),) = b.terms
        terms: dict[Product, int] = {}
        for other, number in a.terms:
            left = list(other)
            for atom in product:
                if atom not in left:
                    return None
                left.remove(atom)
            if number % factor:
                return None
            terms[tuple(left)] = number // factor
        return self.polynomial(terms.pop((), 0), terms)

    def extreme(self, values: Iterable[Polynomial], most: bool) -> Polynomial:
        """Return the largest or smallest; candidates that bounds rule out are dropped."""
        found = list(dict.fromkeys(values))
        if most:
            least = max(value.low for value in found)
            found = [value for value in found if value.high >= least and (value.terms or value.low == least)]
            bounds = least, max(value.high for value in found)
        else:
            highest = min(value.high for value in found)
            found = [v for v in found if v.low <= highest and (v.terms or v.high == highest)]
            bounds = min(value.low for value in found), highest
        found = self._undecided(found, most)
        if len(found) == 1:
            return found[0]
        kind = "most" if most else "least"
        return self.atom(kind, tuple(sorted(found, key=lambda value: value.number)), *bounds)

    def _undecided(self, values: Sequence[Polynomial], most: bool) -> list[Polynomial]:
        """Drop polynomials that another one always exceeds. Long lists are left alone, to save time."""
        if len(values) > 40:
            return list(values)
        left: list[Polynomial] = []
        for value in values:
            ahead = (value, -1) if most else (value, 1)
            if any(self._never_below(other, *ahead) for other in left):
                continue
            left = [other for other in left if not self._never_below(value, other, ahead[1])]
            left.append(value)
        return left

    def _never_below(self, a: Polynomial, b: Polynomial, times: int) -> bool:
        """Return whether `a` is never below `b`; with `times=1`, whether it is never above it."""
        difference = self.add(a, b, -1)
        if times > 0:
            difference = self.scale(difference, -1)
        return difference.low >= 0 or self.tight(difference)[0] >= 0

    def choice(self, question: Question, a: Polynomial, b: Polynomial) -> Polynomial:
        """Return `a` if the answer to the question is yes, and `b` otherwise."""
        if a is b:
            return a
        kind, asked = question
        return self.atom("choice", (kind, asked, a, b), min(a.low, b.low), max(a.high, b.high))

    # -- comparisons

    def question(self, kind: str, a: Polynomial) -> tuple[Question, bool]:
        """Return the standard form of the question whether a polynomial is negative or zero.

        The second value says whether the answer to this form is the opposite of the answer asked for.
        """
        common = gcd(*(factor for _, factor in a.terms))
        if common > 1:
            if kind is ZERO and a.const % common:
                return (ZERO, self.constant(1)), False
            a = self.polynomial(a.const // common, {p: c // common for p, c in a.terms})
        if a.terms and a.terms[0][1] < 0:
            if kind is ZERO:
                return (kind, self.scale(a, -1)), False
            return (kind, self.scale(a, -1, -1)), True
        return (kind, a), False

    def decided(self, question: Question) -> bool | None:
        """Return the answer, if it is the same for all values of the parameters."""
        kind, a = question
        low, high = a.low, a.high
        for refine in (False, True):
            if refine:
                low, high = self.tight(a)
            if kind is NEGATIVE and (high < 0 or low >= 0):
                return high < 0
            if kind is ZERO and (low > 0 or high < 0 or low == high == 0):
                return low == high == 0
        return None

    def tight(self, a: Polynomial) -> tuple[int, int]:
        """Return bounds that relate a quotient to its dividend: `n // 2` never exceeds `n`."""
        low, high = self._relaxed(a, -1), self._relaxed(a, 1)
        return max(a.low, -((-low[0]) // low[1])), min(a.high, high[0] // high[1])

    def _relaxed(self, a: Polynomial, side: int) -> tuple[int, int]:
        """Return a bound as a fraction: each quotient `floor(x/d)` becomes `x/d` or `(x-d+1)/d`."""
        scale, current = 1, a
        for _ in range(4):
            replaced = [
                (product[0], factor)
                for product, factor in current.terms
                if len(product) == 1 and self._is_quotient(product[0])
            ]
            if not replaced:
                break
            divisor = lcm(*(self.atoms[number].args[1] for number, _ in replaced))
            scale *= divisor
            changed = self.scale(current, divisor)
            for number, factor in replaced:
                numerator, by = self.atoms[number].args
                changed = self.add(changed, self.polynomial(0, {(number,): 1}), -factor * divisor)
                slack = by - 1 if factor * side < 0 else 0
                changed = self.add(changed, self.scale(numerator, 1, -slack), factor * (divisor // by))
            current = changed
        return (current.high if side > 0 else current.low), scale

    def _is_quotient(self, number: int) -> bool:
        atom = self.atoms[number]
        return atom.kind == "floor" and isinstance(atom.args[1], int)

    # -- parts

    def inner(self, a: Polynomial) -> list[int]:
        """Return the numbers of all atoms that an expression is computed from, each after those it needs."""
        waiting = [number for numbers, _ in a.terms for number in numbers]
        found: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self.atoms[number].needs
        return sorted(found)

    # -- evaluation

    def value(self, a: Polynomial, known: dict[int, int]) -> int:
        """Return the value for these known atoms; parameters must be among them."""
        total = a.const
        for product, factor in a.terms:
            for number in product:
                if number not in known:
                    self._find(number, known)
                factor *= known[number]
            total += factor
        return total

    def _find(self, wanted: int, known: dict[int, int]) -> None:
        """Compute an atom after the atoms that it needs. Not recursive, because networks are deep."""
        waiting = [wanted]
        while waiting:
            number = waiting[-1]
            missing = [needed for needed in self.atoms[number].needs if needed not in known]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if number not in known:
                known[number] = self._compute(self.atoms[number], known)

    def _compute(self, atom: Atom, known: dict[int, int]) -> int:
        if atom.kind == "choice":
            kind, asked, a, b = atom.args
            return self.value(a if answer(kind, self.value(asked, known)) else b, known)
        values = [self.value(arg, known) if isinstance(arg, Polynomial) else arg for arg in atom.args]
        if atom.kind == "floor":
            return int(values[0] // values[1])
        return int(max(values) if atom.kind == "most" else min(values))
