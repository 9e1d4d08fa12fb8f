"""What a conversation is: turns, dialogues, and the exchanges a model learns from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's words, until the other one speaks; cut: whether they were stopped before their end."""

    speaker: str
    text: str
    cut: bool = False


def said(turns: Iterable[Turn]) -> str:
    """Their lines in lower case: the same for dialogues that are the same, word for word."""
    return "\n".join(turn.text for turn in turns).lower()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A reply and the turns before it, oldest first."""

    context: tuple[Turn, ...]
    reply: Turn


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation, and where it came from.

    source   the film, the chat, the file: a split keeps what shares a source together
    number   its place in the published corpus, counted from 1, conversations that were dropped included
    fold     the fold its publisher put it in ("train", "test", ...), empty where there is none
    """

    turns: tuple[Turn, ...]
    source: str = ""
    number: int = 0
    fold: str = ""

    def exchanges(self, context: int) -> Iterator[Exchange]:
        """Every reply with up to `context` turns before it (at least one)."""
        for i in range(1, len(self.turns)):
            yield Exchange(self.turns[max(0, i - context) : i], self.turns[i])
