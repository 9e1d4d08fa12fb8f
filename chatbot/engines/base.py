"""The contract between decoding and whatever runs the model.

B batch, S prompt length, V vocabulary. Decoding needs NumPy alone: an engine may bring torch, but
nothing that uses an engine has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chatbot.registry import Registry

Floats = NDArray[np.float32]
Precision = Literal["auto", "float32", "bfloat16"]  # of products; auto: whichever is faster

ENGINES = Registry(
    "engine",
    {
        "light": "chatbot.engines.light:LightEngine",
        "onnx": "chatbot.engines.onnx:OnnxEngine",
        "int8": "chatbot.engines.onnx:Int8Engine",
        "speculative": "chatbot.engines.onnx:SpeculativeEngine",
        "half": "chatbot.engines.loops:HalfEngine",
        "bytes": "chatbot.engines.loops:BytesEngine",
        "torch": "chatbot.engines.torch:TorchEngine",
    },
)
# The families that the light engine has.
LIGHT = Registry(
    "light model",
    {
        "gpt": "chatbot.engines.light.gpt:LightGPT",
        "seq2seq": "chatbot.engines.light.seq2seq:LightSeq2Seq",
    },
)
# Those that ONNX Runtime has a graph of, each made of the light model's weights.
ONNX = Registry(
    "graph",
    {
        "gpt": "chatbot.engines.onnx.gpt:OnnxGPT",
        "seq2seq": "chatbot.engines.onnx.seq2seq:OnnxSeq2Seq",
    },
)
# Those that there are compiled loops for, made of the light model's weights too.
LOOPS = Registry("model in loops", {"gpt": "chatbot.engines.loops.gpt:LoopGPT"})


@dataclass(frozen=True)
class Step:
    """One prediction: what comes next, where the model looked, what to remember.

    logits     (B, V) float32
    attention  (B, S) float32 over the prompt's tokens, rows sum to 1, 0 on padding
    state      opaque; `Engine.step` consumes it, so `Engine.select` first to branch
    """

    logits: Floats
    attention: Floats
    state: Any  # Any: each engine has its own, and no caller looks inside


class Engine(Protocol):
    """Reads prompts, then predicts one token after another."""

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts (ragged, none empty) and predict the first token of each reply."""
        ...

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Append one token to each reply and predict the next."""
        ...

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """A copy of the state with these rows, in this order, repeats allowed."""
        ...
