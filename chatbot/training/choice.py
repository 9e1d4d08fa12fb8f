"""Which size learns most in a given time: each is timed for a moment on the corpus's own dialogues."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from chatbot.batches import Batches
from chatbot.config import override, to_dict
from chatbot.engines.torch import AnyModel, build, choose_precision
from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.preparation import Encoded, ExamplesConfig, learned
from chatbot.sizes import SIZES
from chatbot.training.config import MANY, TrainingConfig
from chatbot.training.expectation import law
from chatbot.training.memory import available, check, training_memory
from chatbot.training.optimization import most_epochs
from chatbot.training.pace import measure

MOMENT = 1.0  # seconds that a size is timed, after a first round
LEARNING = 0.93  # the share of a training's time that is not spent on validation and saving
HURRY = 0.1  # of the time that a training may take: then the search ends with the sizes it has seen
LEARNT = 10.0  # parameters for each target of the corpus: with more, a model soon knows it by heart
OFTEN = 0.9  # of the epochs after which a model knows a corpus by heart: dropout helps from then on
WORSE = 1.03  # a size that comes to so many times the best so far ends the search: larger ones come to more


@dataclass(frozen=True)
class Plan:
    """What a training would be.

    seconds: with its validations; epochs: how often it goes through the corpus; most_epochs: how often at the
    most, 0 for no limit; unique: targets of the corpus; memory: bytes; nats: a word, to expect on Cornell,
    None where no law is known; settings: the family's that are not those of the size.
    """

    size: str
    parameters: int
    steps: float
    seconds: float
    epochs: float
    most_epochs: float
    unique: float
    memory: int
    nats: float | None
    settings: Mapping[str, str]

    @property
    def is_cut(self) -> bool:
        """Whether it ends before the time does, since more would be learned by heart."""
        return bool(self.most_epochs) and self.epochs > self.most_epochs - 0.01


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Trainings that differ in the model's size alone.

    processes: how many will share a step; neighbours: how many of them share this device's memory.
    """

    family: str
    vocabulary: int
    settings: Mapping[str, str]
    training: TrainingConfig
    examples: ExamplesConfig
    device: torch.device
    processes: int = 1
    neighbours: int = 1

    def batches(self, train: Encoded) -> Batches:
        """What is learned from, the same for all sizes."""
        model: type[AnyModel] = FAMILIES.load(self.family)
        found = learned(train, self.examples, model.learns_prompt)
        return Batches(
            found, model.batch, self.training.tokens_of_step(len(train.tokens)), self.training.seed
        )

    def model(self, size: str) -> AnyModel:
        """A new model of a size; settings that do not suit it are a ConfigError."""
        config = FAMILIES.load(self.family).Config.sized(SIZES[size], self.vocabulary)
        return build(self.family, to_dict(override(config, self.settings, self.family)), self.training.seed)

    def memory(self, model: AnyModel, batches: Batches) -> int:
        """Bytes that a process needs."""
        return training_memory(model, batches.largest // self.processes)

    def plan(self, size: str, model: AnyModel, batches: Batches) -> Plan:
        """What a training of this model would be, by the pace of a moment. The model is spoilt."""
        config = self.training
        pace = measure(model, batches, config, choose_precision(config.precision, self.device), MOMENT)
        step = pace.seconds / self.processes
        epoch = len(batches.plan())
        by_time = LEARNING * 60 * config.minutes / step if config.minutes else math.inf
        most = most_epochs(model, config, len(batches.examples.data.tokens))
        by_epochs = most * epoch or math.inf
        steps = max(1.0, min(config.steps or math.inf, by_time, by_epochs))
        seconds = steps * step / LEARNING
        parameters = sum(parameter.numel() for parameter in model.parameters())
        epochs = steps / epoch
        again = bool(model.again and model.config.dropout) and epochs > OFTEN * model.epochs(many=False)
        known = law(self.family, again)
        unique, memory = epoch * pace.targets, self.memory(model, batches)
        nats = known.nats(parameters, steps * pace.targets, unique) if known else None
        return Plan(size, parameters, steps, seconds, epochs, most, unique, memory, nats, self.settings)

    def longer(self, model: AnyModel, batches: Batches) -> Kind | None:
        """The trainings that go through the corpus more often, with dropout, where that is known to help."""
        tokens = len(batches.examples.data.tokens)
        if "dropout" in self.settings or not model.again or tokens < MANY:
            return None
        return replace(self, settings={**self.settings, "dropout": str(model.again)})


def choose(kind: Kind, batches: Batches, progress: Callable[[int, int], None]) -> list[Plan]:
    """The sizes worth looking at, the best first. One that does not fit into memory is not looked at."""
    found = list(_worth_timing(kind, batches, progress))
    progress(len(SIZES), len(SIZES))
    if not found:
        raise ConfigError(f"no size of {kind.family} can be trained like that", "give a --size")
    return sorted(found, key=lambda one: one.nats or 0.0)


def _worth_timing(kind: Kind, batches: Batches, progress: Callable[[int, int], None]) -> Iterator[Plan]:
    began, best, free = time.monotonic(), math.inf, available(kind.device) / kind.neighbours
    for number, size in enumerate(SIZES):
        progress(number, len(SIZES))
        if best < math.inf and time.monotonic() - began > HURRY * 60 * kind.training.minutes:
            return
        with suppress(ConfigError):  # of a setting that suits other sizes
            model = kind.model(size).to(kind.device)
            if number and kind.memory(model, batches) > free:
                return
            check(kind.memory(model, batches) * kind.neighbours, kind.device)
            one = kind.plan(size, model, batches)
            if one.is_cut and (longer := kind.longer(model, batches)):
                other = longer.plan(size, longer.model(size).to(kind.device), batches)
                one = min(one, other, key=lambda plan: plan.nats or 0.0)
            if best < math.inf and one.parameters > LEARNT * one.unique:
                return
            yield one
            if one.nats is None or one.nats > WORSE * best:
                return
            best = min(best, one.nats)


def chooses(family: str, training: TrainingConfig, settings: Mapping[str, str]) -> bool:
    """Whether there is a size to choose: by time alone, of a family with a law, that was not given one."""
    sized = {"width", "layers", "heads", "inner"} & set(settings)
    return bool(training.minutes) and not training.steps and not sized and law(family) is not None
