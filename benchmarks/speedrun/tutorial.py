"""The canonical recipe, as PyTorch's chatbot tutorial describes it.

Written anew from its description, with every choice of it kept: letters and .!? only, pairs under ten words
without rare ones, a vocabulary of words; a bidirectional GRU encoder of two layers whose directions are
added, a GRU decoder of two layers that begins with the first two of the encoder's four states, Luong's dot
attention, 500 values everywhere, dropout 0.1; batches of 64 drawn at random, Adam at 1e-4 and, for the
decoder, 5e-4, gradients clipped at 50, 4,000 iterations, teacher forcing, one decoder step at a time,
float32.

B batch, S prompt length, T reply length, V vocabulary, N judged replies.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.speedrun import Options, Recipe, State, copied
from benchmarks.speedrun.material import Material
from benchmarks.speedrun.words import PAD, START, Pair, Vocabulary, is_short, pairs

WIDTH, LAYERS, DROPOUT = 500, 2, 0.1
BATCH, RATE, DECODER_RATIO, CLIP = 64, 1e-4, 5.0, 50.0
ITERATIONS = 4000


class Model(nn.Module):
    """The tutorial's encoder and decoder."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, WIDTH)
        self.encoder = nn.GRU(WIDTH, WIDTH, LAYERS, dropout=DROPOUT, bidirectional=True)
        self.decoder = nn.GRU(WIDTH, WIDTH, LAYERS, dropout=DROPOUT)
        self.combine = nn.Linear(2 * WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, vocabulary)

    def forward(self, prompt: Tensor, lengths: Tensor, reply: Tensor) -> Iterator[Tensor]:
        """Logits (B, V) of each step; prompt (S, B), lengths (B), reply (T, B)."""
        packed = pack_padded_sequence(self.embed(prompt), lengths, enforce_sorted=False)
        outputs, hidden = self.encoder(packed)
        memory = pad_packed_sequence(outputs)[0]
        memory = memory[..., :WIDTH] + memory[..., WIDTH:]  # (S, B, D)
        hidden, token = hidden[:LAYERS], torch.full_like(reply[0], START)
        for wanted in reply:
            x = F.dropout(self.embed(token[None]), DROPOUT, self.training)
            y, hidden = self.decoder(x, hidden)
            weights = (y * memory).sum(2).t().softmax(1)  # (B, S): padding is not masked there
            context = torch.einsum("bs,sbd->bd", weights, memory)
            yield self.output(torch.tanh(self.combine(torch.cat([y[0], context], 1))))
            token = wanted


@dataclass(frozen=True)
class Batch:
    """Both sides as columns: prompt (S, B), lengths (B), reply (T, B)."""

    prompt: Tensor
    lengths: Tensor
    reply: Tensor

    @classmethod
    def of(cls, some: Sequence[Pair], vocabulary: Vocabulary) -> Batch:
        """These pairs, in their order."""
        prompts, replies = ([vocabulary.ids(pair[i]) for pair in some] for i in (0, 1))
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        return cls(pad_sequence(prompts), lengths, pad_sequence(replies))

    def losses(self, model: Model, reduction: str) -> Iterator[Tensor]:
        """The cross-entropy of each step."""
        for logits, wanted in zip(model(self.prompt, self.lengths, self.reply), self.reply, strict=True):
            yield F.cross_entropy(logits, wanted, ignore_index=PAD, reduction=reduction)


class Tutorial(Recipe):
    """The tutorial's training, with what it lacks beside it: replies that it does not train on."""

    model: Model

    def __init__(self, material: Material, options: Options) -> None:
        found = [pair for pair in pairs(material.folds.train) if is_short(pair)]
        self.vocabulary = Vocabulary(found)
        self.training = [pair for pair in found if self.vocabulary.knows(pair)]
        self.judged = [material.pairs[i] for i in material.judged]
        random.seed(0)
        torch.manual_seed(0)
        self.model = Model(len(self.vocabulary))

    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """For so many minutes, or until its 4,000 iterations are over."""
        optimizers = self.optimizers()
        spent, shown = 0.0, 0.0
        while spent < 60 * minutes and self.steps < ITERATIONS:
            began = time.monotonic()
            drawn = random.choices(self.training, k=BATCH)
            self.learn(Batch.of(drawn, self.vocabulary), optimizers)
            spent += time.monotonic() - began
            self.steps += 1
            if spent >= min(shown + 3 * minutes, 60 * minutes) or self.steps == ITERATIONS:
                shown = spent
                yield spent / 60, copied(self.model)

    @torch.no_grad()
    def nats(self) -> NDArray[np.float64]:
        """Of each judged reply."""
        self.model.eval()
        found = []
        for at in range(0, len(self.judged), 250):
            batch = Batch.of(self.judged[at : at + 250], self.vocabulary)
            found.append(torch.stack(list(batch.losses(self.model, "none"))).sum(0))
        return torch.cat(found).double().numpy()

    def optimizers(self) -> list[tuple[list[nn.Parameter], torch.optim.Adam]]:
        """The embedding is in both, as in the tutorial: it takes two steps, one at each rate."""
        model = self.model
        sides = [model.embed, model.encoder], [model.embed, model.decoder, model.combine, model.output]
        groups = [[p for part in parts for p in part.parameters()] for parts in sides]
        rates = RATE, RATE * DECODER_RATIO
        return [(group, torch.optim.Adam(group, lr=rate)) for group, rate in zip(groups, rates, strict=True)]

    def learn(self, batch: Batch, optimizers: list[tuple[list[nn.Parameter], torch.optim.Adam]]) -> None:
        """One iteration."""
        self.model.train()
        for _, optimizer in optimizers:
            optimizer.zero_grad()
        # Each step's mean over its real targets, summed over steps.
        torch.stack(list(batch.losses(self.model, "mean"))).sum().backward()  # type: ignore[no-untyped-call]
        for group, _ in optimizers:
            nn.utils.clip_grad_norm_(group, CLIP)
        for _, optimizer in optimizers:
            optimizer.step()
