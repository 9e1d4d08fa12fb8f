"""Runs any ReplyModel with torch. The only module on the way to a chat that imports torch.

B batch, S prompt length, V vocabulary.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from chatbot.config import from_dict
from chatbot.engines.base import Precision, Step
from chatbot.errors import ChatbotError, CheckpointError, ConfigError
from chatbot.models import FAMILIES
from chatbot.models import base as models
from chatbot.models.base import Tensors
from chatbot.tokenizer import PAD

AnyModel = models.ReplyModel[Any, Any]  # Any: engines serve every family


class TorchEngine:
    """An Engine around a model; the model must be in evaluation mode when it is used."""

    def __init__(self, model: AnyModel) -> None:
        self.model = model
        self.device = next(model.parameters()).device

    @classmethod
    def load(
        cls, family: str, config: Mapping[str, Any], tensors: Tensors, device: str = "auto"
    ) -> TorchEngine:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if isinstance(config.get("layers"), int) and config["layers"] > len(tensors):
            # Said here, since building them would take for ever.
            raise CheckpointError(
                f"its weights do not fit its config: {config['layers']} layers are too many"
            )
        try:
            with torch.device("meta"), _Uninitialised():  # shapes only
                model = build(family, config)
        except ConfigError as error:
            raise CheckpointError(f"its config is wrong: {error.what}", error.hint) from None
        # The file's tensors become the parameters: no larger than the file, whatever the config says.
        fill(model, tensors, assign=True)
        return cls(model.to(choose_device(device)).eval())

    @torch.inference_mode()
    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts (ragged, none empty) and predict the first token of each reply."""
        longest = max(map(len, prompts))
        padded = [[*prompt, *[PAD] * (longest - len(prompt))] for prompt in prompts]
        return _numpy(self.model.start(self._tensor(padded)))

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Append one token to each reply and predict the next."""
        return _numpy(self.model.step(self._tensor(tokens), state))

    @torch.inference_mode()
    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """A copy of the state with these rows, in this order, repeats allowed."""
        return state.select(self._tensor(rows))

    def _tensor(self, values: Sequence[Any]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.device)


class _Uninitialised(TorchFunctionMode):
    """Parameters are left as they are made. To draw one without a place torch imports its compiler first,
    which takes longer than to import torch."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # Any: whatever torch calls, and what that returns
        given = kwargs or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return given.get("tensor", args[0] if args else None)
        return function(*args, **given)


def build(family: str, config: Mapping[str, Any], seed: int | None = None) -> AnyModel:
    """A new model of a family from its section of config.json; the same seed gives the same weights."""
    model: type[AnyModel] = FAMILIES.load(family)
    if seed is not None:
        torch.manual_seed(seed)
    settings = from_dict(model.Config, config, family)
    try:
        return model(settings)
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        # torch has no class for sizes that cannot be had, or be counted.
        if isinstance(error, RuntimeError) and not re.search("memory|overflow|alloc", reason, re.IGNORECASE):
            raise
        raise ConfigError(f"a {family} of these sizes does not fit into memory: {reason}") from None


def fill(model: AnyModel, tensors: Tensors, assign: bool = False) -> None:
    """Give a model these weights (assign: make them its own); what does not fit is a CheckpointError."""
    try:
        model.load_state_dict(
            {name: torch.from_numpy(array).float() for name, array in tensors.items()}, assign=assign
        )
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"its weights do not fit its config: {reason}") from None


def choose_device(name: str) -> torch.device:
    """cpu, cuda or mps; auto takes the fastest that is there."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if here[device])
    if not here.get(name):
        raise ChatbotError(f"there is no device '{name}' here", "use --device auto")
    return torch.device(name)


def choose_precision(wanted: Precision, device: torch.device) -> Precision:
    """What the products run in: auto measures the processor, or asks the GPU."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type != "cpu":
        return "float32"
    times = {kind: _product_time(kind) for kind in (torch.float32, torch.bfloat16)}
    return "bfloat16" if times[torch.bfloat16] < times[torch.float32] / 1.3 else "float32"


def _product_time(kind: torch.dtype) -> float:
    """The best of several times of a product as a small model has them, in seconds."""
    a, b = torch.ones(512, 256, dtype=kind), torch.ones(256, 1024, dtype=kind)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return min(times)


def products(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Where products run in that precision; weights and sums stay float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)


def _numpy(step: models.Step[Any]) -> Step:
    return Step(_floats(step.logits), _floats(step.attention), step.state)


def _floats(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    array: np.ndarray[Any, np.dtype[np.float32]] = tensor.float().cpu().numpy()
    return array
