"""The canonical recipe, as PyTorch's chatbot tutorial describes it: the baseline of benchmarks/cornell.py.

    python benchmarks/tutorial.py corpora/cornell 20

Written anew from its description, with every choice of it kept: letters and .!? only, pairs under ten words
without rare ones, a vocabulary of words; a bidirectional GRU encoder of two layers whose directions are
added, a GRU decoder of two layers that begins with the first two of the encoder's four states, Luong's dot
attention, 500 values everywhere, dropout 0.1; batches of 64 drawn at random, Adam at 1e-4 and, for the
decoder, 5e-4, gradients clipped at 50, teacher forcing, one decoder step at a time.

What the tutorial lacks is added beside it: a test part that it does not train on, and the nats there.

B batch, S prompt length, T reply length, V vocabulary.
"""

from __future__ import annotations

import random
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from chatbot.corpus import open_corpus
from chatbot.corpus.splits import split
from chatbot.dialogue import Dialogue

LONGEST, RAREST = 10, 3
WIDTH, LAYERS, DROPOUT = 500, 2, 0.1
BATCH, RATE, DECODER_RATIO, CLIP = 64, 1e-4, 5.0, 50.0
PAD, START, END = 0, 1, 2
JUDGED = 2000  # test pairs, evenly spread

Pair = tuple[list[str], list[str]]


def normalised(text: str) -> list[str]:
    """Lower case, ASCII letters and .!? alone, which are words of their own."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return re.sub(r"[^a-z.!?]+", " ", re.sub(r"([.!?])", r" \1", plain)).split()


def pairs(dialogues: Sequence[Dialogue]) -> list[Pair]:
    """Every turn with the one after it."""
    return [
        (normalised(a.text), normalised(b.text))
        for dialogue in dialogues
        for a, b in zip(dialogue.turns, dialogue.turns[1:], strict=False)
    ]


def short(found: Sequence[Pair]) -> list[Pair]:
    """Those with words on both sides, and under ten of them."""
    return [pair for pair in found if all(0 < len(side) < LONGEST for side in pair)]


class Vocabulary:
    """The words of the training pairs that are not rare."""

    def __init__(self, training: Sequence[Pair]) -> None:
        counts = Counter(word for pair in training for side in pair for word in side)
        self._ids = {w: i for i, w in enumerate((w for w, n in counts.items() if n >= RAREST), END + 1)}

    def __len__(self) -> int:
        return len(self._ids) + END + 1

    def knows(self, pair: Pair) -> bool:
        """Whether it has every word of both sides."""
        return all(word in self._ids for side in pair for word in side)

    def ids(self, side: Sequence[str]) -> Tensor:
        """The ids, and the end."""
        return torch.tensor([*(self._ids[word] for word in side), END])


class Tutorial(nn.Module):
    """The tutorial's encoder and decoder."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, WIDTH)
        self.encoder = nn.GRU(WIDTH, WIDTH, LAYERS, dropout=DROPOUT, bidirectional=True)
        self.decoder = nn.GRU(WIDTH, WIDTH, LAYERS, dropout=DROPOUT)
        self.combine = nn.Linear(2 * WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, vocabulary)

    def forward(self, prompt: Tensor, lengths: Tensor, reply: Tensor) -> Iterator[Tensor]:
        """Logits (B, V) of each step; prompt (S, B), reply (T, B), lengths descending."""
        packed = pack_padded_sequence(self.embed(prompt), lengths)
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
    """Sides as columns, sorted by the prompt's length."""

    prompt: Tensor
    lengths: Tensor
    reply: Tensor

    @classmethod
    def of(cls, some: Sequence[Pair], vocabulary: Vocabulary) -> Batch:
        """These pairs."""
        ordered = sorted(some, key=lambda pair: len(pair[0]), reverse=True)
        prompts, replies = ([vocabulary.ids(pair[i]) for pair in ordered] for i in (0, 1))
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        return cls(pad_sequence(prompts), lengths, pad_sequence(replies))


def step_loss(model: Tutorial, batch: Batch) -> Tensor:
    """The tutorial's: the mean over real targets at each step, summed over steps."""
    total = torch.zeros(())
    for logits, wanted in zip(model(batch.prompt, batch.lengths, batch.reply), batch.reply, strict=True):
        total = total + F.cross_entropy(logits, wanted, ignore_index=PAD)
    return total


@torch.no_grad()
def nats(model: Tutorial, found: Sequence[Pair], vocabulary: Vocabulary) -> float:
    """Of all replies together, their ends included."""
    model.eval()
    total = 0.0
    for at in range(0, len(found), 256):
        batch = Batch.of(found[at : at + 256], vocabulary)
        for logits, wanted in zip(model(batch.prompt, batch.lengths, batch.reply), batch.reply, strict=True):
            total += F.cross_entropy(logits, wanted, ignore_index=PAD, reduction="sum").item()
    model.train()
    return total


def train(
    training: Sequence[Pair], vocabulary: Vocabulary, minutes: float
) -> Iterator[tuple[float, Tutorial]]:
    """Yields the model about once a twentieth of the time, with the minutes it has been trained."""
    random.seed(0)
    torch.manual_seed(0)
    model = Tutorial(len(vocabulary))
    # The embedding is in both, as in the tutorial: it takes two steps, one at each rate.
    encoder, decoder = [model.embed, model.encoder], [model.embed, model.decoder, model.combine, model.output]
    groups = [[p for part in parts for p in part.parameters()] for parts in (encoder, decoder)]
    optimizers = [
        torch.optim.Adam(group, lr=RATE * ratio)
        for group, ratio in zip(groups, (1.0, DECODER_RATIO), strict=True)
    ]
    spent, shown = 0.0, 0.0
    while spent < 60 * minutes:
        began = time.monotonic()
        for optimizer in optimizers:
            optimizer.zero_grad()
        step_loss(model, Batch.of(random.choices(training, k=BATCH), vocabulary)).backward()  # type: ignore[no-untyped-call]
        for group, optimizer in zip(groups, optimizers, strict=True):
            nn.utils.clip_grad_norm_(group, CLIP)
            optimizer.step()
        spent += time.monotonic() - began
        if spent >= shown + 3 * minutes:
            shown = spent
            yield spent / 60, model
    yield spent / 60, model


def main() -> None:
    """A line for each look at the test part, as the training goes on."""
    corpus, minutes = Path(sys.argv[1]), float(sys.argv[2])
    folds = split(open_corpus(corpus), "parlai")
    everything = pairs(folds.test)
    training, test = short(pairs(folds.train)), short(everything)
    vocabulary = Vocabulary(training)
    training, test = ([pair for pair in some if vocabulary.knows(pair)] for some in (training, test))
    print(f"{len(vocabulary):,} words; {len(training):,} training pairs")
    print(f"{len(test):,} of {len(everything):,} test pairs can be represented")
    test = test[:: max(1, len(test) // JUDGED)]
    words = sum(len(reply) for _, reply in test)
    for spent, model in train(training, vocabulary, minutes):
        print(f"{spent:.1f} minutes: {nats(model, test, vocabulary) / words:.3f} nats a word", flush=True)


if __name__ == "__main__":
    main()
