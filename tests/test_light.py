"""The light engine predicts what torch does, for every family that it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chatbot.bot import Bot
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.base import LIGHT, Engine
from chatbot.engines.light import LightEngine
from chatbot.engines.torch import TorchEngine, build
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.models import FAMILIES
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved

V = 40
PROMPTS = ([3, 5, 6, 7, 8, 2], [9], [3, 10, 2, 4, 5, 11, 12, 2], [3, 2])  # ragged; the last has no text
LONG = [3, *([5 + i % 30 for i in range(150)]), 2]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "gpt": [
        {"layers": 2, "heads": 2, "width": 16},
        {"layers": 3, "heads": 4, "groups": 2, "width": 32, "inner": 24},
        {"layers": 1, "heads": 4, "groups": 1, "width": 16, "rotary_base": 50.0},
    ],
    "seq2seq": [
        {"layers": 1, "width": 16},
        {"layers": 2, "width": 16, "attention": "dot"},
        {"layers": 3, "width": 12, "attention": "concat"},
    ],
}
CASES = [(family, variant) for family in LIGHT for variant in VARIANTS[family]]
Pair = tuple[Engine, Engine]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def pair(request: pytest.FixtureRequest) -> Pair:
    """torch's, and ours with the same weights."""
    family, variant = request.param
    torch.manual_seed(0)
    model = build(family, {"vocabulary": V, **variant}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    config = {**_plain(model.config), "vocabulary": V}
    tensors = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return TorchEngine(model), LightEngine.load(family, config, tensors)


def _plain(config: Any) -> dict[str, Any]:  # Any: a family's config
    from chatbot.config import to_dict

    return to_dict(config)


def alike(one: Any, other: Any) -> None:  # Any: steps
    for name in ("logits", "attention"):
        mine, theirs = getattr(other, name), getattr(one, name)
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_every_light_family_is_tried_and_is_a_family() -> None:
    assert set(VARIANTS) == set(LIGHT) <= set(FAMILIES)


def test_replies_are_predicted_as_torch_does(pair: Pair) -> None:
    theirs, ours = pair
    one, other = theirs.start(PROMPTS), ours.start(PROMPTS)
    alike(one, other)
    for _ in range(8):
        tokens = one.logits.argmax(1).tolist()
        one, other = theirs.step(tokens, one.state), ours.step(tokens, other.state)
        alike(one, other)


def test_a_long_conversation_outgrows_no_cache(pair: Pair) -> None:
    theirs, ours = pair
    one, other = theirs.start([LONG]), ours.start([LONG])
    for i in range(140):
        one, other = theirs.step([5 + i % 20], one.state), ours.step([5 + i % 20], other.state)
    alike(one, other)


def test_a_selected_state_goes_its_own_way(pair: Pair) -> None:
    _, ours = pair
    state = ours.start(PROMPTS).state
    branch = ours.select(state, [2, 2, 0])
    both, whole = ours.step([6, 7, 9], branch), ours.step([9, 9, 6, 9], state)
    np.testing.assert_allclose(both.logits[0], whole.logits[2], atol=1e-5)
    np.testing.assert_allclose(both.logits[2], whole.logits[0], atol=1e-5)
    assert np.abs(both.logits[1] - whole.logits[2]).max() > 1e-3


@pytest.mark.parametrize("family", LIGHT)
def test_bots_say_the_same_on_both_engines(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", family, tokenizer)
    light, heavy = (Bot.load(folder, "cpu", engine) for engine in ("light", "torch"))
    assert isinstance(light.responder.engine, LightEngine)
    for changes in ({}, {"guidance": 0.0}, {"candidates": 4}, {"beams": 3}):
        one, other = (bot.reply("Hello?", seed=4, max_tokens=12, **changes) for bot in (light, heavy))
        assert one.text == other.text
        for a, b in zip(one.tokens, other.tokens, strict=True):
            np.testing.assert_allclose(a.attention, b.attention, atol=1e-4)


@pytest.mark.parametrize("family", LIGHT)
def test_without_a_word_about_it_a_bot_is_light(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", family, tokenizer)
    assert isinstance(Bot.load(folder).responder.engine, LightEngine)
    assert isinstance(Bot.load(folder, engine="torch").responder.engine, TorchEngine)


@pytest.mark.parametrize("family", LIGHT)
def test_weights_that_do_not_fit_are_refused(family: str) -> None:
    model = build(family, {"vocabulary": V, "width": 16, "layers": 2}, 0)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    config = _plain(model.config)
    for wrong in ({**config, "width": 32}, {**config, "layers": 3}, {**config, "layers": 1}):
        with pytest.raises(CheckpointError, match="its weights do not fit its config"):
            LightEngine.load(family, wrong, tensors)


@pytest.mark.parametrize("family", LIGHT)
def test_it_runs_on_the_processor_alone(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(ChatbotError, match="the light engine runs on the processor, not on cuda"):
        Bot.load(saved(tmp_path / "owl", family, tokenizer), "cuda", "light")


@pytest.mark.parametrize("family", LIGHT)
def test_numbers_that_come_to_nothing_are_said_in_a_line(family: str) -> None:
    model = build(family, {"vocabulary": V, "width": 16, "layers": 2}, 0)
    huge = {name: np.full(tensor.shape, np.inf, np.float32) for name, tensor in model.state_dict().items()}
    engine = LightEngine.load(family, _plain(model.config), huge)  # warnings are errors here
    sampler = Sampler(SamplingConfig(guidance=0))
    with pytest.raises(ChatbotError, match="give no numbers to choose by"):
        list(generate(engine, [3, 9, 2], sampler, 3))


@pytest.mark.parametrize("family", LIGHT)
def test_what_is_wrong_with_a_bot_is_said(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", family, tokenizer)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["layers"] = 0
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="damaged: its config is wrong: layers must be at least 1"):
        Bot.load(folder)


@pytest.mark.parametrize("family", LIGHT)
def test_a_reply_to_a_pipe_loads_no_torch(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", family, tokenizer)
    code = (
        "import sys; from chatbot.cli import main\n"
        f"try: main(['chat', {str(folder)!r}, '-p', 'Hello?', '--attention', '-n', '4'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'sacrebleu', 'prompt_toolkit'} & set(sys.modules)\n"
        "print('loaded:', sorted(heavy), file=sys.stderr)"
    )
    environment = {**os.environ, "CHATBOT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stderr.strip().splitlines()[-1] == "loaded: []", done.stderr
