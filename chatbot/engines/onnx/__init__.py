"""Models in ONNX Runtime, in float32 or with int8 weights: the fastest for one reply at a time.

The graph is made of a bot's weights when it is loaded, which takes some hundredths of a second: no second
file can be stale, or be anything but what the first one says. Rows of a batch are run one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chatbot.engines.base import ONNX, Floats, Step
from chatbot.engines.light import LightEngine, padded
from chatbot.engines.light.gpt import ROOM, LightGPT
from chatbot.errors import ChatbotError
from chatbot.tokenizer import BOT

try:
    import onnx
    import onnxruntime
except ImportError:
    raise ChatbotError(
        "this engine needs packages that are not installed", "pip install -e '.[onnx]', or --engine light"
    ) from None

ERRORS = 3  # and nothing less is written to stderr by ONNX Runtime


@dataclass
class Row:
    """A reply so far: memory bound to the graph, how many positions of it are filled, the prompt's S."""

    caches: dict[str, Any]  # Any: onnxruntime has no types
    binding: Any
    capacity: int
    filled: int
    prompt: int


class OnnxEngine:
    """An Engine around a graph. Its state is a list of rows."""

    int8: ClassVar[bool] = False

    def __init__(self, model: LightGPT, graph: onnx.ModelProto) -> None:
        # The other weights are in the session.
        self.embed, self.layers, self.groups, self.size = (
            model.embed,
            len(model.blocks),
            model.groups,
            model.size,
        )
        self.frequencies = model.frequencies[: model.size // 2]
        options = onnxruntime.SessionOptions()
        # Several wait for each other at every product: on a busy machine that takes longer than they save.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS
        self.session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    @classmethod
    def load(
        cls,
        family: str,
        config: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray[Any, Any]],
        device: str = "cpu",
    ) -> OnnxEngine:
        """A model of the family with these weights. What does not fit is a CheckpointError."""
        if family not in ONNX:
            raise ChatbotError(f"ONNX Runtime has no {family} here", "use --engine light")
        if device not in ("auto", "cpu"):
            raise ChatbotError(
                f"ONNX Runtime runs on the processor here, not on {device}", "use --engine torch"
            )
        model = LightEngine.load(family, config, tensors).model
        with np.errstate(all="ignore"):  # of weights that are no numbers the sampler says so, in one line
            return cls(model, ONNX.load(family)(model, cls.int8))

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        """Read the prompts (ragged, none empty) and predict the first token of each reply."""
        rows = [self._bound(self._empty(len(prompt) + ROOM), 0, len(prompt)) for prompt in prompts]
        return self._step([[*prompt, BOT] for prompt in prompts], rows)

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        """Append one token to each reply and predict the next."""
        return self._step([[token] for token in tokens], state)

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """A copy of the state with these rows, in this order, repeats allowed."""
        return [self._grown(state[row], 0) for row in rows]

    def _step(self, tokens: Sequence[Sequence[int]], rows: list[Row]) -> Step:
        for i, new in enumerate(tokens):
            if rows[i].filled + len(new) > rows[i].capacity:
                rows[i] = self._grown(rows[i], ROOM)
        found = [self._run(new, row) for new, row in zip(tokens, rows, strict=True)]
        return Step(np.stack([logits for logits, _ in found]), padded([looked for _, looked in found]), rows)

    def _run(self, tokens: Sequence[int], row: Row) -> tuple[Floats, Floats]:
        """Append tokens to a reply: logits (V,) and attention over the prompt (S,) after the last."""
        row.filled += len(tokens)
        row.binding.bind_cpu_input("x", self.embed[np.asarray(tokens)][None])
        for name, count in (("last", row.filled - 1), ("whole", row.filled)):
            row.binding.bind_cpu_input(name, np.array([count], np.int32))
        row.binding.bind_output("attention")  # anew, since its shape is another at each step
        self.session.run_with_iobinding(row.binding)
        logits, weights = (value.numpy() for value in row.binding.get_outputs()[-2:])
        looked = weights[0, :, -1, : row.prompt].mean(0)
        return logits[0, 0], looked / max(looked.sum(), np.float32(1e-9))

    def _empty(self, capacity: int) -> dict[str, Floats]:
        shape = 1, self.groups, capacity, self.size
        layers = range(self.layers)
        return {f"{what}_{i}": np.zeros(shape, np.float32) for i in layers for what in ("key", "value")}

    def _grown(self, row: Row, by: int) -> Row:
        """A copy with room for more."""
        wider = [(0, 0), (0, 0), (0, by), (0, 0)]
        caches = {name: np.pad(value.numpy(), wider) for name, value in row.caches.items()}
        return self._bound(caches, row.filled, row.prompt)

    def _bound(self, caches: Mapping[str, Floats], filled: int, prompt: int) -> Row:
        """Memory, bound to the graph: the caches as what it reads and as what it writes."""
        binding = self.session.io_binding()
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in caches.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(f"past_{name}", value)
            binding.bind_ortvalue_output(f"present_{name}", value)
        capacity = next(iter(caches.values())).shape[2]
        angles = np.outer(np.arange(capacity, dtype=np.float32), self.frequencies)
        binding.bind_cpu_input("cosine", np.cos(angles))
        binding.bind_cpu_input("sine", np.sin(angles))
        binding.bind_output("logits")
        return Row(values, binding, capacity, filled, prompt)


class Int8Engine(OnnxEngine):
    """With weights and inputs of products rounded to 8 bits: several times as fast.

    Logits differ from torch's by some tenths; docs/decoding.md says what that costs.
    """

    int8 = True
