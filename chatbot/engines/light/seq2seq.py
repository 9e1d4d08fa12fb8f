"""The Seq2Seq of chatbot.models.seq2seq in NumPy, for one conversation at a time.

S prompt length, D width, H size of a GRU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chatbot.engines.base import Floats
from chatbot.engines.light.ops import Weights, linear, sigmoid, softmax
from chatbot.models.config import Seq2SeqConfig
from chatbot.tokenizer import MARKS


@dataclass
class Memory:
    """hidden (D,) of each of the decoder's layers; memory and keys (S, D), mask (S,): where to look."""

    hidden: list[Floats]
    memory: Floats
    keys: Floats
    mask: np.ndarray[Any, np.dtype[np.bool_]]

    def copy(self) -> Memory:
        """One that goes its own way; nothing in it is changed in place."""
        return Memory(list(self.hidden), self.memory, self.keys, self.mask)


@dataclass(frozen=True)
class GRU:
    """A layer in one direction; gates are ordered r, z, n as in torch."""

    weight_ih: Floats
    weight_hh: Floats
    bias_ih: Floats
    bias_hh: Floats

    @classmethod
    def of(cls, weights: Weights, at: str, inputs: int, size: int) -> GRU:
        """The layer whose tensors' names begin like that."""
        return cls(
            weights(f"{at}.weight_ih", 3 * size, inputs),
            weights(f"{at}.weight_hh", 3 * size, size),
            weights(f"{at}.bias_ih", 3 * size),
            weights(f"{at}.bias_hh", 3 * size),
        )

    def __call__(self, x: Floats, state: Floats | None = None) -> Floats:
        """(T, D), and the state before (H,), zero if None -> every state (T, H)."""
        h = np.zeros(self.weight_hh.shape[1], np.float32) if state is None else state
        states = []
        for inputs in linear(x, self.weight_ih, self.bias_ih):
            h = self._next(inputs, h)
            states.append(h)
        return np.stack(states)

    def _next(self, inputs: Floats, h: Floats) -> Floats:
        """Cho et al. 2014 in torch's form, h' = (1 - z) * n + z * h."""
        size, recurrent = len(h), self.weight_hh @ h + self.bias_hh
        r, z = np.split(sigmoid(inputs[: 2 * size] + recurrent[: 2 * size]), 2)
        n = np.tanh(inputs[2 * size :] + r * recurrent[2 * size :])
        new: Floats = n + z * (h - n)
        return new


class LightSeq2Seq:
    """Reads and predicts; its state is a Memory."""

    Config = Seq2SeqConfig

    def __init__(self, config: Seq2SeqConfig, weights: Weights) -> None:
        width, half, layers = config.width, config.width // 2, range(config.layers)
        self.width, self.score = width, config.attention
        self.embed, self.bias = (
            weights("embed.weight", config.vocabulary, width),
            weights("bias", config.vocabulary),
        )
        self.forwards = [GRU.of(weights, f"encoder.forwards.{i}", width, half) for i in layers]
        self.backwards = [GRU.of(weights, f"encoder.backwards.{i}", width, half) for i in layers]
        self.bridges = [
            (weights(f"bridge.{i}.weight", width, width), weights(f"bridge.{i}.bias", width)) for i in layers
        ]
        self.decoder = [GRU.of(weights, f"decoder.{i}", width, width) for i in layers]
        self.combine = weights("attention.combine.weight", width, 2 * width)
        if self.score != "dot":
            self.key = weights("attention.key.weight", width, width)
        if self.score == "concat":
            self.query = weights("attention.query.weight", width, width)
            self.energy = weights("attention.energy.weight", 1, width)

    def read(self, prompt: Sequence[int]) -> Memory:
        """The prompt, read."""
        x, ends = self.embedded(prompt), []
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            there, back = forwards(x), backwards(x[::-1])
            ends.append(np.concatenate([there[-1], back[-1]]))
            x = x + np.concatenate([there, back[::-1]], -1)
        hidden = [
            np.tanh(weight @ end + bias) for (weight, bias), end in zip(self.bridges, ends, strict=True)
        ]
        keys = x if self.score == "dot" else linear(x, self.key)
        text = np.asarray(prompt) >= len(MARKS)
        return Memory(hidden, x, keys, text if text.any() else np.ones(len(prompt), bool))

    def step(self, token: int, state: Memory) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,)."""
        x = self.embedded([token])
        for i, layer in enumerate(self.decoder):
            y = layer(x, state.hidden[i])
            state.hidden[i] = y[-1]
            x = x + y if i else y
        mixed, weights = self._attend(x[0], state)
        return self.embed @ mixed + self.bias, weights

    def _attend(self, query: Floats, state: Memory) -> tuple[Floats, Floats]:
        """Luong et al. 2015, eq. 7 and 5, as in chatbot.models.attention: (D,), and the weights (S,)."""
        if self.score == "concat":
            inner = np.tanh(self.query @ query + state.keys)
            scores = inner @ self.energy[0]
        else:
            scores = state.keys @ query * np.float32(self.width**-0.5)
        weights = softmax(np.where(state.mask, scores, np.float32(-np.inf)))
        both = np.concatenate([weights @ state.memory, query])
        mixed: Floats = np.tanh(self.combine @ both)
        return mixed, weights

    def embedded(self, tokens: Sequence[int]) -> Floats:
        """Tokens (T,) -> (T, D)."""
        x: Floats = self.embed[np.asarray(tokens)] * np.float32(math.sqrt(self.width))
        return x
