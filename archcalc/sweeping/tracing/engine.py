"""Computes figures of many networks from traces, and finds the points that each trace covers.

Traces are kept in a tree of the questions that they ask, in order. A point follows the tree by its answers.
If it reaches an end without a trace, the point is traced. So each point gets the figures, or the error, of a
run of the language and the layers with its own answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from archcalc import number
from archcalc.diagnostics import ArchError
from archcalc.render.progress import Advance, unseen_steps
from archcalc.sweeping.space import Space
from archcalc.sweeping.tracing.compiled import CompiledFigures
from archcalc.sweeping.tracing.expressions import IS, Polynomial, Question
from archcalc.sweeping.tracing.points import SAFE, PointValues
from archcalc.sweeping.tracing.symbols import SweptNumber, made
from archcalc.sweeping.tracing.trace import Shared, Trace

Measure = Callable[[Mapping[str, Any]], Sequence[Any]]
"""Makes a network with values for the dimensions, and returns its figures. Raises `ArchError`."""


class TraceEnd(Struct, eq=False):
    """The end of a trace: the figures as expressions, or an error with placeholders for its numbers."""

    figures: tuple[Polynomial, ...] = ()
    problem: str = ""
    """The first message of the error."""
    number: int = 0
    traced: tuple[int, ...] = ()
    """The point that was traced."""
    points: int = 0
    """How many points have come here."""
    checked: bool = True
    """Was it compared with a network at another point than the traced one, if that is asked for?"""
    compiled: CompiledFigures | None = None


class Fork(Struct, eq=False):
    """A question, and the subtree for each answer."""

    question: Question
    after: dict[int, Fork | TraceEnd] = {}


class Rows(Struct, eq=False):
    """Points with their figures: the index of the value in each dimension, a column for each figure, and the
    number of the error, -1 if there is none."""

    digits: list[Any]
    columns: list[Any]
    errors: Any

    @property
    def count(self) -> int:
        return len(self.errors)

    def chosen(self, places: Any) -> Rows:
        return Rows(
            [values[places] for values in self.digits],
            [values[places] for values in self.columns],
            self.errors[places],
        )


class Untraceable(Exception):
    """Code that makes or measures the network does something that symbolic numbers do not support."""


class Engine:
    """Computes figures of points of a space. `measure` says how to make a network and what to measure.

    With `doubts`, each trace is compared with networks that are made and measured without symbolic numbers,
    at two points. If a figure differs, all points are computed one by one.
    """

    def __init__(
        self, space: Space, measure: Measure, figures: int, with_windows: bool = False, doubts: bool = False
    ) -> None:
        self.space = space
        self.measure = measure
        self.figures = figures
        self.doubts = doubts
        self.shared = Shared()
        self.shared.with_windows = with_windows
        self.root: Fork | TraceEnd | None = None
        self.endings: list[TraceEnd] = []
        self.advance: Advance = unseen_steps
        """Called with the number of points that are done."""
        self.untraceable = ""
        """Why points are computed one by one, if they are."""
        self._single: list[str] = []
        """The messages of errors of points that were computed one by one."""
        algebra = self.shared.algebra
        self._parameters: list[Polynomial] = []
        for index, dimension in enumerate(space.dimensions):
            bounds = dimension.bounds() if dimension.is_numeric else (0, dimension.count - 1)
            self._parameters.append(algebra.parameter(index, *bounds))

    # -- points

    def evaluate(self, digits: list[Any]) -> Rows:
        """Return the figures of points, given the index of their value in every dimension."""
        found = self._empty(digits)
        if not self.untraceable and found.count:
            try:
                self._descend(self._points(digits), np.arange(found.count), found)
            except Untraceable as problem:
                self.untraceable = str(problem)
                found = self._empty(digits)
        if self.untraceable:
            self._one_by_one(found)
        return found

    def _empty(self, digits: list[Any]) -> Rows:
        count = len(digits[0])
        columns = [np.zeros(count, dtype=np.int64) for _ in range(self.figures)]
        return Rows(digits, columns, np.full(count, -1, dtype=np.int32))

    def values(self, digits: list[Any], figure: Polynomial) -> Any:
        """Return the values of an expression at points, whether or not it is a figure of these points."""
        return np.broadcast_to(self._points(digits).of(figure), len(digits[0]))

    def _points(self, digits: list[Any]) -> PointValues:
        computed: dict[int, Any] = {}

        def parameter(index: int) -> Any:
            if index not in computed:
                dimension, values = self.space.dimensions[index], digits[index].astype(np.int64)
                computed[index] = dimension.numerators(values) if dimension.is_numeric else values
            return computed[index]

        return PointValues(self.shared.algebra, parameter, len(digits[0]))

    def _descend(self, values: PointValues, places: Any, found: Rows) -> None:
        """Follow points down the tree. `places` are their positions in the result. Raises `Untraceable`."""
        waiting: list[tuple[Fork | None, int, PointValues, Any]] = [(None, 0, values, places)]
        while waiting:
            fork, given, values, places = waiting.pop()
            node = self.root if fork is None else fork.after.get(given)
            while node is None:  # no trace yet: trace the first point
                self._trace([int(column[places[0]]) for column in found.digits])
                node = self.root if fork is None else fork.after.get(given)
            if isinstance(node, TraceEnd):
                self._end(node, values, places, found)
                continue
            answers = values.answers(node.question)
            for answer, chosen in _split(node.question, answers):
                if chosen is None:
                    waiting.append((node, answer, values, places))
                else:
                    waiting.append((node, answer, values.subset(chosen), places[chosen]))

    def _end(self, ending: TraceEnd, values: PointValues, places: Any, found: Rows) -> None:
        ending.points += len(places)
        if ending.problem:
            found.errors[places] = ending.number
        else:
            self._fill(ending, values, places, found)
        if not ending.checked:
            self._compare(ending, places, found)
        self.advance(len(places))

    def _fill(self, ending: TraceEnd, values: PointValues, places: Any, found: Rows) -> None:
        if ending.compiled is None:
            ending.compiled = CompiledFigures(self.shared.algebra, ending.figures)
        for number_, figure in enumerate(ending.figures):
            if figure.magnitude >= SAFE and found.columns[number_].dtype != object:
                found.columns[number_] = found.columns[number_].astype(object)
        for start in range(0, len(places), AT_ONCE):
            part = places[start : start + AT_ONCE]
            some = values if len(part) == len(places) else values.subset(np.arange(start, start + len(part)))
            for column, figures in zip(found.columns, ending.compiled.of(some), strict=True):
                column[part] = figures

    def _compare(self, ending: TraceEnd, places: Any, found: Rows) -> None:
        """Compare a trace with the network of another point, if there is one. Raises `Untraceable`."""
        for place in (places[-1], places[0]):
            digits = [int(column[place]) for column in found.digits]
            if tuple(digits) != ending.traced:
                ending.checked = True
                computed = [int(column[place]) for column in found.columns]
                self._check(digits, self.problem(ending.number, digits) if ending.problem else computed)
                return

    def _check(self, digits: Sequence[int], computed: Any) -> None:
        """Raise `Untraceable` unless the network of a point has these figures, or this error."""
        try:
            measured: Any = [int(figure) for figure in self.measure(self.space.values(digits))]
        except ArchError as problem:
            measured = _message(problem)
        if measured != computed:
            raise Untraceable("symbolic sizes give other figures")

    def _one_by_one(self, found: Rows) -> None:
        """Compute figures without traces: make and measure each network by itself."""
        for place in range(found.count):
            self.advance(1)
            try:
                figures = self.measure(self.space.values([digits[place] for digits in found.digits]))
            except ArchError as problem:
                self._single.append(_message(problem))
                found.errors[place] = len(self._single) + FIRST_SINGLE
                continue
            for number_, figure in enumerate(figures):
                if abs(figure) >= SAFE and found.columns[number_].dtype != object:
                    found.columns[number_] = found.columns[number_].astype(object)
                found.columns[number_][place] = figure

    def problem(self, error: int, digits: Sequence[Any]) -> str:
        """Return the error message of a point with this error number."""
        if error > FIRST_SINGLE:
            return self._single[error - FIRST_SINGLE - 1]
        text = self.endings[error].problem
        return self.shared.texts.filled(text, self.shared.algebra, self._known(digits))

    # -- traces

    def _known(self, digits: Sequence[Any]) -> dict[int, int]:
        known = {}
        for dimension, over, digit in zip(self.space.dimensions, self._parameters, digits, strict=True):
            if over.terms:
                value = dimension.numerators(np.array([int(digit)]))[0] if dimension.is_numeric else digit
                known[over.terms[0][0][0]] = int(value)
        return known

    def symbolic(self, trace: Trace) -> dict[str, Any]:
        """Return the arguments of a traced network: symbolic numbers, and one value for anything else."""
        values: dict[str, Any] = {}
        for dimension, over in zip(self.space.dimensions, self._parameters, strict=True):
            if dimension.is_numeric:
                values[dimension.name] = made(self.shared, over, dimension.divisor)
            else:
                values[dimension.name] = dimension.value(trace.fix(over))
        return values

    def _trace(self, digits: Sequence[int]) -> None:
        """Trace a point and add its path to the tree. Raises `Untraceable`."""
        trace = Trace(self.shared, self._known(digits))
        number.active = self.shared.trace = trace
        ending = TraceEnd(number=len(self.endings), traced=tuple(digits), checked=not self.doubts)
        try:
            ending.figures = tuple(map(self._polynomial, self.measure(self.symbolic(trace))))
        except ArchError as problem:
            ending.problem = _message(problem)
        except Exception as problem:  # the code needs plain numbers: points are computed one by one
            raise Untraceable(f"{type(problem).__name__}: {problem}") from problem
        finally:
            number.active = self.shared.trace = None
        if len(self.endings) >= MOST_ENDINGS:
            raise Untraceable(f"more than {MOST_ENDINGS:,} traces")
        self.endings.append(ending)
        self._insert(trace.path, ending)
        if self.doubts:
            self._doubt(ending)

    def _doubt(self, ending: TraceEnd) -> None:
        """Raise `Untraceable` if a new trace is wrong at its own point, or if traces do not save time."""
        if len(self.endings) > FEW_ENDINGS:
            points = sum(each.points for each in self.endings[:FEW_ENDINGS])
            if points < WORTHWHILE * FEW_ENDINGS:
                raise Untraceable("a trace covers too few points")
        known, algebra = self._known(ending.traced), self.shared.algebra
        computed = [algebra.value(figure, known) for figure in ending.figures]
        self._check(ending.traced, self.problem(ending.number, ending.traced) if ending.problem else computed)

    def _polynomial(self, figure: Any) -> Polynomial:
        if isinstance(figure, SweptNumber):
            assert figure.divisor == 1, "a figure is a whole number"
            return figure.over
        return self.shared.algebra.constant(int(figure))

    def _insert(self, path: Sequence[tuple[Question, int]], ending: TraceEnd) -> None:
        node: Fork | TraceEnd | None = self.root
        last: Fork | None = None
        given = 0
        for question, answer in path:
            if node is None:
                node = Fork(question)
                self._put(last, given, node)
            if not isinstance(node, Fork) or node.question[1] is not question[1]:
                raise Untraceable("two traces with equal answers differ")
            last, given = node, answer
            node = node.after.get(answer)
        if node is not None:
            raise Untraceable("two traces with equal answers differ")
        self._put(last, given, ending)

    def _put(self, fork: Fork | None, given: int, node: Fork | TraceEnd) -> None:
        if fork is None:
            self.root = node
        else:
            fork.after[given] = node


AT_ONCE = 4096
"""Figures of this many points are computed together: their arrays fit into processor caches."""

MOST_ENDINGS = 20_000
"""The most traces that are kept; after that, points are computed one by one."""

FEW_ENDINGS, WORTHWHILE = 8, 4
"""If so many traces cover fewer points each, networks made one by one are faster, as a trace takes longer."""

FIRST_SINGLE = MOST_ENDINGS
"""Numbers of errors above it are of points that were computed one by one."""


def _split(question: Question, answers: Any) -> list[tuple[int, Any]]:
    """Return the answers that occur, each with the points that give it; `None` means all points."""
    if question[0] is IS:
        first = int(answers[0])
        if (answers == first).all():
            return [(first, None)]
        order = np.argsort(answers, kind="stable")
        values, starts = np.unique(answers[order], return_index=True)
        pieces = np.split(order, starts[1:])
        return [(int(value), piece) for value, piece in zip(values, pieces, strict=True)]
    if answers.all():
        return [(1, None)]
    if not answers.any():
        return [(0, None)]
    return [(1, answers), (0, ~answers)]


def _message(problem: ArchError) -> str:
    return problem.diagnostics[0].message
