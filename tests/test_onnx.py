"""ONNX Runtime predicts what torch does: exactly in float32, closely with int8 weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatbot.bot import Bot
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.onnx import Int8Engine, OnnxEngine
from chatbot.engines.onnx.graph import BLOCK, quantised
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved
from tests.test_exact_engines import GPT, PROMPTS, made


def said(engine: type[OnnxEngine], config: dict[str, Any], tensors: dict[str, Any]) -> list[int]:
    """Some tokens of a reply."""
    loaded = engine.load("gpt", config, tensors)
    replies = generate(loaded, [3, 9, 2], Sampler(SamplingConfig(guidance=0)), 3)
    return [chosen.choice.token for chosen in replies]


def test_int8_weights_predict_nearly_the_same() -> None:
    theirs, config, tensors = made("gpt", GPT[0], spread=0.1)
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
    _, config, tensors = made("gpt", GPT[0])
    broken = {name: np.full(tensor.shape, value, np.float32) for name, tensor in tensors.items()}
    with pytest.raises(ChatbotError, match="give no numbers to choose by"):  # warnings are errors here
        said(engine, config, broken)


def test_one_weight_that_is_no_number_is_noticed() -> None:
    _, config, tensors = made("gpt", GPT[0])
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
    _, config, tensors = made("gpt", GPT[0])
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
