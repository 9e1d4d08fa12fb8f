"""Guessing ahead: a fast model says what may come next, the exact one reads all its guesses at once.

Leviathan et al. 2023, where the fast model is the exact one with int8 weights. What is predicted, and so what
is chosen, is the exact model's: a guess that comes true saves a step, one that does not costs its reading.

V vocabulary, S prompt length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from chatbot.engines.base import Floats
from chatbot.engines.onnx.gpt import OnnxGPT, Row

MOST = 12  # guesses at once
GUESS, READ = 0.3, 0.12  # what a guess, and reading one more token, costs: steps of the exact model
MEMORY = 0.7  # of how often guesses come true, from one token to the next


@dataclass
class Guesses:
    """A conversation so far, and the predictions that are ready for what may be said next.

    fast is the fast model's binding to the exact one's memory.
    """

    exact: Row
    fast: Row
    likeliest: int = -1  # what the exact model would say next; none before the first token
    came_true: float = 0.35  # how often that was said, of late
    ahead: deque[tuple[int, Floats, Floats]] = field(default_factory=deque)

    @property
    def said(self) -> int:
        """Positions of the memory that are no guesses."""
        return self.exact.filled - len(self.ahead)

    def copy(self) -> Guesses:
        """One that goes its own way."""
        exact = self.exact.copy()
        return Guesses(
            exact, beside(exact, self.fast.model), self.likeliest, self.came_true, self.ahead.copy()
        )


def beside(row: Row, model: OnnxGPT) -> Row:
    """Another model's row with the memory of this one."""
    return Row(model, row.caches, model.bound(row.caches), row.prompt)


class Speculative:
    """Reads and predicts as the exact model does; its state is a Guesses."""

    def __init__(self, exact: OnnxGPT, fast: OnnxGPT) -> None:
        self.exact, self.fast = exact, fast

    def read(self, prompt: Sequence[int]) -> Guesses:
        """The prompt, to be read with the first token of the reply."""
        exact = self.exact.read(prompt)
        return Guesses(exact, beside(exact, self.fast))

    def step(self, token: int, state: Guesses) -> tuple[Floats, Floats]:
        """Append a token: logits (V,), and attention over the prompt (S,), as the exact model has them."""
        count = 0  # before the first token, which is waited for, and while the prompt is unread
        if state.likeliest >= 0:
            state.came_true += (1 - MEMORY) * ((token == state.likeliest) - state.came_true)
            count = worthwhile(state.came_true)
        if not state.ahead or state.ahead[0][0] != token:
            self._look_ahead(token, state, count)
        _, logits, looked = state.ahead.popleft()
        state.likeliest = int(logits.argmax())
        return logits, looked

    def _look_ahead(self, token: int, state: Guesses, count: int) -> None:
        """Predictions after the token, and after each of so many guesses of what follows it."""
        exact, ahead = state.exact, [token]
        exact.filled = state.said  # what was guessed and not said is written over
        self.exact.make_room(exact, len(exact.unread) + 1 + count)
        if state.fast.caches is not exact.caches:
            state.fast = beside(exact, self.fast)
        state.fast.filled = exact.filled
        for _ in range(count):  # what the fast model remembers of them, the exact one writes over
            logits, _ = self.fast.step(ahead[-1], state.fast)
            ahead.append(int(logits.argmax()))
        state.ahead = deque(zip(ahead, *self.exact.run(ahead, exact), strict=True))


def worthwhile(came_true: float) -> int:
    """How many guesses make the most of the time, if each comes true with this probability."""

    def pace(count: int) -> float:  # tokens said, for each step of the exact model's time
        said = sum(came_true**i for i in range(count + 1))  # eq. 1
        return said / (1 + (GUESS + READ) * count)

    return max(range(MOST + 1), key=pace)
