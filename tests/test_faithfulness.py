"""The deletion test: what it takes out of prompts, and that it knows a truthful order from a false one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.faithfulness import lines, measured, ordered, shuffled, taken, without, words
from chatbot.attribution import METHODS, methods_for
from chatbot.engines.torch import TorchEngine
from chatbot.evaluation.likelihood import scores
from chatbot.preparation import Example
from chatbot.tokenizer import BOT, END, USER, Tokenizer
from tests.test_attribution import saved_bot

PROMPT = [USER, 10, 11, END, BOT, 12, 13, 14, END]
PIECES = ["<user>", "▁are", "n't", "<end>", "<bot>", "no", "▁we", "'ll", "<end>"]


def test_a_word_begins_at_a_space_or_after_a_mark_and_marks_are_in_none() -> None:
    assert words(PROMPT, PIECES) == [[1, 2], [5], [6, 7]]


def test_words_leave_in_their_order_and_one_at_the_least() -> None:
    found, order = words(PROMPT, PIECES), [2, 0, 1]
    assert taken(found, order, 0.1) == {6, 7}
    assert taken(found, order, 0.5) == {6, 7, 1, 2}
    assert without(Example(PROMPT, [12, END]), {6, 7}).prompt == [USER, 10, 11, END, BOT, 12, END]


def test_a_table_has_a_line_for_random_order_and_for_each_method(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "gpt", "torch")
    prompts = [tokenizer.turn(USER, text) for text in ("Where are you going now?", "I am fine, and you are?")]
    examples = [Example(prompt, [20, 21, END]) for prompt in prompts]
    table = list(lines(bot, examples))
    assert [row.split("|")[1].strip() for row in table] == ["random order", *methods_for("gpt")]
    assert {row.count("|") for row in table} == {8}


def test_the_order_of_true_effects_is_found_more_faithful(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """By leaving out each word alone: its reverse must do worse, and random order lie between."""
    bot = saved_bot(tokenizer, tmp_path / "bot", "seq2seq", "torch", width=16)
    engine = bot.responder.engine
    assert isinstance(engine, TorchEngine)
    with torch.no_grad():
        for parameter in engine.model.parameters():
            parameter.mul_(3)  # so that words matter
    prompts = [
        tokenizer.turn(USER, f"{a} {b} the {c} of {a}?")
        for a, b, c in zip("abcdef", "uvwxyz", "mnopqr", strict=True)
    ]
    examples = [Example(prompt, [20, 21, 22, END]) for prompt in prompts]
    places = [words(e.prompt, [tokenizer.piece(t) for t in e.prompt]) for e in examples]
    best = []
    for example, found in zip(examples, places, strict=True):
        nats = scores(engine, [without(example, set(group)) for group in found])[0]
        best.append(np.argsort(-nats).tolist())
    true, false = (measured(bot, examples, places, o).mean(1) for o in (best, [o[::-1] for o in best]))
    random = np.mean([measured(bot, examples, places, o).mean(1) for o in shuffled(places)], axis=0)
    assert true[0] > random[0] > false[0]
    assert true[1] < random[1] < false[1]


@pytest.mark.parametrize("method", METHODS)
def test_words_are_ordered_by_their_weight(method: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "gpt", "torch")
    example = Example(tokenizer.turn(USER, "Where did you put the keys?"), [20, 21, END])
    places = words(example.prompt, [tokenizer.piece(token) for token in example.prompt])
    (order,) = ordered(bot, method, [example], [places])
    engine = bot.responder.engine
    assert isinstance(engine, TorchEngine)
    mean = METHODS.load(method)(engine.model, example.prompt, example.reply).mean(0)
    by_word = [mean[places[word]].sum() for word in order]
    assert by_word == sorted(by_word, reverse=True)
    assert sorted(order) == list(range(len(places)))
