"""The training of one bot: new, or gone on with."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatbot.cli.request import GENTLE, Request, defaults, wanted
from chatbot.config import from_dict, override, to_dict
from chatbot.corpus.splits import DEFAULT_SPLIT
from chatbot.errors import CheckpointError, ConfigError
from chatbot.models import FAMILIES
from chatbot.sizes import size_named

if TYPE_CHECKING:
    from chatbot.checkpoint import BotConfig, Checkpoint
    from chatbot.corpus import Corpus
    from chatbot.models.config import ModelConfig
    from chatbot.preparation import Prepared
    from chatbot.training import Trainer, TrainingConfig
    from chatbot.training.world import World

FOLDER = Path("checkpoints")


@dataclass(frozen=True, kw_only=True)
class Job:
    """The training of one bot: all that a process needs to know of it."""

    folder: Path
    config: BotConfig
    prepared: Prepared
    device: str
    origin: Path | None = None  # the folder of the bot that it begins from


def folder_of(name: str, family: str) -> Path:
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise ConfigError(f"'{name}' cannot be a bot's name", "use letters, digits, '.', '-' and '_'")
    return FOLDER / f"{name}-{family}"


def opened_bots(folders: dict[str, Path], request: Request) -> dict[str, Checkpoint]:
    """The bots to go on with. One that exists is never overwritten."""
    from chatbot.checkpoint import Checkpoint

    there = {family: folder for family, folder in folders.items() if os.path.lexists(folder)}
    if there and not (request.resume or all(map(is_ours, there.values()))):
        names, verb = " and ".join(map(str, there.values())), "exists" if len(there) == 1 else "exist"
        raise CheckpointError(f"{names} {verb} already", "go on with --resume, or give another --name")
    opened = {family: Checkpoint.load(folder) for family, folder in there.items()}
    for checkpoint in opened.values():
        if checkpoint.has_weights and not checkpoint.has_state:
            raise CheckpointError(
                f"{checkpoint.folder} has weights, but no training to go on with",
                f"train under another --name, with --from {checkpoint.name}",
            )
        check_kept(checkpoint, request)
    return opened


def is_ours(folder: Path) -> bool:
    """Whether this run of torchrun began the bot, and begins again as a process was lost."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.training.world import run_id

    return bool(run_id()) and Checkpoint.load(folder).run == run_id()


def check_kept(checkpoint: Checkpoint, request: Request) -> None:
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
        owner: saved_settings(checkpoint, owner, section, request)
        for owner, section in {**kept, "training": config.training}.items()
    }
    for owner in kept:
        before = saved[owner]
        if override(before, request.settings[owner], owner) != before:
            raise ConfigError(
                f"{checkpoint.folder} was begun with other settings of {owner}",
                "resume without that --set, or give another --name",
            )


def saved_settings(
    checkpoint: Checkpoint, owner: str, section: Any, request: Request
) -> Any:  # Any: as above
    """An owner's settings as the bot has them."""
    from chatbot.checkpoint import CONFIG

    try:
        return from_dict(type(defaults(owner, request.size)), section, owner)
    except ConfigError as error:
        raise CheckpointError(f"{checkpoint.folder / CONFIG} is damaged: {error.what}", error.hint) from None


def prepared_corpus(request: Request, corpus: Corpus, opened: dict[str, Checkpoint]) -> Prepared:
    """The corpus; where there is a bot to go on with, as it was for that."""
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.preparation import prepare
    from chatbot.terminal.stages import stages

    cleaning, tokenizer = wanted(request, "cleaning"), wanted(request, "tokenizer")
    split, backward = request.split or DEFAULT_SPLIT, wanted(request, "examples").backward
    if request.origin:
        tokenizer = request.origin.tokenizer
    for checkpoint in opened.values():
        facts, tokenizer = checkpoint.config.corpus, checkpoint.tokenizer
        cleaning = from_dict(CleaningConfig, facts.get("cleaning", {}), "cleaning")
        split = facts.get("split", split)
        backward = bool(checkpoint.config.examples.get("backward"))
    with stages() as begin:
        prepared = prepare(corpus, cleaning, split, tokenizer, begin, backward)
    for checkpoint in opened.values():
        if checkpoint.config.corpus.get("fingerprint") != prepared.facts["fingerprint"]:
            raise CheckpointError(
                f"{request.corpus} is not what {checkpoint.folder} was trained on",
                "give the corpus that it began with, or another --name",
            )
    return prepared


