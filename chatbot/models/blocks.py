"""Parts of a Transformer in the Llama layout (Touvron et al. 2023): RMSNorm, rotary positions, SwiGLU.

B batch, L length of the new tokens, M length of everything that can be seen, D width, H heads, K head width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rotation(positions: Tensor, size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, 1, L, K) of rotary positions (Su et al. 2021, eq. 15), for positions (B, L)."""
    frequencies = base ** (-torch.arange(0, size, 2, device=positions.device).float() / size)
    angles = positions[:, None, :, None].float() * frequencies  # (B, 1, L, K/2)
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x (B, H, L, K) turned by its positions; halves are paired, as in the Llama weights."""
    cosine, sine = turn
    left, right = x.chunk(2, -1)
    return (x * cosine + torch.cat([-right, left], -1) * sine).to(x.dtype)


def causal(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Each position's attention over itself and those before it; all (B, H, L, K).

    On a GPU by torch's kernels. Theirs for processors are made for long sequences: on dialogues the
    products one by one are several times as fast (benchmarks/training_parts.py).
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    flat = (x.flatten(0, 1) for x in (query, key, value))
    y: Tensor = _Causal.apply(*flat)  # type: ignore[no-untyped-call]
    return y.view(query.shape)


class _Causal(torch.autograd.Function):
    """Vaswani et al. 2017, eq. 1, with a causal mask; forward and backward are five products in all."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # Any: torch's context
        """(N, L, K) each, of N heads of all rows."""
        length, scale = query.size(1), query.size(2) ** -0.5
        ahead = query.new_full((length, length), -math.inf).triu(1)
        weights = torch.baddbmm(ahead, query, key.transpose(1, 2), alpha=scale).softmax(-1)
        ctx.save_for_backward(query, key, value, weights)
        ctx.scale = scale
        return weights @ value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """By the softmax's Jacobian: each row less its mean under the weights, times the weights."""
        query, key, value, weights = ctx.saved_tensors
        (above,) = gradients
        by_weights = above @ value.transpose(1, 2)
        kind = weights.dtype
        by_scores = torch._softmax_backward_data(by_weights, weights, -1, kind).mul_(ctx.scale)
        return by_scores @ key, by_scores.transpose(1, 2) @ query, weights.transpose(1, 2) @ above


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2), optionally with grouped keys
    and values (Ainslie et al. 2023)."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, groups * self.size, bias=False)
        self.value = nn.Linear(width, groups * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def project(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, L, K), keys and values (B, groups, L, K) of x (B, L, D)."""
        query, key, value = (
            part(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        return rotate(query, turn), rotate(key, turn), value

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Causal attention within x (B, L, D), for training."""
        query, key, value = self.project(x, turn)
        return self.join(causal(query, self.spread(key), self.spread(value)))

    def look(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attention with its weights: output (B, L, D) and weights (B, H, L, M), eq. 1.

        key and value (B, groups, M, K); mask (B, 1, L, M) or broadcast, True where there is something to see.
        """
        scores = query @ self.spread(key).transpose(-1, -2) / math.sqrt(self.size)
        weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
        return self.join(weights @ self.spread(value)), weights

    def carried(self, value: Tensor) -> Tensor:
        """What each place has to give through each head: values (B, groups, M, K) -> (B, H, M, D).

        f(x) of Kobayashi et al. 2020, section 3: the value through the head's part of the output projection.
        """
        parts = self.out.weight.view(-1, self.heads, self.size)  # (D, H, K)
        return torch.einsum("bhmk,dhk->bhmd", self.spread(value), parts)

    def spread(self, x: Tensor) -> Tensor:
        """Each group's keys or values for all heads that share them: (B, groups, M, K) -> (B, H, M, K)."""
        return x if self.groups == self.heads else x.repeat_interleave(self.heads // self.groups, 1)

    def join(self, y: Tensor) -> Tensor:
        """Heads side by side again: (B, H, L, K) -> (B, L, D)."""
        joined: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return joined


class SwiGLU(nn.Module):
    """The gated feed-forward layer of Shazeer 2020 (eq. 6), without biases."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        y: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return y


class Block(nn.Module):
    """Self-attention, then feed-forward, each normalised before and added to what came in."""

    def __init__(self, width: int, heads: int, groups: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=1e-5)
        self.attention = SelfAttention(width, heads, groups)
        self.feed_norm = nn.RMSNorm(width, eps=1e-5)
        self.feed = SwiGLU(width, inner)
        self.dropout = dropout

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """(B, L, D) -> (B, L, D), causal."""
        return self.finish(x, self.attention(self.attention_norm(x), turn))

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention: both residual connections and the feed-forward layer."""
        x = x + F.dropout(attended, self.dropout, self.training)
        return x + F.dropout(self.feed(self.feed_norm(x)), self.dropout, self.training)
