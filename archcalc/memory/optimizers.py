"""What an optimizer keeps for each parameter that is trained."""

from __future__ import annotations

from msgspec import Struct


class Optimizer(Struct, frozen=True):
    """`values` are kept for each trained parameter, and `per_array` bytes for each array of them."""

    name: str
    values: int
    per_array: int = 0
    words: str = ""


OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("none", 0, words="nothing is updated"),
        Optimizer("sgd", 0, words="no state"),
        Optimizer("momentum", 1, words="a momentum for each parameter"),
        Optimizer("adam", 2, 4, "two moments for each parameter, a step count of 4 bytes for each array"),
        Optimizer("adamw", 2, 4, "two moments for each parameter, a step count of 4 bytes for each array"),
    )
}
"""As PyTorch keeps them: `torch.optim.SGD`, `Adam`, `AdamW`, with their defaults."""
