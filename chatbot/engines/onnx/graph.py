"""A gpt as a graph of ONNX Runtime's operators, those that its language models are made of.

V vocabulary, T new tokens, M everything read so far, C capacity of the caches, D width, H heads, G groups,
K head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from chatbot.engines.base import Floats
from chatbot.engines.light.gpt import Block, LightGPT
from chatbot.errors import ChatbotError

CONTRIB = "com.microsoft"  # the domain of operators that are ONNX Runtime's own
OPSET, FORMAT = 17, 8
BLOCK = 32  # int8 weights of one scale, as in llama.cpp's q8_0
EIGHT_BIT_INPUTS = 4  # accuracy_level of MatMulNBits: what is multiplied is rounded to 8 bits too
PROBABILITIES = 2  # qk_output of GroupQueryAttention: what the softmax gives
HEAD = 16  # the width of its heads is a multiple of this in GroupQueryAttention, where it turns them
NORM = {"epsilon": 1e-5}


def gpt(model: LightGPT, int8: bool) -> ModelProto:
    """The whole model but the embedding of its inputs, which needs no graph.

    inputs     x (1, T, D); last, whole (1,): M - 1 and M; cosine, sine (C, K / 2);
               past_key_i, past_value_i (1, G, C, K) of each block
    outputs    logits (1, 1, V) after the last token; attention (1, H, T, M) of the last block;
               present_key_i, present_value_i: to be bound to the same memory as the past ones
    """
    if model.size % HEAD:
        what = f"ONNX Runtime has no attention for heads of {model.size}, only for multiples of {HEAD}"
        raise ChatbotError(what, "use --engine light")
    graph = _Graph(int8)
    shape: list[int | str] = [1, model.groups, "C", model.size]
    x, added = "x", ""
    for i, block in enumerate(model.blocks):
        x, added = graph.block(block, i, model, x, added)
    _, normed = graph.norm("norm", model.norm, x, added)
    graph.node("Slice", [normed, *map(graph.integer, (-1, np.iinfo(np.int64).max, 1))], ["newest"])
    graph.product("logits", model.embed, "newest")
    layers = range(len(model.blocks))
    caches = [f"{what}_{i}" for i in layers for what in ("key", "value")]
    inputs = [
        _value("x", [1, "T", model.embed.shape[1]]),
        *(_value(name, [1], TensorProto.INT32) for name in ("last", "whole")),
        *(_value(name, ["C", model.size // 2]) for name in ("cosine", "sine")),
        *(_value(f"past_{name}", shape) for name in caches),
    ]
    outputs = [
        _value("logits", [1, 1, len(model.embed)]),
        _value("attention", [1, model.heads, "T", "M"]),
        *(_value(f"present_{name}", shape) for name in caches),
    ]
    made = helper.make_graph(graph.nodes, "gpt", inputs, outputs, graph.constants)
    operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(made, opset_imports=operators, ir_version=FORMAT, producer_name="chatbot")


class _Graph:
    """Nodes and constants so far. An edge has the name of what makes it."""

    def __init__(self, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **settings: Any) -> str:
        """An operator; the name of its first output."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, **settings))
        return outputs[0]

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """An array that is part of the graph."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integer(self, value: int) -> str:
        """A vector of this integer alone."""
        return self.constant(f"integer_{value}", np.array([value], np.int64))

    def block(self, block: Block, i: int, model: LightGPT, x: str, added: str) -> tuple[str, str]:
        """x and what was to be added to it -> the same after a block."""
        x, normed = self.norm(f"attention_norm_{i}", block.attention_norm, x, added)
        attended = self.attention(i, model, self.product(f"project_{i}", block.project, normed))
        x, normed = self.norm(
            f"feed_norm_{i}", block.feed_norm, x, self.product(f"out_{i}", block.out, attended)
        )
        gate, up = np.split(block.feed, 2)
        # x times its sigmoid, as QuickGelu has it with a factor of 1.
        gated = self.node(
            "QuickGelu", [self.product(f"gate_{i}", gate, normed)], [f"gated_{i}"], domain=CONTRIB, alpha=1.0
        )
        inner = self.node("Mul", [gated, self.product(f"up_{i}", up, normed)], [f"inner_{i}"])
        return x, self.product(f"down_{i}", block.down, inner)

    def norm(self, name: str, weight: Floats, x: str, added: str) -> tuple[str, str]:
        """x + added, and that normalised (Zhang & Sennrich 2019, eq. 4); added: none at the beginning."""
        scale = self.constant(f"{name}_weight", weight)
        if not added:
            return x, self.node("SimplifiedLayerNormalization", [x, scale], [name], axis=-1, **NORM)
        outputs = [name, "", "", f"{name}_sum"]
        self.node("SkipSimplifiedLayerNormalization", [x, added, scale], outputs, domain=CONTRIB, **NORM)
        return outputs[-1], name

    def product(self, name: str, weight: Floats, x: str) -> str:
        """x (1, T, D) times weight (E, D), transposed."""
        if not self.int8:
            return self.node("MatMul", [x, self.constant(f"{name}_weight", weight.T)], [name])
        values, scales = quantised(weight)
        inputs = [x, self.constant(f"{name}_values", values), self.constant(f"{name}_scales", scales)]
        sizes = {"N": weight.shape[0], "K": weight.shape[1], "bits": 8, "block_size": BLOCK}
        return self.node(
            "MatMulNBits", inputs, [name], domain=CONTRIB, accuracy_level=EIGHT_BIT_INPUTS, **sizes
        )

    def attention(self, i: int, model: LightGPT, projected: str) -> str:
        """Self-attention, of queries, keys and values (1, T, (H + 2 G) K) side by side."""
        past, present = ([f"{when}_{what}_{i}" for what in ("key", "value")] for when in ("past", "present"))
        last = i + 1 == len(model.blocks)
        outputs = [f"attended_{i}", *present, *(["attention"] if last else [])]
        heads = {"num_heads": model.heads, "kv_num_heads": model.groups, "do_rotary": 1}
        shown = {"qk_output": PROBABILITIES} if last else {}
        inputs = [projected, "", "", *past, "last", "whole", "cosine", "sine"]
        return self.node("GroupQueryAttention", inputs, outputs, domain=CONTRIB, **heads, **shown)


def quantised(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """weight (E, D) in blocks of a row: values (E, blocks, BLOCK), 128 for zero, and scales (E, blocks).

    The number of a block that is furthest from zero becomes -128, so that nothing of the range is unused.
    Rounding hides what is no number, so that is a ChatbotError here.
    """
    if not np.isfinite(weight).all():
        raise ChatbotError("the bot's weights give no numbers to choose by", "train it again")
    rows, width = weight.shape
    blocks = np.pad(weight, [(0, 0), (0, -width % BLOCK)]).reshape(rows, -1, BLOCK)
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = (furthest / -128).astype(np.float32)
    steps = np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales != 0)
    return (np.clip(np.rint(steps), -128, 127) + 128).astype(np.uint8), scales[..., 0]


def _value(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
