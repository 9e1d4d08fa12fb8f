"""Learning which replies are good from replies that somebody judged: direct preference optimization.

The bot becomes its own reward model: a good reply has to gain probability over a bad one to the same
conversation, by comparison with the bot that it began as (Rafailov et al. 2023, eq. 7).

N replies, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chatbot.batches import IGNORE, Batches, grouped
from chatbot.config import quoted, setting
from chatbot.corpus.judged import Judged
from chatbot.engines.torch import AnyModel, TorchEngine
from chatbot.errors import ConfigError, TrainingError
from chatbot.preparation import (
    UNCUT,
    Encoded,
    Example,
    Examples,
    ExamplesConfig,
    Figures,
    exchanges,
    learned,
)
from chatbot.tokenizer import END, Tokenizer
from chatbot.training.events import Evaluated, Preferred, StepDone, Stopped
from chatbot.training.memory import keep_freed
from chatbot.training.trainer import require

MOST = 1_000_000_000  # of any setting
MOST_PAIRS = 4096  # of a step: WINDOW times as many are drawn at once
HELD = 20  # of so many conversations one is held out, to see whether what was learned holds for others
WINDOW = 20  # batches among which pairs are sorted by length: little padding, an order nearly by chance
VALIDATION = 2000  # replies of the corpora to validate with
TOKENS = 8192  # of a batch that is only measured
BETAS = (0.9, 0.98)  # AdamW's

Progress = Callable[[int, int], None]
Pair = tuple[int, int, int]  # a conversation, which of its good replies, which of its bad ones


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig:
    """How a bot learns from judged replies."""

    beta: float = setting(
        0.1, "how dear it is to become another bot: the higher, the nearer it stays (Rafailov et al., eq. 7)"
    )
    good: float = setting(
        0.1, "the weight of good replies' cross-entropy beside it (Pang et al. 2024, eq. 1): they stay likely"
    )
    corpus: float = setting(
        1.0, "the weight of the corpora that are read besides, if any: what it knew is not forgotten"
    )
    learning_rate: float = setting(1e-4, "its highest value, after the warm-up")
    warmup_steps: int = setting(50, "the steps in which it rises; of a short training, a third")
    epochs: float = setting(1.0, "how often it goes through the conversations")
    pairs: int = setting(2, "of a good and a bad reply, drawn by chance of each conversation and epoch")
    batch_pairs: int = setting(32, "pairs of a step")
    batch_tokens: int = setting(512, "tokens of the corpora that a step reads besides")
    minutes: float = setting(0.0, "minutes at the most; 0 for no limit")
    seed: int = setting(0, "the same seed and judged replies give the same bot, unless time ends it")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= MOST:  # nor NaN
                raise ConfigError(f"preference.{item.name} must be from 0 to {MOST:,}, not {quoted(value)}")
        if self.batch_pairs > MOST_PAIRS:
            raise ConfigError(f"preference.batch_pairs must be {MOST_PAIRS:,} at the most")
        for name in ("beta", "learning_rate", "epochs", "pairs", "batch_pairs", "batch_tokens"):
            if not getattr(self, name):
                raise ConfigError(f"preference.{name} must be over 0")


class Preferring:
    """Teaches a model what somebody preferred: `run` yields events; `interrupt` ends it after the step."""

    def __init__(
        self,
        model: AnyModel,
        tokenizer: Tokenizer,
        examples: ExamplesConfig,
        judged: Sequence[Judged],
        config: PreferenceConfig,
        corpus: tuple[Encoded, Encoded] | None = None,
    ) -> None:
        """corpus: what is read besides, to learn from and to validate with."""
        self.model, self.config = model, config
        self.device = TorchEngine(model).device
        cases = [(_is_held(one), _Case.of(one, tokenizer, examples)) for one in judged]
        cases = [(held, case) for held, case in cases if case.bad]
        few = len(cases) < HELD
        self.learned = [case for held, case in cases if few or not held]
        self.held = [case for held, case in cases if held and not few]
        if not self.learned:
            raise TrainingError("there is too little to learn from", "give it more judged conversations")
        self._before: list[NDArray[np.float64]] = []  # log p of the replies, by the bot that it began as
        self._corpus: Iterator[Any] = iter(())  # Any: batches of the family's kind
        self.validation: Examples | None = None
        if corpus:
            self._read_besides(*corpus, examples)
        self._chance = random.Random(config.seed)
        self.figures: Figures | None = None  # on the corpora, once they are known
        self._stop = False

    def interrupt(self) -> None:
        """End after the step in hand. Safe to call from a signal handler."""
        self._stop = True

    def measure(self, progress: Progress | None = None) -> None:
        """How likely every reply is to the bot that is begun with: needed before `run`."""
        self._before = self._by_case(self.learned, progress)
        if not all(np.isfinite(found).all() for found in self._before):
            raise TrainingError(
                "the bot that is begun with gives no numbers", "begin with another one: --from"
            )

    def run(self) -> Iterator[StepDone | Preferred | Evaluated | Stopped]:
        """Learn to the end, or to an interruption; the model's weights are what was learned."""
        keep_freed()
        steps = self._steps()
        optimizer = torch.optim.AdamW(self.model.parameters(), betas=BETAS, weight_decay=0.0)
        self.model.requires_grad_(True).eval()  # without dropout: as the replies were measured before
        yield from self._measured(0, time.monotonic())
        began, step = time.monotonic(), 0
        for pairs in islice(self._plan(), steps):
            along = self._along(step, steps, began)
            if self._stop or along >= 1:
                break
            step += 1
            rate = self._rate(step, steps, along)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss = self._learn(pairs, step)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            yield self._step_done(step, self._along(step, steps, began), loss, rate, began)
        if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
            raise _diverged("weights are no numbers any more", step)
        reason = "interrupted" if self._stop else "finished"
        yield from self._measured(step, began)
        yield Stopped(reason, step, time.monotonic() - began, step, math.inf)

    def _along(self, step: int, steps: int, began: float) -> float:
        """0 to 1 of the whole: by steps or by time, whichever ends first."""
        minutes = (time.monotonic() - began) / 60
        return max(step / steps, minutes / (self.config.minutes or math.inf))

    def _learn(self, pairs: Sequence[Pair], step: int) -> float:
        """The gradients of a step's loss; the loss of its pairs."""
        found = preference_loss(*self._compared(pairs), self.config.beta, self.config.good)
        if not math.isfinite(found.item()):
            raise _diverged(f"loss became {found.item()}", step)
        torch.autograd.backward(found)
        for batch in islice(self._corpus, 1 if self.config.corpus else 0):
            other = self.model.loss(batch.to(self.device))
            torch.autograd.backward(self.config.corpus * other.total / max(1, other.tokens))
        return found.item()

    def _compared(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
        """log p of good and bad replies (2, N), now and before, and the good replies' lengths (N,)."""
        cases = [self.learned[i] for i, _, _ in pairs]
        good = [case.good[g] for case, (_, g, _) in zip(cases, pairs, strict=True)]
        bad = [case.bad[b] for case, (_, _, b) in zip(cases, pairs, strict=True)]
        now = log_probabilities(self.model, [*good, *bad]).view(2, -1)
        before = [
            [self._before[i][g] for i, g, _ in pairs],
            [self._before[i][len(self.learned[i].good) + b] for i, _, b in pairs],
        ]
        tokens = [len(example.reply) for example in good]
        return now, now.new_tensor(before), now.new_tensor(tokens)

    def _rate(self, step: int, steps: int, along: float) -> float:
        """A warm-up, of a third of the steps at the most, then half a cosine down to nothing."""
        risen = min(1.0, step / max(1.0, min(self.config.warmup_steps, steps / 3)))
        return self.config.learning_rate * risen * (1 + math.cos(math.pi * along)) / 2

    def _steps(self) -> int:
        """How many there are; a part of an epoch is a part of its steps."""
        pairs = len(self.learned) * self.config.pairs * self.config.epochs
        return max(1, math.ceil(pairs / self.config.batch_pairs))

    def _plan(self) -> Iterator[list[Pair]]:
        """The pairs of every step, without end; those of one step are of like length."""
        size, pairs = self.config.batch_pairs, self._pairs()
        while True:
            near = sorted(islice(pairs, size * WINDOW), key=self._length)
            batches = [near[i : i + size] for i in range(0, len(near), size)]
            self._chance.shuffle(batches)
            yield from batches

    def _pairs(self) -> Iterator[Pair]:
        """Pairs without end, of each conversation one before any gives another."""
        while True:
            for i in self._chance.sample(range(len(self.learned)), len(self.learned)):
                yield self._drawn(i)

    def _drawn(self, i: int) -> Pair:
        """A pair; what stands there more often comes more often."""
        case = self.learned[i]
        kinds = zip((case.good, case.bad), case.weights, strict=True)
        good, bad = (self._chance.choices(range(len(kind)), weights)[0] for kind, weights in kinds)
        return i, good, bad

    def _length(self, pair: Pair) -> int:
        case = self.learned[pair[0]]
        return len(case.good[0].prompt) + max(len(case.good[pair[1]].reply), len(case.bad[pair[2]].reply))

    def _measured(self, step: int, began: float) -> Iterator[Preferred | Evaluated]:
        """What is held out, and whether what the bot knew is forgotten; nothing if interrupted meanwhile."""
        try:
            found = self._by_case(self.held)
            right = sum(int(p.argmax() < len(case.good)) for p, case in zip(found, self.held, strict=True))
            yield Preferred(step, time.monotonic() - began, right, len(self.held))
            if self.validation:
                nats = -self._log_probabilities(self.validation).sum()
                tokens = int(self.validation.lengths[:, 1].sum())
                self.figures = Figures.of(float(nats), tokens, self.validation)
                figures = dataclasses.asdict(self.figures)
                yield Evaluated(step, time.monotonic() - began, **figures, best=False)
        except _Interrupted:
            self.figures = None

    def _by_case(self, cases: Sequence[_Case], progress: Progress | None = None) -> list[NDArray[np.float64]]:
        """log p of each conversation's replies, the good ones first."""
        found = self._log_probabilities([example for case in cases for example in case.all], progress)
        ends = np.cumsum([len(case.all) for case in cases])
        return np.split(found, ends[:-1]) if cases else []

    def _log_probabilities(
        self, examples: Sequence[Example], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """log p of replies (N,) by the model as it is; those of like length share a batch."""
        kind = self.model.eval().batch
        lengths = np.array([(len(e.prompt), len(e.reply)) for e in examples], np.int64).reshape(-1, 2)
        found, done = np.zeros(len(examples)), 0
        for rows in grouped(kind, kind.shapes(lengths), np.arange(len(examples)), TOKENS):
            if self._stop:
                raise _Interrupted
            with torch.inference_mode():
                found[rows] = log_probabilities(self.model, [examples[i] for i in rows]).cpu().numpy()
            done += len(rows)
            if progress:
                progress(done, len(examples))
        return found

    def _read_besides(self, corpus: Encoded, validation: Encoded, examples: ExamplesConfig) -> None:
        """Batches of the corpora, without end, and replies to validate with."""
        found = learned(corpus, examples, self.model.learns_prompt)
        uncut = dataclasses.replace(examples, reply_limit=UNCUT)
        self.validation = exchanges(validation, uncut).some(VALIDATION)
        require(found, self.validation)
        self._corpus = iter(Batches(found, self.model.batch, self.config.batch_tokens, self.config.seed))

    def _step_done(self, step: int, along: float, loss: float, rate: float, began: float) -> StepDone:
        seconds = time.monotonic() - began
        left = seconds * max(0.0, 1 - along) / along
        speed = self.config.batch_pairs * step / seconds
        return StepDone(step, min(1.0, along), along, loss, rate, speed, seconds, left, "pair")


class _Interrupted(Exception):
    """While something was measured."""


def _diverged(what: str, step: int) -> TrainingError:
    return TrainingError(
        f"the {what} at step {step}", "try again with a lower --set preference.learning_rate"
    )


def _is_held(judged: Judged) -> bool:
    """By what is said first: the same question is never on both sides."""
    return zlib.crc32(judged.turns[0].text.lower().encode()) % HELD == 0


@dataclass(frozen=True, slots=True)
class _Case:
    """A conversation's judged replies as examples, each once, and how often each stands there."""

    good: list[Example]
    bad: list[Example]
    weights: tuple[list[int], list[int]]

    @property
    def all(self) -> list[Example]:
        return [*self.good, *self.bad]

    @classmethod
    def of(cls, judged: Judged, tokenizer: Tokenizer, examples: ExamplesConfig) -> _Case:
        turns = judged.turns[-examples.context :]
        prompt = [piece.token for piece in tokenizer.prompt(turns, examples.prompt_limit)]

        def made(text: str) -> Example:
            return Example(prompt, [*tokenizer.encode(text), END][: examples.reply_limit])

        good, bad = Counter(judged.good), Counter(judged.bad)
        learned = [made(text).reply for text in good]
        for text in [text for text in bad if made(text).reply in learned]:  # they differ where they are cut
            del bad[text]
        weights = list(good.values()), list(bad.values())
        return cls(list(map(made, good)), list(map(made, bad)), weights)


def log_probabilities(model: AnyModel, examples: Sequence[Example]) -> Tensor:
    """log p of each reply (N,), summed over its tokens, in nats; with its gradient."""
    batch = model.batch.collate(examples).to(TorchEngine(model).device)
    features, targets = model.predict(batch)
    real = targets != IGNORE
    nats = F.cross_entropy(model.output(features[real]).float(), targets[real], reduction="none")
    return nats.new_zeros(len(examples)).index_add(0, real.nonzero()[:, 0], -nats)


def preference_loss(now: Tensor, before: Tensor, tokens: Tensor, beta: float, good: float) -> Tensor:
    """-log sigmoid(beta ((now - before) of the good one less that of the bad one)) - good (now / tokens).

    The mean over N pairs (Rafailov et al. 2023, eq. 7; the second part Pang et al. 2024, eq. 1).
    now, before (2, N): log p of good and bad replies; tokens (N,): of the good ones.
    """
    gained = now - before
    preferred = -F.logsigmoid(beta * (gained[0] - gained[1]))
    return (preferred - good * now[0] / tokens).mean()
