"""Measure bots on replies that they have not seen, beside humans and floors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from chatbot import checkpoint
from chatbot.bot import Bot
from chatbot.checkpoint import EVALUATION
from chatbot.cli.named import PATH
from chatbot.cli.options import given, options_for
from chatbot.config import override, to_dict
from chatbot.corpus import open_corpus
from chatbot.decoding import SamplingConfig, adjusted
from chatbot.errors import CheckpointError, ConfigError
from chatbot.evaluation import Evaluation, EvaluationConfig, evaluate
from chatbot.terminal.text import escaped, printable

OWN_SEED = ("seed",)  # an evaluation has one, from which the replies' come
WIDE = 200  # columns in a file or a pipe, where no window limits them


@click.command(
    "eval",
    help=__doc__,
    epilog="All bots are measured on the same replies of CORPUS, from a part of it that none of them was "
    "trained on: the split is theirs. Replies are drawn as each bot's own settings say, unless an option "
    "changes them. docs/evaluation.md explains every figure.",
)
@click.argument("names", metavar="BOT...", nargs=-1, required=True)
@click.argument("corpus", type=PATH)
@options_for(EvaluationConfig)
@options_for(SamplingConfig, OWN_SEED)
@click.option("--json", "as_json", is_flag=True, help="Write everything as JSON on stdout.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True
)
def eval_(names: tuple[str, ...], corpus: Path, as_json: bool, device: str, **settings: str | None) -> None:
    """Load the bots, measure, print."""
    from chatbot.terminal.stages import stages

    config = override(EvaluationConfig(), given(EvaluationConfig, settings), "eval")
    changes = given(SamplingConfig, settings, OWN_SEED)
    if not corpus.exists() and any(corpus.name == bot.name for bot in checkpoint.available()):
        raise ConfigError(f"{corpus.name} is a bot", "the corpus comes last: chatbot eval BOT... CORPUS")
    opened, loaded = open_corpus(corpus), [Bot.load(name, device, "torch") for name in names]
    bots = [bot.with_sampling(adjusted(bot.sampling, changes)) for bot in loaded]
    with stages() as begin:
        found = evaluate(bots, opened, config, begin)
    for bot in bots:
        _keep(bot, found)
    if as_json:
        click.echo(escaped(json.dumps(to_dict(found), ensure_ascii=False)))
    else:
        _print(found)


def _keep(bot: Bot, found: Evaluation) -> None:
    """For `chatbot report`. A bot that is not ours to write is measured all the same."""
    try:
        if _is_larger(bot, found):
            click.echo(f"{bot.name} keeps its larger evaluation for `chatbot report`", err=True)
        else:
            bot.checkpoint.save_text(EVALUATION, json.dumps(to_dict(found), ensure_ascii=False) + "\n")
    except CheckpointError as error:
        click.echo(f"not kept for `chatbot report`: {printable(error.what)}", err=True)


def _is_larger(bot: Bot, found: Evaluation) -> bool:
    """Whether the evaluation that is there is of the same weights and part, on more replies."""
    try:
        kept = bot.checkpoint.evaluation() or {}
        counts = [int(kept["counts"][name]) for name in found.counts]
        about = [kept[name] for name in ("corpus", "split", "fold")] + [kept["steps"][bot.name]]
    except (CheckpointError, KeyError, TypeError, ValueError, OverflowError):
        return False  # none, or a damaged one
    same = about == [found.corpus, found.split, found.fold, found.steps[bot.name]]
    return same and sum(counts) > sum(found.counts.values())


def _print(found: Evaluation) -> None:
    from rich.console import Console  # 0.1 s

    from chatbot.terminal.figures import table

    width = None if sys.stdout is not None and sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table(found))
