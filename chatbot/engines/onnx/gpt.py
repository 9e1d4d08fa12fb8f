"""The GPT of chatbot.models.gpt as a graph of the operators that ONNX Runtime has for language models.

V vocabulary, T new tokens, N those of them that are predicted after, M everything read so far, S prompt,
C capacity of the caches, D width, H heads, G groups, K head width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto

from chatbot.engines.base import Floats
from chatbot.engines.light.gpt import ROOM, Block, LightGPT
from chatbot.engines.onnx.graph import CONTRIB, Graph, value
from chatbot.errors import ChatbotError

PROBABILITIES = 2  # qk_output of GroupQueryAttention: what the softmax gives
HEAD = 16  # the width of its heads is a multiple of this in GroupQueryAttention, where it turns them
NORM = {"epsilon": 1e-5}


@dataclass
class Row:
    """A conversation so far: memory (OrtValues) and what binds it to the graph; the prompt's S."""

    model: OnnxGPT
    caches: dict[str, Any]  # Any: onnxruntime has no types
    binding: Any
    prompt: int
    filled: int = 0  # positions of the caches
    unread: list[int] = field(default_factory=list)  # tokens that the next step reads first

    @property
    def capacity(self) -> int:
        """Positions that there are."""
        positions: int = next(iter(self.caches.values())).shape()[2]
        return positions

    def copy(self) -> Row:
        """One that goes its own way."""
        caches = self.model.wider(self, 0)
        return Row(self.model, caches, self.model.bound(caches), self.prompt, self.filled, list(self.unread))


class OnnxGPT:
    """Reads and predicts; its state is a Row."""

    def __init__(self, light: LightGPT, int8: bool) -> None:
        # The other weights are in the session.
        self.embed, self.layers, self.groups = light.embed, len(light.blocks), light.groups
        self.size = light.size
        self.frequencies = light.frequencies[: light.size // 2]
        self.session = session(light, int8)

    def read(self, prompt: Sequence[int]) -> Row:
        """The prompt, to be read with the first token of the reply."""
        shape = 1, self.groups, len(prompt) + ROOM, self.size
        names = [f"{what}_{i}" for i in range(self.layers) for what in ("key", "value")]
        caches = {name: valued(np.zeros(shape, np.float32)) for name in names}
        return Row(self, caches, self.bound(caches), len(prompt), unread=list(prompt))

    def step(self, token: int, row: Row) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,) of the last block's heads."""
        logits, looked = self.run([token], row)
        return logits[0], looked[0]

    def run(self, tokens: Sequence[int], row: Row) -> tuple[Floats, Floats]:
        """Append N tokens: logits (N, V) and attention over the prompt (N, S) after each of them."""
        new = [*row.unread, *tokens]
        self.make_room(row, len(new))
        row.unread = []
        row.filled += len(new)
        row.binding.bind_cpu_input("x", self.embed[np.asarray(new)][None])
        row.binding.bind_cpu_input("newest", np.array([-len(tokens)], np.int64))
        for name, count in (("last", row.filled - 1), ("whole", row.filled)):
            row.binding.bind_cpu_input(name, np.array([count], np.int32))
        for name in ("logits", "attention"):  # anew, since their shapes are others at each step
            row.binding.bind_output(name)
        self.session.run_with_iobinding(row.binding)
        logits, weights = (found.numpy() for found in row.binding.get_outputs()[-2:])
        looked = weights[0, :, -len(tokens) :, : row.prompt].mean(0)
        return logits[0], looked / np.maximum(looked.sum(-1, keepdims=True), np.float32(1e-9))

    def make_room(self, row: Row, new: int) -> None:
        """For so many more tokens."""
        if row.filled + new > row.capacity:
            row.caches = self.wider(row, new + ROOM)
            row.binding = self.bound(row.caches)

    def wider(self, row: Row, by: int) -> dict[str, Any]:
        """A copy of a conversation's memory with so many more positions."""
        more = [(0, 0), (0, 0), (0, by), (0, 0)]
        return {name: valued(np.pad(found.numpy(), more)) for name, found in row.caches.items()}

    def bound(self, caches: Mapping[str, Any]) -> Any:
        """Memory, bound to the graph: as what it reads and as what it writes."""
        binding = self.session.io_binding()
        for name, found in caches.items():
            binding.bind_ortvalue_input(f"past_{name}", found)
            binding.bind_ortvalue_output(f"present_{name}", found)
        capacity = next(iter(caches.values())).shape()[2]
        angles = np.outer(np.arange(capacity, dtype=np.float32), self.frequencies)
        binding.bind_cpu_input("cosine", np.cos(angles))
        binding.bind_cpu_input("sine", np.sin(angles))
        return binding


