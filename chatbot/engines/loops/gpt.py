"""The GPT of chatbot.models.gpt in compiled loops, for one conversation at a time.

V vocabulary, T new tokens, S prompt, C capacity of the cache, L layers, D width, F inner width, H heads,
G groups, K head width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chatbot.engines.base import Floats
from chatbot.engines.light.gpt import Cache, LightGPT
from chatbot.engines.loops.kernels import LINE, compiled, exp, fetched, norm, product, products, softmax
from chatbot.engines.loops.rounding import Rounding, Small

ROOM = 256  # positions of a cache behind the prompt: to make it larger costs more than a token


class Model(NamedTuple):
    """The weights; of all but the norms', each row has a scale.

    matrices   (L, N): of each layer, in the order in which they are read: queries, keys, values
               ((H + 2 G) K, D); out (D, D); gate, up (2 F, D); down (D, F)
    scales     (L, (H + 2 G) K + D + 2 F + D)
    embed      (V, D), right behind the matrices, and its scales (V,)
    norms      (2 L + 1, D): before attention and before the feed-forward of each, and the last
    frequencies (K / 2,)
    """

    matrices: Small
    scales: Floats
    embed: Small
    embed_scales: Floats
    norms: Floats
    frequencies: Floats


class LoopGPT:
    """Reads and predicts; its state is a Cache."""

    def __init__(self, light: LightGPT, rounding: Rounding) -> None:
        blocks = light.blocks
        norms = [weight for block in blocks for weight in (block.attention_norm, block.feed_norm)]
        matrices = [m for block in blocks for m in (block.project, block.out, block.feed, block.down)]
        rounded = [rounding(matrix) for matrix in (*matrices, light.embed)]
        layers, embed = np.split(np.concatenate([m.ravel() for m, _ in rounded]), [-light.embed.size])
        scales = np.concatenate([scale for _, scale in rounded[:-1]])
        self.model = Model(
            layers.reshape(len(blocks), -1),
            scales.reshape(len(blocks), -1),
            embed.reshape(light.embed.shape),
            rounded[-1][1],
            np.stack([*norms, light.norm]),
            np.asarray(light.frequencies[: light.size // 2], np.float32),
        )
        self.groups, self.size = light.groups, light.size
        self.read([0])  # compiles, once on a machine, some seconds: while a bot is loaded everybody waits

    def read(self, prompt: Sequence[int]) -> Cache:
        """The prompt, read."""
        shape = len(self.model.matrices), self.groups, len(prompt) + ROOM, self.size
        cache = Cache(np.zeros(shape, np.float32), np.zeros(shape, np.float32), prompt=len(prompt))
        self._advance(prompt, cache, np.zeros(0, np.float32), np.zeros(0, np.float32))
        return cache

    def step(self, token: int, cache: Cache) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,) of the last block's heads."""
        logits, looked = np.empty(len(self.model.embed), np.float32), np.zeros(cache.prompt, np.float32)
        self._advance([token], cache, logits, looked)
        return logits, looked / max(looked.sum(), np.float32(1e-9))

    def _advance(self, tokens: Sequence[int], cache: Cache, logits: Floats, looked: Floats) -> None:
        """Read tokens into the cache; logits and looked: to be filled, if they are not empty."""
        cache.make_room(len(tokens))
        new = np.asarray(tokens)
        rows = self.model.embed[new]
        whole = (rows.view(np.float16) if rows.dtype == np.uint16 else rows).astype(np.float32)
        x = whole * self.model.embed_scales[new][:, None]
        advance(self.model, x, cache.filled, cache.keys, cache.values, logits, looked)
        cache.filled += len(tokens)


@compiled
def advance(model: Any, x: Any, start: Any, keys: Any, values: Any, logits: Any, looked: Any) -> None:
    """Read embedded tokens x (T, D) at positions from start; write the last one's logits and where it looked.

    What the last layer makes of a prompt is read through its keys and values alone: where no logits are asked
    for, the rest of it is left out.
    """
    layers, last = len(keys), len(keys) - 1
    for layer in range(layers):
        weights, norms = (model.matrices[layer], model.scales[layer]), model.norms[2 * layer : 2 * layer + 2]
        done = layer == last and len(logits) == 0
        seen = looked if layer == last else looked[:0]
        rest = look(weights, norms[0], model.frequencies, x, start, keys[layer], values[layer], seen, done)
        if not done:
            feed(rest, norms[1], x)
    if len(logits):
        normed = np.empty_like(x[:1])
        norm(x[-1:], model.norms[2 * layers], normed)
        product(model.embed, model.embed_scales, normed[0], logits)


