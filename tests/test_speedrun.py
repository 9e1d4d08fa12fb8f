"""The benchmark that others are measured with: its yardstick must be right."""

from __future__ import annotations

import click
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.cornell import Result, _check, table
from benchmarks.speedrun import Options
from benchmarks.speedrun.material import Material
from benchmarks.speedrun.streams import stream, stream_nats
from benchmarks.speedrun.tutorial import Tutorial
from benchmarks.speedrun.words import Vocabulary, is_short, normalised
from chatbot.corpus.splits import Folds
from chatbot.dialogue import Dialogue, Turn
from chatbot.preparation import Example, encode
from chatbot.tokenizer import BOT, END, PAD, USER, Tokenizer


def test_the_text_of_the_tutorial() -> None:
    assert normalised("Où est-il, Dr. No?!  42…") == "ou est il dr . no ? !"
    assert is_short((["a"] * 9, ["b"]))
    assert not is_short((["a"] * 10, ["b"]))
    assert not is_short(([], ["b"]))


def test_a_vocabulary_leaves_out_rare_words() -> None:
    vocabulary = Vocabulary([(["so", "so"], ["so", "rare"])])
    assert len(vocabulary) == 4
    assert vocabulary.knows((["so"], ["so"]))
    assert not vocabulary.knows((["so"], ["rare"]))
    assert vocabulary.ids(["so"]).tolist() == [3, 2]


def uniform(tokens: Tensor, targets: Tensor) -> Tensor:
    return torch.zeros(*tokens.shape, 50)


@pytest.mark.parametrize("block", [4, 8, 64])
def test_every_token_of_a_reply_is_judged_once(block: int) -> None:
    examples = [
        Example([USER, *range(10, 10 + prompt), END], [*range(20, 20 + reply), END])
        for prompt, reply in [(1, 1), (3, 5), (30, 2), (2, 29)]
    ]
    nats = stream_nats(uniform, block, examples)
    assert nats == pytest.approx([len(e.reply) * np.log(50) for e in examples])


def test_a_token_is_judged_by_what_stands_before_it() -> None:
    """A model that is sure of the token after the one it reads."""

    def successor(tokens: Tensor, targets: Tensor) -> Tensor:
        return 100.0 * torch.nn.functional.one_hot(tokens + 1, 50).float()

    counted = Example([USER, END], [BOT + 1, BOT + 2, BOT + 3])
    assert stream_nats(successor, 3, [counted])[0] == pytest.approx(0, abs=1e-6)
    assert stream_nats(successor, 3, [Example([USER, END], [BOT + 1, BOT + 3])])[0] == pytest.approx(100)


def test_a_stream_has_a_mark_before_each_dialogue(tokenizer: Tokenizer) -> None:
    told = [Dialogue((Turn("A", "Hello."), Turn("B", "Hi."))) for _ in range(2)]
    found = stream(encode(told, tokenizer)).tolist()
    one = [PAD, *tokenizer.turn(USER, "Hello."), *tokenizer.turn(BOT, "Hi.")]
    assert found == [*one, *one]


def test_only_what_the_tutorial_can_represent_is_judged_in_its_text() -> None:
    def told(*texts: str) -> Dialogue:
        return Dialogue(tuple(Turn("AB"[i % 2], text) for i, text in enumerate(texts)))

    train = [told("so it is", "so it is", "so it is")]
    test = [told("so it is", "is it so", "rare words"), told("it is " * 6, "so"), told("so", "it")]
    material = Material(Folds(train, [], test), "tutorial")
    assert material.representable.tolist() == [0, 3]
    assert material.words.tolist() == [3, 1]
    assert Material(Folds(train, [], test), "written").representable.tolist() == [0, 1, 2, 3]


@pytest.fixture
def tutorial() -> Tutorial:
    told = [Dialogue((Turn("A", "so it is"), Turn("B", "it is so . so")))] * 3
    return Tutorial(Material(Folds(told, [], told[:1]), "tutorial"), Options())


def test_to_a_tutorial_that_knows_nothing_every_word_and_the_end_are_alike(
    tutorial: Tutorial,
) -> None:
    nn.init.zeros_(tutorial.model.output.weight)
    nn.init.zeros_(tutorial.model.output.bias)
    assert tutorial.nats() == pytest.approx([6 * np.log(len(tutorial.vocabulary))], rel=1e-5)


def test_a_tutorial_learns_and_counts_its_iterations(tutorial: Tutorial) -> None:
    before = tutorial.nats()[0]
    looks = list(tutorial.train(0.02))
    assert looks[-1][0] >= 0.02
    assert tutorial.steps >= len(looks) > 0
    assert tutorial.nats()[0] < before


def test_a_tables_best_is_first_and_says_when_it_was_as_good_as_the_tutorial() -> None:
    def result(recipe: str, curve: list[tuple[float, float]]) -> Result:
        return Result(recipe, "tutorial", "parlai", 8, 1, 2_000_000, 9, 0.2, 9.0, curve, 3.9, 4.1, 70, "bf16")

    found = [result("tutorial", [(4, 6.0), (8, 5.0)]), result("ours", [(1, 6.0), (3, 4.0), (8, 3.0)])]
    rows = list(table(found, "tutorial"))[4:]
    assert rows[0] == "| ours | 2.0 M | 8.0 | 70 | bf16 | 100% | 3.000 ± 0.100 | 2.0 |"
    assert rows[1] == "| tutorial | 2.0 M | 8.0 | 70 | bf16 | 20% | 5.000 ± 0.100 | 8.0 |"
    assert rows[2] == "| unigram model | | | | | 100% | 9.000 | |"
    longer = list(table([*found, result("tutorial", [(80, 4.0)])], "tutorial"))[4:]
    assert [row.split(" | ")[-1] for row in longer[:3]] == ["3.0 |", "80.0 |", " |"]


def test_when_a_curve_reaches_a_figure() -> None:
    curve = [(1.0, 8.0), (3.0, 6.0), (4.0, 6.0)]
    found = Result("ours", "written", "parlai", 4, 1, 0, 0, 1.0, 10.0, curve, 5.9, 6.1, 9, "float32")
    assert found.reached(9.0) == found.reached(8.0) == 1.0  # at the first look
    assert found.reached(7.0) == pytest.approx(2.0)
    assert found.reached(5.0) is None


@pytest.mark.parametrize(
    ("recipes", "there", "what"),
    [
        (("tutorial",), {"transformers"}, "matplotlib is not installed"),
        (("gpt2",), set(), "matplotlib and transformers is not installed"),
        (("nanogpt",), {"matplotlib"}, "run from a clone"),
    ],
)
def test_what_is_missing_is_said_before_the_first_minute(
    recipes: tuple[str, ...], there: set[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    with pytest.raises(click.UsageError, match=what):
        _check(recipes, None)
