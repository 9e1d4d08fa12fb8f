"""Engines that run the rows of a batch one by one, around a model of one conversation.

S prompt length, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from chatbot.engines.base import Floats, Step
from chatbot.tokenizer import BOT


class RowModel(Protocol):
    """A model of one conversation. Its state has `copy`, and `step` may change it in place."""

    def read(self, prompt: Sequence[int]) -> Any:
        """The prompt, read: a state."""
        ...

    def step(self, token: int, state: Any) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,)."""
        ...


class RowEngine:
    """An Engine around such a model. Its state is a list of the model's, one for each row.

    around: a context for all that the model does.
    """

    def __init__(
        self, model: RowModel, around: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.model, self._around = model, around

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts (ragged, none empty) and predict the first token of each reply."""
        with self._around():
            state = [self.model.read(prompt) for prompt in prompts]
        return self.step([BOT] * len(prompts), state)

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Append one token to each reply and predict the next."""
        with self._around():
            found = [self.model.step(token, row) for token, row in zip(tokens, state, strict=True)]
        if len(found) == 1:  # as in a chat: nothing need be copied
            return Step(found[0][0][None], found[0][1][None], state)
        return Step(np.stack([logits for logits, _ in found]), padded([looked for _, looked in found]), state)

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """A copy of the state with these rows, in this order, repeats allowed."""
        return [state[row].copy() for row in rows]


def padded(rows: Sequence[Floats]) -> Floats:
    """Rows side by side, with zeros behind the shorter ones."""
    padded = np.zeros((len(rows), max(map(len, rows))), np.float32)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
