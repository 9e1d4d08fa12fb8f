"""Weights in fewer bits. Each is a matrix (E, D), and the scale of each of its rows (E,)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chatbot.engines.base import Floats
from chatbot.errors import ChatbotError

Small = NDArray[np.uint16] | NDArray[np.int8]  # float16 (its bits), or int8
Rounding = Callable[[Floats], tuple[Small, Floats]]


def halved(weight: Floats) -> tuple[NDArray[np.uint16], Floats]:
    """As float16, whose bits are given, of scale 1; a ChatbotError for what is too large for it."""
    half = weight.astype(np.float16)
    if (np.isinf(half) & np.isfinite(weight)).any():
        raise ChatbotError("its weights are too large for half precision", "use --engine light")
    return half.view(np.uint16), np.ones(len(weight), np.float32)


def in_bytes(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """As int8, and the scale of each row: of its largest weight, 127."""
    scale = np.maximum(np.abs(weight).max(1), np.float32(1e-30)) / np.float32(127)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale
