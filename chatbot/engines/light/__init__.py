"""The light engine: models in NumPy, for a chat. It needs no torch, which takes a second to import.

One conversation at a time, and each of several by itself: products of a matrix and a vector are bound by
reading the matrix, which NumPy does as well as torch. For many at once, and for training, there is torch.
What it predicts is what torch does, within 1e-4 of a logit (tests/test_exact_engines.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from chatbot.config import from_dict
from chatbot.engines.base import LIGHT, Floats, Step
from chatbot.engines.light.ops import Weights
from chatbot.errors import ChatbotError, CheckpointError, ConfigError
from chatbot.tokenizer import BOT


class LightEngine:
    """An Engine around a light model. Its state is a list of the model's, one for each row."""

    def __init__(self, model: Any) -> None:  # Any: a light model, `read` and `step`
        self.model = model
        # On a busy machine several threads wait for each other at every product: ten times as slow. On a
        # quiet one they gain a fifth.
        self._blas = ThreadpoolController()

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> LightEngine:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if device not in ("auto", "cpu"):
            raise ChatbotError(
                f"the light engine runs on the processor, not on {device}", "use --engine torch"
            )
        kind, weights = LIGHT.load(family), Weights(tensors)
        try:
            model = kind(from_dict(kind.Config, config, family), weights)
        except ConfigError as error:
            raise CheckpointError(f"its config is wrong: {error.what}", error.hint) from None
        weights.check_all_used()
        return cls(model)

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts (ragged, none empty) and predict the first token of each reply."""
        with self._quietly():
            state = [self.model.read(prompt) for prompt in prompts]
        return self.step([BOT] * len(prompts), state)

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Append one token to each reply and predict the next."""
        with self._quietly():
            found = [self.model.step(token, row) for token, row in zip(tokens, state, strict=True)]
        return Step(np.stack([logits for logits, _ in found]), padded([looked for _, looked in found]), state)

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """A copy of the state with these rows, in this order, repeats allowed."""
        return [state[row].copy() for row in rows]

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """On one thread; of numbers that come to nothing the sampler says so, in one line."""
        with self._blas.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            yield


def padded(rows: Sequence[Floats]) -> Floats:
    """Rows side by side, with zeros behind the shorter ones."""
    padded = np.zeros((len(rows), max(map(len, rows))), np.float32)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
