"""Models in ONNX Runtime, in float32 or with int8 weights: the fastest for one reply at a time.

The graph is made of a bot's weights when it is loaded, which takes some hundredths of a second: no second
file can be stale, or be anything but what the first one says. Rows of a batch are run one by one.
"""

from __future__ import annotations

from typing import Any

from chatbot.engines.base import ONNX
from chatbot.engines.light import FromLight
from chatbot.engines.rows import RowModel
from chatbot.errors import ChatbotError

try:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
except ImportError:
    raise ChatbotError(
        "this engine needs packages that are not installed", "pip install -e '.[onnx]', or --engine light"
    ) from None


class OnnxEngine(FromLight):
    """An Engine around a graph."""

    runtime, models = "ONNX Runtime", ONNX

    @staticmethod
    def model_of(kind: Any, light: Any) -> RowModel:  # Any: the classes that ONNX and LIGHT name
        """The model with the weights of the light one."""
        model: RowModel = kind(light, int8=False)
        return model


class Int8Engine(OnnxEngine):
    """With weights and inputs of products rounded to 8 bits: several times as fast.

    Logits differ from torch's by some tenths; docs/decoding.md says what that costs.
    """

    @staticmethod
    def model_of(kind: Any, light: Any) -> RowModel:
        """The model with the weights of the light one, rounded."""
        model: RowModel = kind(light, int8=True)
        return model


class SpeculativeEngine(OnnxEngine):
    """In float32, where the rounded model has guessed ahead: exactly as `onnx`, in fewer steps."""

    @staticmethod
    def model_of(kind: Any, light: Any) -> RowModel:
        """Both models; a ChatbotError for a family that reads one token after another."""
        from chatbot.engines.onnx.speculative import Speculative

        if not hasattr(kind, "run"):
            what = "this family reads one token after another: there is nothing to gain by guessing"
            raise ChatbotError(what, "use --engine onnx")
        return Speculative(kind(light, int8=False), kind(light, int8=True))
