"""Rules against what was said already, whole runs of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chatbot.decoding.rule import Floats, Seen, without
from chatbot.tokenizer import BOT, USER

BEGUN = 3  # tokens with which replies may begin alike


def no_repeat(logits: Floats, seen: Seen, value: int) -> Floats:
    """Forbid a token that would make n tokens stand in the reply a second time (Paulus et al. 2018)."""
    return without(logits, _next(seen.so_far, seen.so_far, value))


def no_echo(logits: Floats, seen: Seen, value: int) -> Floats:
    """Forbid a token that would make n tokens in a row those of the conversation so far.

    Roller et al. 2021, section 4.3 (context blocking).
    """
    echoes = _next(seen.so_far, seen.prompt, value)
    return without(logits, echoes[echoes != seen.end])  # to end as others did is no echo


def again(logits: Floats, seen: Seen, value: float) -> Floats:
    """Take this from the logit of what would go on as an earlier reply that began with the same tokens.

    So that the second joke is another one, and the third piece of news gets another question. The first
    tokens are free, since many replies begin alike; to end as before is no repetition; and what the user
    said, a name above all, may be said again as often as it is asked for.
    """
    said = list(seen.so_far)
    if value == 0 or len(said) < BEGUN:
        return logits
    tokens = list(seen.prompt)
    replies = (tokens[i + 1 :] for i, token in enumerate(tokens) if token == BOT)
    going_on = {
        reply[len(said)] for reply in replies if len(reply) > len(said) and reply[: len(said)] == said
    }
    penalised = logits.copy()
    penalised[sorted(going_on - {seen.end} - _heard(tokens))] -= np.float32(value)
    return penalised


def _heard(prompt: Sequence[int]) -> set[int]:
    """The tokens of the turns that are not the bot's."""
    heard, own = set[int](), False
    for token in prompt:
        own = token == BOT if token in (USER, BOT) else own
        if not own:
            heard.add(token)
    return heard


def _next(said: Sequence[int], text: Sequence[int], n: int) -> NDArray[np.int64]:
    """The tokens that follow in a text wherever its n - 1 tokens before are the last ones said."""
    if n < 1 or len(said) < n - 1 or len(text) < n:
        return np.zeros(0, np.int64)
    tokens, last = np.asarray(text, np.int64), np.asarray(said[len(said) - n + 1 :], np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(tokens, n)
    found: NDArray[np.int64] = runs[(runs[:, :-1] == last).all(1), -1]
    return found
