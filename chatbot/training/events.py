"""What a training tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chatbot.preparation import Figures


@dataclass(frozen=True, slots=True)
class Started:
    """What is about to be trained, and the floor: a unigram model's figures on the same replies.

    compiled: the first step takes up to a minute, since layers are compiled in it.
    """

    step: int
    family: str
    parameters: int
    examples: int
    validation: int
    precision: str
    device: str
    floor: Figures
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimizer step. progress is 0 to 1 of the whole training; seconds_left is an estimate."""

    step: int
    progress: float
    epoch: float
    loss: float  # nats per target token, label smoothing included
    learning_rate: float
    tokens_per_second: float  # targets learned per second; or pairs
    seconds: float
    seconds_left: float
    unit: str = "token"  # what loss and speed are of


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
class RolledBack:
    """The training diverged at a step: it goes on after an earlier one, with a lower learning rate."""

    step: int
    what: str
    to: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Preferred:
    """Of so many conversations held out, in how many the likeliest of the judged replies is a good one."""

    step: int
    seconds: float
    right: int
    held: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end: "finished", "early" (validation stopped improving) or "interrupted".

    best_step: the step whose weights are kept, and best: their nats per word on the validation split.
    skipped: steps whose gradient was too long to be followed.
    """

    reason: str
    step: int
    seconds: float
    best_step: int
    best: float
    skipped: int = 0


Event = Started | StepDone | Evaluated | Sampled | Saved | RolledBack | Preferred | Stopped
