"""The light engine: models in NumPy, for a chat. It needs no torch, which takes a second to import.

One conversation at a time, and each of several by itself: products of a matrix and a vector are bound by
reading the matrix, which NumPy does as well as torch. For many at once, and for training, there is torch.
What it predicts is what torch does, within 1e-4 of a logit (tests/test_exact_engines.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from chatbot.config import from_dict
from chatbot.engines.base import LIGHT
from chatbot.engines.light.ops import Quietly, Weights
from chatbot.engines.rows import RowEngine, RowModel
from chatbot.errors import ChatbotError, CheckpointError, ConfigError
from chatbot.registry import Registry


class LightEngine(RowEngine):
    """An Engine around a light model."""

    def __init__(self, model: RowModel) -> None:
        super().__init__(model, Quietly())

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> LightEngine:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if device not in ("auto", "cpu"):
            raise ChatbotError(
                f"the light engine runs on the processor, not on {device}", "use --engine torch"
            )
        return cls(light_model(family, config, tensors))


class FromLight(RowEngine):
    """An Engine around a model that another runtime has, made of the light model's weights."""

    runtime: ClassVar[str]
    models: ClassVar[Registry]  # by family: what `model_of` makes one of

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> Self:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if family not in cls.models:
            raise ChatbotError(f"{cls.runtime} has no {family} here", "use --engine light")
        if device not in ("auto", "cpu"):
            told = f"{cls.runtime} runs on the processor here, not on {device}"
            raise ChatbotError(told, "use --engine torch")
        light = light_model(family, config, tensors)
        with np.errstate(all="ignore"):  # of weights that are no numbers the sampler says so, in one line
            return cls(cls.model_of(cls.models.load(family), light))

    @staticmethod
    @abstractmethod
    def model_of(kind: Any, light: Any) -> RowModel:  # Any: the classes that `models` and LIGHT name
        """The model with the weights of the light one."""


def light_model(
    family: str, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray[Any, Any]]
) -> Any:  # Any: the class that LIGHT names
    """The family's model in NumPy. What does not fit is a CheckpointError."""
    kind, weights = LIGHT.load(family), Weights(tensors)
    try:
        model = kind(from_dict(kind.Config, config, family), weights)
    except ConfigError as error:
        raise CheckpointError(f"its config is wrong: {error.what}", error.hint) from None
    weights.check_all_used()
    return model
