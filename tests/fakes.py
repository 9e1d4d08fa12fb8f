"""Small stand-ins that keep the real contracts: no mocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chatbot.bot import Bot
from chatbot.checkpoint import BotConfig, Checkpoint
from chatbot.decoding import SamplingConfig
from chatbot.engines.base import Floats, Step
from chatbot.preparation import ExamplesConfig
from chatbot.replying import Responder
from chatbot.tokenizer import BOT, MARKS, USER, Tokenizer, silenced

VOCABULARY = 300
GREEDY = SamplingConfig(temperature=0.0, guidance=0.0)


class WordTokenizer(Tokenizer):
    """Words and punctuation marks as pieces; the vocabulary grows as words come."""

    def __init__(self) -> None:  # nothing is loaded, so not the parent's
        self._pieces = list(MARKS.values())

    def __len__(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """ "Hi, you" -> "▁Hi" "," "▁you" """
        spaced = " " + " ".join(text.split()) if text.split() else ""
        return [self._id(found.replace(" ", "▁")) for found in re.findall(r" ?\w+| ?[^\w ]", spaced)]

    def decode(self, ids: Sequence[int]) -> str:
        """As SentencePiece does it: marks are silent, the first space too."""
        said = "".join(self._pieces[i] for i in ids if i not in MARKS)
        return said.replace("▁", " ").removeprefix(" ")

    def piece(self, token: int) -> str:
        """The piece with this id; the engine's vocabulary is larger than what was said so far."""
        return self._pieces[token] if token < len(self._pieces) else f"▁word{token}"

    def _id(self, piece: str) -> int:
        if piece not in self._pieces:
            self._pieces.append(piece)
            assert len(self._pieces) <= VOCABULARY, len(self._pieces)
        return self._pieces.index(piece)


Looks = Callable[[int, int], Sequence[float]]  # (position in the reply, prompt length) -> weights


def evenly(position: int, length: int) -> Sequence[float]:
    """The same attention for every token of the prompt."""
    return [1 / length] * length


@dataclass
class ScriptedEngine:
    """Answers its prompts with these replies, one after the other, then from the first again.

    What a prompt is compared with, the same with nothing said in its last turn, gets that prompt's reply.

    The state is (which reply, how many tokens of it) for each row. Ctrl-C is pressed when a reply comes to
    `interrupted_at` tokens.
    """

    replies: Sequence[Sequence[int]]
    looks: Looks = evenly
    probability: float = 0.5
    interrupted_at: int | None = None
    prompts: list[list[int]] = field(default_factory=list)  # what it was given to read

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts and predict the first tokens."""
        state: list[tuple[int, int, int]] = []
        compared: dict[tuple[int, ...], int] = {}
        for prompt in prompts:
            assert prompt, "an empty prompt"
            reply = compared.get(tuple(prompt), len(self.prompts) % len(self.replies))
            state.append((reply, 0, len(prompt)))
            compared |= {tuple(silenced(prompt)): reply} if BOT in prompt or USER in prompt else {}
            self.prompts.append(list(prompt))
        return self._predict(state)

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Check that the tokens are those predicted, and predict the next ones."""
        for token, (reply, position, _) in zip(tokens, state, strict=True):
            assert token == self.replies[reply][position], (token, self.replies[reply], position)
        return self._predict([(reply, position + 1, length) for reply, position, length in state])

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """These rows of the state."""
        return [state[row] for row in rows]

    def _predict(self, state: list[tuple[int, int, int]]) -> Step:
        if any(position == self.interrupted_at for _, position, _ in state):
            self.interrupted_at = None
            raise KeyboardInterrupt
        rest = (1 - self.probability) / (VOCABULARY - 1)
        logits = np.full((len(state), VOCABULARY), np.log(rest), dtype=np.float32)
        attention: Floats = np.zeros((len(state), max(length for *_, length in state)), dtype=np.float32)
        for row, (reply, position, length) in enumerate(state):
            logits[row, self.replies[reply][position]] = np.log(self.probability)
            attention[row, :length] = self.looks(position, length)
        return Step(logits, attention, state)


class ScriptedResponder(Responder):
    """The real responder over a scripted engine: says these replies in turn."""

    engine: ScriptedEngine

    def __init__(
        self,
        *replies: str,
        context: int = 4,
        tokenizer: Tokenizer | None = None,
        **engine: Any,  # its fields
    ) -> None:
        tokenizer = tokenizer or WordTokenizer()
        scripts = [[*tokenizer.encode(reply), tokenizer.end] for reply in replies]
        examples = ExamplesConfig(context=context)
        super().__init__(ScriptedEngine(scripts, **engine), tokenizer, GREEDY, examples)

    def heard(self) -> list[str]:
        """The prompts that the engine was given, marks left out, turns separated by a stroke."""
        texts = []
        for prompt in self.engine.prompts:
            pieces = [self.tokenizer.piece(token) for token in prompt]
            said = "".join({"<user>": "", "<bot>": "", "<end>": "|"}.get(piece, piece) for piece in pieces)
            texts.append(said.replace("▁", " ").strip(" |").replace("| ", "|"))
        return texts


def scripted_bot(*replies: str, name: str = "parrot", **engine: Any) -> Bot:  # Any: ScriptedEngine's fields
    """A bot that says these replies in turn."""
    responder = ScriptedResponder(*replies, **engine)
    config = BotConfig(format=1, family="gpt", model={})
    return Bot(Checkpoint(Path("checkpoints") / name, config, responder.tokenizer), responder)
