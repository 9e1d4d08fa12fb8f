"""ONNX Runtime predicts what torch does: exactly in float32, closely with int8 weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chatbot.bot import Bot
from chatbot.config import to_dict
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.base import ONNX, Engine
from chatbot.engines.onnx import Int8Engine, OnnxEngine
from chatbot.engines.onnx.graph import BLOCK, quantised
from chatbot.engines.torch import TorchEngine, build
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.models import FAMILIES
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved

V = 40
PROMPTS = ([3, 5, 6, 7, 8, 2], [9], [3, 10, 2, 4, 5, 11, 12, 2], [3, 2])  # ragged
LONG = [3, *([5 + i % 30 for i in range(150)]), 2]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "gpt": [
        {"layers": 2, "heads": 2, "width": 64},
        {"layers": 3, "heads": 4, "groups": 2, "width": 64, "inner": 24},
        {"layers": 1, "heads": 4, "groups": 1, "width": 64, "rotary_base": 50.0},
    ],
}
CASES = [(family, variant) for family in ONNX for variant in VARIANTS[family]]
Made = tuple[Engine, dict[str, Any], dict[str, np.ndarray[Any, Any]]]


def made(family: str, variant: dict[str, Any], spread: float = 0.25) -> Made:
    """torch's engine, and the config and weights for another."""
    torch.manual_seed(0)
    model = build(family, {"vocabulary": V, **variant}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=spread)
    tensors = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return TorchEngine(model), {**to_dict(model.config), "vocabulary": V}, tensors


def said(engine: type[OnnxEngine], config: dict[str, Any], tensors: dict[str, Any]) -> list[int]:
    """Some tokens of a reply."""
    loaded = engine.load("gpt", config, tensors)
    replies = generate(loaded, [3, 9, 2], Sampler(SamplingConfig(guidance=0)), 3)
    return [chosen.choice.token for chosen in replies]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def pair(request: pytest.FixtureRequest) -> tuple[Engine, Engine]:
    """torch's, and ours with the same weights."""
    family, variant = request.param
    engine, config, tensors = made(family, variant)
    return engine, OnnxEngine.load(family, config, tensors)


def alike(one: Any, other: Any) -> None:  # Any: steps
    for name in ("logits", "attention"):
        mine, theirs = getattr(other, name), getattr(one, name)
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_every_family_that_has_a_graph_is_tried() -> None:
    assert set(VARIANTS) == set(ONNX) <= set(FAMILIES)


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


def test_int8_weights_predict_nearly_the_same() -> None:
    theirs, config, tensors = made("gpt", VARIANTS["gpt"][0], spread=0.1)
    one, other = theirs.start(PROMPTS), Int8Engine.load("gpt", config, tensors).start(PROMPTS)
    far = np.abs(one.logits - other.logits).max()
    assert 1e-6 < far < 0.05 * np.abs(one.logits).max()
    np.testing.assert_allclose(one.attention, other.attention, atol=0.02)


def test_weights_are_rounded_by_less_than_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(5, BLOCK + 7)).astype(np.float32)
    weight[2] = 0
    values, scales = quantised(weight)
    assert values.shape == (5, 2, BLOCK)
    back = ((values.astype(np.float32) - 128) * scales[..., None]).reshape(5, -1)
    assert not back[:, BLOCK + 7 :].any()
    steps = np.abs(scales).repeat(BLOCK, 1)[:, : BLOCK + 7]
    # One at the other end of the range than the furthest, and as far, is a whole step away.
    assert (np.abs(back[:, : BLOCK + 7] - weight) <= steps * 1.001).all()
    assert (np.abs(back[:, : BLOCK + 7] - weight) <= steps * 0.501).mean() > 0.97
    assert not back[2].any()


def test_bots_say_the_same_on_both_engines(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer, width=64)
    one, other = (Bot.load(folder, "cpu", engine) for engine in ("light", "onnx"))
    assert isinstance(other.responder.engine, OnnxEngine)
    for changes in ({}, {"guidance": 0.0}, {"candidates": 4}, {"beams": 3}):
        a, b = (bot.reply("Hello?", seed=4, max_tokens=12, **changes) for bot in (one, other))
        assert a.text == b.text
        for mine, theirs in zip(a.tokens, b.tokens, strict=True):
            np.testing.assert_allclose(mine.attention, theirs.attention, atol=1e-4)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("engine", [OnnxEngine, Int8Engine])
def test_numbers_that_come_to_nothing_are_said_in_a_line(engine: type[OnnxEngine], value: float) -> None:
    _, config, tensors = made("gpt", VARIANTS["gpt"][0])
    broken = {name: np.full(tensor.shape, value, np.float32) for name, tensor in tensors.items()}
    with pytest.raises(ChatbotError, match="give no numbers to choose by"):  # warnings are errors here
        said(engine, config, broken)


def test_one_weight_that_is_no_number_is_noticed() -> None:
    _, config, tensors = made("gpt", VARIANTS["gpt"][0])
    for value in (np.nan, np.inf):
        tensors["blocks.1.feed.gate.weight"][0, 0] = value
        for engine in (OnnxEngine, Int8Engine):
            with pytest.raises(ChatbotError, match="give no numbers to choose by"):
                said(engine, config, tensors)


def test_it_runs_on_the_processor_alone(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(ChatbotError, match="ONNX Runtime runs on the processor here, not on cuda"):
        Bot.load(saved(tmp_path / "owl", "gpt", tokenizer, width=64), "cuda", "int8")


def test_a_family_without_a_graph_is_told_what_to_take(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "seq2seq", tokenizer)
    for engine in ("onnx", "int8"):
        with pytest.raises(ChatbotError, match="ONNX Runtime has no seq2seq") as error:
            Bot.load(folder, "cpu", engine)
        assert error.value.hint == "use --engine light"


def test_weights_that_do_not_fit_are_refused() -> None:
    _, config, tensors = made("gpt", VARIANTS["gpt"][0])
    with pytest.raises(CheckpointError, match="its weights do not fit its config"):
        OnnxEngine.load("gpt", {**config, "layers": 3}, tensors)


def test_heads_that_it_cannot_turn_are_refused_in_a_line() -> None:
    _, config, tensors = made("gpt", {"layers": 1, "heads": 4, "width": 16})
    with pytest.raises(ChatbotError, match="heads of 4") as error:
        OnnxEngine.load("gpt", config, tensors)
    assert error.value.hint == "use --engine light"


def test_without_its_packages_a_line_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "chatbot.engines.onnx")
    from chatbot.engines.base import ENGINES

    with pytest.raises(ChatbotError, match="not installed") as error:
        ENGINES.load("onnx")
    assert error.value.hint
    assert "--engine light" in error.value.hint
