"""The training loop, as a stream of events: it serves every family and never looks inside a batch."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chatbot.batches import Batches, in_order
from chatbot.checkpoint import Checkpoint
from chatbot.config import setting
from chatbot.decoding import SamplingConfig
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.base import Precision
from chatbot.engines.torch import AnyModel, TorchEngine, choose_precision, products
from chatbot.errors import CheckpointError, ConfigError, TrainingError
from chatbot.preparation import (
    UNCUT,
    Encoded,
    ExamplesConfig,
    Figures,
    dialogues,
    exchanges,
    unigram_figures,
)
from chatbot.replying import Reply, Responder

EARLY = 60.0  # seconds after which a training by time validates first: from then on there is a working bot
PROMPTS = ("Hello.", "What's your name?", "Where are you going?", "I love you.")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model learns. Lengths are in minutes or in steps; the one that ends first counts."""

    minutes: float = setting(30.0, "minutes to train each model; 0 for no limit")
    steps: int = setting(0, "optimizer steps; 0 for no limit")
    batch_tokens: int = setting(
        2048, "tokens of a step, padding included; a token that is only read counts a quarter"
    )
    learning_rate: float = setting(0.0, "its highest value, after the warm-up; 0 for the model family's own")
    warmup: float = setting(0.03, "the share of the training in which the learning rate rises")
    final_rate: float = setting(0.05, "where the learning rate ends, as a share of its highest value")
    weight_decay: float = setting(0.05, "AdamW's decay of matrices; vectors are spared")
    clip: float = setting(1.0, "the longest gradient")
    label_smoothing: float = setting(0.0, "the share of each target spread over all tokens")
    evaluations: int = setting(20, "how often to validate during the training")
    validation: int = setting(2000, "exchanges of the validation split to use; 0 for all of it")
    patience: int = setting(5, "stop after so many validations without improvement; 0 never stops early")
    precision: Precision = setting(
        "auto", "of products: auto takes bfloat16 where it is faster; weights are always float32"
    )
    seed: int = setting(0, "the same seed, corpus and number of steps give the same bot")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{item.name} must be a finite number, not {value}")
        if self.seed >= 1 << 63:
            raise ConfigError(f"seed must be under 2**63, not {self.seed}")
        if self.minutes < 0 or self.steps < 0 or not (self.minutes or self.steps):
            raise ConfigError("training needs a length: minutes or steps, over 0")
        for name in ("batch_tokens", "clip", "evaluations"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be over 0, not {getattr(self, name)}")
        for name in ("warmup", "final_rate", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0 and under 1, not {getattr(self, name)}")
        for name in ("learning_rate", "weight_decay", "validation", "patience", "seed"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Started:
    """What is about to be trained, and the floor: a unigram model's figures on the same replies."""

    step: int
    family: str
    parameters: int
    examples: int
    validation: int
    precision: str
    device: str
    floor: Figures


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimizer step. progress is 0 to 1 of the whole training; seconds_left is an estimate."""

    step: int
    progress: float
    epoch: float
    loss: float  # nats per target token, label smoothing included
    learning_rate: float
    tokens_per_second: float  # targets learned per second
    seconds: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Figures on the validation split."""

    step: int
    seconds: float
    nats_per_token: float
    nats_per_word: float
    bits_per_byte: float
    best: bool


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the bot answers to the fixed prompts by now: (prompt, reply) pairs."""

    step: int
    replies: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """The training can go on from here; best is True where the bot itself was replaced too."""

    step: int
    folder: Path
    best: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end: "finished", "early" (validation stopped improving) or "interrupted".

    best_step: the step whose weights are kept, and best: their nats per word on the validation split.
    """

    reason: str
    step: int
    seconds: float
    best_step: int
    best: float


Event = Started | StepDone | Evaluated | Sampled | Saved | Stopped


@dataclass
class Position:
    """Where a training stands, but for weights, optimizer and random state."""

    step: int = 0
    seconds: float = 0.0
    epoch: int = 0
    index: int = 0
    evaluations: int = 0
    best: float = math.inf  # nats per word
    best_step: int = 0
    since_best: int = 0
    done: bool = False
    nats: float = 0.0  # of the steps since the last validation, all targets together
    tokens: int = 0


class Trainer:
    """Trains one bot: `run` yields events until the end; `interrupt` ends it after the step in hand."""

    def __init__(
        self,
        model: AnyModel,
        checkpoint: Checkpoint,
        train: Encoded,
        validation: Encoded,
        config: TrainingConfig,
        examples: ExamplesConfig,
        sampling: SamplingConfig,
    ) -> None:
        config = dataclasses.replace(config, learning_rate=config.learning_rate or model.learning_rate)
        self.model, self.checkpoint, self.config = model, checkpoint, config
        self.engine = TorchEngine(model)
        self.device = self.engine.device
        learned = (dialogues if model.learns_prompt else exchanges)(train, examples)
        self.batches = Batches(learned, model.batch, config.batch_tokens, config.seed)
        uncut = exchanges(validation, dataclasses.replace(examples, reply_limit=UNCUT))
        self.validation = uncut.some(config.validation or len(uncut))
        if not len(learned) or not len(self.validation):
            raise TrainingError(
                "there is too little to learn from", "give it a corpus with more conversations"
            )
        self.floor = unigram_figures(train, self.validation, len(checkpoint.tokenizer))
        self.optimizer = _optimizer(model, config)
        self.precision = choose_precision(config.precision, self.device)
        self.at = Position()
        quiet = dataclasses.replace(sampling, seed=0)
        self._responder = Responder(self.engine, checkpoint.tokenizer, quiet, examples)
        self._stop = False
        self._evaluated_at, self._evaluation_took = -math.inf, 0.0  # seconds
        torch.manual_seed(config.seed)  # dropout
        self._resume()

    @property
    def done(self) -> bool:
        """Whether the training has come to its end."""
        return self.at.done

    def interrupt(self) -> None:
        """End after the step in hand, saved. Safe to call from a signal handler."""
        self._stop = True

    def run(self) -> Iterator[Event]:
        """Train to the end, or to an interruption."""
        began = time.monotonic() - self.at.seconds
        self.at.done = False
        yield self._started()
        reason = "finished"
        for batch in self.batches:
            if self._is_due():  # before the step: one that an interruption left out is made up for
                yield from self._evaluate(began)
                if self.config.patience and self.at.since_best >= self.config.patience:
                    reason = "early"
                    break
            progress = self._progress()
            if progress >= 1 or self._stop:
                reason = "interrupted" if self._stop else reason
                break
            yield self._learn_within_memory(batch, progress, began)
        yield from self._finish(reason, began)

    def _is_due(self) -> bool:
        """Whether to validate now: at even parts of the training.

        Of a training by time, early once, and for at most a tenth of it; steps alone must not depend on
        a clock.
        """
        part = self._progress() * self.config.evaluations
        due = self.at.evaluations + 1 <= part < self.config.evaluations
        if not self.config.minutes:
            return due
        if not self.at.evaluations and self.at.seconds >= EARLY:
            return True
        return due and self.at.seconds - self._evaluated_at >= 9 * self._evaluation_took

    def _finish(self, reason: str, began: float) -> Iterator[Event]:
        if reason == "interrupted":
            # The state first: whoever is impatient may kill us during a long validation.
            yield self._save(best=False)
            self._stop = False
            if math.isinf(self.at.best):  # not one bot yet: leave a working one
                yield from self._evaluate(began)
        elif reason == "finished":
            self.at.done = True
            self._stop = False  # it is over: what is left is to see how good it is
            yield from self._evaluate(began)
        else:
            self.at.done = True
            yield self._save(best=False)
        self.at.seconds = time.monotonic() - began
        yield Stopped(reason, self.at.step, self.at.seconds, self.at.best_step, self.at.best)

    def _learn_within_memory(self, batch: Any, progress: float, began: float) -> StepDone:
        try:
            return self._learn(batch, progress, began)
        except (MemoryError, RuntimeError) as error:
            # On the CPU torch has no class of its own for it.
            if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "memory" not in str(error):
                raise
            raise TrainingError(
                f"there is too little memory for step {self.at.step + 1}",
                f"make it less than --set training.batch_tokens={self.config.batch_tokens}, or --size",
            ) from None

    def _learn(self, batch: Any, progress: float, began: float) -> StepDone:
        """One step: loss, gradient, clip, update."""
        start = time.monotonic()
        rate = _learning_rate(self.config, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        with products(self.precision, self.device):
            loss = self.model.loss(batch.to(self.device), self.config.label_smoothing)
        mean = loss.total / max(1, loss.tokens)
        self.optimizer.zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self._check(mean.item(), norm.item())
        self.optimizer.step()
        now = time.monotonic()
        self.at.step += 1
        self.at.nats, self.at.tokens = self.at.nats + loss.total.item(), self.at.tokens + loss.tokens
        self.at.seconds = now - began
        self.at.epoch, self.at.index = self.batches.epoch, self.batches.index
        return self._step_done(mean.item(), rate, loss.tokens / (now - start))

    def _check(self, loss: float, norm: float) -> None:
        """Before a value that is not finite reaches the weights: save, and stop."""
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self._save(best=False)
        what = f"the loss became {loss}" if not math.isfinite(loss) else f"the gradient became {norm}"
        raise TrainingError(
            f"{what} at step {self.at.step + 1}; the state before it is saved in {self.checkpoint.folder}",
            "go on with --resume and a lower --set training.learning_rate",
        )

    def _step_done(self, loss: float, rate: float, speed: float) -> StepDone:
        progress = min(1.0, self._progress())
        left = self.at.seconds * (1 - progress) / max(progress, 1e-9)
        epoch = self.batches.progress
        return StepDone(self.at.step, progress, epoch, loss, rate, speed, self.at.seconds, left)

    def _evaluate(self, began: float) -> Iterator[Event]:
        """Validate, sample, save."""
        start = time.monotonic()
        figures = self._figures()
        if figures is None:
            return
        if not math.isfinite(figures.nats_per_token):
            raise TrainingError(
                f"the model gives no numbers any more at step {self.at.step}",
                "train again with a lower --set training.learning_rate",
            )
        best = figures.nats_per_word < self.at.best
        self.at.since_best = 0 if best else self.at.since_best + 1
        if best:
            self.at.best, self.at.best_step = figures.nats_per_word, self.at.step
        self.at.evaluations = max(self.at.evaluations + 1, int(self._progress() * self.config.evaluations))
        self.at.seconds = time.monotonic() - began
        plain = dataclasses.asdict(figures)
        yield Evaluated(self.at.step, self.at.seconds, **plain, best=best)
        self._log(plain)
        replies = self._replies()
        yield Sampled(self.at.step, replies)
        if best:
            self.checkpoint.save_weights(
                _arrays(self.model.state_dict()), step=self.at.step, figures=plain, replies=replies
            )
        self._evaluated_at, self._evaluation_took = time.monotonic() - began, time.monotonic() - start
        yield self._save(best)

    def _log(self, figures: dict[str, float]) -> None:
        """A line of metrics.jsonl; loss: of the steps since the line before, nats per target token."""
        learned = {"loss": self.at.nats / self.at.tokens} if self.at.tokens else {}
        self.at.nats, self.at.tokens = 0.0, 0
        self.checkpoint.log(step=self.at.step, seconds=round(self.at.seconds, 1), **figures, **learned)

    @torch.no_grad()
    def _figures(self) -> Figures | None:
        """On the validation examples; None if interrupted meanwhile."""
        self.model.eval()
        nats, tokens = 0.0, 0
        # Twice a training step's tokens: there is no gradient to keep.
        for batch in in_order(self.validation, self.model.batch, 2 * self.config.batch_tokens):
            if self._stop:
                return None
            with products(self.precision, self.device):
                loss = self.model.loss(batch.to(self.device))
            nats, tokens = nats + loss.total.item(), tokens + loss.tokens
        return Figures.of(nats, tokens, self.validation)

    def _replies(self) -> tuple[tuple[str, str], ...]:
        self.model.eval()
        asked = [Dialogue((Turn("user", prompt),)) for prompt in PROMPTS]
        said = [Reply.collect(self._responder.reply(dialogue)).text for dialogue in asked]
        return tuple(zip(PROMPTS, said, strict=True))

    def _progress(self) -> float:
        """0 to 1: by steps or by time, whichever is further."""
        by_steps = self.at.step / self.config.steps if self.config.steps else 0.0
        by_time = self.at.seconds / (60 * self.config.minutes) if self.config.minutes else 0.0
        return max(by_steps, by_time)

    def _started(self) -> Started:
        parameters = sum(p.numel() for p in self.model.parameters())
        counts = len(self.batches.examples), len(self.validation)
        family = self.checkpoint.config.family
        return Started(
            self.at.step, family, parameters, *counts, self.precision, self.device.type, self.floor
        )

    def _save(self, best: bool) -> Saved:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{key}"] = value
        tensors["random.torch"] = torch.get_rng_state()
        position = dataclasses.asdict(self.at)
        self.checkpoint.save_training_state(_arrays(tensors), position=position, precision=self.precision)
        return Saved(self.at.step, self.checkpoint.folder, best)

    def _resume(self) -> None:
        """Go on from the saved state, if there is one."""
        saved = self.checkpoint.training_state()
        if saved is None:
            return
        try:
            self._restore({name: torch.from_numpy(array) for name, array in saved[0].items()}, saved[1])
        except (KeyError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"the training in {self.checkpoint.folder} cannot go on: {reason}",
                "train under another --name",
            ) from None
        self.checkpoint.forget_after(self.at.step)

    def _restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Set everything to a saved state."""
        self.at = Position(**header["position"])
        if not self.checkpoint.has_weights:  # lost: the next validation writes them again
            self.at = dataclasses.replace(self.at, best=math.inf, best_step=0, since_best=0, done=False)
        if self.config.precision == "auto":  # a busy machine could measure otherwise this time
            self.precision = header["precision"]
        self.batches.epoch = self.at.epoch
        # Another batch size has another number of batches.
        self.batches.index = min(self.at.index, len(self.batches.plan()) - 1)
        # Of a longer training than the saved one, this is an earlier part.
        self.at.evaluations = min(self.at.evaluations, int(self._progress() * self.config.evaluations))
        self.model.load_state_dict(_under("model.", tensors))
        for name, parameter in self.model.named_parameters():
            state = _under(f"optimizer.{name}.", tensors)
            if state:
                self.optimizer.state[parameter] = {k: v.to(self.device) for k, v in state.items()}
        torch.set_rng_state(tensors["random.torch"])


def _learning_rate(config: TrainingConfig, progress: float) -> float:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017) down to final_rate."""
    if progress < config.warmup:
        return config.learning_rate * max(progress / config.warmup, 0.01)
    along = (progress - config.warmup) / (1 - config.warmup)
    share = config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * min(1, along))) / 2
    return config.learning_rate * share


def _optimizer(model: AnyModel, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


__all__ = [
    "Evaluated",
    "Event",
    "Sampled",
    "Saved",
    "Started",
    "StepDone",
    "Stopped",
    "Trainer",
    "TrainingConfig",
]
