"""Dropout (Srivastava et al. 2014) whose random numbers cost little on a processor."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256  # of a random byte: shares are rounded to one part in so many


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """x without that share of its values, what remains as much larger; x itself where nothing is trained.

    torch draws a number for each value, one after the other, which took a sixteenth of a step of seq2seq.
    Eight random bytes of one draw serve eight values.
    """
    if not training or not share:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share)
    dropped = min(max(1, round(share * LEVELS)), LEVELS - 1)
    draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
