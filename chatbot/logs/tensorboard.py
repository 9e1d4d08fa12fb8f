"""A training in TensorBoard's format, in the bot's folder: tensorboard --logdir checkpoints"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from chatbot.errors import ConfigError
from chatbot.training import Evaluated, Event, RolledBack, Sampled, Started, StepDone

FOLDER = "tensorboard"
STEP = "loss", "learning_rate", "tokens_per_second", "epoch"
EVALUATED = "nats_per_token", "nats_per_word", "bits_per_byte"


class TensorBoard:
    """Scalars of every step and validation, and the replies to the fixed prompts."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder / FOLDER)
        self._writer: Any = None  # torch's writer has no types

    def _open(self, step: int) -> None:
        """What was written of later steps is not shown: they come again."""
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        self._writer = SummaryWriter(self._folder, purge_step=step + 1)

    @staticmethod
    def require() -> None:
        """The package is an extra."""
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError("TensorBoard is not installed", "pip install tensorboard")

    def write(self, event: Event) -> None:
        """Keep what is of interest."""
        match event:
            case Started():
                self._open(event.step)
            case RolledBack():
                self._open(event.to)
            case StepDone():
                self._scalars("training", STEP, event)
            case Evaluated():
                self._scalars("validation", EVALUATED, event)
            case Sampled():
                for prompt, reply in event.replies:
                    self._writer.add_text(prompt, reply, event.step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def _scalars(self, group: str, names: tuple[str, ...], event: StepDone | Evaluated) -> None:
        for name in names:
            value = getattr(event, name)
            self._writer.add_scalar(f"{group}/{name}", value, event.step)
