"""Teach a bot which of its replies are good, from replies that somebody judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chatbot.cli.job import folder_of
from chatbot.cli.named import PATH
from chatbot.cli.request import Duration

if TYPE_CHECKING:
    from chatbot.checkpoint import Checkpoint
    from chatbot.corpus.judged import Judged
    from chatbot.preparation import ExamplesConfig, Prepared
    from chatbot.training.preference import PreferenceConfig

OWNER = "preference"
FEW = 50  # steps


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
    not. The bot's own turns are those of the speaker "bot". The new bot is written to checkpoints/NAME-MODEL.
    """
    from chatbot.checkpoint import Checkpoint, claimed, find
    from chatbot.corpus.judged import read_all
    from chatbot.corpus.report import Report
    from chatbot.terminal.stages import say

    short = {"minutes": minutes, "seed": seed}
    config = _config({k: str(v) for k, v in short.items() if v is not None}, changes)
    begun = Checkpoint.load(find(origin))
    folder = folder_of(name, begun.config.family)
    with claimed(folder):
        _require_free(folder)
        report = Report()
        found = read_all(judged, report)
        for reason, count in report.dropped.items():
            say(f"left out {count:,} {reason} (first at {report.first[reason]})")
        prepared = _prepared(begun, corpora) if corpora else None
        say(f"{len(found):,} judged conversations, for {begun.name}")
        _learn(begun, folder, found, config, prepared, device)
        say(f"talk to it: chatbot chat {folder.name}")


def _config(short: dict[str, str], changes: Sequence[str]) -> PreferenceConfig:
    """The settings, with what the command line changes."""
    from chatbot.config import override
    from chatbot.errors import ConfigError
    from chatbot.training.preference import PreferenceConfig

    for change in changes:
        owner, _, setting = change.partition(".")
        key, equals, value = setting.partition("=")
        if owner != OWNER or not equals:
            raise ConfigError(
                f"--set '{change}' is not {OWNER}.NAME=VALUE", f"for example: --set {OWNER}.beta=0.2"
            )
        short[key] = value
    return override(PreferenceConfig(), short, OWNER)


def _require_free(folder: Path) -> None:
    """A bot that exists is never overwritten."""
    import os

    from chatbot.errors import CheckpointError

    if os.path.lexists(folder):
        raise CheckpointError(f"{folder} exists already", "give another --name")


def _prepared(begun: Checkpoint, corpora: Sequence[Path]) -> Prepared:
    """The corpora to read besides, in the bot's own pieces."""
    from chatbot.config import from_dict
    from chatbot.corpus import open_corpora
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.corpus.splits import DEFAULT_SPLIT
    from chatbot.preparation import prepare
    from chatbot.terminal.stages import stages

    cleaning = from_dict(CleaningConfig, begun.config.corpus.get("cleaning", {}), "cleaning")
    with stages() as begin:
        return prepare(open_corpora(corpora), cleaning, DEFAULT_SPLIT, begun.tokenizer, begin)


def _learn(
    begun: Checkpoint,
    folder: Path,
    judged: Sequence[Judged],
    config: PreferenceConfig,
    prepared: Prepared | None,
    device: str,
) -> None:
    """Train, and write the bot, also where Ctrl-C ended it."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.cli.train import interrupting
    from chatbot.config import to_dict
    from chatbot.engines.torch import build, choose_device, fill
    from chatbot.terminal.progress import show
    from chatbot.terminal.stages import say, track
    from chatbot.training.preference import Preferring

    model = build(begun.config.family, begun.config.model)
    weights = begun.weights()
    fill(model, weights.tensors)
    model.to(choose_device(device))
    besides = (prepared.train, prepared.validation) if prepared else None
    learner = Preferring(model, begun.tokenizer, _examples(begun), judged, config, besides)
    with track("measuring the judged replies") as progress:
        learner.measure(progress)
    with interrupting(learner):
        stopped = show(learner.run())
    made = Checkpoint.create(folder, dataclasses.replace(begun.config, origin=begun.name), begun.tokenizer)
    known = {"figures": dataclasses.asdict(learner.figures)} if learner.figures else {}
    learned = {"judged": len(judged), "preference": to_dict(config)}
    made.save_weights(_arrays(model), step=stopped.step, **learned, **known)
    say(f"saved {folder}")
    if stopped.step < FEW:
        say(
            f"{stopped.step:,} steps teach little: give it more judged conversations, or go through them "
            "more often, with a corpus beside: --set preference.epochs=10 --with corpora/plaintalk"
        )
    if stopped.reason == "interrupted":
        raise KeyboardInterrupt


def _examples(begun: Checkpoint) -> ExamplesConfig:
    """How much of a conversation the bot sees."""
    from chatbot.config import from_dict
    from chatbot.preparation import ExamplesConfig

    return from_dict(ExamplesConfig, begun.config.examples, "examples")


def _arrays(model: Any) -> dict[str, Any]:  # Any: a module, and NumPy's arrays
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
