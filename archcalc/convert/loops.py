"""Turns runs of equal steps into `repeat`, and rows of similar steps into `for`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from archcalc.convert.formulas import differences
from archcalc.convert.plan import (
    GrowLine,
    KeptTensor,
    LayerStep,
    Line,
    PartStep,
    RepeatLine,
    RowsLine,
    Script,
    Shapes,
    Slot,
    Step,
    Thread,
    ThreadLine,
    free_slots,
    goes_on,
    slots_of_step,
    weight,
)
from archcalc.layers.base import Input

LONGEST_PERIOD = 32
"""Steps of what is repeated. With it, finding runs takes linear time."""

MOST_COLUMNS = 6
"""The most values in a row of a loop; more would be hard to read."""

MOST_ROWS = 30
"""Rows of a loop."""

MIN_LOOP = 3
"""A loop over rows replaces at least this many layers and calls."""

Unit = Step | RepeatLine | RowsLine


def with_loops(script: Script, shapes: Shapes) -> Script:
    """Return a script with its runs as loops."""
    lines: list[Line] = []
    steps: list[Step] = []
    for line in _grown(script.lines, shapes):
        if isinstance(line, ThreadLine) and line.binds in ("", "label"):
            if not goes_on(line.thread):
                lines += _looped(steps, shapes)
                steps = []
            if line.thread.start is not None:
                lines.append(ThreadLine(Thread(line.thread.start, [])))
            steps += line.thread.steps
            if line.binds and line.local is not None:
                lines += _labelled(_looped(steps, shapes), line.local)
                steps = []
        else:
            lines += _looped(steps, shapes)
            steps = []
            lines.append(line)
    return Script(_joined([*lines, *_looped(steps, shapes)]))


def _labelled(lines: list[Line], local: KeptTensor) -> list[Line]:
    """Return lines with a name for the last tensor."""
    last = lines[-1] if lines else None
    if isinstance(last, ThreadLine):
        last.binds, last.local = "label", local
        return lines
    return [*lines, ThreadLine(Thread(None, []), "let", local)]  # a loop has no label


def _grown(lines: Sequence[Line], shapes: Shapes) -> Iterable[Line]:
    """Return lines in which runs of equal lines that add to a list are repeated."""
    for _, group in itertools.groupby(lines, partial(_growth, shapes=shapes)):
        first, *others = group
        if isinstance(first, GrowLine) and others:
            yield RepeatLine(Slot("count", 1 + len(others)), Script([first]))
        else:
            yield from (first, *others)


def _growth(line: Line, shapes: Shapes) -> int:
    """Return a number for a line that adds to a list, values included; 0 for any other line."""
    if not isinstance(line, GrowLine):
        return 0
    script = Script([line])
    values = tuple((slot.value, type(slot.value)) for slot in free_slots(script))
    return 1 + shapes.number(("grow", shapes.script(script, {}), values))


def _joined(lines: list[Line]) -> list[Line]:
    """Return lines in which a bare tensor and the steps from it are on one line again."""
    found: list[Line] = []
    for line in lines:
        last = found[-1] if found else None
        if (
            isinstance(last, ThreadLine)
            and not last.binds
            and last.thread.start is not None
            and not last.thread.steps
            and isinstance(line, ThreadLine)
            and line.binds in ("", "label")
            and goes_on(line.thread)
        ):
            found[-1] = ThreadLine(Thread(last.thread.start, line.thread.steps), line.binds, line.local)
        else:
            found.append(line)
    return found


def _looped(steps: list[Step], shapes: Shapes) -> list[Line]:
    """Return the lines of a chain of steps."""
    units: list[Unit] = [*steps]
    units = _repeated(units, shapes, nested=False)
    units = _rows(units, shapes)
    return _lines_of(_repeated(units, shapes, nested=True))


def _lines_of(units: Sequence[Unit]) -> list[Line]:
    lines: list[Line] = []
    open_: list[Step] = []
    for unit in units:
        if isinstance(unit, RepeatLine | RowsLine):
            if open_:
                lines.append(ThreadLine(Thread(None, open_)))
            lines.append(unit)
            open_ = []
        else:
            open_.append(unit)
    if open_:
        lines.append(ThreadLine(Thread(None, open_)))
    return lines


def _runs(
    numbers: Sequence[int], periods: Iterable[int], most: int, worth: Callable[[int, int, int], bool]
) -> list[tuple[int, int, int]]:
    """Return the start, period and count of each run in which a sequence repeats; runs do not overlap.

    `worth(start, period, count)` says whether a loop is worth writing. Of the runs that start at one
    position, the longest is taken, and among equally long ones the one with the smallest period.
    """
    equal = {period: _equal_ahead(numbers, period) for period in periods if 2 * period <= len(numbers)}
    found = []
    at = 0
    while at < len(numbers):
        best = (1, 1)
        for period, ahead in equal.items():
            count = min(most, (ahead[at] if at < len(ahead) else 0) // period + 1)
            if count > 1 and period * count > best[0] * best[1] and worth(at, period, count):
                best = (period, count)
        period, count = best
        if count > 1:
            found.append((at, period, count))
        at += period * count
    return found


def _equal_ahead(numbers: Sequence[int], period: int) -> list[int]:
    """Return, for each position, how many numbers from there on equal those one period ahead."""
    equal = [0] * (len(numbers) - period + 1)
    for place in range(len(numbers) - period - 1, -1, -1):
        equal[place] = equal[place + 1] + 1 if numbers[place] == numbers[place + period] else 0
    return equal


def _repeated(units: list[Unit], shapes: Shapes, nested: bool) -> list[Unit]:
    """Return units with runs of equal ones repeated, short periods first; if `nested`, loops too."""
    unlike = itertools.count(-2, -1)
    numbers = [_exact(unit, shapes, nested, next(unlike)) for unit in units]
    for period in range(1, LONGEST_PERIOD + 1):
        if 2 * period > len(units):
            break
        runs = _runs(numbers, [period], len(units), partial(_worth_repeating, units))
        shift = 0
        for start, _, times in runs:
            own = slice(start - shift, start - shift + period * times)
            body = _lines_of(units[start - shift : start - shift + period])
            loop = RepeatLine(Slot("count", times), Script(body))
            units[own], numbers[own] = [loop], [_exact(loop, shapes, nested, next(unlike))]
            shift += period * times - 1
    return units


def _worth_repeating(units: list[Unit], start: int, period: int, count: int) -> bool:
    body = units[start : start + period]
    size = sum(map(_size, body))
    return size > 1 or count > 2 or any(isinstance(unit, PartStep | RepeatLine | RowsLine) for unit in body)


def _exact(unit: Unit, shapes: Shapes, nested: bool, otherwise: int) -> int:
    """Return a number for a unit and its values; `otherwise` if it cannot be repeated."""
    if isinstance(unit, RepeatLine | RowsLine):
        if not nested:
            return otherwise
        script = Script([unit])
        values = tuple((slot.value, type(slot.value)) for slot in free_slots(script))
        return shapes.number(("loop", shapes.script(script, {}), values))
    return shapes.exact(unit) if _may_repeat(unit) else otherwise


def _may_repeat(step: Step) -> bool:
    return not (isinstance(step, LayerStep) and isinstance(step.layer, Input))


def _rows(units: list[Unit], shapes: Shapes) -> list[Unit]:
    """Return units with runs of similar ones as loops over rows."""
    numbers = [_similar(unit, shapes, -place) for place, unit in enumerate(units, 2)]

    def worth(start: int, period: int, times: int) -> bool:
        size = sum(map(_size, units[start : start + period]))
        if size * times < MIN_LOOP:
            return False
        columns = max(len(_rows_of(units, start, period, rows)[0]) for rows in (2, times))
        if not 1 <= columns <= MOST_COLUMNS:
            return False
        saved = size * (times - 1)
        if period > 1 or size > 1:
            return saved >= 2 * columns
        fewest = 3 if isinstance(units[start], PartStep) else 4
        return saved >= columns and times >= fewest

    found: list[Unit] = []
    done = 0
    for start, period, count in _runs(numbers, range(1, LONGEST_PERIOD // 2), MOST_ROWS, worth):
        found += units[done:start]
        found.append(_row_loop(units, start, period, count))
        done = start + period * count
    return found + units[done:]


def _similar(unit: Unit, shapes: Shapes, otherwise: int) -> int:
    """Return a number for the structure of a unit. A call and the same call repeated are similar."""
    if isinstance(unit, RowsLine):
        return otherwise
    if isinstance(unit, RepeatLine):
        single = _single_call(unit)
        if single is not None:
            return shapes.step(single, {})
        return shapes.number(("repeat", shapes.script(unit.script, {})))
    return shapes.step(unit, {}) if _may_repeat(unit) else otherwise


def _single_call(unit: RepeatLine) -> PartStep | None:
    """Return the only step of a repeated script, if it calls a part."""
    (line, *others) = unit.script.lines
    if others or not isinstance(line, ThreadLine) or len(line.thread.steps) != 1:
        return None
    step = line.thread.steps[0]
    return step if isinstance(step, PartStep) else None


def _size(unit: Unit) -> int:
    if isinstance(unit, RepeatLine | RowsLine):
        return 1 + sum(
            sum(map(weight, line.thread.steps)) if isinstance(line, ThreadLine) else 1
            for line in unit.script.lines
        )
    return weight(unit)


def _slots(unit: Unit, counted: bool) -> list[Slot]:
    """Return the slots of a unit; a single call has a count of 1 where others in its column have a count."""
    if isinstance(unit, RepeatLine):
        return [unit.count, *free_slots(unit.script)]
    assert not isinstance(unit, RowsLine)
    count = [Slot("count", 1)] if counted else []
    return count + slots_of_step(unit)


def _rows_of(
    units: list[Unit], start: int, period: int, count: int
) -> tuple[list[tuple[object, ...]], list[list[Slot]], list[bool]]:
    """Return the differences between rows, the slots of each row, and the columns that are repeated."""
    rows = [units[start + row * period : start + (row + 1) * period] for row in range(count)]
    counted = [any(isinstance(row[place], RepeatLine) for row in rows) for place in range(period)]
    slots = [
        [slot for unit, repeated in zip(row, counted, strict=True) for slot in _slots(unit, repeated)]
        for row in rows
    ]
    return differences(slots).values, slots, counted


def _row_loop(units: list[Unit], start: int, period: int, count: int) -> RowsLine:
    _, slots, counted = _rows_of(units, start, period, count)
    found = differences(slots)
    rows = [
        [Slot(v.hint, values[row]) for v, values in zip(found.variables, found.values, strict=True)]
        for row in range(count)
    ]
    lines: list[Line] = []
    open_: list[Step] = []
    taken = 0
    for unit, repeated in zip(units[start : start + period], counted, strict=True):
        own = len(_slots(unit, repeated))
        if repeated and not isinstance(unit, RepeatLine):
            assert not isinstance(unit, RowsLine)
            unit = RepeatLine(slots[0][taken], Script([ThreadLine(Thread(None, [unit]))]))
        for slot, formula in zip(
            slots[0][taken : taken + own], found.formulas[taken : taken + own], strict=True
        ):
            slot.formula = formula
        taken += own
        if isinstance(unit, RepeatLine):
            if open_:
                lines.append(ThreadLine(Thread(None, open_)))
                open_ = []
            lines.append(unit)
        else:
            assert not isinstance(unit, RowsLine)
            open_.append(unit)
    if open_:
        lines.append(ThreadLine(Thread(None, open_)))
    return RowsLine(found.variables, rows, Script(lines))
