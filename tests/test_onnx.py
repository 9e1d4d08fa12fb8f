"""ONNX Runtime predicts what torch does: exactly in float32, closely with int8 weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatbot.bot import Bot
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.onnx import Int8Engine, OnnxEngine, SpeculativeEngine
from chatbot.engines.onnx.gpt import OnnxGPT
from chatbot.engines.onnx.graph import BLOCK, quantised
from chatbot.engines.onnx.speculative import MOST, Speculative, worthwhile
from chatbot.errors import ChatbotError
from chatbot.tokenizer import BOT, Tokenizer
from tests.test_bot import saved
from tests.test_exact_engines import GPT, PROMPTS, SEQ2SEQ, made


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


def test_a_family_without_a_graph_is_told_what_to_take() -> None:
    for engine in (OnnxEngine, Int8Engine, SpeculativeEngine):
        with pytest.raises(ChatbotError, match="ONNX Runtime has no owl") as error:
            engine.load("owl", {}, {})
        assert error.value.hint == "use --engine light"


def test_a_family_that_cannot_read_guesses_at_once_is_told_what_to_take() -> None:
    _, config, tensors = made("seq2seq", SEQ2SEQ[0])
    with pytest.raises(ChatbotError, match="nothing to gain by guessing") as error:
        SpeculativeEngine.load("seq2seq", config, tensors)
    assert error.value.hint == "use --engine onnx"


def test_heads_that_it_cannot_turn_are_refused_in_a_line() -> None:
    _, config, tensors = made("gpt", {"layers": 1, "heads": 4, "width": 16})
    with pytest.raises(ChatbotError, match="heads of 4") as error:
        OnnxEngine.load("gpt", config, tensors)
    assert error.value.hint == "use --engine light"


def test_a_seq2seq_with_int8_weights_predicts_nearly_the_same() -> None:
    theirs, config, tensors = made("seq2seq", {"layers": 2, "width": 32}, spread=0.1)
    one, other = theirs.start(PROMPTS), Int8Engine.load("seq2seq", config, tensors).start(PROMPTS)
    far = np.abs(one.logits - other.logits).max()
    assert 1e-6 < far < 0.05 * np.abs(one.logits).max()
    np.testing.assert_allclose(one.attention, other.attention, atol=0.02)


def counted(model: OnnxGPT, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each of the model's runs has read, from now on."""
    sizes: list[int] = []
    run = model.run

    def counting(tokens: list[int], row: Any) -> Any:
        sizes.append(len(tokens))
        return run(tokens, row)

    monkeypatch.setattr(model, "run", counting)
    return sizes


def guessing(variant: dict[str, Any]) -> Speculative:
    """Two models of the same weights."""
    _, config, tensors = made("gpt", variant, spread=0.1)
    model = SpeculativeEngine.load("gpt", config, tensors).model
    assert isinstance(model, Speculative)
    return model


def test_guesses_that_come_true_save_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = guessing(GPT[0])
    exact, fast = (counted(one, monkeypatch) for one in (model.exact, model.fast))
    state = model.read([3, 9, 2])
    logits, _ = model.step(BOT, state)
    for _ in range(60):
        logits, _ = model.step(int(logits.argmax()), state)
    assert len(exact) < 20
    assert sum(exact) - len(exact) == len(fast)  # all guesses are read, with one token that was said
    assert max(exact) <= 1 + MOST


def test_without_guesses_that_come_true_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    model = guessing(GPT[1])
    fast = counted(model.fast, monkeypatch)
    state = model.read([3, 9, 2])
    logits, _ = model.step(BOT, state)
    for _ in range(60):
        logits, _ = model.step(int(logits.argmin()), state)
    assert len(fast) == 0


def test_more_guesses_are_worth_while_the_more_of_them_come_true() -> None:
    counts = [worthwhile(share / 100) for share in range(101)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, MOST)


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 0.0, "guidance": 0.0}, {"candidates": 4}, {"beams": 3}]
)
def test_guessing_changes_no_reply(tmp_path: Path, tokenizer: Tokenizer, changes: dict[str, Any]) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer, width=64)
    one, other = (Bot.load(folder, "cpu", engine) for engine in ("onnx", "speculative"))
    a, b = (bot.reply("Hello?", seed=4, max_tokens=40, **changes) for bot in (one, other))
    assert a.text == b.text
    for mine, theirs in zip(a.tokens, b.tokens, strict=True):
        np.testing.assert_allclose(mine.attention, theirs.attention, atol=1e-4)