def valued(array: Floats) -> Any:
    """An array, as ONNX Runtime has them."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def session(model: LightGPT, int8: bool) -> Any:  # Any: onnxruntime has no types
    """The whole model but the embedding of its inputs, which needs no graph.

    inputs     x (1, T, D); newest (1,): -N; last, whole (1,): M - 1 and M; cosine, sine (C, K / 2);
               past_key_i, past_value_i (1, G, C, K) of each block
    outputs    logits (1, N, V) after the last N tokens; attention (1, H, T, M) of the last block;
               present_key_i, present_value_i: to be bound to the same memory as the past ones
    """
    if model.size % HEAD:
        what = f"ONNX Runtime has no attention for heads of {model.size}, only for multiples of {HEAD}"
        raise ChatbotError(what, "use --engine light")
    graph = Graph(int8)
    shape: list[int | str] = [1, model.groups, "C", model.size]
    x, added = "x", ""
    for i, weights in enumerate(model.blocks):
        x, added = block(graph, weights, i, model, x, added)
    _, normed = norm(graph, "norm", model.norm, x, added)
    graph.node("Slice", [normed, "newest", *map(graph.integer, (np.iinfo(np.int64).max, 1))], ["predicting"])
    graph.product("logits", model.embed, "predicting")
    layers = range(len(model.blocks))
    caches = [f"{what}_{i}" for i in layers for what in ("key", "value")]
    inputs = [
        value("x", [1, "T", model.embed.shape[1]]),
        value("newest", [1], TensorProto.INT64),
        *(value(name, [1], TensorProto.INT32) for name in ("last", "whole")),
        *(value(name, ["C", model.size // 2]) for name in ("cosine", "sine")),
        *(value(f"past_{name}", shape) for name in caches),
    ]
    outputs = [
        value("logits", [1, "N", len(model.embed)]),
        value("attention", [1, model.heads, "T", "M"]),
        *(value(f"present_{name}", shape) for name in caches),
    ]
    return graph.session(inputs, outputs)


def block(graph: Graph, weights: Block, i: int, model: LightGPT, x: str, added: str) -> tuple[str, str]:
    """x and what was to be added to it -> the same after a block."""
    x, normed = norm(graph, f"attention_norm_{i}", weights.attention_norm, x, added)
    attended = attention(graph, i, model, graph.product(f"project_{i}", weights.project, normed))
    more = graph.product(f"out_{i}", weights.out, attended)
    x, normed = norm(graph, f"feed_norm_{i}", weights.feed_norm, x, more)
    gate, up = (
        graph.product(f"{name}_{i}", weight, normed)
        for name, weight in zip(("gate", "up"), np.split(weights.feed, 2), strict=True)
    )
    # x times its sigmoid, as QuickGelu has it with a factor of 1.
    gated = graph.node("QuickGelu", [gate], [f"gated_{i}"], domain=CONTRIB, alpha=1.0)
    inner = graph.node("Mul", [gated, up], [f"inner_{i}"])
    return x, graph.product(f"down_{i}", weights.down, inner)


def norm(graph: Graph, name: str, weight: Floats, x: str, added: str) -> tuple[str, str]:
    """x + added, and that normalised (Zhang & Sennrich 2019, eq. 4); added: none at the beginning."""
    scale = graph.constant(f"{name}_weight", weight)
    if not added:
        return x, graph.node("SimplifiedLayerNormalization", [x, scale], [name], axis=-1, **NORM)
    outputs = [name, "", "", f"{name}_sum"]
    graph.node("SkipSimplifiedLayerNormalization", [x, added, scale], outputs, domain=CONTRIB, **NORM)
    return outputs[-1], name


def attention(graph: Graph, i: int, model: LightGPT, projected: str) -> str:
    """Self-attention, of queries, keys and values (1, T, (H + 2 G) K) side by side."""
    past, present = ([f"{when}_{what}_{i}" for what in ("key", "value")] for when in ("past", "present"))
    last = i + 1 == len(model.blocks)
    outputs = [f"attended_{i}", *present, *(["attention"] if last else [])]
    heads = {"num_heads": model.heads, "kv_num_heads": model.groups, "do_rotary": 1}
    shown = {"qk_output": PROBABILITIES} if last else {}
    inputs = [projected, "", "", *past, "last", "whole", "cosine", "sine"]
    return graph.node("GroupQueryAttention", inputs, outputs, domain=CONTRIB, **heads, **shown)
