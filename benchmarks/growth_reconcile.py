"""The growth of `reconcile` with the variants of a network: about linear, because their file is read once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


def variants(n: int) -> None:
    """A figure of a network that has `n` variants in its file."""
    from archcalc.reconcile import reconcile

    nets = ["net n(c=4) { input(3x8x8) -> conv(c, 3) -> flatten -> fc(10) }"]
    nets += [f"net n_{i} = n(c={i + 5})" for i in range(n)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "variants.arch")
        path.write_text("\n".join(nets) + "\n", encoding="utf-8")
        reconcile(f"{path}:n", ["112 params"])


CASES: dict[str, Callable[[int], None]] = {"reconcile of n variants": variants}
"""The cases to measure with growing `n`, by name."""
