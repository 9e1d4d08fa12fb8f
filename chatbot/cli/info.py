"""Say what a bot is: its model, its data, its figures, its settings, its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from chatbot.bot import Bot
from chatbot.checkpoint import NOTES
from chatbot.cli.list import count, write
from chatbot.cli.options import bots
from chatbot.config import to_dict
from chatbot.corpus.download import SOURCES
from chatbot.decoding import SamplingConfig
from chatbot.errors import CheckpointError
from chatbot.terminal.text import escaped, printable

LICENCES = {name: source.licence for name, source in SOURCES.items()}


@click.command(
    "info",
    help=__doc__,
    epilog="`chatbot report` makes a page of it, with curves; `chatbot list` has a line for each bot.",
)
@click.argument("name", metavar="[BOT]", required=False, shell_complete=bots)
@click.option("--json", "as_json", is_flag=True, help="Write its whole configuration and figures as JSON.")
def info(name: str | None, as_json: bool) -> None:
    """Read the folder and print it."""
    bot = Bot.load(name)
    if as_json:
        config = to_dict(bot.checkpoint.config)
        click.echo(
            escaped(json.dumps({"name": bot.name, **config, "weights": bot.header}, ensure_ascii=False))
        )
        return
    try:
        rows = [[printable(what), printable(value)] for what, value in facts(bot)]
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{bot.checkpoint.folder} is damaged: {error}", "train it again") from None
    write(rows)


def facts(bot: Bot) -> Iterator[tuple[str, str]]:
    """What is said of it, and under which word."""
    config, folder = bot.checkpoint.config, bot.checkpoint.folder
    yield "bot", f"{bot.name}, which calls itself {config.called}" if config.called else bot.name
    tensors = bot.checkpoint.weights().tensors
    parameters = sum(tensor.size for tensor in tensors.values())
    sizes = ", ".join(f"{key} {value}" for key, value in config.model.items())
    yield "model", f"{bot.family}, {count(parameters)} parameters ({sizes})"
    yield "sees", f"{bot.context} turns, {bot.responder.examples.prompt_limit} tokens at the most"
    yield from _learned(bot)
    yield (
        "figures",
        ", ".join(f"{_word(key)} {value:.3f}" for key, value in _figures(bot).items()) or "none yet",
    )
    changed = _changed(bot)
    yield "replies", ", ".join(f"{key} {value}" for key, value in changed.items()) or "drawn as usual"
    yield "styles", ", ".join(bot.styles)
    bytes_ = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    yield "folder", f"{folder} ({bytes_ / 1e6:.1f} MB, the weights are those that were saved)"
    if bot.checkpoint.text(NOTES):
        yield "notes", str(folder / NOTES)


def _learned(bot: Bot) -> Iterator[tuple[str, str]]:
    """From what, from whom and for how long."""
    config = bot.checkpoint.config
    corpus, training = config.corpus, config.training
    report = corpus.get("report") or {}
    counts = f"{report.get('dialogues', 0):,} dialogues, {report.get('words', 0):,} words"
    name = str(corpus.get("name", "?"))
    yield "learned", f"{name}: {counts}, split by {corpus.get('split', '?')}"
    if name in LICENCES:
        yield "licence", LICENCES[name]
    if config.origin:
        yield "began", f"with what {config.origin} knew"
    step, when = bot.header.get("step", "?"), str(bot.header.get("trained", ""))[:10]
    judged = bot.header.get("judged")
    if isinstance(judged, int):
        yield "judged", f"{judged:,} conversations with good and bad replies: {step} steps, {when}"
        return
    yield (
        "trained",
        f"{step} steps, {training.get('optimizer', '?')}, seed {training.get('seed', '?')}, {when}",
    )


def _figures(bot: Bot) -> dict[str, float]:
    return {key: float(value) for key, value in dict(bot.header.get("figures") or {}).items()}


def _word(key: str) -> str:
    return key.replace("_", " ")


def _changed(bot: Bot) -> dict[str, Any]:
    """The settings of its own that are not every bot's."""
    usual = to_dict(SamplingConfig())
    return {_word(key): value for key, value in to_dict(bot.usual).items() if value != usual[key]}
