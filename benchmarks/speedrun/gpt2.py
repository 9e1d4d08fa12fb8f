"""A GPT-2 of the transformers library, trained from scratch, of the size of our own gpt.

The recipe is that of the Hugging Face course's chapter on causal language models: blocks of 128 tokens,
batches of 32, AdamW at 5e-4 with weight decay 0.1, warm-up, then a cosine to nothing. Its warm-up of 1,000
steps and its eightfold gradient accumulation are for days on a GPU: here a twentieth of the time, and none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speedrun import Options, Recipe, State, copied
from benchmarks.speedrun.material import Material
from benchmarks.speedrun.streams import stream, stream_nats
from chatbot.sizes import DEFAULT_SIZE, SIZES

BLOCK, BATCH = 128, 32
RATE, DECAY, WARMUP = 5e-4, 0.1, 0.05


class GPT2(Recipe):
    """float32, as the library does on a CPU unless told otherwise."""

    def __init__(self, material: Material, options: Options) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        self.material, size = material, SIZES[DEFAULT_SIZE]
        torch.manual_seed(0)
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(material.tokenizer),
                n_positions=BLOCK,
                n_embd=size.width,
                n_layer=size.depth,
                n_head=size.width // 64,
                bos_token_id=None,
                eos_token_id=None,
            )
        )

    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """By the clock."""
        data, random = stream(self.material.train), np.random.default_rng(0)
        optimizer = torch.optim.AdamW(self._groups(), lr=RATE)
        spent, shown = 0.0, 0.0
        while spent < 60 * minutes:
            began = time.monotonic()
            for group in optimizer.param_groups:
                group["lr"] = RATE * _rate(spent / (60 * minutes))
            starts = random.integers(len(data) - BLOCK, size=BATCH)
            self._step(optimizer, np.stack([data[i : i + BLOCK] for i in starts]))
            spent += time.monotonic() - began
            self.steps += 1
            if spent >= min(shown + 3 * minutes, 60 * minutes):
                shown = spent
                yield spent / 60, copied(self.model)

    def nats(self) -> NDArray[np.float64]:
        """Of each judged reply."""
        self.model.eval()
        return stream_nats(self._logits, BLOCK, list(self.material.examples))

    def _groups(self) -> list[dict[str, Any]]:
        """As in the course: biases and layer norms do not decay."""
        decayed = [p for p in self.model.parameters() if p.dim() >= 2]
        others = [p for p in self.model.parameters() if p.dim() < 2]
        return [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]

    def _step(self, optimizer: torch.optim.Optimizer, rows: NDArray[np.uint16]) -> None:
        self.model.train()
        tokens = torch.from_numpy(rows.astype(np.int64))
        self.model(tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def _logits(self, tokens: Tensor, targets: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens).logits
        return logits


def _rate(progress: float) -> float:
    if progress < WARMUP:
        return progress / WARMUP
    return (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP))) / 2
