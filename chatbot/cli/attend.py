"""Show which of your words each word of a reply looked at."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import click

from chatbot.attribution import ABOUT, METHODS, checked
from chatbot.bot import Bot
from chatbot.checkpoint import is_bot
from chatbot.cli.named import PATH
from chatbot.cli.options import given, options_for
from chatbot.decoding import SamplingConfig, adjusted
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ChatbotError
from chatbot.replying import Reply
from chatbot.terminal import batch
from chatbot.terminal.text import printable

HELP = """Show which of your words each word of a reply looked at.

NAME is a bot of `chatbot list`, or a folder; without it, the one that `chatbot chat` talks to.

\b
chatbot attend "Where are you going?"                      the heat map, here
chatbot attend cornell-gpt "hi" --method rollout           by another method
chatbot attend "hi" --png map.png --html map.html          a picture, and a page to point at
chatbot attend "hi" --json                                 every number
chatbot attend "Why?" --before "I left." --before "Oh."    as an answer to a conversation

Without --method it is the one that told most of the truth about the bot's family (docs/attention.md).
How replies are drawn is saved with a bot; the defaults below are those of a bot that does not say.
"""
METHODS_HELP = "; ".join(f"{name}: {ABOUT[name].title}" for name in METHODS)


@dataclass(frozen=True, slots=True)
class Attended:
    """A reply, its attention by a method."""

    bot: Bot
    prompt: str
    reply: Reply
    method: str


@click.command("attend", help=HELP)
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("text", metavar="TEXT", required=False)
@click.option("--method", type=click.Choice(list(METHODS)), help=f"How it is found. {METHODS_HELP}.")
@click.option(
    "--before",
    multiple=True,
    metavar="TEXT",
    help="What was said before, a turn each, oldest first; the last is the bot's.",
)
@click.option("--png", type=PATH, help="Draw it, for slides (extra 'plot').")
@click.option("--svg", type=PATH, help="The same, to be scaled.")
@click.option("--html", type=PATH, help="A page that lights up what you point at.")
@click.option("--json", "as_json", is_flag=True, help="Write pieces, words and all shares as JSON.")
@options_for(SamplingConfig)
def attend(
    name: str | None,
    text: str | None,
    method: str | None,
    before: tuple[str, ...],
    png: Path | None,
    svg: Path | None,
    html: Path | None,
    as_json: bool,
    **settings: str | None,
) -> None:
    """Reply, look again by the method, and show it or write it down."""
    if text is None:  # a single argument is what to reply to
        name, text = None, _alone(name or "")
    elif name and not is_bot(name) and is_bot(text):
        raise click.UsageError(f"The bot comes first: chatbot attend {printable(text)} TEXT")
    if not batch.has_words(text):
        raise click.UsageError("There is nothing to reply to: give a TEXT with words.")
    files = {kind: path for kind, path in (("png", png), ("svg", svg), ("html", html)) if path is not None}
    if len({os.path.abspath(path) for path in files.values()}) < len(files):
        raise click.UsageError(
            "Two files have the same name: each of --png, --svg and --html writes its own."
        )
    if png or svg:
        from chatbot.drawing.picture import picture  # noqa: F401  # what is missing is said at once
    turns = _turns((*before, text))
    seen = _attended(name, turns, method, given(SamplingConfig, settings))
    for kind, path in files.items():
        _save(path, _drawn(seen, kind))
        click.echo(printable(str(path)), err=as_json)
    if as_json:
        _write_json(seen)
    elif not files:
        _show(seen)


def _alone(text: str) -> str:
    """A text without a bot's name; where it is one, the text was forgotten."""
    if batch.has_words(text) and is_bot(text):
        told = f"'{printable(text)}' is a bot, and there is no TEXT for it to reply to."
        raise click.UsageError(f"{told} (To say just that: name the bot before it.)")
    return text


def _turns(texts: tuple[str, ...]) -> Dialogue:
    """Said in turn by the user and the bot, last by the user."""
    speakers = ("user", "bot") * len(texts)
    order = reversed(speakers[: len(texts)]) if len(texts) % 2 == 0 else speakers
    return Dialogue(tuple(Turn(who, printable(text)) for who, text in zip(order, texts, strict=False)))


def _attended(name: str | None, said: Dialogue, method: str | None, settings: dict[str, str]) -> Attended:
    """The reply, looked at by the method. The weights are there already; all others need torch."""
    bot = Bot.load(name)
    method = checked(method, bot.family)
    bot = bot.with_sampling(batch.with_seed(adjusted(bot.sampling, settings)))
    reply = bot.reply(said)
    if method != "weights":
        from chatbot.attribution.lens import Lens

        reply = Lens.of(bot).look(reply, method)
    return Attended(bot, said.turns[-1].text, reply, method)


def _drawn(seen: Attended, kind: str) -> bytes:
    if kind == "html":
        from chatbot.drawing.page import page

        return page(seen.reply, seen.method, seen.bot.name).encode("utf-8", "replace")
    from chatbot.drawing.picture import picture

    return picture(seen.reply, seen.method, seen.bot.name, "svg" if kind == "svg" else "png")


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ChatbotError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _write_json(seen: Attended) -> None:
    from chatbot.drawing.values import values

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # RFC 8259, section 8.1, whatever the locale
    record = batch.record(seen.prompt, seen.reply, seen.bot.sampling)
    click.echo(batch.line({"bot": seen.bot.name, **values(seen.reply, seen.method), **record}), nl=False)


def _show(seen: Attended) -> None:
    from rich.console import Console

    from chatbot.terminal.attention import AttentionMap
    from chatbot.terminal.window import fitted

    click.echo(printable(seen.reply.text))
    fitted(Console()).print(AttentionMap(seen.reply, seen.method))
