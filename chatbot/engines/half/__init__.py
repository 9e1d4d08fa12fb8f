"""Models with weights in half precision, in loops that Numba compiles: the fastest that rounds nothing else.

A bot that was packed (`chatbot pack`) has its weights in half precision: of such a one all is exact. Of
another the weights are rounded to it, 11 bits of 24; docs/decoding.md says what that costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from chatbot.engines.base import HALF
from chatbot.engines.light import light_model
from chatbot.engines.rows import RowEngine
from chatbot.errors import ChatbotError

try:
    import numba  # noqa: F401
except ImportError:
    raise ChatbotError(
        "this engine needs a package that is not installed", "pip install -e '.[half]', or --engine light"
    ) from None


class HalfEngine(RowEngine):
    """An Engine around compiled loops."""

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> Self:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if family not in HALF:
            raise ChatbotError(f"there are no loops for {family} in half precision", "use --engine light")
        if device not in ("auto", "cpu"):
            raise ChatbotError(
                f"the half engine runs on the processor, not on {device}", "use --engine torch"
            )
        light = light_model(family, config, tensors)
        with np.errstate(all="ignore"):  # of weights that are no numbers the sampler says so, in one line
            return cls(HALF.load(family)(light))
