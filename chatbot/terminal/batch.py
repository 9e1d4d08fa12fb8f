"""Replies without a conversation: for pipes, scripts and `-p`. Answers go to stdout, nothing else does."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from chatbot.config import to_dict
from chatbot.corpus.cleaning import clean_text
from chatbot.decoding import SamplingConfig
from chatbot.dialogue import Dialogue, Turn
from chatbot.replying import Reply, ReplyEnd, ReplyStart, Responder
from chatbot.terminal import replies
from chatbot.terminal.stopwatch import Stopwatch
from chatbot.terminal.text import escaped

Show = Callable[[Reply], None]
Record = dict[str, Any]  # Any: JSON values
NO_PROMPT = (ReplyStart(()), ReplyEnd("finished"))


def answer(
    prompts: Iterable[str],
    responder: Responder,
    write: replies.Write,
    show: Show | None = None,
    tell: Callable[[str], None] | None = None,
    together: bool = False,
    as_json: bool = False,
) -> None:
    """Write one line for each prompt: its reply. Each is a conversation of its own; together, they are one.

    A prompt without words gets an empty line, so that the n-th reply is the n-th prompt's. tell: is told of
    each reply how fast it came, and by which seed. as_json: a line is an object.
    """
    said: tuple[Turn, ...] = ()
    for prompt in (text.rstrip("\r\n") for text in prompts):
        spoken, watch = has_words(prompt), Stopwatch()
        asked = Dialogue((*said, Turn("user", prompt)))
        drawn = responder.with_sampling(with_seed(responder.sampling)) if tell or as_json else responder
        events = watch.watch(drawn.reply(asked)) if spoken else iter(NO_PROMPT)
        reply = replies.show(events, _nowhere if as_json else write)
        write(line(record(prompt, reply, drawn.sampling)) if as_json else "\n")
        if together and reply.text:  # an exchange without words is none
            said = (*asked.turns, Turn("bot", reply.text))
        _go_on_after(reply, show if spoken else None)
        if tell and spoken:
            tell(watch.told(drawn.sampling.seed))


def has_words(prompt: str) -> bool:
    """Whether anything is left of the prompt for a bot to read."""
    return bool(clean_text(prompt))


def with_seed(sampling: SamplingConfig) -> SamplingConfig:
    """The same settings with a seed, so that whoever reads the record can have the reply again."""
    if sampling.seed is not None:
        return sampling
    return dataclasses.replace(sampling, seed=secrets.randbelow(2**32))


def record(prompt: str, reply: Reply, sampling: SamplingConfig) -> Record:
    """A reply as JSON values. Each piece's attention is over prompt_pieces and sums to 1."""
    return {
        "prompt": prompt,
        "reply": reply.text,
        "reason": reply.reason,
        "sampling": to_dict(sampling),
        "prompt_pieces": [
            {"piece": piece.piece, "speaker": piece.speaker, "mark": piece.mark} for piece in reply.prompt
        ],
        "pieces": [
            {
                "piece": token.piece,
                "text": token.text,
                "probability": token.probability,
                "attention": list(token.attention),
            }
            for token in reply.tokens
        ],
    }


def line(values: Record) -> str:
    """JSON on one line, which a terminal can be shown. NaN is no JSON, and would be our mistake."""
    return escaped(json.dumps(values, ensure_ascii=False, allow_nan=False)) + "\n"


def _go_on_after(reply: Reply, show: Show | None) -> None:
    if reply.reason == "interrupted":
        raise KeyboardInterrupt
    if show:
        show(reply)


def _nowhere(text: str) -> None:
    """Where the words go that are written as JSON afterwards."""
