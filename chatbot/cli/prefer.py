"""Teach a bot which of its replies are good, from replies that somebody judged."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chatbot.cli.job import folder_of
from chatbot.cli.named import PATH
from chatbot.cli.request import Duration, parsed
from chatbot.config import from_dict, override, to_dict
from chatbot.errors import CheckpointError, ConfigError, TrainingError

if TYPE_CHECKING:
    from chatbot.bot import Bot
    from chatbot.corpus.judged import Judged
    from chatbot.preparation import Prepared
    from chatbot.training.preference import PreferenceConfig, Preferring

OWNER = "preference"
FEW = 50  # steps
FEW_STEPS = (
    "so few steps teach little: give it more judged conversations, or go through them more often: "
    "--set preference.epochs=10"
)


@click.command(
    epilog="Settings for --set: preference.NAME=VALUE; a wrong one lists what there is. "
    "docs/training.md has the method and its figures."
)
@click.argument("judged", metavar="JUDGED...", nargs=-1, required=True, type=PATH)
@click.option("--from", "origin", metavar="BOT", required=True, help="The bot to begin with.")
@click.option("--name", required=True, help="Name of the new bot; the family is added.")
@click.option(
    "--with",
    "corpora",
    metavar="CORPUS",
    multiple=True,
    type=PATH,
    help="Read this corpus besides, so that what the bot knew is not forgotten; may be given more than once.",
)
@click.option("--time", "minutes", type=Duration(), help="How long at the most: 90s, 20m, 1h.")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed and files give the same bot.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True
)
@click.option("--set", "changes", multiple=True, metavar="preference.NAME=VALUE", help="Change any setting.")
def prefer(
    judged: tuple[Path, ...],
    origin: str,
    name: str,
    corpora: tuple[Path, ...],
    minutes: float | None,
    seed: int | None,
    device: str,
    changes: tuple[str, ...],
) -> None:
    """Teach a bot which replies are good, from JUDGED files: direct preference optimization.

    A file is a .jsonl with {"turns": [{"speaker", "text"}, ...], "good": [text, ...], "bad": [text, ...]} on
    each line: a conversation whose last turn is to be replied to, replies that are good, and replies that are
    not. The bot's own turns are those of the speaker "bot", or of who does not speak last. The new bot is
    written to checkpoints/NAME-MODEL.
    """
    from chatbot.bot import Bot
    from chatbot.checkpoint import claimed, find
    from chatbot.corpus.judged import read_all
    from chatbot.corpus.report import Report, many
    from chatbot.terminal.stages import say

    short = {"minutes": minutes, "seed": seed}
    config = _config({k: str(v) for k, v in short.items() if v is not None}, changes)
    begun = Bot.load(find(origin), device, "torch")
    if begun.responder.examples.backward:
        raise ConfigError(f"{begun.name} learned conversations backwards", "begin with a bot that did not")
    folder = folder_of(name, begun.family)
    with claimed(folder):
        if os.path.lexists(folder):
            raise CheckpointError(f"{folder} exists already", "give another --name")
        report = Report()
        found = read_all(judged, report)
        for line in report.lines_dropped():
            say(line)
        prepared = _prepared(begun, corpora) if corpora else None
        say(f"{many(len(found), 'judged conversations')}, for {begun.name}")
        _learn(begun, folder, found, config, prepared)


def _config(short: dict[str, str], changes: Sequence[str]) -> PreferenceConfig:
    """The settings, with what the command line changes."""
    from chatbot.training.preference import PreferenceConfig

    asked = parsed(changes, (OWNER,), "preference.beta=0.2")[OWNER]
    return override(PreferenceConfig(), short | asked, OWNER)


def _prepared(begun: Bot, corpora: Sequence[Path]) -> Prepared:
    """The corpora to read besides, in the bot's own pieces."""
    from chatbot.corpus import open_corpora
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.corpus.splits import DEFAULT_SPLIT
    from chatbot.preparation import prepare
    from chatbot.terminal.stages import say, stages

    checkpoint = begun.checkpoint
    try:
        cleaning = from_dict(CleaningConfig, checkpoint.config.corpus.get("cleaning", {}), "cleaning")
    except ConfigError as error:
        raise CheckpointError(f"{checkpoint.folder} is damaged: {error.what}", error.hint) from None
    with stages() as begin:
        prepared = prepare(open_corpora(corpora), cleaning, DEFAULT_SPLIT, checkpoint.tokenizer, begin)
    for line in prepared.lines():
        say(line)
    return prepared


def _learn(
    begun: Bot,
    folder: Path,
    judged: Sequence[Judged],
    config: PreferenceConfig,
    prepared: Prepared | None,
) -> None:
    """Train, and write the bot, also where Ctrl-C ended it."""
    from chatbot.cli.train import interrupting
    from chatbot.engines.torch import TorchEngine
    from chatbot.terminal.progress import show
    from chatbot.terminal.stages import say, track
    from chatbot.training.preference import Preferring

    engine = begun.responder.engine
    assert isinstance(engine, TorchEngine)
    besides = (prepared.train, prepared.validation) if prepared else None
    tokenizer, examples = begun.checkpoint.tokenizer, begun.responder.examples
    learner = Preferring(engine.model, tokenizer, examples, judged, config, besides)
    with track("measuring the judged replies") as progress:
        learner.measure(progress)
    with interrupting(learner):
        stopped = show(learner.run())
        if stopped.step:
            _save(begun, folder, learner, stopped.step, len(judged), prepared)
    if stopped.reason == "interrupted":
        raise KeyboardInterrupt
    if not stopped.step:
        raise TrainingError("nothing was learned in that time", "give it more --time")
    if stopped.step < FEW and not config.minutes:
        say(FEW_STEPS if prepared else f"{FEW_STEPS} --with corpora/plaintalk")
    say(f"talk to it: chatbot chat {folder.name}")


def _save(
    begun: Bot, folder: Path, learner: Preferring, step: int, judged: int, prepared: Prepared | None
) -> None:
    """Write the bot, whole or not at all. What was read besides is what its figures are of."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.preparation import unigram_figures
    from chatbot.terminal.stages import say
    from chatbot.training.trainer import arrays

    config = dataclasses.replace(begun.checkpoint.config, origin=begun.name)
    known: dict[str, Any] = {"judged": judged, "preference": to_dict(learner.config)}  # Any: JSON values
    if prepared:
        config = dataclasses.replace(config, corpus=prepared.facts)
    if prepared and learner.figures and learner.validation:
        tokenizer = begun.checkpoint.tokenizer
        floor = unigram_figures(prepared.train, learner.validation, len(tokenizer))
        known |= {"figures": dataclasses.asdict(learner.figures), "floor": dataclasses.asdict(floor)}
    weights = arrays(learner.model.state_dict())
    Checkpoint.create(folder, config, begun.checkpoint.tokenizer, weights, step=step, **known)
    say(f"saved {folder}")
