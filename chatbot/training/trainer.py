"""The training loop, as a stream of events: it serves every family and never looks inside a batch."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chatbot.batches import Batches, in_order
from chatbot.checkpoint import Checkpoint
from chatbot.decoding import SamplingConfig
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.torch import AnyModel, TorchEngine, choose_precision, products
from chatbot.errors import CheckpointError, TrainingError
from chatbot.preparation import (
    UNCUT,
    Encoded,
    Examples,
    ExamplesConfig,
    Figures,
    exchanges,
    learned,
    unigram_figures,
)
from chatbot.replying import Reply, Responder
from chatbot.training import compiling
from chatbot.training.config import TrainingConfig
from chatbot.training.events import (
    Evaluated,
    Event,
    RolledBack,
    Sampled,
    Saved,
    Started,
    StepDone,
    Stopped,
)
from chatbot.training.memory import check, keep_freed, training_memory
from chatbot.training.optimization import learning_rate, most_epochs, optimizer, peak_rate, risen
from chatbot.training.world import World, part, run_id, whole

SPIKE = 10.0  # a gradient so many times as long as usual is not followed
CALM = 200  # steps until it is known what is usual
SLOWER = 0.5  # the learning rate after a training diverged, as a share of what it was
EARLY = (
    60.0  # seconds until the first validation of a training by time, or a third of it: then there is a bot
)
OFTEN = 10.0  # seconds between validations of a training by time, at the least
PROMPTS = ("Hello.", "What's your name?", "Where are you going?", "I love you.")


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
    lowest: float = math.inf  # nats per word, since the learning rate has risen
    since_best: int = 0  # validations after the lowest
    done: bool = False
    targets: int = 0  # learned since the beginning
    nats: float = 0.0  # of the steps since the last validation, all targets together
    tokens: int = 0
    norm: float = 0.0  # how long gradients usually are
    skipped: int = 0  # steps whose gradient was far longer
    slower: float = 1.0  # a factor of the learning rate, under 1 after it diverged

    def check(self) -> None:
        """A ValueError where a saved one cannot be one: it may come from anywhere."""
        for item in dataclasses.fields(self):
            value: Any = getattr(self, item.name)
            kind = type(item.default)
            fits = type(value) is kind or (kind is float and type(value) is int)
            endless = kind is float and item.name not in ("best", "lowest") and math.isinf(value)
            if not fits or endless or not value >= 0:  # nor NaN
                raise ValueError(f"{item.name} is {value!r}")


class Diverged(Exception):
    """A loss or a gradient is not finite; nothing of it has reached the weights."""


def require(learned: Examples, validation: Examples) -> None:
    """A TrainingError where there is nothing to learn, or to validate with."""
    if not len(learned) or not len(validation):
        raise TrainingError("there is too little to learn from", "give it a corpus with more conversations")


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
        world: World | None = None,
    ) -> None:
        config = dataclasses.replace(
            config,
            learning_rate=peak_rate(model, config),
            batch_tokens=config.tokens_of_step(len(train.tokens)),
        )
        self.model, self.checkpoint, self.config = model, checkpoint, config
        self.world = world or World()
        self.device = TorchEngine(model).device
        found = learned(train, examples, model.learns_prompt)
        self.batches = Batches(found, model.batch, config.batch_tokens, config.seed)
        self._share = self.world.rank, self.world.size
        self.batches.share = self._share
        uncut = exchanges(validation, dataclasses.replace(examples, reply_limit=UNCUT))
        self.validation = uncut.some(config.validation or len(uncut))
        require(found, self.validation)
        self.floor = unigram_figures(train, self.validation, len(checkpoint.tokenizer))
        self._compiled = compiling.wanted(config, self.device, self.world.size)
        if self._compiled:
            compiling.compile_layers(model)
        self._learner = self.world.learner(model, config.shard)
        tokens = len(train.tokens)
        self.optimizer = optimizer(model, config, tokens)
        self._most_epochs = most_epochs(model, config, tokens)
        self.precision = self.world.share(choose_precision(config.precision, self.device))
        self.at = Position()
        self._replying = dataclasses.replace(sampling, seed=0), examples
        self._stop = False
        self._evaluated_at, self._evaluation_took = -math.inf, 0.0  # seconds
        self._evaluated_step = -1
        torch.manual_seed(config.seed + self.world.rank)  # dropout
        self._resume()

    @property
    def done(self) -> bool:
        """Whether the training has come to its end."""
        return self.at.done

    @property
    def memory(self) -> int:
        """Bytes that the training will take of this process's device, more than it has now."""
        return training_memory(self.model, self.batches.largest // self.world.size)

    def check_memory(self) -> None:
        """A TrainingError where there is too little: the kernel would end the training without a word."""
        check(self.memory * self.world.neighbours, self.device)

    def interrupt(self) -> None:
        """End after the step in hand, saved. Safe to call from a signal handler."""
        self._stop = True

    def run(self) -> Iterator[Event]:
        """Train to the end, or to an interruption."""
        keep_freed()
        began = time.monotonic() - self.at.seconds
        self.at.done = False
        yield self._started()
        if self.world.main:
            self.checkpoint.forget_after(self.at.step)
        if not self.at.step:
            self._save(best=False)  # what diverges before the first validation begins anew from here
        reason = "finished"
        for batch in self.batches:
            if self._is_due():  # before the step: one that an interruption left out is made up for
                yield from self._evaluate(began)
                if self.config.patience and self.at.since_best >= self.config.patience:
                    reason = "early"
                    break
            progress = self._progress()
            stopped = self._is_stopped()
            if progress >= 1 or stopped:
                reason = "interrupted" if stopped else reason
                break
            try:
                yield self._learn_within_memory(batch, progress, began)
            except Diverged as error:
                yield self._roll_back(str(error))
        yield from self._finish(reason, began)

    def _is_stopped(self) -> bool:
        """Whether anybody was interrupted: all end, or none."""
        return self.world.total(self._stop)[0] > 0

    def _is_due(self) -> bool:
        """Whether to validate now: at even parts of the training.

        Of a training by time, early once, and for at most a tenth of it; steps alone must not depend on
        a clock.
        """
        part = self._progress() * self.config.evaluations
        due = self.at.evaluations + 1 <= part < self.config.evaluations
        if not self.config.minutes:
            return due
        if not self.at.evaluations and self.at.seconds >= min(EARLY, 20 * self.config.minutes):
            return True
        late = part > self.config.evaluations - 0.5  # the last one is near
        return (
            due and not late and self.at.seconds - self._evaluated_at >= max(OFTEN, 9 * self._evaluation_took)
        )

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
            if self._evaluated_step == self.at.step:  # that was seen a moment ago
                yield self._save(best=False)
            else:
                yield from self._evaluate(began)
        else:
            self.at.done = True
            yield self._save(best=False)
        self.at.seconds = self._clock(began)
        yield Stopped(reason, self.at.step, self.at.seconds, self.at.best_step, self.at.best, self.at.skipped)

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
        rate = learning_rate(self.config, self.at.step, progress) * self.at.slower
        self.model.train()
        with products(self.precision, self.device):
            loss = self._learner(batch.to(self.device), self.config.label_smoothing)
        nats, tokens = self.world.total(loss.total.item(), loss.tokens)
        self.optimizer.zero_grad()
        # The processes' gradients are averaged: each mean is over an equal part of all targets.
        (loss.total / (max(1, tokens) / self.world.size)).backward()
        clipped = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        norm = whole(clipped).item()
        mean = nats / max(1, tokens)
        for value, what in ((mean, "loss"), (norm, "gradient")):
            if not math.isfinite(value):
                raise Diverged(f"the {what} became {value} at step {self.at.step + 1}")
        if not self._is_spike(norm):
            with products(self.precision, self.device):
                self.optimizer.step(rate)
        now = time.monotonic()
        self.at.step += 1
        self.at.nats, self.at.tokens = self.at.nats + nats, self.at.tokens + int(tokens)
        self.at.targets += int(tokens)
        self.at.seconds = self._clock(began)
        self.at.epoch, self.at.index = self.batches.epoch, self.batches.index
        return self._step_done(mean, rate, tokens / (now - start))

    def _clock(self, began: float) -> float:
        """Seconds of training, by the main process's clock: what depends on it has to be the same for all."""
        return self.world.total(time.monotonic() - began if self.world.main else 0.0)[0]

    def _is_spike(self, norm: float) -> bool:
        """Whether a gradient is so long that it would rather harm; it counts as one that just is not."""
        at = self.at
        at.norm = at.norm or norm
        spike = at.step >= CALM and norm > SPIKE * at.norm
        at.norm += (min(norm, SPIKE * at.norm if spike else norm) - at.norm) / min(at.step + 1, CALM)
        at.skipped += spike
        return spike

    def _roll_back(self, what: str) -> RolledBack:
        """Go on from the last saved state with a lower learning rate; the second time, stop."""
        failed, slower = self.at.step + 1, SLOWER * self.at.slower
        if slower < SLOWER:
            raise TrainingError(
                f"{what}, with half the learning rate too; the bot is that of step {self.at.best_step}",
                "train under another --name with a lower --set training.learning_rate",
            )
        self._resume()
        if self.world.main:
            self.checkpoint.forget_after(self.at.step)
        self.at.slower = slower
        return RolledBack(failed, what, self.at.step, self.config.learning_rate * slower)

    def _step_done(self, loss: float, rate: float, speed: float) -> StepDone:
        progress = min(1.0, self._progress())
        left = self.at.seconds * (1 - progress) / max(progress, 1e-9)
        epoch = self.batches.progress
        return StepDone(self.at.step, progress, epoch, loss, rate, speed, self.at.seconds, left)

    def _evaluate(self, began: float) -> Iterator[Event]:
        """Validate, sample, save."""
        start = self._clock(began)
        figures = self._figures()
        if figures is None:
            return
        if not math.isfinite(figures.nats_per_token):
            raise TrainingError(
                f"the model gives no numbers any more at step {self.at.step}",
                "train again with a lower --set training.learning_rate",
            )
        best = figures.nats_per_word < self.at.best
        self._count(figures.nats_per_word)
        if best:
            self.at.best, self.at.best_step = figures.nats_per_word, self.at.step
        self.at.evaluations = max(self.at.evaluations + 1, int(self._progress() * self.config.evaluations))
        self.at.seconds = self._clock(began)
        plain = dataclasses.asdict(figures)
        yield Evaluated(self.at.step, self.at.seconds, **plain, best=best)
        self._log(plain)
        replies = self._replies()
        yield Sampled(self.at.step, replies)
        if best:
            self._save_weights(plain, replies)
        self._evaluated_at, self._evaluated_step = self._clock(began), self.at.step
        self._evaluation_took = self._evaluated_at - start
        yield self._save(best)

    def _count(self, nats: float) -> None:
        """How long it has not been getting better: from when the learning rate has risen.

        What begins with the weights of a bot is at its best before that, and again only at the end.
        """
        if risen(self.config, self.at.step, self._progress()) < 1:
            self.at.lowest, self.at.since_best = math.inf, 0
            return
        self.at.since_best = 0 if nats < self.at.lowest else self.at.since_best + 1
        self.at.lowest = min(self.at.lowest, nats)

    def _log(self, figures: dict[str, float]) -> None:
        """A line of metrics.jsonl; loss: of the steps since the line before, nats per target token."""
        learned = {"loss": self.at.nats / self.at.tokens} if self.at.tokens else {}
        self.at.nats, self.at.tokens = 0.0, 0
        if self.world.main:
            place = {"step": self.at.step, "seconds": round(self.at.seconds, 1), "targets": self.at.targets}
            self.checkpoint.log(**place, **figures, **learned)

    @torch.no_grad()
    def _figures(self) -> Figures | None:
        """On the validation examples; None if interrupted meanwhile."""
        self.model.eval()
        found = np.zeros(2)  # nats, tokens
        # Twice a training step's tokens: there is no gradient to keep.
        batches = in_order(self.validation, self.model.batch, 2 * self.config.batch_tokens, self._share)
        for batch in batches:
            if self._is_stopped():
                return None
            with products(self.precision, self.device), compiling.plain(self._compiled):
                loss = self.model(batch.to(self.device))
            found += loss.total.item(), loss.tokens
        nats, tokens = self.world.total(*found.tolist())
        return Figures.of(nats, int(tokens), self.validation)

    def _replies(self) -> tuple[tuple[str, str], ...]:
        self.model.eval()
        engine = self._engine()
        if not self.world.main:
            return ()
        responder = Responder(engine, self.checkpoint.tokenizer, *self._replying)
        asked = [Dialogue((Turn("user", prompt),)) for prompt in PROMPTS]
        said = [Reply.collect(responder.reply(dialogue)).text for dialogue in asked]
        return tuple(zip(PROMPTS, said, strict=True))

    def _engine(self) -> TorchEngine:
        """What runs the model in this process alone: with a part of the weights nobody can."""
        if not self.config.shard or self.world.size == 1:
            return TorchEngine(self.model)
        config = self.checkpoint.config
        return TorchEngine.load(config.family, config.model, arrays(self._weights()), "cpu")

    def _progress(self) -> float:
        """0 to 1: by steps or by time, whichever is further. The last validation belongs to the time.

        Without steps, by epochs too: a corpus that is small for the time would be learned by heart.
        """
        by_steps = self.at.step / self.config.steps if self.config.steps else 0.0
        whole = 60 * self.config.minutes
        by_time = self.at.seconds / (whole - min(self._evaluation_took, whole / 10)) if whole else 0.0
        most = self._most_epochs
        learned = self.at.epoch + self.at.index / len(self.batches.plan())
        return max(by_steps, by_time, learned / most if most else 0.0)

    def _started(self) -> Started:
        parameters = sum(p.numel() for p in self.model.parameters())
        counts = len(self.batches.examples), len(self.validation)
        family = self.checkpoint.config.family
        machine = self.precision, self.device.type
        compiled = self._compiled and any(True for _ in self.model.stack)
        return Started(self.at.step, family, parameters, *counts, *machine, self.floor, compiled)

    def _weights(self) -> dict[str, Tensor]:
        return {name: whole(value) for name, value in self.model.state_dict().items()}

    def _save_weights(self, figures: dict[str, float], replies: tuple[tuple[str, str], ...]) -> None:
        weights = self._weights()
        if self.world.main:
            known = {"figures": figures, "floor": dataclasses.asdict(self.floor)}
            self.checkpoint.save_weights(arrays(weights), step=self.at.step, replies=replies, **known)

    def _save(self, best: bool) -> Saved:
        tensors = {f"model.{name}": value for name, value in self._weights().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state(parameter).items():
                tensors[f"optimizer.{name}.{key}"] = whole(value)
        for rank, states in enumerate(self.world.gather(self._random_states())):
            tensors |= {_random(kind, rank): state for kind, state in states.items()}
        header = {"position": dataclasses.asdict(self.at), "precision": self.precision, "run": run_id()}
        if self.world.main:
            self.checkpoint.save_training_state(arrays(tensors), **header)
        return Saved(self.at.step, self.checkpoint.folder, best)

    def _resume(self) -> None:
        """Go on from the saved state, if there is one."""
        here = self.world.main
        saved, has_weights = self.world.share(
            (self.checkpoint.training_state(), self.checkpoint.has_weights) if here else (None, False)
        )
        if saved is None:
            return
        try:
            tensors = {name: torch.from_numpy(array) for name, array in saved[0].items()}
            self._restore(tensors, saved[1], has_weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"the training in {self.checkpoint.folder} cannot go on: {reason}",
                "train under another --name",
            ) from None

    def _restore(self, tensors: dict[str, Tensor], header: dict[str, Any], has_weights: bool) -> None:
        """Set everything to a saved state; has_weights: the bot's own are there too."""
        self.at = Position(**header["position"])
        self.at.check()
        if not has_weights:  # lost: the next validation writes them again
            self.at = dataclasses.replace(
                self.at, best=math.inf, best_step=0, lowest=math.inf, since_best=0, done=False
            )
        if self.config.precision == "auto":  # a busy machine could measure otherwise this time
            self.precision = header["precision"]
        self.batches.epoch = self.at.epoch
        # Another batch size has another number of batches.
        self.batches.index = min(self.at.index, len(self.batches.plan()) - 1)
        # Of a longer training than the saved one, this is an earlier part.
        self.at.evaluations = min(self.at.evaluations, int(self._progress() * self.config.evaluations))
        weights, now = _under("model.", tensors), self.model.state_dict()
        placed = {k: part(v, now[k]) if k in now else v for k, v in weights.items()}
        self.model.load_state_dict(placed)
        for name, parameter in self.model.named_parameters():
            state = _under(f"optimizer.{name}.", tensors)
            kept = {key: part(value, parameter) for key, value in state.items()}
            self.optimizer.restore(parameter, kept)
        self._restore_random(tensors)

    def _random_states(self) -> dict[str, Tensor]:
        """Of this process: what dropout draws from."""
        cuda = {"cuda": torch.cuda.get_rng_state()} if self.device.type == "cuda" else {}
        return {"torch": torch.get_rng_state(), **cuda}

    def _restore_random(self, tensors: dict[str, Tensor]) -> None:
        processes = len([name for name in tensors if name.startswith(_random("torch", 0))])
        if not processes:
            raise KeyError(_random("torch", 0))
        if processes != self.world.size:  # other random numbers
            torch.manual_seed(self.config.seed + (self.at.step << 20) + self.world.rank)
            return
        torch.set_rng_state(tensors[_random("torch", self.world.rank)])
        if self.device.type == "cuda" and _random("cuda", self.world.rank) in tensors:
            torch.cuda.set_rng_state(tensors[_random("cuda", self.world.rank)])


def arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """As a checkpoint has them."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _random(kind: str, rank: int) -> str:
    """The name of a process's random state."""
    return f"random.{kind}.{rank}" if rank else f"random.{kind}"