def config_of(request: Request, family: str, opened: Checkpoint | None, prepared: Prepared) -> BotConfig:
    """The bot's, with the training as it is wanted now."""
    config = opened.config if opened else new_config(request, family, prepared)
    training = override(training_of(config), request.settings["training"], "training")
    return dataclasses.replace(config, training=to_dict(training))


def training_of(config: BotConfig) -> TrainingConfig:
    from chatbot.training import TrainingConfig

    return from_dict(TrainingConfig, config.training, "training")


def trainer_of(job: Job, world: World) -> Trainer:
    """A trainer, new or resumed."""
    from chatbot.checkpoint import Checkpoint
    from chatbot.decoding import SamplingConfig
    from chatbot.engines.torch import build, choose_device, fill
    from chatbot.preparation import ExamplesConfig
    from chatbot.training import Trainer

    config, training = job.config, training_of(job.config)
    model = build(config.family, config.model, training.seed)
    if job.origin:
        fill(model, model.deepened(Checkpoint.load(job.origin).weights().tensors))
    return Trainer(
        model.to(choose_device(job.device)),
        Checkpoint(job.folder, config, job.prepared.tokenizer),
        job.prepared.train,
        job.prepared.validation,
        training,
        from_dict(ExamplesConfig, config.examples, "examples"),
        from_dict(SamplingConfig, config.sampling, "sampling"),
        world,
    )


def new_config(request: Request, family: str, prepared: Prepared) -> BotConfig:
    from chatbot.checkpoint import FORMAT, BotConfig
    from chatbot.decoding import STYLES

    if request.origin:
        return _begun_from(request.origin, request, prepared)
    size = request.chosen or (request.begun.size if request.begun else "") or request.size
    sized = FAMILIES.load(family).Config.sized(size_named(size), len(prepared.tokenizer))
    return BotConfig(
        format=FORMAT,
        family=family,
        size=size,
        model=to_dict(override(sized, request.settings[family], family)),
        tokenizer=to_dict(wanted(request, "tokenizer")),
        training=to_dict(wanted(request, "training")),
        sampling=to_dict(wanted(request, "sampling")),
        styles={name: dict(style) for name, style in STYLES.items()},
        examples=to_dict(wanted(request, "examples")),
        corpus=prepared.facts,
    )


def _begun_from(origin: Checkpoint, request: Request, prepared: Prepared) -> BotConfig:
    """The same bot, to learn from another corpus; sections that a model cannot change stay as they are."""
    from chatbot.checkpoint import FORMAT

    training = wanted(request, "training")
    if "gentle" not in request.settings["training"]:
        training = dataclasses.replace(training, gentle=GENTLE)
    return dataclasses.replace(
        origin.config,
        format=FORMAT,
        origin=origin.name,
        model=to_dict(_begun_model(origin, request)),
        training=to_dict(training),
        sampling=to_dict(wanted(request, "sampling")),
        examples=to_dict(wanted(request, "examples")),
        corpus=prepared.facts,
    )


def origin_of(name: str, families: Sequence[str], request: Request) -> Checkpoint:
    """The bot to begin from. What a training cannot change of it is refused."""
    from chatbot.checkpoint import Checkpoint, find

    origin = Checkpoint.load(find(name))
    family = origin.config.family
    if families and tuple(families) != (family,):
        raise ConfigError(f"{origin.name} is a {family}", f"leave out --model, or say --model {family}")
    free = {family: FAMILIES.load(family).changes_later, "tokenizer": frozenset[str]()}
    fixed = next((owner for owner in free if {*request.settings[owner]} - free[owner]), None)
    if fixed or request.asked_size:
        raise ConfigError(
            f"{origin.name} has its size, its tokenizer and its {family}'s settings already",
            "leave out " + (f"--set {fixed}..." if fixed else "--size"),
        )
    if _begun_model(origin, request).layers < (layers := _model_of(origin).layers):
        raise ConfigError(
            f"{origin.name} has {layers} layers: what begins from it cannot have fewer",
            f"--set {family}.layers={layers}, or more; or train without --from",
        )
    return origin


def _begun_model(origin: Checkpoint, request: Request) -> ModelConfig:
    """The model of what begins from there."""
    family = origin.config.family
    return override(_model_of(origin), request.settings[family], family)


def _model_of(origin: Checkpoint) -> ModelConfig:
    from chatbot.checkpoint import CONFIG

    model: ModelConfig = from_dict(FAMILIES.load(origin.config.family).Config, origin.config.model, CONFIG)
    return model
