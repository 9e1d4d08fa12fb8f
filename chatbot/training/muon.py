"""Muon: momentum, made orthogonal, for the matrices inside of a model.

torch has one since 2.9; this one takes matrices of one shape together, which a small model has many of: see
docs/training.md for what that saves. It runs in whatever dtype products have, and on weights kept in parts.

m, n: rows and columns of a matrix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from chatbot.training.world import part, whole

# a, b, c of each iteration of X <- a X + b (X X') X + c (X X')^2 X (Jordan et al. 2024): singular values
# under 1 come to lie between 0.7 and 1.2.
ITERATIONS = 5 * ((3.4445, -4.7750, 2.0315),)
LENGTH = 0.2  # of a step, root mean square per weight and learning rate: AdamW's (Liu et al. 2025, eq. 4)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) with Nesterov's momentum and decay apart from the gradient.

    Steps have the length of AdamW's (Liu et al. 2025, eq. 4), so that both take one learning rate.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Follow the gradients; `closure` is not called."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for matrices in alike.values():
                self._step(matrices, group)

    def _step(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One for matrices of one shape."""
        ahead = torch.stack([whole(self._ahead(matrix, group["momentum"])) for matrix in matrices])
        rate = group["lr"] * LENGTH * max(ahead.shape[1:]) ** 0.5
        for matrix, direction in zip(matrices, orthogonal(ahead), strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(part(direction.to(matrix.dtype), matrix), alpha=-rate)

    def _ahead(self, matrix: nn.Parameter, momentum: float) -> Tensor:
        """Where momentum and gradient point (Nesterov)."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix.grad)
        mean: Tensor = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(mean, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with orthogonal rows or columns, nearly: U V' of each U S V' (B, m, n).

    By Newton-Schulz iterations (Jordan et al. 2024), in autocast's dtype where that is on.
    """
    device = matrices.device.type
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if tall else matrices  # products of the shorter side
    found = found / torch.linalg.matrix_norm(found, keepdim=True).clamp(min=1e-7)
    if torch.is_autocast_enabled(device):
        found = found.to(torch.get_autocast_dtype(device))
    for a, b, c in ITERATIONS:
        square = found @ found.mT
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        found = torch.baddbmm(found, factor, found, beta=a)
    return found.mT if tall else found
