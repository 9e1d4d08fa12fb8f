"""The public API, over a scripted engine and over a small real model that was saved and loaded."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import chatbot
from chatbot.bot import Bot
from chatbot.checkpoint import BotConfig, Checkpoint, find
from chatbot.config import to_dict
from chatbot.decoding import STYLES, USUAL, SamplingConfig, styled
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.torch import build
from chatbot.errors import CheckpointError, ConfigError
from chatbot.evaluation.likelihood import scores
from chatbot.models import FAMILIES
from chatbot.preparation import Example, ExamplesConfig
from chatbot.recall import Recall
from chatbot.replying import Reply, ReplyEnd, ReplyStart, TokenEvent
from chatbot.tokenizer import USER, Tokenizer
from tests.fakes import ScriptedResponder, scripted_bot


def heard(bot: Bot) -> list[str]:
    assert isinstance(bot.responder, ScriptedResponder)
    return bot.responder.heard()


def saved(folder: Path, family: str, tokenizer: Tokenizer, trained: bool = True, width: int = 8) -> Path:
    """A bot that has learned nothing, but is complete."""
    torch.manual_seed(2)
    config = BotConfig(
        format=1,
        family=family,
        model={"vocabulary": len(tokenizer), "width": width, "layers": 1},
        sampling=to_dict(SamplingConfig(max_tokens=7, seed=5)),
        examples=to_dict(ExamplesConfig(context=2)),
    )
    checkpoint = Checkpoint.create(folder, config, tokenizer)
    if trained:
        weights = build(family, config.model).state_dict()
        checkpoint.save_weights({name: tensor.numpy() for name, tensor in weights.items()}, figures={})
    return folder


def test_a_bot_replies_to_a_prompt() -> None:
    bot = scripted_bot("Hello, you!")
    reply = bot.reply("Hi there")
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reason) == ("Hello, you!", "finished")
    assert heard(bot) == ["Hi there"]
    assert (bot.name, bot.family) == ("parrot", "gpt")


def test_a_bot_replies_to_the_last_turn_of_a_dialogue() -> None:
    bot = scripted_bot("Fine.", context=2)
    bot.reply(Dialogue((Turn("user", "dog"), Turn("bot", "Hello!"), Turn("user", "How are you?"))))
    assert heard(bot) == ["Hello!|How are you?"]
    assert bot.context == 2


def test_a_stream_is_a_start_tokens_and_an_end() -> None:
    events = list(scripted_bot("Hello, you!").stream("Hi"))
    assert [type(event) for event in events] == [ReplyStart, *[TokenEvent] * 5, ReplyEnd]
    assert Reply.collect(events).text == "Hello, you!"


def test_sampling_can_be_changed_for_one_reply() -> None:
    bot = scripted_bot("Hello, you!")
    short = bot.reply("Hi", max_tokens=2)
    assert (short.text, short.reason) == ("Hello,", "length")
    assert bot.reply("Hi").text == "Hello, you!"
    assert bot.sampling.max_tokens == 60


def test_an_impossible_sampling_is_refused_before_anything_is_computed() -> None:
    bot = scripted_bot("Hello!")
    with pytest.raises(ConfigError, match="temperature"):
        bot.stream("Hi", temperature=-1.0)
    assert heard(bot) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_bot_comes_back_with_all_its_settings(
    tmp_path: Path, tokenizer: Tokenizer, family: str
) -> None:
    bot = Bot.load(saved(tmp_path / "owl", family, tokenizer), device="cpu")
    assert (bot.name, bot.family, bot.context) == ("owl", family, 2)
    assert bot.sampling == SamplingConfig(max_tokens=7, seed=5)
    one, two = bot.reply("Hello, owl"), bot.reply("Hello, owl")
    assert one == two
    assert 1 <= len(one.tokens) <= 7
    for token in one.tokens:
        assert len(token.attention) == len(one.prompt)
        assert sum(token.attention) == pytest.approx(1, abs=1e-5)
        assert not token.token < 5 or token.token == tokenizer.end
    others = {bot.reply("Hello, owl", seed=seed).text for seed in range(5)}
    assert len(others) > 1


def test_a_bot_is_found_by_its_name(tmp_path: Path, home: Path, tokenizer: Tokenizer) -> None:
    folder = home / "checkpoints" / "a-very-rare-owl"
    saved(folder, "gpt", tokenizer)
    assert Bot.load("a-very-rare-owl", device="cpu").checkpoint.folder == folder


def test_a_bot_without_weights_is_incomplete(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "egg", "gpt", tokenizer, trained=False)
    with pytest.raises(CheckpointError, match=r"egg is incomplete: model\.safetensors is missing"):
        Bot.load(folder)


def test_a_bot_whose_config_asks_for_other_weights_is_damaged(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"width": 8', '"width": 16'))
    with pytest.raises(CheckpointError, match=r"owl is damaged: .*do not fit"):
        Bot.load(folder, device="cpu")


def test_a_bot_with_an_impossible_setting_says_which(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"max_tokens": 7', '"max_tokens": 0'))
    with pytest.raises(CheckpointError, match="owl is damaged: max_tokens must be from 1 to 10,000, not 0"):
        Bot.load(folder, device="cpu")


def test_the_package_offers_the_bot_and_its_version() -> None:
    assert chatbot.Bot is Bot
    assert chatbot.__version__
    assert {"Bot", "__version__"} == set(chatbot.__all__)
    with pytest.raises(AttributeError, match="module 'chatbot' has no attribute 'Robot'"):
        chatbot.Robot  # noqa: B018


def test_a_reply_cannot_be_changed() -> None:
    reply = scripted_bot("Hello!").reply("Hi")
    with pytest.raises(dataclasses.FrozenInstanceError):
        reply.text = "Goodbye!"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": "4"}, "sampling.candidates must be a whole number, not '4'"),
        (
            {"score": "nonsense"},
            "sampling.score must be one of likelihood, total, fit, balance, bidi, backward, not 'nonsense'",
        ),
        ({"bad_words": ["darn"]}, "sampling.bad_words must be text"),
        ({"foo": 1}, "sampling has no setting 'foo'"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scripted_bot("Hello!").reply("Hi", **changes)


def backward_bot(folder: Path, tokenizer: Tokenizer) -> Path:
    """As `saved`, but as if it had learned conversations backwards, with a tokenizer of its own."""
    saved(folder, "seq2seq", tokenizer)
    config = json.loads((folder / "config.json").read_text())
    config["examples"] |= {"backward": True, "context": 1}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_bot_that_learned_backwards_chooses_among_candidates(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bot = Bot.load(saved(tmp_path / "owl", "gpt", tokenizer))
    bot = bot.with_backward(Bot.load(backward_bot(tmp_path / "lwo", tokenizer)))
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "guidance": 0.0, "seed": 1}
    best = bot.reply("Who are you?", candidates=6, score="backward", **settings)
    recall = bot.responder.recall
    assert recall is not None
    tried = [bot.reply("Who are you?", candidates=1 + n, score="backward", **settings).text for n in range(6)]
    assert best.text == tried[-1]
    worth = recall("Who are you?", tried)
    assert worth == sorted(worth)  # of more candidates the best is never worse
    assert len(set(tried)) > 1


def test_recall_is_a_mean_log_probability(tmp_path: Path, tokenizer: Tokenizer) -> None:
    other = Bot.load(backward_bot(tmp_path / "lwo", tokenizer), engine="torch")
    recall = Recall(other.responder.engine, tokenizer, other.responder.examples)
    turn = [*tokenizer.encode("Who are you?"), tokenizer.end]
    examples = [Example(tokenizer.turn(USER, reply), turn) for reply in ("An owl.", "", "No!")]
    nats, count, _ = scores(other.responder.engine, examples)
    found = recall("Who are you?", ["An owl.", "", "No!"])
    assert found == pytest.approx((-nats / count).tolist(), rel=1e-4)


def test_only_a_bot_that_learned_backwards_is_taken_for_one(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bot = Bot.load(saved(tmp_path / "owl", "gpt", tokenizer))
    with pytest.raises(ConfigError, match="did not learn conversations backwards"):
        bot.with_backward(bot)


def test_who_learned_backwards_is_not_talked_to_by_default(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "checkpoints" / "owl", "gpt", tokenizer)
    backward_bot(tmp_path / "checkpoints" / "zlwo", tokenizer)
    assert find().name == "owl"
    assert find("zlwo").name == "zlwo"


def test_a_bots_own_styles_count_more_than_the_programs(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    config = json.loads((folder / "config.json").read_text())
    own = {"careful": {"temperature": 0.1}, "sleepy": {"max_tokens": 2}}
    (folder / "config.json").write_text(json.dumps({**config, "styles": own}))
    bot = Bot.load(folder)
    assert bot.styles == {USUAL: to_dict(bot.sampling), **STYLES, **own}
    assert styled(bot.sampling, "sleepy", bot.styles) == dataclasses.replace(bot.sampling, max_tokens=2)


@pytest.mark.parametrize(
    ("styles", "message"),
    [({"x": {"temprature": 1}}, "styles.x has no setting 'temprature'"), ({"x": 1}, "styles.x must be an")],
)
def test_a_bot_with_impossible_styles_is_damaged(
    tmp_path: Path, tokenizer: Tokenizer, styles: dict[str, Any], message: str
) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "styles": styles}))
    with pytest.raises(CheckpointError, match=f"is damaged: {message}"):
        Bot.load(folder)


def test_a_reply_by_a_beam_needs_no_other_setting(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bot = Bot.load(saved(tmp_path / "owl", "gpt", tokenizer))
    several = bot.with_sampling(replace(bot.sampling, candidates=4, max_tokens=4))
    beam = replace(bot.sampling, beams=3, max_tokens=4)
    assert several.reply("hello", beams=3).text == bot.with_sampling(beam).reply("hello").text
