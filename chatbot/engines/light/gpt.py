"""The GPT of chatbot.models.gpt in NumPy, for one conversation at a time.

T new tokens, M everything read so far, S prompt, D width, H heads, G groups, K head width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chatbot.engines.base import Floats
from chatbot.engines.light.ops import Weights, linear, rms_norm, sigmoid, softmax
from chatbot.models.config import GPTConfig

ROOM = 64  # positions by which a full cache grows


@dataclass
class Cache:
    """keys and values (layers, G, capacity, K), of which `filled` positions are in use; the prompt: S."""

    keys: Floats
    values: Floats
    filled: int = 0
    prompt: int = 0

    def copy(self) -> Cache:
        """One that goes its own way."""
        return Cache(self.keys.copy(), self.values.copy(), self.filled, self.prompt)

    def make_room(self, new: int) -> None:
        """For so many more tokens."""
        lacking = self.filled + new - self.keys.shape[2]
        if lacking > 0:
            wider = [(0, 0), (0, 0), (0, lacking + ROOM), (0, 0)]
            self.keys, self.values = np.pad(self.keys, wider), np.pad(self.values, wider)


@dataclass(frozen=True)
class Block:
    """The weights of a block; those that read the same are one matrix."""

    attention_norm: Floats
    project: Floats  # queries, keys, values
    out: Floats
    feed_norm: Floats
    feed: Floats  # gate, up
    down: Floats

    @classmethod
    def of(cls, weights: Weights, at: str, config: GPTConfig) -> Block:
        """Those whose names begin like that."""
        width, feed = config.width, config.feed
        groups = (config.groups or config.heads) * (width // config.heads)
        parts = {"query": width, "key": groups, "value": groups}
        project = [weights(f"{at}.attention.{name}.weight", rows, width) for name, rows in parts.items()]
        return cls(
            weights(f"{at}.attention_norm.weight", width),
            np.concatenate(project),
            weights(f"{at}.attention.out.weight", width, width),
            weights(f"{at}.feed_norm.weight", width),
            np.concatenate([weights(f"{at}.feed.{name}.weight", feed, width) for name in ("gate", "up")]),
            weights(f"{at}.feed.down.weight", width, feed),
        )


class LightGPT:
    """Reads and predicts; its state is a Cache."""

    Config = GPTConfig

    def __init__(self, config: GPTConfig, weights: Weights) -> None:
        self.embed = weights("embed.weight", config.vocabulary, config.width)
        self.norm = weights("norm.weight", config.width)
        self.blocks = [Block.of(weights, f"blocks.{i}", config) for i in range(config.layers)]
        self.heads, self.groups = config.heads, config.groups or config.heads
        self.size = config.width // config.heads
        powers = -np.arange(0, self.size, 2, dtype=np.float32) / self.size
        self.frequencies = np.tile(np.float32(config.rotary_base) ** powers, 2)  # of both halves

    def read(self, prompt: Sequence[int]) -> Cache:
        """The prompt, read."""
        empty = np.zeros((len(self.blocks), self.groups, len(prompt) + ROOM, self.size), np.float32)
        cache = Cache(empty, empty.copy(), prompt=len(prompt))
        self._advance(prompt, cache)
        return cache

    def step(self, token: int, cache: Cache) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,) of the last block's heads."""
        x, weights = self._advance([token], cache)
        looked = weights[:, -1, : cache.prompt].mean(0)
        return self.embed @ rms_norm(x[-1], self.norm), looked / max(looked.sum(), 1e-9)

    def _advance(self, tokens: Sequence[int], cache: Cache) -> tuple[Floats, Floats]:
        """Read tokens into the cache: x (T, D), and the last block's weights (H, T, M)."""
        cache.make_room(len(tokens))
        positions = np.arange(cache.filled, cache.filled + len(tokens), dtype=np.float32)
        angles = np.outer(positions, self.frequencies)
        turn = np.cos(angles), np.sin(angles)
        cache.filled += len(tokens)
        x: Floats = self.embed[np.asarray(tokens)]
        weights = x
        for i, block in enumerate(self.blocks):
            attended, weights = self._attend(rms_norm(x, block.attention_norm), block, i, turn, cache)
            x = x + attended
            gate, up = np.split(linear(rms_norm(x, block.feed_norm), block.feed), 2, -1)
            x = x + linear(gate * sigmoid(gate) * up, block.down)
        return x, weights

    def _attend(
        self, x: Floats, block: Block, layer: int, turn: tuple[Floats, Floats], cache: Cache
    ) -> tuple[Floats, Floats]:
        """Self-attention of x (T, D) over everything read, x included: (T, D), and its weights (H, T, M)."""
        new, end = len(x), cache.filled
        both = linear(x, block.project).reshape(new, -1, self.size).transpose(1, 0, 2)  # (H + 2 G, T, K)
        query, key, value = np.split(both, [self.heads, self.heads + self.groups])
        cache.keys[layer, :, end - new : end] = _rotated(key, turn)
        cache.values[layer, :, end - new : end] = value
        keys, values = cache.keys[layer, :, :end], cache.values[layer, :, :end]
        # Heads that share keys and values stand side by side.
        shared = _rotated(query, turn).reshape(self.groups, -1, self.size)  # (G, H / G * T, K)
        scaled = shared @ keys.transpose(0, 2, 1) / np.float32(math.sqrt(self.size))
        scores: Floats = scaled.reshape(self.heads, new, end)
        if new > 1:
            ahead = np.arange(end) > np.arange(end - new, end)[:, None]
            scores[:, ahead] = -np.inf
        weights = softmax(scores)
        y = (weights.reshape(self.groups, -1, end) @ values).reshape(self.heads, new, self.size)
        return linear(y.transpose(1, 0, 2).reshape(new, -1), block.out), weights


def _rotated(x: Floats, turn: tuple[Floats, Floats]) -> Floats:
    """x (n, T, K) turned by its positions (Su et al. 2021, eq. 15); halves are paired."""
    cosine, sine = turn
    left, right = np.split(x, 2, -1)
    turned: Floats = x * cosine
    turned += np.concatenate([-right, left], -1) * sine
    return turned
