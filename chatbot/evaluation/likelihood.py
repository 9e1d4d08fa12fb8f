"""How probable replies are to a model: the one part of the evaluation that sees models.

B batch, R rows (tokens of replies), V vocabulary, N replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chatbot.batches import IGNORE, grouped
from chatbot.engines.base import Engine
from chatbot.engines.torch import AnyModel, TorchEngine, products
from chatbot.errors import ConfigError
from chatbot.preparation import Example

PIECE = 512  # rows of the output layer at a time
TOKENS = 8192  # of a batch

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@torch.inference_mode()
def scores(
    engine: Engine,
    examples: Sequence[Example],
    progress: Progress | None = None,
    precision: str = "float32",
) -> Floats:
    """Of each reply its nats, its tokens (the end mark counted), and how many were the likeliest: (3, N).

    Teacher-forced, with products of that precision. Examples of like shape share a batch.
    """
    if not isinstance(engine, TorchEngine):
        raise ConfigError("likelihoods need the torch engine", "load the bot with engine='torch'")
    model, device = engine.model, engine.device
    lengths = np.array([(len(e.prompt), len(e.reply)) for e in examples], np.int64).reshape(-1, 2)
    found = np.zeros((3, len(examples)))
    done = 0
    for rows in grouped(model.batch, model.batch.shapes(lengths), np.arange(len(examples)), TOKENS):
        batch = model.batch.collate([examples[i] for i in rows])
        with products(precision, device):
            found[:, rows] = _scored(model, *model.predict(batch.to(device))).cpu().numpy()
        done += len(rows)
        if progress:
            progress(done, len(examples))
    return found


def _scored(model: AnyModel, features: Tensor, targets: Tensor) -> Tensor:
    """Nats, tokens and right ones of each row of a batch: (3, B)."""
    real = targets != IGNORE  # (B, T)
    rows, wanted = features[real], targets[real]  # (R, D), (R)
    nats, right = torch.empty(len(rows)), torch.empty(len(rows))
    for at in range(0, len(rows), PIECE):
        logits = model.output(rows[at : at + PIECE]).float()
        piece = wanted[at : at + PIECE]
        nats[at : at + PIECE] = F.cross_entropy(logits, piece, reduction="none")
        right[at : at + PIECE] = logits.argmax(-1) == piece
    sums = torch.zeros(3, len(targets), dtype=torch.float64)
    owner = real.nonzero()[:, 0].cpu()
    return sums.index_add_(1, owner, torch.stack([nats, torch.ones_like(nats), right]).double())
