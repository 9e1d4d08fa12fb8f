"""Graphs of ONNX Runtime's operators, and sessions that run them.

V vocabulary, T tokens, D and E widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from chatbot.engines.base import Floats
from chatbot.errors import ChatbotError

CONTRIB = "com.microsoft"  # the domain of operators that are ONNX Runtime's own
OPSET, FORMAT = 17, 8
BLOCK = 128  # int8 weights of one scale: of 32, as in q8_0, more than a tenth of the bytes are scales
EIGHT_BIT_INPUTS = 4  # accuracy_level of MatMulNBits: what is multiplied is rounded to 8 bits too
ERRORS = 3  # and nothing less is written to stderr by ONNX Runtime


class Graph:
    """Nodes and constants so far. An edge has the name of what makes it."""

    def __init__(self, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **settings: Any) -> str:
        """An operator; the name of its first output."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, **settings))
        return outputs[0]

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """An array that is part of the graph."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integer(self, value: int) -> str:
        """A vector of this integer alone."""
        return self.constant(f"integer_{value}", np.array([value], np.int64))

    def product(self, name: str, weight: Floats, x: str) -> str:
        """x (..., T, D) times weight (E, D), transposed; rounded in a graph of int8."""
        if not self.int8:
            return self.node("MatMul", [x, self.constant(f"{name}_weight", weight.T)], [name])
        values, scales = quantised(weight)
        inputs = [x, self.constant(f"{name}_values", values), self.constant(f"{name}_scales", scales)]
        sizes = {"N": weight.shape[0], "K": weight.shape[1], "bits": 8, "block_size": BLOCK}
        return self.node(
            "MatMulNBits", inputs, [name], domain=CONTRIB, accuracy_level=EIGHT_BIT_INPUTS, **sizes
        )

    def session(
        self, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> Any:  # Any: onnxruntime has no types
        """What runs it, on one thread."""
        made = helper.make_graph(self.nodes, "bot", inputs, outputs, list(self.constants.values()))
        operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(made, opset_imports=operators, ir_version=FORMAT, producer_name="chatbot")
        options = onnxruntime.SessionOptions()
        # Several wait for each other at every product: on a busy machine that takes longer than they save.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def quantised(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """weight (E, D) in blocks of a row: values (E, blocks, BLOCK), 128 for zero, and scales (E, blocks).

    The number of a block that is furthest from zero becomes -128, so that nothing of the range is unused.
    Rounding hides what is no number, so that is a ChatbotError here.
    """
    if not np.isfinite(weight).all():
        raise ChatbotError("the bot's weights give no numbers to choose by", "train it again")
    rows, width = weight.shape
    blocks = np.pad(weight, [(0, 0), (0, -width % BLOCK)]).reshape(rows, -1, BLOCK)
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = (furthest / -128).astype(np.float32)
    steps = np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales != 0)
    return (np.clip(np.rint(steps), -128, 127) + 128).astype(np.uint8), scales[..., 0]


def value(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """An input or output; a dimension that varies has a name."""
    return helper.make_tensor_value_info(name, kind, shape)
