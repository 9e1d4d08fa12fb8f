"""For recipes that learn one endless stream of tokens, cut into blocks.

B batch, L length of a row, V vocabulary, N replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chatbot.batches import IGNORE, StreamBatch, padded
from chatbot.preparation import UNCUT, Encoded, Example, ExamplesConfig, dialogues
from chatbot.tokenizer import BOT, PAD

TOKENS = 4096  # of a batch that is judged

Row = tuple[int, list[int], list[int]]  # whose reply, tokens, targets


def stream(data: Encoded) -> NDArray[np.uint16]:
    """All dialogues in a row, each after a padding mark, which stands for nothing else there."""
    whole = dialogues(data, ExamplesConfig(prompt_limit=UNCUT, reply_limit=UNCUT))
    rows = ([PAD, *e.prompt, BOT, *e.reply] for e in (whole[i] for i in range(len(whole))))
    return np.array([token for row in rows for token in row], np.uint16)


@torch.no_grad()
def stream_nats(
    logits: Callable[[Tensor, Tensor], Tensor], block: int, examples: Sequence[Example]
) -> NDArray[np.float64]:
    """Nats of each reply (N,), by logits (B, L, V) of tokens and targets (B, L), where L <= block."""
    found = torch.zeros(len(examples), dtype=torch.float64)
    rows = sorted((row for i, e in enumerate(examples) for row in _windows(i, e, block)), key=_length)
    for some in _batches(rows):
        tokens = padded([row[1] for row in some], 1, PAD)
        targets = padded([row[2] for row in some], 1, IGNORE)
        # Padded targets are given as the padding mark: some models refuse others. They are not counted.
        scored = logits(tokens, targets.clamp(min=0)).float().transpose(1, 2)
        nats = F.cross_entropy(scored, targets, reduction="none", ignore_index=IGNORE).sum(1)
        found.index_add_(0, torch.tensor([row[0] for row in some]), nats.double())
    return found.numpy()


def _windows(owner: int, example: Example, block: int) -> Iterator[Row]:
    """What is longer than a block is read in overlapping ones, every target judged once."""
    batch = StreamBatch.collate([example])
    length = len(example.prompt) + len(example.reply)
    tokens, targets = (side[0, :length].tolist() for side in (batch.tokens, batch.targets))
    begin = max(0, min(len(example.prompt), length - block))  # turns that do not fit are left out
    judged = begin
    while judged < length:
        end = min(begin + block, length)
        wanted = [IGNORE] * (judged - begin) + targets[judged:end]
        yield owner, tokens[begin:end], wanted
        judged, begin = end, end - block // 2


def _length(row: Row) -> int:
    return len(row[1])


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in order of their length, so many that they make TOKENS with padding."""
    at = 0
    while at < len(rows):
        count = 1
        while at + count < len(rows) and (count + 1) * _length(rows[at + count]) <= TOKENS:
            count += 1
        yield rows[at : at + count]
        at += count
