"""The Seq2Seq of chatbot.models.seq2seq: the prompt is read in NumPy, the reply made by a graph.

V vocabulary, S prompt, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chatbot.engines.base import Floats
from chatbot.engines.light.ops import Quietly
from chatbot.engines.light.seq2seq import GRU, LightSeq2Seq
from chatbot.engines.onnx.graph import Graph, value


@dataclass
class Row:
    """What the graph is fed, by name: the decoder's states, and where to look."""

    feeds: dict[str, Floats]

    def copy(self) -> Row:
        """One that goes its own way; nothing in it is changed in place."""
        return Row(dict(self.feeds))


class OnnxSeq2Seq:
    """Reads and predicts; its state is a Row."""

    def __init__(self, light: LightSeq2Seq, int8: bool) -> None:
        self.light, self._quietly = light, Quietly()
        self.session = session(light, int8)
        self.names = [f"hidden_{i}" for i in range(len(light.decoder))]

    def read(self, prompt: Sequence[int]) -> Row:
        """The prompt, read, in float32."""
        with self._quietly():
            memory = self.light.read(prompt)
        hidden = {name: state[None] for name, state in zip(self.names, memory.hidden, strict=True)}
        looking = np.where(memory.mask, np.float32(0), np.float32(-np.inf))[None]
        return Row({**hidden, "memory": memory.memory, "keys": memory.keys.T.copy(), "looking": looking})

    def step(self, token: int, row: Row) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,)."""
        logits, weights, *hidden = self.session.run(None, {**row.feeds, "x": self.light.embedded([token])})
        row.feeds.update(zip(self.names, hidden, strict=True))
        return logits[0], weights[0]


def session(model: LightSeq2Seq, int8: bool) -> Any:  # Any: onnxruntime has no types
    """The decoder.

    inputs     x (1, D): a token, embedded; hidden_i (1, D) of each layer; memory (S, D); keys (D, S);
               looking (1, S): 0 where it may look, else -inf
    outputs    logits (1, V); attention (1, S); next_i (1, D): what hidden_i is afterwards
    """
    graph, width = Graph(int8), model.width
    layers = range(len(model.decoder))
    x = "x"
    for i, layer in enumerate(model.decoder):
        y = gru(graph, i, layer, x)
        x = graph.node("Add", [x, y], [f"sum_{i}"]) if i else y
    graph.node("Softmax", [graph.node("Add", [scores(graph, model, x), "looking"], ["seen"])], ["attention"])
    looked = graph.node("MatMul", ["attention", "memory"], ["looked"])
    both = graph.node("Concat", [looked, x], ["both"], axis=-1)
    mixed = graph.node("Tanh", [graph.product("combined", model.combine, both)], ["mixed"])
    bias = graph.constant("bias", model.bias)
    graph.node("Add", [graph.product("unbiased", model.embed, mixed), bias], ["logits"])
    hidden = [value(f"hidden_{i}", [1, width]) for i in layers]
    places = [value("memory", ["S", width]), value("keys", [width, "S"]), value("looking", [1, "S"])]
    found = [value("logits", [1, len(model.embed)]), value("attention", [1, "S"])]
    after = [value(f"next_{i}", [1, width]) for i in layers]
    return graph.session([value("x", [1, width]), *hidden, *places], [*found, *after])


def gru(graph: Graph, i: int, layer: GRU, x: str) -> str:
    """A token further: Cho et al. 2014 in torch's form, h' = n + z * (h - n)."""

    def gates(name: str, weight: Floats, bias: Floats, of: str) -> list[str]:
        product = graph.product(f"{name}_product_{i}", weight, of)
        graph.node("Add", [product, graph.constant(f"{name}_bias_{i}", bias)], [f"{name}_{i}"])
        parts = [f"{name}_{gate}_{i}" for gate in "rzn"]
        graph.node("Split", [f"{name}_{i}"], parts, axis=-1)
        return parts

    def node(kind: str, name: str, *inputs: str) -> str:
        return graph.node(kind, inputs, [f"{name}_{i}"])

    given = gates("input", layer.weight_ih, layer.bias_ih, x)
    kept = gates("recurrent", layer.weight_hh, layer.bias_hh, f"hidden_{i}")
    r, z = (
        node("Sigmoid", gate, node("Add", f"{gate}_sum", given[at], kept[at])) for at, gate in enumerate("rz")
    )
    n = node("Tanh", "n", node("Add", "n_sum", given[2], node("Mul", "reset", r, kept[2])))
    return node("Add", "next", n, node("Mul", "stayed", z, node("Sub", "apart", f"hidden_{i}", n)))


def scores(graph: Graph, model: LightSeq2Seq, query: str) -> str:
    """Of each place (1, S): Luong et al. 2015, eq. 7, as in chatbot.models.attention."""
    if model.score != "concat":
        scale = graph.constant("scale", np.array([model.width**-0.5], np.float32))
        return graph.node("MatMul", [graph.node("Mul", [query, scale], ["scaled"]), "keys"], ["scores"])
    asked = graph.node("Transpose", [graph.product("asked", model.query, query)], ["asked_column"])
    inner = graph.node("Tanh", [graph.node("Add", [asked, "keys"], ["met"])], ["inner"])
    return graph.node("MatMul", [graph.constant("energy", model.energy), inner], ["scores"])
