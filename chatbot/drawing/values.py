"""Attention between words as JSON values."""

from __future__ import annotations

from typing import Any

from chatbot.attribution import title_of
from chatbot.replying import Reply
from chatbot.terminal.attention import words

Record = dict[str, Any]  # Any: JSON values


def values(reply: Reply, method: str) -> Record:
    """The method, the words on both sides, and for each word of the reply its shares of the prompt's words.

    A row's weights and its marks (the share that fell on speaker and end marks) sum to 1.
    """
    found = words(reply)
    return {
        "method": method,
        "title": title_of(method),
        "words": [{"word": word.text, "turn": word.turn, "speaker": word.speaker} for word in found.columns],
        "rows": [{"word": row.text, "weights": list(row.weights), "marks": row.marks} for row in found.rows],
    }
