"""Does a bot still say what it said? Replies that were kept with it, made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatbot.bot import Bot
from chatbot.checkpoint import SAMPLES
from chatbot.config import to_dict
from chatbot.errors import CheckpointError

FIELDS = {"prompt": str, "reply": str, "sampling": dict}


@dataclass(frozen=True)
class Different:
    """A prompt that is answered otherwise than it was."""

    prompt: str
    then: str
    now: str


def keep(bot: Bot, prompts: Sequence[str]) -> None:
    """Answer prompts with the bot's settings and seed 0, and keep that in its folder."""
    sampling = {**to_dict(bot.sampling), "seed": 0}
    made = [
        {"prompt": prompt, "reply": bot.reply(prompt, **sampling).text, "sampling": sampling}
        for prompt in prompts
    ]
    bot.checkpoint.save_text(SAMPLES, json.dumps(made, indent=1, ensure_ascii=False) + "\n")


def kept(bot: Bot) -> bool:
    """Whether there are replies to make again."""
    return bool(bot.checkpoint.text(SAMPLES))


def verify(bot: Bot) -> tuple[int, list[Different]]:
    """How many replies were kept, and which of them the bot would not make again.

    A CheckpointError if none were kept, or not as `keep` does. The weights were checked when they were read.
    """
    before = _kept(bot)
    now = [bot.reply(one["prompt"], **one["sampling"]).text for one in before]
    return len(before), [
        Different(one["prompt"], one["reply"], said)
        for one, said in zip(before, now, strict=True)
        if one["reply"] != said
    ]


def _kept(bot: Bot) -> list[dict[str, Any]]:
    text = bot.checkpoint.text(SAMPLES)
    if not text:
        raise CheckpointError(f"no replies are kept with {bot.name}", f"keep some: chatbot report {bot.name}")
    try:
        kept = json.loads(text)
        valid = all(isinstance(one[name], kind) for one in kept for name, kind in FIELDS.items())
    except (ValueError, TypeError, KeyError, RecursionError):
        valid = False
    if not valid or not kept:
        file = bot.checkpoint.folder / SAMPLES
        raise CheckpointError(f"{file} is damaged", f"write it again: chatbot report {bot.name}")
    return list(kept)
