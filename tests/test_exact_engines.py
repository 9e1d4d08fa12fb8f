"""Every engine that claims it predicts what torch does, within 1e-4 of a logit."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chatbot.config import to_dict
from chatbot.engines.base import ENGINES, LIGHT, LOOPS, ONNX, Engine
from chatbot.engines.light import LightEngine
from chatbot.engines.loops import HalfEngine
from chatbot.engines.onnx import OnnxEngine, SpeculativeEngine
from chatbot.engines.torch import TorchEngine, build
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.models import FAMILIES

V = 40
PROMPTS = ([3, 5, 6, 7, 8, 2], [9], [3, 10, 2, 4, 5, 11, 12, 2], [3, 2])  # ragged; the last has no text
LONG = [3, *([5 + i % 30 for i in range(150)]), 2]
GPT: list[dict[str, Any]] = [
    {"layers": 2, "heads": 2, "width": 64},
    {"layers": 3, "heads": 4, "groups": 2, "width": 64, "inner": 24},
    {"layers": 1, "heads": 4, "groups": 1, "width": 64, "rotary_base": 50.0},
]
SEQ2SEQ: list[dict[str, Any]] = [
    {"layers": 1, "width": 16},
    {"layers": 2, "width": 16, "attention": "dot"},
    {"layers": 3, "width": 12, "attention": "concat"},
]
# ONNX Runtime has no heads as narrow as this one's.
NARROW: list[dict[str, Any]] = [{"layers": 2, "heads": 2, "width": 16}]
# Loops that take four rows at once have some left over of its matrices.
ODD: dict[str, Any] = {"layers": 2, "heads": 3, "width": 18, "inner": 13}
VARIANTS = {
    LightEngine: {"gpt": [*GPT, *NARROW], "seq2seq": SEQ2SEQ},
    OnnxEngine: {"gpt": GPT, "seq2seq": SEQ2SEQ},
    SpeculativeEngine: {"gpt": GPT},
    HalfEngine: {"gpt": [*GPT, *NARROW, ODD]},
}
CASES = [(kind, family, v) for kind, some in VARIANTS.items() for family in some for v in some[family]]
Made = tuple[Engine, dict[str, Any], dict[str, np.ndarray[Any, Any]]]


def made(family: str, variant: dict[str, Any], spread: float = 0.25, packed: bool = False) -> Made:
    """torch's engine, and the config and weights for another; packed: weights that float16 can hold."""
    torch.manual_seed(0)
    model = build(family, {"vocabulary": V, **variant}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=spread)
        if packed:
            parameter.data = parameter.half().float()
    tensors = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return TorchEngine(model), {**to_dict(model.config), "vocabulary": V}, tensors


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}-{case[2]}")
def pair(request: pytest.FixtureRequest) -> tuple[Engine, Engine]:
    """torch's, and another with the same weights."""
    kind, family, variant = request.param
    engine, config, tensors = made(family, variant, packed=kind is HalfEngine)
    return engine, kind.load(family, config, tensors)


def alike(one: Any, other: Any) -> None:  # Any: steps
    for name in ("logits", "attention"):
        mine, theirs = getattr(other, name), getattr(one, name)
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_every_family_that_an_engine_has_is_tried() -> None:
    assert set(VARIANTS[LightEngine]) == set(LIGHT) <= set(FAMILIES)
    assert set(VARIANTS[OnnxEngine]) == set(ONNX) <= set(FAMILIES)
    assert set(VARIANTS[HalfEngine]) == set(LOOPS) <= set(FAMILIES)


def test_replies_are_predicted_as_torch_does(pair: tuple[Engine, Engine]) -> None:
    theirs, ours = pair
    one, other = theirs.start(PROMPTS), ours.start(PROMPTS)
    alike(one, other)
    for _ in range(8):
        tokens = one.logits.argmax(1).tolist()
        one, other = theirs.step(tokens, one.state), ours.step(tokens, other.state)
        alike(one, other)


def test_a_long_conversation_outgrows_no_cache(pair: tuple[Engine, Engine]) -> None:
    theirs, ours = pair
    one, other = theirs.start([LONG]), ours.start([LONG])
    for i in range(140):
        one, other = theirs.step([5 + i % 20], one.state), ours.step([5 + i % 20], other.state)
    alike(one, other)


def test_a_selected_state_goes_its_own_way(pair: tuple[Engine, Engine]) -> None:
    _, ours = pair
    state = ours.start(PROMPTS).state
    branch = ours.select(state, [2, 2, 0])
    both, whole = ours.step([6, 7, 9], branch), ours.step([9, 9, 6, 9], state)
    np.testing.assert_allclose(both.logits[0], whole.logits[2], atol=1e-5)
    np.testing.assert_allclose(both.logits[2], whole.logits[0], atol=1e-5)
    assert np.abs(both.logits[1] - whole.logits[2]).max() > 1e-3


def test_what_was_given_is_not_overwritten_by_the_next_step(pair: tuple[Engine, Engine]) -> None:
    _, ours = pair
    step = ours.start(PROMPTS)
    logits, attention = step.logits.copy(), step.attention.copy()
    ours.step([6, 7, 9, 5], step.state)
    np.testing.assert_array_equal(step.logits, logits)
    np.testing.assert_array_equal(step.attention, attention)
    alone = ours.start(PROMPTS[:1])  # of one row nothing is copied
    logits, attention = alone.logits.copy(), alone.attention.copy()
    ours.step([7], ours.step([6], alone.state).state)
    np.testing.assert_array_equal(alone.logits, logits)
    np.testing.assert_array_equal(alone.attention, attention)


@pytest.mark.parametrize("kind", VARIANTS, ids=lambda kind: kind.__name__)
def test_weights_that_do_not_fit_are_refused(kind: Any) -> None:
    _, config, tensors = made("gpt", GPT[0])
    with pytest.raises(CheckpointError, match="its weights do not fit its config"):
        kind.load("gpt", {**config, "layers": 3}, tensors)


@pytest.mark.parametrize(
    ("name", "package", "module"), [("onnx", "onnxruntime", "onnx"), ("half", "numba", "loops")]
)
def test_without_its_packages_a_line_says_how_to_get_them(
    name: str, package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"chatbot.engines.{module}")
    with pytest.raises(ChatbotError, match="not installed") as error:
        ENGINES.load(name)
    assert error.value.hint
    assert "--engine light" in error.value.hint
