"""The errors a user can cause, and the exit code each leads to.

ChatbotError            exit 1   one line on stderr, a second one says what to do
├── CorpusError         a corpus that cannot be read, or holds nothing usable
├── CheckpointError     no bot, or one that is damaged, incomplete or too new
├── ConfigError         a setting that does not exist or cannot have that value
├── TokenizerError      a tokenizer that cannot be trained or read
└── TrainingError       a training that cannot go on
click.UsageError        exit 2
KeyboardInterrupt       exit 130
anything else           our bug: the full traceback
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChatbotError(Exception):
    """What went wrong, in one line, and what the user can do about it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class CorpusError(ChatbotError):
    """A corpus that cannot be read, fetched or used."""


class CheckpointError(ChatbotError):
    """A bot's folder that is missing, damaged, incomplete or too new."""


class ConfigError(ChatbotError):
    """A setting that does not exist or cannot have the value it was given."""


class TokenizerError(ChatbotError):
    """A tokenizer that cannot be trained or read."""


class TrainingError(ChatbotError):
    """A training that cannot start or go on."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or list them all."""
    choices = sorted(known)
    begun = [choice for choice in choices if word and choice.startswith(word)]
    near = begun if len(begun) == 1 else difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(choices)}" if choices else ""
