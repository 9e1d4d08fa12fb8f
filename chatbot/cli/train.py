"""Train bots from a corpus of conversations."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from chatbot.config import from_dict, override, to_dict
from chatbot.corpus.splits import DEFAULT_SPLIT, SPLITS
from chatbot.errors import CheckpointError, ConfigError, suggestion
from chatbot.logs import LOGS, logged
from chatbot.models import FAMILIES
from chatbot.sizes import DEFAULT_SIZE, SIZES, size_named

if TYPE_CHECKING:
    from chatbot.checkpoint import BotConfig, Checkpoint
    from chatbot.corpus import Corpus
    from chatbot.preparation import Prepared
    from chatbot.training import Trainer, TrainingConfig
    from chatbot.training.world import World

FOLDER = Path("checkpoints")
REHEARSAL = 5.0  # seconds to see how fast this machine is
UNITS = {"s": 1 / 60, "m": 1.0, "h": 60.0}

Settings = dict[str, dict[str, str]]


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """20m, 90s, 1.5h -> minutes; a bare number is minutes."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"'{value}' is not a time; write 90s, 20m or 1h", param, ctx)
        return float(found[1]) * UNITS[found[2] or "m"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asked for."""

    corpus: Path
    families: Sequence[str]
    size: str
    name: str | None
    split: str | None
    resume: bool
    device: str
    logs: Sequence[str]
    dry_run: bool
    settings: Settings
    asked_size: str | None = None
    begun: BotConfig | None = None


@click.command(
    epilog="Settings for --set: OWNER.NAME=VALUE, where OWNER is training, tokenizer, examples, "
    "cleaning, sampling or a model family; a wrong one lists what there is."
)
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "families",
    multiple=True,
    type=click.Choice(list(FAMILIES)),
    help="What to train; may be given more than once.  [default: all]",
)
@click.option(
    "--size",
    "asked_size",
    type=click.Choice(list(SIZES)),
    help=f"How large the models are.  [default: {DEFAULT_SIZE}]",
)
@click.option(
    "--time", "minutes", type=Duration(), help="How long to train each model: 90s, 20m, 1h.  [default: 30m]"
)
@click.option("--steps", type=click.IntRange(min=1), help="Train so many steps instead.")
@click.option("--name", help="Name of the bots; the family is added.  [default: the corpus's]")
@click.option(
    "--split",
    type=click.Choice(list(SPLITS)),
    help=f"How validation and test are kept apart.  [default: {DEFAULT_SPLIT}]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="The same seed, corpus and --steps give the same bot."
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted training stopped.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True
)
@click.option(
    "--log-to",
    "logs",
    multiple=True,
    type=click.Choice(list(LOGS)),
    help="Also write the training's curves there, into the bot's folder.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be trained, and for how long.")
@click.option("--set", "changes", multiple=True, metavar="OWNER.NAME=VALUE", help="Change any setting.")
def train(
    corpus: Path,
    families: tuple[str, ...],
    asked_size: str | None,
    minutes: float | None,
    steps: int | None,
    name: str | None,
    split: str | None,
    seed: int | None,
    resume: bool,
    device: str,
    logs: tuple[str, ...],
    dry_run: bool,
    changes: tuple[str, ...],
) -> None:
    """Train bots from a CORPUS of conversations.

    CORPUS is a folder or file: the Cornell movie dialogs, ConvoKit's utterances.jsonl, or a .jsonl with
    {"turns": [{"speaker", "text"}]} or {"messages": [{"role", "content"}]} on each line. The bots are
    written to checkpoints/NAME-MODEL; `chatbot chat` finds them there.
    """
    settings = _settings(changes)
    short = {"minutes": minutes if minutes or not steps else 0.0, "steps": steps, "seed": seed}
    settings["training"] = {k: str(v) for k, v in short.items() if v is not None} | settings["training"]
    _run(
        Request(
            corpus=corpus,
            families=families or tuple(FAMILIES),
            size=asked_size or DEFAULT_SIZE,
            asked_size=asked_size,
            name=name,
            split=split,
            resume=resume,
            device=device,
            logs=logs,
            dry_run=dry_run,
            settings=settings,
        )
    )


def _settings(changes: Sequence[str]) -> Settings:
    """ "gpt.width=128" -> {"gpt": {"width": "128"}}"""
    owners = ("training", "tokenizer", "examples", "cleaning", "sampling", *FAMILIES)
    settings: Settings = {owner: {} for owner in owners}
    for change in changes:
        found = re.fullmatch(r"([\w-]+)\.(\w+)=(.*)", change, re.DOTALL)
        if not found:
            raise ConfigError(
                f"--set '{change}' is not OWNER.NAME=VALUE", "for example: --set training.clip=0.5"
            )
        if found[1] not in settings:
            raise ConfigError(f"--set knows no '{found[1]}'", suggestion(found[1], owners))
        settings[found[1]][found[2]] = found[3]
    return settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """The training of one bot: all that a process needs to know of it."""

    folder: Path
    config: BotConfig
    prepared: Prepared
    device: str


def _run(request: Request) -> None:
    from chatbot.engines.torch import choose_device
    from chatbot.training.world import joined

    _check_settings(request)
    choose_device(request.device)
    for kind in request.logs:
        LOGS.load(kind).require()
    with joined() as world:
        if world.main:
            _lead(request, world)
            world.share(None)
        else:
            _follow(world)


def _follow(world: World) -> None:
    """Learn, in silence, whatever the main process does."""
    while job := world.share(None):
        trainer = _trainer(job, world)
        with _interrupting(trainer):
            if world.share(False) and list(trainer.run())[-1].reason == "interrupted":
                raise KeyboardInterrupt


@contextmanager
def _releasing(world: World) -> Iterator[None]:
    """What goes wrong before the first job is the main process's alone: the others need not wait."""
    try:
        yield
    except BaseException:
        world.share(None)
        raise


def _lead(request: Request, world: World) -> None:
    """What is done once, however many processes learn."""
    from chatbot.checkpoint import claimed
    from chatbot.corpus import open_corpus
    from chatbot.terminal.progress import say

    with _releasing(world):
        if not _there(request):
            return
        corpus = open_corpus(request.corpus)
    folders = {family: _folder(request.name or corpus.name, family) for family in request.families}
    with ExitStack() as stack:  # before minutes are spent on the corpus
        for folder in () if request.dry_run else folders.values():
            stack.enter_context(claimed(folder))
        with _releasing(world):
            opened = _opened(folders, request)
            if request.resume and not opened:
                say(f"there is nothing to resume at {' or '.join(map(str, folders.values()))}: beginning")
            for checkpoint in opened.values():  # what one family was begun with, the other goes on with
                request = dataclasses.replace(request, begun=checkpoint.config)
            prepared = _prepared(request, corpus, opened)
            for line in prepared.lines():
                say(line)
        for family, folder in folders.items():  # one after the other, on the corpus read once
            _train_one(request, family, folder, opened.get(family), prepared, world)


def _train_one(
    request: Request,
    family: str,
    folder: Path,
    opened: Checkpoint | None,
    prepared: Prepared,
    world: World,
) -> None:
    """Train a new bot, or go on with one; not with one that has come to its end and is as it shall be."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.terminal.progress import say

    config = _config(request, family, opened, prepared)
    job = Job(folder=folder, config=config, prepared=prepared, device=request.device)
    if request.dry_run:
        say(_plan(job))
        return
    trainer = _trainer(world.share(job), world)
    trainer.check_memory()
    changed = opened is None or _training(config) != _training(opened.config)
    if opened is None:  # only now: a corpus too small to learn from leaves no folder behind
        Checkpoint.create(folder, config, prepared.tokenizer)
    elif changed:
        opened.configure(config)
    if world.share(changed or not trainer.done):
        _train(trainer, folder, request.logs)
        _look_at(folder, prepared, request.device)
    else:
        say(f"{folder} is trained already")


def _plan(job: Job) -> str:
    """What a training by one process would be, in a line, by the speed of a few seconds' steps."""
    from chatbot.terminal.progress import duration, track
    from chatbot.training.world import World

    trainer = _trainer(job, World())
    trainer.check_memory()
    with track(f"measuring {job.config.family}"):
        step = trainer.rehearse(REHEARSAL)
    config, epoch = trainer.config, len(trainer.batches.plan())
    steps = min((config.steps or math.inf), 60 * config.minutes / step if config.minutes else math.inf)
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    return (
        f"{job.folder} would be a {job.config.family} of {parameters:,} parameters: about {steps:,.0f} steps "
        f"in {duration(steps * step)}, {steps / epoch:.1f} times through the corpus, "
        f"{trainer.memory / 1e9:.1f} GB of memory"
    )


def _check_settings(request: Request) -> None:
    """Find a misspelt setting before the corpus is read, not after."""
    for owner, changes in request.settings.items():
        if owner in FAMILIES and "vocabulary" in changes:
            raise ConfigError(
                f"{owner} has as many pieces as the tokenizer", "use --set tokenizer.vocabulary=..."
            )
        if changes:
            override(_defaults(owner, request.size), changes, owner)


def _defaults(owner: str, size: str) -> Any:  # Any: each owner has its own dataclass
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.decoding import SamplingConfig
    from chatbot.preparation import ExamplesConfig
    from chatbot.tokenizer import TokenizerConfig
    from chatbot.training import TrainingConfig

    vocabulary = size_named(size).vocabulary
    if owner in FAMILIES:
        return FAMILIES.load(owner).Config.sized(size_named(size), vocabulary)
    plain = {
        "training": TrainingConfig(),
        "tokenizer": TokenizerConfig(vocabulary=vocabulary),
        "examples": ExamplesConfig(),
        "cleaning": CleaningConfig(),
        "sampling": SamplingConfig(),
    }
    return plain[owner]


def _wanted(request: Request, owner: str) -> Any:  # Any: as above
    wanted = _defaults(owner, request.size)
    saved = getattr(request.begun, owner, None)  # a section of the bot that is resumed
    if saved:
        wanted = from_dict(type(wanted), saved, owner)
    return override(wanted, request.settings[owner], owner)


def _there(request: Request) -> bool:
    """Whether the corpus is there by now: what can be downloaded is, unless this is a dry run."""
    from chatbot.corpus import download
    from chatbot.terminal.progress import say, track

    source = download.wanted(request.corpus)
    if source is None:
        return True
    if request.dry_run:
        say(f"{request.corpus} holds no data: {source.url} would be downloaded")
        return False
    say(f"{request.corpus} holds no data: downloading {source.url}")
    with track("downloading", in_bytes=True) as progress:
        download.fetch(source, request.corpus, progress)
    return True


def _folder(name: str, family: str) -> Path:
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise ConfigError(f"'{name}' cannot be a bot's name", "use letters, digits, '.', '-' and '_'")
    return FOLDER / f"{name}-{family}"


def _opened(folders: dict[str, Path], request: Request) -> dict[str, Checkpoint]:
    """The bots to go on with. One that exists is never overwritten."""
    from chatbot.checkpoint import Checkpoint

    there = {family: folder for family, folder in folders.items() if os.path.lexists(folder)}
    if there and not (request.resume or all(map(_is_ours, there.values()))):
        names, verb = " and ".join(map(str, there.values())), "exists" if len(there) == 1 else "exist"
        raise CheckpointError(f"{names} {verb} already", "go on with --resume, or give another --name")
    opened = {family: Checkpoint.load(folder) for family, folder in there.items()}
    for checkpoint in opened.values():
        _check_kept(checkpoint, request)
    return opened


def _is_ours(folder: Path) -> bool:
    """Whether this run of torchrun began the bot, and begins again as a process was lost."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.training.world import run_id

    return bool(run_id()) and Checkpoint.load(folder).run == run_id()


def _check_kept(checkpoint: Checkpoint, request: Request) -> None:
    """A bot that exists keeps what it is; only its training may be set anew."""
    config = checkpoint.config
    split = config.corpus.get("split")
    if request.split and split not in (None, request.split):
        raise ConfigError(
            f"{checkpoint.folder} was trained on the split by {split}, not {request.split}",
            "resume without --split, or give another --name",
        )
    if request.asked_size and config.size not in ("", request.asked_size):
        raise ConfigError(
            f"{checkpoint.folder} is of size {config.size}, not {request.asked_size}",
            "resume without --size, or give another --name",
        )
    kept = {config.family: config.model, "tokenizer": config.tokenizer, "examples": config.examples}
    kept |= {"sampling": config.sampling, "cleaning": config.corpus.get("cleaning", {})}
    saved = {
        owner: _saved(checkpoint, owner, section, request)
        for owner, section in {**kept, "training": config.training}.items()
    }
    for owner in kept:
        before = saved[owner]
        if override(before, request.settings[owner], owner) != before:
            raise ConfigError(
                f"{checkpoint.folder} was begun with other settings of {owner}",
                "resume without that --set, or give another --name",
            )


def _saved(checkpoint: Checkpoint, owner: str, section: Any, request: Request) -> Any:  # Any: as above
    """An owner's settings as the bot has them."""
    from chatbot.checkpoint import CONFIG

    try:
        return from_dict(type(_defaults(owner, request.size)), section, owner)
    except ConfigError as error:
        raise CheckpointError(f"{checkpoint.folder / CONFIG} is damaged: {error.what}", error.hint) from None


def _prepared(request: Request, corpus: Corpus, opened: dict[str, Checkpoint]) -> Prepared:
    """The corpus; where there is a bot to go on with, as it was for that."""
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.preparation import prepare
    from chatbot.terminal.progress import stages

    cleaning, tokenizer = _wanted(request, "cleaning"), _wanted(request, "tokenizer")
    split = request.split or DEFAULT_SPLIT
    for checkpoint in opened.values():
        facts, tokenizer = checkpoint.config.corpus, checkpoint.tokenizer
        cleaning = from_dict(CleaningConfig, facts.get("cleaning", {}), "cleaning")
        split = facts.get("split", split)
    with stages() as begin:
        prepared = prepare(corpus, cleaning, split, tokenizer, begin)
    for checkpoint in opened.values():
        if checkpoint.config.corpus.get("fingerprint") != prepared.facts["fingerprint"]:
            raise CheckpointError(
                f"{request.corpus} is not what {checkpoint.folder} was trained on",
                "give the corpus that it began with, or another --name",
            )
    return prepared


def _config(request: Request, family: str, opened: Checkpoint | None, prepared: Prepared) -> BotConfig:
    """The bot's, with the training as it is wanted now."""
    config = opened.config if opened else _bot_config(request, family, prepared)
    training = override(_training(config), request.settings["training"], "training")
    return dataclasses.replace(config, training=to_dict(training))


def _training(config: BotConfig) -> TrainingConfig:
    from chatbot.training import TrainingConfig

    return from_dict(TrainingConfig, config.training, "training")


def _trainer(job: Job, world: World) -> Trainer:
    """A trainer, new or resumed."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.decoding import SamplingConfig
    from chatbot.engines.torch import build, choose_device
    from chatbot.preparation import ExamplesConfig
    from chatbot.training import Trainer

    config, training = job.config, _training(job.config)
    return Trainer(
        build(config.family, config.model, training.seed).to(choose_device(job.device)),
        Checkpoint(job.folder, config, job.prepared.tokenizer),
        job.prepared.train,
        job.prepared.validation,
        training,
        from_dict(ExamplesConfig, config.examples, "examples"),
        from_dict(SamplingConfig, config.sampling, "sampling"),
        world,
    )


def _bot_config(request: Request, family: str, prepared: Prepared) -> BotConfig:
    from chatbot.checkpoint import FORMAT, BotConfig

    size = (request.begun.size if request.begun else "") or request.size
    sized = FAMILIES.load(family).Config.sized(size_named(size), len(prepared.tokenizer))
    return BotConfig(
        format=FORMAT,
        family=family,
        size=size,
        model=to_dict(override(sized, request.settings[family], family)),
        tokenizer=to_dict(_wanted(request, "tokenizer")),
        training=to_dict(_wanted(request, "training")),
        sampling=to_dict(_wanted(request, "sampling")),
        examples=to_dict(_wanted(request, "examples")),
        corpus=prepared.facts,
    )


def _train(trainer: Trainer, folder: Path, logs: Sequence[str]) -> None:
    """Train to the end; Ctrl-C is a KeyboardInterrupt, but only when everything is saved."""
    from chatbot.terminal.progress import say, show

    with _interrupting(trainer):
        stopped = show(logged(trainer.run(), [LOGS.load(kind) for kind in logs], folder))
    if stopped.reason == "interrupted":
        say(f"saved in {folder}; to go on, give the same command with --resume")
        raise KeyboardInterrupt


def _look_at(folder: Path, prepared: Prepared, device: str) -> None:
    """Say how varied the new bot's replies are, and how to talk to it."""
    from chatbot.bot import Bot
    from chatbot.evaluation.dullness import first_look
    from chatbot.terminal.progress import say, track

    with track("replying to validation prompts") as progress:
        found = first_look(Bot.load(folder, device), prepared.validation, progress)
    say(f"{folder.name} is {found}")
    say(f"talk to it: chatbot chat {folder.name}")


@contextmanager
def _interrupting(trainer: Trainer) -> Iterator[None]:
    """Ctrl-C (or a polite kill) lets the step in hand finish and save; a second one stops at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        trainer.interrupt()

    wanted = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # none on Windows
    heard = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]  # nohup is obeyed
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
