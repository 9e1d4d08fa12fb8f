"""Global attention: Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation".

B batch, S prompt length, T reply length, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chatbot.models.config import Score


class LuongAttention(nn.Module):
    """Scores of section 3.1, the softmax of eq. 7, and the attentional vector of eq. 5.

    The part of the score that depends on the prompt alone (`keys`) is computed once a prompt and kept
    by the caller.
    """

    def __init__(self, width: int, score: Score) -> None:
        super().__init__()
        self.score = score
        # Beyond the paper: products grow with the width (Vaswani et al. 2017, section 3.2.1). Unscaled, the
        # softmax saturates early in the training, on one place for all words, and no gradient moves it again.
        self.scale = 1.0 if score == "concat" else width**-0.5
        if score != "dot":
            self.key = nn.Linear(width, width, bias=False)  # W_a, or its right half for concat
        if score == "concat":
            self.query = nn.Linear(width, width, bias=False)  # the left half of W_a
            self.energy = nn.Linear(width, 1, bias=False)  # v_a
        self.combine = nn.Linear(2 * width, width, bias=False)  # W_c

    def keys(self, memory: Tensor) -> Tensor:
        """What the score needs of the prompt: (B, S, D) -> (B, S, D)."""
        return memory if self.score == "dot" else self.key(memory)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """score(h_t, h_s) for every pair: (B, T, D), (B, S, D) -> (B, T, S)."""
        if self.score == "concat":
            energy: Tensor = self.energy(torch.tanh(self.query(query)[:, :, None] + keys[:, None]))
            return energy.squeeze(-1)
        return query @ keys.transpose(1, 2)  # general is dot with W_a already in the keys

    def carried(self, memory: Tensor) -> Tensor:
        """What each place of the prompt has to give to the attentional vector, before its tanh: W_c's left
        half times the state there, (B, S, D) -> (B, S, D)."""
        return F.linear(memory, self.combine.weight[:, : memory.size(-1)])

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The attentional vectors (B, T, D) and the weights (B, T, S) for decoder outputs (B, T, D).

        mask (B, S) is True where there is something to see.
        """
        scores = self.scores(query, keys).float().masked_fill(~mask[:, None], -math.inf)
        weights = (scores * self.scale).softmax(-1)  # eq. 7
        context = weights.to(memory.dtype) @ memory
        return torch.tanh(self.combine(torch.cat([context, query], -1))), weights  # eq. 5
