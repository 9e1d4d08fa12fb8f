"""How probable replies are to a model: the one part of the evaluation that sees models.

B batch, R rows (tokens of replies), V vocabulary, N replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chatbot.batches import BOT, IGNORE, PAD, PairBatch, grouped, padded
from chatbot.engines.base import Engine
from chatbot.engines.torch import AnyModel, TorchEngine, products
from chatbot.errors import ConfigError
from chatbot.preparation import Example

PIECE = 512  # rows of the output layer at a time
TOKENS = 8192  # of a batch
PROMPTS = 64  # of which candidates are measured together
CELL = 0.25  # what a prompt's token in a state costs, in tokens of a reply: it is copied, not computed

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
    model, device = _model(engine)
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


@torch.inference_mode()
def candidate_scores(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    candidates: Sequence[Sequence[Sequence[int]]],
    progress: Progress | None = None,
    precision: str = "float32",
) -> Floats:
    """`scores` of several replies to each prompt, all in their order: (3, N). Each prompt is read once."""
    model, device = _model(engine)
    at = np.cumsum([0, *map(len, candidates)])
    found = np.zeros((3, at[-1]))
    order, done = np.argsort([len(prompt) for prompt in prompts], kind="stable"), 0
    for some in (order[i : i + PROMPTS] for i in range(0, len(order), PROMPTS)):
        with products(precision, device):
            state = model.encode(padded([list(prompts[i]) for i in some], 1, PAD).to(device))
        replies = [(row, at[i] + j, r) for row, i in enumerate(some) for j, r in enumerate(candidates[i])]
        for group in _of_like_length(replies, max(len(prompts[i]) for i in some)):
            rows, places, texts = zip(*group, strict=True)
            reply = padded([[BOT, *text] for text in texts], PairBatch.REPLY_STEP, PAD, extra=1).to(device)
            targets = reply[:, 1:].masked_fill(reply[:, 1:] == PAD, IGNORE)
            with products(precision, device):
                features, _, _ = model.decode(reply[:, :-1], state.select(torch.tensor(rows, device=device)))
                found[:, places] = _scored(model, features, targets).cpu().numpy()
        done += len(replies)
        if progress:
            progress(done, len(found[0]))
    return found


Replies = list[tuple[int, int, Sequence[int]]]  # the prompt's row, the place of the result, the tokens


def _of_like_length(replies: Replies, prompt: int) -> Iterator[Replies]:
    """In groups that cost at most TOKENS, padding included, with prompts of that length in the state."""
    rest = sorted(replies, key=lambda reply: -len(reply[2]))
    while rest:
        cost = len(rest[0][2]) + PairBatch.REPLY_STEP + CELL * prompt
        count = max(1, int(TOKENS / cost))
        yield rest[:count]
        rest = rest[count:]


def _model(engine: Engine) -> tuple[AnyModel, torch.device]:
    if not isinstance(engine, TorchEngine):
        raise ConfigError("likelihoods need the torch engine", "load the bot with engine='torch'")
    return engine.model, engine.device


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
