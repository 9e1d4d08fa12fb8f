"""This program's own training, of the size it takes: what `chatbot train CORPUS --time MINUTES` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speedrun import Options, Recipe, State, copied
from benchmarks.speedrun.material import Material
from chatbot.checkpoint import FORMAT, BotConfig, Checkpoint
from chatbot.config import to_dict
from chatbot.decoding import SamplingConfig
from chatbot.engines.torch import AnyModel, TorchEngine
from chatbot.evaluation.likelihood import scores
from chatbot.preparation import ExamplesConfig
from chatbot.training import Evaluated, Trainer, TrainingConfig
from chatbot.training.choice import Kind, choose


class Ours(Recipe):
    """Validations count as training; the weights are those that a bot would have then."""

    family: ClassVar[str]
    model: AnyModel

    def __init__(self, material: Material, options: Options) -> None:
        self.material = material

    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """A look at each validation that is the best so far."""
        training = TrainingConfig(minutes=minutes)
        self.model = self.sized(training)
        config = BotConfig(format=FORMAT, family=self.family, model=to_dict(self.model.config))
        with TemporaryDirectory() as folder:
            trainer = Trainer(
                self.model,
                Checkpoint.create(Path(folder) / "bot", config, self.material.tokenizer),
                self.material.train,
                self.material.validation,
                training,
                ExamplesConfig(),
                SamplingConfig(),
            )
            self.precision = trainer.precision
            for event in trainer.run():
                self.steps = trainer.at.step
                if isinstance(event, Evaluated) and event.best:
                    yield event.seconds / 60, copied(self.model)

    def sized(self, training: TrainingConfig) -> AnyModel:
        """A new model of the size that learns most in the time."""
        kind = Kind(
            family=self.family,
            vocabulary=len(self.material.tokenizer),
            settings={},
            training=training,
            examples=ExamplesConfig(),
            device=torch.device("cpu"),
        )
        return kind.model(choose(kind, kind.batches(self.material.train), lambda done, total: None)[0].size)

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
