"""Encoder-decoder with GRUs (Cho et al. 2014) and Luong attention (Luong et al. 2015).

The decoder runs over the whole reply in one call, and attends afterwards: no input feeding (section
3.3 of the paper), which would force a Python loop over tokens.

B batch, S prompt length, T reply length, V vocabulary, D width, N layers.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chatbot.batches import IGNORE, MARKS, PAD, PairBatch
from chatbot.models.attention import LuongAttention
from chatbot.models.base import ReplyModel, State, Tensors, Trace, given
from chatbot.models.config import Seq2SeqConfig
from chatbot.models.dropout import dropout
from chatbot.models.gru import GRULayer

STACKS = ("encoder.forwards", "encoder.backwards", "bridge", "decoder")  # one part a layer


@dataclass(frozen=True)
class GRUState(State):
    """hidden (B, N, D) of the decoder; memory and keys (B, S, D) of the prompt, mask (B, S) where to look."""

    hidden: Tensor
    memory: Tensor
    keys: Tensor
    mask: Tensor


class Encoder(nn.Module):
    """A stack of bidirectional GRU layers, with a residual connection around every one.

    So what the decoder attends to holds the word that stands there. States alone have read the prompt
    from one end or the other, and attention would rest on the one that has read it all.
    """

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        width, half = config.width, config.width // 2
        self.dropout = config.dropout
        self.forwards = nn.ModuleList(GRULayer(width, half) for _ in range(config.layers))
        self.backwards = nn.ModuleList(GRULayer(width, half) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, S, D), and (B, N, D): where each direction of each layer ended."""
        lengths = mask.sum(1)
        mirror = _mirror(mask, lengths)[..., None]
        last = (lengths - 1)[:, None, None]
        ends = []
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            # Read backwards, the padding stays behind the text, so both directions end at the same place.
            turned = x.gather(1, mirror.expand_as(x))
            there, back = forwards(x), backwards(turned)
            half = back.size(-1)
            ends.append(torch.cat([h.gather(1, last.expand(-1, -1, half)) for h in (there, back)], -1))
            y = torch.cat([there, back.gather(1, mirror.expand_as(back))], -1)  # (B, S, D)
            y = dropout(y, self.dropout, self.training)
            x = x + y
        return x, torch.cat(ends, 1)


class Seq2Seq(ReplyModel[PairBatch, GRUState]):
    """Bidirectional GRU encoder, GRU decoder, Luong attention, tied embeddings."""

    Config = Seq2SeqConfig
    config: Seq2SeqConfig
    learning_rate = 4e-3
    batch = PairBatch
    changes_later = ReplyModel.changes_later | {"layers"}

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.Embedding(config.vocabulary, width)
        self.encoder = Encoder(config)
        # One bridge a layer, from both directions of the encoder's layer. (The canonical tutorial takes
        # the first N of 2N states: both directions of the lower layers, and nothing of the upper ones.)
        self.bridge = nn.ModuleList(nn.Linear(width, width) for _ in range(config.layers))
        self.decoder = nn.ModuleList(GRULayer(width, width) for _ in range(config.layers))
        self.attention = LuongAttention(width, config.attention)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        nn.init.normal_(self.embed.weight, std=width**-0.5)

    @property
    def peak_rate(self) -> float:
        """With more recurrent layers lower, too."""
        return super().peak_rate / self.config.layers

    @property
    def matrix_rate(self) -> float:
        """With more recurrent layers lower."""
        return 2 * super().matrix_rate / self.config.layers

    @property
    def embedding_share(self) -> float:
        """In inverse proportion to the width: what the layers read is sqrt(D) times the embedding."""
        return min(super().embedding_share, 512 / self.config.width)

    def deepened(self, weights: Tensors) -> Tensors:
        """Over the last layer come copies of it that add nothing yet (Chen et al. 2016, Net2DeeperNet).

        Where the n gate's weights are zero, a GRU that starts from zero stays there.
        """
        before = sum(name.startswith("bridge.") and name.endswith(".weight") for name in weights)
        deeper = dict(weights)
        for name in list(weights):
            stack, _, rest = name.partition(f".{before - 1}.")
            if stack in STACKS:
                silent = _silenced(weights[name], stack)
                deeper |= {f"{stack}.{i}.{rest}": silent for i in range(before, self.config.layers)}
        return deeper

    def encode(self, prompt: Tensor) -> GRUState:
        mask = prompt != PAD
        memory, ends = self.encoder(self._read(prompt), mask)
        words = _words(prompt)
        hidden = [torch.tanh(bridge(ends[:, i])) for i, bridge in enumerate(self.bridge)]
        return GRUState(torch.stack(hidden, 1), memory, self.attention.keys(memory), words)

    def decode(self, tokens: Tensor, state: GRUState) -> tuple[Tensor, Tensor, GRUState]:
        x = self._read(tokens)
        hidden = []
        for i, layer in enumerate(self.decoder):
            y = layer(x, state.hidden[:, i])  # (B, T, D)
            hidden.append(y[:, -1])
            x = x + self._drop(y) if i else self._drop(y)
        mixed, weights = self.attention(x, state.keys, state.memory, state.mask)
        return self._drop(mixed), weights, dataclasses.replace(state, hidden=torch.stack(hidden, 1))

    def trace(self, prompt: Tensor, reply: Tensor) -> Trace:
        state = self.encode(prompt)
        carried = self.attention.carried(state.memory)
        _, weights, _ = self.decode(given(reply), state)
        return Trace(weights[:, None, None], carried[:, None, None], state.mask)

    def predict(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        features, _, _ = self.decode(batch.reply[:, :-1], self.encode(batch.prompt))
        targets = batch.reply[:, 1:]
        return features, targets.masked_fill(targets == PAD, IGNORE)

    def output_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.embed.weight, self.bias

    def _read(self, tokens: Tensor) -> Tensor:
        """Embeddings times sqrt(D) (Vaswani et al. 2017, section 3.4): small enough for the output layer
        they are tied to, and large enough to move a GRU."""
        return self._drop(self.embed(tokens) * math.sqrt(self.config.width))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.config.dropout, self.training)


def _silenced(weight: NDArray[np.float32], stack: str) -> NDArray[np.float32]:
    """Of a layer that adds nothing: no bridge, and no n gate (the last third of a GRU's rows)."""
    silent = weight.copy()
    silent[0 if stack == "bridge" else -len(weight) // 3 :] = 0
    return silent


def _words(prompt: Tensor) -> Tensor:
    """Where attention may rest (B, S): on pieces of text, not on the marks between turns.

    Left to itself it settles on them, since the states there have read the whole turn; that is what
    the bridge carries already. A prompt without any text keeps its marks.
    """
    text = prompt >= len(MARKS)
    return torch.where(text.any(1, keepdim=True), text, prompt != PAD)


def _mirror(mask: Tensor, lengths: Tensor) -> Tensor:
    """Indices (B, S) that turn each row's real part around and leave its padding where it is."""
    at = torch.arange(mask.size(1), device=mask.device)[None]
    return torch.where(mask, lengths[:, None] - 1 - at, at)
