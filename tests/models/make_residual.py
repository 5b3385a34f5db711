"""Makes `residual.pt2` and `residual.npz`, with PyTorch: `python tests/models/make_residual.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent


class Unit(nn.Module):
    """A residual unit that changes its tensors in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = (
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(True),
        )

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn(self.conv(x)))
        y += x
        return self.relu(y)


class Residual(nn.Module):
    """A unit that is called twice, a linear layer with channels last, two results, an unused layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, (3, 2), (1, 2)), nn.Dropout2d(0.1))
        self.units = nn.ModuleList([Unit(), Unit()])
        self.norm, self.mix, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 5)
        self.unused = nn.Linear(3, 2)

    def forward(self, image: Any) -> Any:
        x = self.stem(image)
        for unit in (self.units[0], self.units[1], self.units[0]):
            x = unit(x)
        x = self.mix(self.norm(x.permute(0, 2, 3, 1).contiguous())).permute(0, 3, 1, 2)
        vector = x.mean((2, 3))
        return {"logits": self.head(vector), "features": vector.view(vector.size(0), 2, 4)}


if __name__ == "__main__":
    torch.manual_seed(0)
    model = Residual().eval()
    with torch.no_grad():
        for unit in model.units:
            unit.bn.running_mean.normal_()
            unit.bn.running_var.uniform_(0.5, 1.5)
        image = torch.randn(2, 3, 13, 10)
        sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("rows", min=5, max=99)}
        torch.export.save(
            torch.export.export(model, (image,), dynamic_shapes=(sizes,)), HERE / "residual.pt2"
        )
        found = {name: value.numpy() for name, value in model(image).items()}
    np.savez_compressed(HERE / "residual.npz", image=image.numpy(), **found)
