"""The state that an optimizer keeps for each trained parameter."""

from __future__ import annotations

from msgspec import Struct


class Optimizer(Struct, frozen=True):
    """An optimizer keeps `values` per trained parameter, and `per_array` bytes per trained array."""

    name: str
    values: int
    per_array: int = 0
    words: str = ""


OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("none", 0, words="nothing is updated"),
        Optimizer("sgd", 0, words="no state"),
        Optimizer("momentum", 1, words="one momentum per parameter"),
        Optimizer("adam", 2, 4, "two moments per parameter, and a step count of 4 bytes per array"),
        Optimizer("adamw", 2, 4, "two moments per parameter, and a step count of 4 bytes per array"),
    )
}
"""As in PyTorch: `torch.optim.SGD`, `Adam`, and `AdamW`, with their defaults."""
