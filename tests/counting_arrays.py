"""Arrays that count what is computed with them, value by value, without products of matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from backward_checks import Applied

from archcalc.executor.backward import Back, run_backward
from archcalc.executor.kernel import computing
from archcalc.layers.backward import Needs

CATEGORIES: dict[Any, str] = {
    np.add: "add",
    np.subtract: "add",
    np.negative: "add",
    np.multiply: "mul",
    np.divide: "div",
    np.tanh: "special",
    np.greater: "compare",
}


class Counting(np.ndarray):
    counts: Counter[str] = Counter()

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **how: Any) -> Any:
        raw = [x.view(np.ndarray) if isinstance(x, Counting) else x for x in inputs]
        if how.get("out") is not None:
            how["out"] = tuple(np.asarray(x).view(np.ndarray) for x in how["out"])
        found = getattr(function, method)(*raw, **how)
        category = CATEGORIES.get(function)
        if category is not None and method == "__call__":
            self.counts[category] += np.size(found)
        elif function is np.add and method == "reduce":
            # the first value is not added to any; over the batch, samples count one by one
            axes = how["axis"] if isinstance(how["axis"], tuple) else (how["axis"],)
            self.counts["add"] += raw[0].size - (0 if 0 in axes else np.size(found))
        elif function is np.add and method == "at":
            self.counts["add"] += raw[2].size
        return np.asarray(found).view(Counting)


def counted(applied: Applied, needs: Needs, indices: bool = False) -> dict[str, int]:
    """What the backward pass of a layer computes for one sample, by category."""

    def counting(array: np.ndarray) -> np.ndarray:
        return np.array(array).view(Counting)

    def all_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: counting(array) for name, array in arrays.items()}

    back = Back(
        counting(applied.gradient),
        applied.inputs if indices else [counting(x) for x in applied.inputs],
        counting(applied.out),
        all_of(applied.kept),
        all_of(applied.weights),
        needs,
    )
    Counting.counts.clear()
    with computing():
        run_backward(applied.layer, back)
    batch = len(applied.out)
    assert not any(count % batch for count in Counting.counts.values())
    return {category: count // batch for category, count in Counting.counts.items()}
