"""What light models are made of. x (T, D): T tokens; everything is float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from chatbot.engines.base import Floats
from chatbot.errors import CheckpointError


class Weights:
    """A model's tensors, asked for by name and shape; what does not fit is a CheckpointError."""

    def __init__(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._left = dict(tensors)

    def __call__(self, name: str, *shape: int) -> Floats:
        """The tensor of that name, as float32."""
        if name not in self._left:
            raise CheckpointError(f"its weights do not fit its config: {name} is missing")
        tensor = self._left.pop(name)
        if tensor.shape != shape:
            raise CheckpointError(f"its weights do not fit its config: {name} is {tensor.shape}, not {shape}")
        if tensor.dtype.kind == "c":
            raise CheckpointError(f"its weights do not fit its config: {name} has complex numbers")
        with np.errstate(over="ignore"):
            return np.asarray(tensor, np.float32)

    def check_all_used(self) -> None:
        """A CheckpointError if there are more."""
        if self._left:
            raise CheckpointError(f"its weights do not fit its config: {min(self._left)} belongs nowhere")


class Quietly:
    """Around NumPy's work: on one thread, and nothing said of numbers that come to nothing.

    On a busy machine several threads wait for each other at every product: ten times as slow. On a quiet one
    they gain a fifth. Of such numbers the sampler says so, in one line.
    """

    def __init__(self) -> None:
        self._blas = ThreadpoolController()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """While this is open."""
        with self._blas.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            yield


FEW = 4  # rows up to which products with the weight one by one are faster than all at once


def linear(x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    """x (T, D) times weight (E, D), transposed -> (T, E).

    A few rows one by one: BLAS lays the weight out anew for products of matrices, which costs more than
    to read it again.
    """
    y: Floats = np.stack([weight @ row for row in x]) if len(x) <= FEW else x @ weight.T
    return y if bias is None else y + bias


def rms_norm(x: Floats, weight: Floats) -> Floats:
    """Zhang & Sennrich 2019, eq. 4; epsilon as in chatbot.models.gpt."""
    normed: Floats = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5)) * weight
    return normed


def softmax(x: Floats) -> Floats:
    """Over the last axis."""
    raised = np.exp(x - x.max(-1, keepdims=True))
    shares: Floats = raised / raised.sum(-1, keepdims=True)
    return shares


def sigmoid(x: Floats) -> Floats:
    """By tanh, which overflows nowhere."""
    y: Floats = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))
    return y
