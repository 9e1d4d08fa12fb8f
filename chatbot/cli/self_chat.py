"""Let two bots talk with each other, or one with itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from chatbot.bot import Bot
from chatbot.cli.options import bots, given, options_for
from chatbot.decoding import SamplingConfig, adjusted
from chatbot.dialogue import Dialogue, Turn
from chatbot.terminal import batch, replies
from chatbot.terminal.text import escaped, printable

HELP = """Let two bots talk with each other, or one with itself.

ONE and OTHER are bots of `chatbot list`, or folders; without OTHER, ONE talks with itself, and without any,
the bot that `chatbot chat` talks to does. OTHER says the first line.

\b
chatbot self-chat starter-gpt starter-seq2seq
chatbot self-chat --start "What did you do today?" --turns 6 --seed 1
chatbot self-chat --json >> chats.jsonl             a line that `chatbot train` reads

How replies are drawn is saved with each bot; options are for both.
"""


@click.command("self-chat", help=HELP)
@click.argument("one", required=False, shell_complete=bots)
@click.argument("other", required=False, shell_complete=bots)
@click.option("--turns", default=10, show_default=True, type=click.IntRange(2), help="The first line is one.")
@click.option("--start", default="Hello!", show_default=True, help="The first line.")
@click.option("--json", "as_json", is_flag=True, help="Write the conversation as a line of a corpus.")
@options_for(SamplingConfig)
def self_chat(
    one: str | None, other: str | None, turns: int, start: str, as_json: bool, **settings: str | None
) -> None:
    """Let them speak in turn; Ctrl-C ends it after what was said."""
    if not batch.has_words(start):
        raise click.UsageError("Nobody can answer a first line without words: say something.")
    speakers = _seated(one, other, given(SamplingConfig, settings))
    names = _names(speakers)
    said, stopped = converse(speakers, names, printable(start), turns, _nowhere if as_json else _write)
    if as_json:
        click.echo(escaped(json.dumps({"turns": [_spoken(turn) for turn in said]}, ensure_ascii=False)))
    if stopped:
        raise KeyboardInterrupt


def converse(
    speakers: tuple[Bot, Bot], names: tuple[str, str], start: str, turns: int, write: replies.Write
) -> tuple[list[Turn], bool]:
    """What was said, by the first of them and then in turn, and whether Ctrl-C ended it."""
    said, stopped = [Turn(names[0], start)], False
    write(f"{names[0]}: {start}\n")
    while len(said) < turns and not stopped:
        at = len(said) % 2
        write(f"{names[at]}: ")
        reply = replies.show(speakers[at].stream(seen(said)), write)
        write("\n")
        stopped = reply.reason == "interrupted"
        if not reply.text:
            break  # nothing can be said to that
        said.append(Turn(names[at], reply.text, cut=stopped))
    return said, stopped


def seen(said: Sequence[Turn]) -> Dialogue:
    """The conversation as who speaks next sees it: the last line is the user's."""
    who = [("user", "bot")[(len(said) - 1 - i) % 2] for i in range(len(said))]
    return Dialogue(tuple(Turn(speaker, turn.text) for speaker, turn in zip(who, said, strict=True)))


def _spoken(turn: Turn) -> dict[str, Any]:
    """As a corpus has it; a training leaves out what was cut short."""
    return {"speaker": turn.speaker, "text": turn.text, **({"cut": True} if turn.cut else {})}


def _seated(one: str | None, other: str | None, settings: dict[str, str]) -> tuple[Bot, Bot]:
    """Who says the first line, and who answers it."""
    answering = Bot.load(one)
    speaking = Bot.load(other) if other else answering
    first, second = (bot.with_sampling(adjusted(bot.sampling, settings)) for bot in (speaking, answering))
    return first, second


def _names(speakers: tuple[Bot, Bot]) -> tuple[str, str]:
    """Theirs; where one talks with itself, or two are called alike, they are numbered."""
    names = [printable(bot.name) for bot in speakers]
    return (names[0], names[1]) if names[0] != names[1] else (f"{names[0]} 1", f"{names[1]} 2")


def _write(text: str) -> None:
    click.echo(text, nl=False)


def _nowhere(text: str) -> None:
    """For a conversation that is written as a whole."""
