"""Models in loops that Numba compiles: the fastest for one reply at a time; only weights are rounded.

`half` has them in half precision. A bot that was packed (`chatbot pack`) has them so itself: of such a one
all is exact. Of another they are rounded, to 11 bits of 24. `bytes` has them in 8 bits; docs/decoding.md says
what either costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from chatbot.engines.base import LOOPS
from chatbot.engines.light import light_model
from chatbot.engines.rows import RowEngine
from chatbot.errors import ChatbotError

try:
    import numba  # noqa: F401
except ImportError:
    raise ChatbotError(
        "this engine needs a package that is not installed", "pip install -e '.[loops]', or --engine light"
    ) from None

from chatbot.engines.loops.rounding import Rounding, halved, in_bytes


class HalfEngine(RowEngine):
    """An Engine around compiled loops, with weights in half precision."""

    rounded: ClassVar[Rounding] = staticmethod(halved)

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> Self:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if family not in LOOPS:
            raise ChatbotError(f"there are no loops for {family}", "use --engine light")
        if device not in ("auto", "cpu"):
            raise ChatbotError(f"the loops run on the processor, not on {device}", "use --engine torch")
        light = light_model(family, config, tensors)
        with np.errstate(all="ignore"):  # of weights that are no numbers the sampler says so, in one line
            return cls(LOOPS.load(family)(light, cls.rounded))


class BytesEngine(HalfEngine):
    """The same with weights in 8 bits, a scale for each row: half as much to read again."""

    rounded: ClassVar[Rounding] = staticmethod(in_bytes)
