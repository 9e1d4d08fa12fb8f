"""This program's own training, of the default size: what `chatbot train CORPUS --time MINUTES` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.speedrun import Options, Recipe, State, copied
from benchmarks.speedrun.material import Material
from chatbot.checkpoint import FORMAT, BotConfig, Checkpoint
from chatbot.config import to_dict
from chatbot.decoding import SamplingConfig
from chatbot.engines.torch import AnyModel, TorchEngine, build
from chatbot.evaluation.likelihood import scores
from chatbot.models import FAMILIES
from chatbot.preparation import ExamplesConfig
from chatbot.sizes import DEFAULT_SIZE, SIZES
from chatbot.training import Evaluated, Trainer, TrainingConfig


class Ours(Recipe):
    """Validations count as training; the weights are those that a bot would have then."""

    family: ClassVar[str]
    model: AnyModel

    def __init__(self, material: Material, options: Options) -> None:
        self.material = material
        sized = FAMILIES.load(self.family).Config.sized(SIZES[DEFAULT_SIZE], len(material.tokenizer))
        self.config = BotConfig(format=FORMAT, family=self.family, model=to_dict(sized))
        self.model = build(self.family, self.config.model, seed=0)

    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """A look at each validation that is the best so far."""
        with TemporaryDirectory() as folder:
            trainer = Trainer(
                self.model,
                Checkpoint.create(Path(folder) / "bot", self.config, self.material.tokenizer),
                self.material.train,
                self.material.validation,
                TrainingConfig(minutes=minutes),
                ExamplesConfig(),
                SamplingConfig(),
            )
            self.precision = trainer.precision
            for event in trainer.run():
                self.steps = trainer.at.step
                if isinstance(event, Evaluated) and event.best:
                    yield event.seconds / 60, copied(self.model)

    def nats(self) -> NDArray[np.float64]:
        """Of each judged reply."""
        self.model.eval()
        nats: NDArray[np.float64] = scores(TorchEngine(self.model), list(self.material.examples))[0]
        return nats


class Seq2Seq(Ours):
    """seq2seq with Luong attention."""

    family = "seq2seq"


class GPT(Ours):
    """The decoder-only Transformer."""

    family = "gpt"