@compiled
def look(
    weights: Any,
    weight: Any,
    frequencies: Any,
    x: Any,
    start: Any,
    keys: Any,
    values: Any,
    seen: Any,
    done: Any,
) -> Any:
    """Attention, added to x (T, D), or its keys and values alone; the weights that the layer has besides.

    weights: of the layer, and their scales.
    """
    matrices, scales = weights
    width, (groups, _, size) = x.shape[1], keys.shape
    rows = width + 2 * groups * size
    normed, both = np.empty_like(x), np.empty((len(x), rows), np.float32)
    norm(x, weight, normed)
    products(matrices[: rows * width].reshape((rows, width)), scales, normed, both)
    rotate(both, start, frequencies, width // size + groups)
    remember(both, start, keys, values)
    out = matrices[rows * width : (rows + width) * width].reshape((width, width))
    if not done:
        for t in range(len(x)):
            attend(both[t], start + t, keys, values, normed[t], seen)
        more = np.empty_like(x)
        products(out, scales[rows:], normed, more)
        x += more
    return matrices[(rows + width) * width :], scales[rows + width :]


@compiled
def feed(weights: Any, weight: Any, x: Any) -> None:
    """The feed-forward layer (Shazeer 2020, SwiGLU), added to x (T, D)."""
    (matrices, scales), (tokens, width) = weights, x.shape
    inner = len(matrices) // (3 * width)
    normed, fed = np.empty_like(x), np.empty((tokens, 2 * inner), np.float32)
    gated = np.empty((tokens, inner), np.float32)
    norm(x, weight, normed)
    products(matrices[: 2 * inner * width].reshape((2 * inner, width)), scales, normed, fed)
    gate(fed, gated)
    products(matrices[2 * inner * width :].reshape((width, inner)), scales[2 * inner :], gated, normed)
    x += normed


@compiled
def rotate(both: Any, start: Any, frequencies: Any, heads: Any) -> None:
    """Heads of both (T, heads K ...) turned by position (Su et al. 2021, eq. 15); halves are paired."""
    half = len(frequencies)
    for t in range(len(both)):
        for i in range(half):
            angle = np.float32(start + t) * frequencies[i]
            cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
            for left in range(i, i + 2 * half * heads, 2 * half):
                one, other = both[t, left], both[t, left + half]
                both[t, left] = one * cosine - other * sine
                both[t, left + half] = other * cosine + one * sine


@compiled
def remember(both: Any, start: Any, keys: Any, values: Any) -> None:
    """Keys and values of both (T, (H + 2 G) K) at their places in keys and values (G, C, K)."""
    groups, _, size = keys.shape
    first = both.shape[1] - 2 * groups * size
    for t in range(len(both)):
        for group in range(groups):
            for i in range(size):
                keys[group, start + t, i] = both[t, first + group * size + i]
                values[group, start + t, i] = both[t, first + (groups + group) * size + i]


@compiled
def attend(query: Any, at: Any, keys: Any, values: Any, y: Any, looked: Any) -> None:
    """Self-attention of a token at position `at`, query (H K ...), into y (H K,); looked (S,) is added to."""
    groups, _, size = keys.shape
    heads, scale = len(y) // size, np.float32(1 / math.sqrt(size))
    scores = np.empty(at + 1, np.float32)
    for head in range(heads):
        group, mixed = head // (heads // groups), y[head * size : (head + 1) * size]
        for m in range(at + 1):
            near(values, group, m)
            row, score = keys[group, m], np.float32(0)
            for i in range(size):
                score += query[head * size + i] * row[i]
            scores[m] = score * scale
        softmax(scores)
        mixed[:] = 0
        for m in range(at + 1):
            near(keys, group + 1, m)
            share, row = scores[m], values[group, m]
            for i in range(size):
                mixed[i] += share * row[i]
        for s in range(len(looked)):
            looked[s] += scores[s]


@compiled
def near(array: Any, group: Any, position: Any) -> None:
    """Ask for a vector of array (G, C, K) before it is read: the weights drove it out since last time."""
    _, capacity, size = array.shape
    first = 4 * (group * capacity + position) * size
    for place in range(first, first + 4 * size, LINE):
        fetched(array, place)


@compiled
def gate(fed: Any, gated: Any) -> None:
    """The left half of fed (T, 2 F) times its sigmoid and the right half, into gated (T, F)."""
    inner = gated.shape[1]
    for t in range(len(fed)):
        for i in range(inner):
            gated[t, i] = fed[t, i] * fed[t, inner + i] / (np.float32(1) + exp(-fed[t, i]))
