"""Models in loops that Numba compiles: the fastest for one reply at a time; only weights are rounded.

`half` has them in half precision. A bot that was packed (`chatbot pack`) has them so itself: of such a one
all is exact. Of another they are rounded, to 11 bits of 24. `bytes` has them in 8 bits; docs/decoding.md says
what either costs.
"""

from __future__ import annotations

from typing import Any

from chatbot.engines.base import LOOPS
from chatbot.engines.light import FromLight
from chatbot.engines.rows import RowModel
from chatbot.errors import ChatbotError

try:
    import numba  # noqa: F401
except ImportError:
    raise ChatbotError(
        "this engine needs a package that is not installed", "pip install -e '.[loops]', or --engine light"
    ) from None

from chatbot.engines.loops.rounding import halved, in_bytes


class HalfEngine(FromLight):
    """An Engine around compiled loops, with weights in half precision."""

    runtime, models = "Numba", LOOPS

    @staticmethod
    def model_of(kind: Any, light: Any) -> RowModel:  # Any: the classes that LOOPS and LIGHT name
        """The model with the weights of the light one, in half precision."""
        model: RowModel = kind(light, halved)
        return model


class BytesEngine(HalfEngine):
    """The same with weights in 8 bits, a scale for each row: half as much to read again."""

    @staticmethod
    def model_of(kind: Any, light: Any) -> RowModel:
        """The model with the weights of the light one, in bytes."""
        model: RowModel = kind(light, in_bytes)
        return model
