"""Train bots from a corpus of conversations."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from chatbot.cli.job import (
    Job,
    config_of,
    folder_of,
    opened_bots,
    origin_of,
    prepared_corpus,
    trainer_of,
    training_of,
)
from chatbot.cli.named import PATH
from chatbot.cli.request import Duration, Request, check_settings, parsed, wanted
from chatbot.corpus.splits import DEFAULT_SPLIT, SPLITS
from chatbot.logs import LOGS, logged
from chatbot.models import FAMILIES
from chatbot.sizes import DEFAULT_SIZE, SIZES

if TYPE_CHECKING:
    from chatbot.checkpoint import Checkpoint
    from chatbot.preparation import Prepared
    from chatbot.training import Trainer
    from chatbot.training.choice import Plan
    from chatbot.training.preference import Preferring
    from chatbot.training.world import World


LEARNED_NOTHING = (
    "how frequent each word is foretells replies nearly as well. Give it more --time, or let it go on with "
    "--resume and a longer one; beginning with what a bot knows takes less: --from starter-gpt"
)


@click.command(
    epilog="Settings for --set: OWNER.NAME=VALUE, where OWNER is training, tokenizer, examples, "
    "cleaning, sampling or a model family; a wrong one lists what there is."
)
@click.argument("corpora", metavar="CORPUS...", nargs=-1, required=True, type=PATH)
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
    help=f"How large the models are.  [default: what learns most in the time; with --steps, {DEFAULT_SIZE}]",
)
@click.option(
    "--time", "minutes", type=Duration(), help="How long to train each model: 90s, 20m, 1h.  [default: 30m]"
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Train so many steps instead; with --time too, whichever ends first.",
)
@click.option("--name", help="Name of the bots; the family is added.  [default: the corpus's]")
@click.option(
    "--split",
    type=click.Choice(list(SPLITS)),
    help=f"How validation and test are kept apart.  [default: {DEFAULT_SPLIT}]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="The same seed, corpus and --steps give the same bot."
)
@click.option(
    "--from",
    "origin",
    metavar="BOT",
    help="Begin with what this bot knows: for a corpus too small to learn to talk from.",
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
    corpora: tuple[Path, ...],
    families: tuple[str, ...],
    asked_size: str | None,
    minutes: float | None,
    steps: int | None,
    name: str | None,
    split: str | None,
    seed: int | None,
    origin: str | None,
    resume: bool,
    device: str,
    logs: tuple[str, ...],
    dry_run: bool,
    changes: tuple[str, ...],
) -> None:
    """Train bots from a CORPUS of conversations, or from several together.

    CORPUS is a folder or file: the Cornell movie dialogs, ConvoKit's utterances.jsonl, or a .jsonl with
    {"turns": [{"speaker", "text"}]} or {"messages": [{"role", "content"}]} on each line. The bots are
    written to checkpoints/NAME-MODEL; `chatbot chat` finds them there.
    """
    settings = parsed(changes)
    short = {"minutes": minutes if minutes or not steps else 0.0, "steps": steps, "seed": seed}
    settings["training"] = {k: str(v) for k, v in short.items() if v is not None} | settings["training"]
    request = Request(
        corpora=corpora,
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
    if origin is not None:
        begins = origin_of(origin, families, request)
        request = dataclasses.replace(request, origin=begins, families=(begins.config.family,))
    _run(request)


def _run(request: Request) -> None:
    from chatbot.engines.torch import choose_device
    from chatbot.training.world import joined

    check_settings(request)
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
        trainer = trainer_of(job, world)
        with interrupting(trainer):
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
    from chatbot.corpus import open_corpora
    from chatbot.terminal.stages import say

    with _releasing(world):
        there = [_there(path, request) for path in request.corpora]
        if not all(there):
            return
        corpus = open_corpora(request.corpora)
    folders = {family: folder_of(request.name or corpus.name, family) for family in request.families}
    with ExitStack() as stack:  # before minutes are spent on the corpus
        for folder in () if request.dry_run else folders.values():
            stack.enter_context(claimed(folder))
        with _releasing(world):
            opened = {} if request.dry_run and not request.resume else opened_bots(folders, request)
            if request.resume and not opened:
                say(f"there is nothing to resume at {' or '.join(map(str, folders.values()))}: beginning")
            for checkpoint in opened.values():  # what one family was begun with, the other goes on with
                request = dataclasses.replace(request, begun=checkpoint.config)
            prepared = prepared_corpus(request, corpus, opened)
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
    from chatbot.terminal.progress import planned
    from chatbot.terminal.stages import say

    plan = None
    if opened is None:
        with _releasing(world):
            plan = _chosen(request, family, prepared, world)
            request = _taken(request, family, plan) if plan else request
    config = config_of(request, family, opened, prepared)
    begins = request.origin.folder.resolve() if request.origin and opened is None else None
    job = Job(folder=folder, config=config, prepared=prepared, device=request.device, origin=begins)
    if request.dry_run:
        say(planned(folder, family, plan or _plan(request, job)))
        return
    trainer = trainer_of(world.share(job), world)
    trainer.check_memory()
    changed = opened is None or training_of(config) != training_of(opened.config)
    if opened is None:  # only now: a corpus too small to learn from leaves no folder behind
        Checkpoint.create(folder, config, prepared.tokenizer)
    elif changed:
        opened.configure(config)
    if world.share(changed or not trainer.done):
        _train(trainer, folder, request.logs)
        _look_at(folder, prepared, request.device)
    else:
        say(f"{folder} is trained already")


def _chosen(request: Request, family: str, prepared: Prepared, world: World) -> Plan | None:
    """The size that learns most in the time there is, unless one was asked for."""
    from chatbot.engines.torch import choose_device
    from chatbot.preparation import exchanges
    from chatbot.terminal.progress import chosen
    from chatbot.terminal.stages import say, track
    from chatbot.training.choice import Kind, choose, chooses
    from chatbot.training.trainer import require

    training, settings = wanted(request, "training"), request.settings[family]
    if request.asked_size or request.origin or not chooses(family, training, settings):
        return None
    kind = Kind(
        family=family,
        vocabulary=len(prepared.tokenizer),
        settings=settings,
        training=training,
        examples=wanted(request, "examples"),
        device=choose_device(request.device),
        processes=world.size,
        neighbours=world.neighbours,
    )
    batches = kind.batches(prepared.train)
    require(batches.examples, exchanges(prepared.validation, kind.examples))
    with track(f"timing sizes of {family} ({', '.join(SIZES)})") as progress:
        plans = choose(kind, batches, progress)
    say(chosen(family, plans))
    if plans[0].is_cut:
        say(f"more would be learned by heart: see --set training.epochs (here {plans[0].most_epochs:g})")
    return plans[0]


def _taken(request: Request, family: str, plan: Plan) -> Request:
    """The request with the size that was chosen, and what goes with it."""
    settings = {**request.settings, family: dict(plan.settings)}
    return dataclasses.replace(request, chosen=plan.size, settings=settings)


def _plan(request: Request, job: Job) -> Plan:
    """What a training by one process would be."""
    from chatbot.terminal.stages import track
    from chatbot.training.choice import Kind
    from chatbot.training.world import World

    trainer = trainer_of(job, World())
    trainer.check_memory()
    kind = Kind(
        family=job.config.family,
        vocabulary=len(job.prepared.tokenizer),
        settings={},
        training=trainer.config,
        examples=wanted(request, "examples"),
        device=trainer.device,
    )
    with track(f"timing {job.config.family}"):
        return kind.plan(job.config.size, trainer.model, trainer.batches)


def _there(path: Path, request: Request) -> bool:
    """Whether a corpus is there by now: what can be downloaded is, unless this is a dry run."""
    from chatbot.corpus import download
    from chatbot.terminal.stages import say, track

    source = download.wanted(path)
    if source is None:
        return True
    if request.dry_run:
        say(f"{path} holds no data: {source.url} would be downloaded")
        return False
    say(f"{path} holds no data: downloading {source.url}")
    with track("downloading", in_bytes=True) as progress:
        download.fetch(source, path, progress)
    return True


def _train(trainer: Trainer, folder: Path, logs: Sequence[str]) -> None:
    """Train to the end; Ctrl-C is a KeyboardInterrupt, but only when everything is saved."""
    from chatbot.terminal.progress import show
    from chatbot.terminal.stages import say

    with interrupting(trainer):
        stopped = show(logged(trainer.run(), [LOGS.load(kind) for kind in logs], folder))
    if stopped.reason == "interrupted":
        say(f"saved in {folder}; to go on, give the same command with --resume")
        raise KeyboardInterrupt


def _look_at(folder: Path, prepared: Prepared, device: str) -> None:
    """Say how varied the new bot's replies are, if it has learned anything, and how to talk to it."""
    from chatbot.bot import Bot
    from chatbot.checkpoint import available, newest
    from chatbot.evaluation.dullness import first_look
    from chatbot.terminal.stages import say, track

    there = available()
    bot = next((one for one in there if one.name == folder.name), None)
    if bot is None or bot.has_learned:
        with track("replying to validation prompts") as progress:
            found = first_look(Bot.load(folder, device, "torch"), prepared.validation, progress)
        say(f"{folder.name} is {found}")
    else:
        say(f"{folder.name} has learned next to nothing yet: {LEARNED_NOTHING}")
    say(f"talk to it: chatbot chat {folder.name}")
    default, other = newest(there), newest([one for one in there if one is not bot])
    if default and other:
        also = f"; to {other.name}: chatbot chat {other.name}" if default is bot else ""
        say(f"without a name, you talk to {default.name}{also}")


@contextmanager
def interrupting(trainer: Trainer | Preferring) -> Iterator[None]:
    """Ctrl-C (or a polite kill) lets the step in hand finish and save; a second one stops at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        trainer.interrupt()

    ends = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # none on Windows
    heard = [number for number in ends if signal.getsignal(number) != signal.SIG_IGN]  # nohup is obeyed
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
