"""The light engine predicts what torch does, for every family that it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chatbot.bot import Bot
from chatbot.config import to_dict
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.base import LIGHT
from chatbot.engines.light import LightEngine
from chatbot.engines.torch import TorchEngine, build
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved
from tests.test_exact_engines import V


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
    config = to_dict(model.config)
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
    engine = LightEngine.load(family, to_dict(model.config), huge)  # warnings are errors here
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
    shown = ["--attention"] if family == "gpt" else []  # seq2seq's is by gradients, which need torch
    arguments = ["chat", str(folder), "-p", "Hello?", "-n", "4", *shown]
    code = (
        "import sys; from chatbot.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'sacrebleu', 'prompt_toolkit'} & set(sys.modules)\n"
        "print('loaded:', sorted(heavy), file=sys.stderr)"
    )
    environment = {**os.environ, "CHATBOT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stderr.strip().splitlines()[-1] == "loaded: []", done.stderr
