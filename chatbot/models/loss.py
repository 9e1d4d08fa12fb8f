"""The output layer and the cross-entropy after it, in pieces.

With a vocabulary of thousands this is the dearest part of a small model, and most of its time went into
fresh memory for logits. In pieces that stay in the cache, with the gradient written over the logits, it is
1.8 times as fast, forward and backward (benchmarks/training_parts.py), and the kernels see few
distinct shapes.

R rows (tokens with a target), V vocabulary, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from chatbot.batches import IGNORE

PIECE = 512  # rows: larger pieces no longer stay in the cache


def output_loss(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float = 0.0
) -> Tensor:
    """The summed cross-entropy of linear(features, weight, bias), in nats, a float32 scalar.

    features (R, D), weight (V, D), bias (V), targets (R). The products run in the dtype of `features`,
    all sums in float32.
    """
    learn = torch.is_grad_enabled()  # inside of the function it never is
    total: Tensor = _InPieces.apply(features, weight, bias, targets, smoothing, learn)  # type: ignore[no-untyped-call]
    return total


class _InPieces(torch.autograd.Function):
    """`output_loss`, with its gradients found on the way."""

    @staticmethod
    def forward(
        ctx: Any,  # torch's context
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        smoothing: float,
        learn: bool,
    ) -> Tensor:
        """The loss and, if it is to be learned from, its gradients."""
        kind = features.dtype
        layer = weight.to(kind), None if bias is None else bias.to(kind)
        total = features.new_zeros((), dtype=torch.float32)
        found = torch.empty_like(features), torch.zeros_like(weight), torch.zeros_like(weight[:, 0])
        for at in range(0, len(features), PIECE):
            x, wanted = features[at : at + PIECE], targets[at : at + PIECE]
            nats, gradient = _nats(F.linear(x, *layer), wanted, smoothing, learn)
            total += nats
            if gradient is not None:
                if bias is not None:
                    found[2].add_(gradient.sum(0, dtype=torch.float32))
                torch.mm(gradient, layer[0], out=found[0][at : at + PIECE])
                found[1].add_(gradient.t() @ x)
        ctx.save_for_backward(*found)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """What was found, times the gradient of what followed."""
        (above,) = gradients
        features, weight, bias = (found * above for found in ctx.saved_tensors)
        return features, weight, bias if ctx.needs_input_grad[2] else None, None, None, None


def _nats(logits: Tensor, targets: Tensor, smoothing: float, learn: bool) -> tuple[Tensor, Tensor | None]:
    """The loss of one piece and, if it is to be learned from, its gradient by the logits.

    That is the softmax less the target. A row without a target (IGNORE) has neither.
    """
    kind, size = logits.dtype, logits.size(-1)
    logits, real = logits.float(), targets != IGNORE
    own = targets.clamp(min=0)[:, None]
    highest = logits.amax(-1, keepdim=True)
    wanted = (1 - smoothing) * (logits.gather(1, own) - highest)
    if smoothing:
        wanted += smoothing * (logits.mean(-1, keepdim=True) - highest)
    powers = logits.sub_(highest).exp_()
    total = powers.sum(-1, keepdim=True)
    nats = ((total.log() - wanted).squeeze(1) * real).sum()
    if not learn:
        return nats, None
    gradient = powers.mul_(real[:, None] / total)
    if smoothing:
        gradient -= smoothing / size * real[:, None]
    gradient.scatter_add_(1, own, (smoothing - 1) * real[:, None].float())
    return nats, gradient.to(kind)
