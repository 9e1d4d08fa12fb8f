"""Conversations as far as the bot says what it says often."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.stock import beginnings, main, shapes
from chatbot.dialogue import Dialogue, Turn


def _dialogue(*texts: str) -> Dialogue:
    turns = (Turn("bot" if i % 2 else "user", text) for i, text in enumerate(texts))
    return Dialogue(tuple(turns))


def test_names_that_were_told_make_no_difference() -> None:
    rex = _dialogue("my dog is called Rex! no, Rexi", "Your dog is called Rexi.")
    luna = _dialogue("our dog, luna", "Your dog is called Luna.")
    told, other = next(shapes(rex.turns)), next(shapes(luna.turns))
    assert told == "your dog is _ _."
    assert other == "your dog is called _."
    later = _dialogue("I'm Selma", "Nice to meet you, Selma.", "bye", "Goodbye, Selma!")
    assert list(shapes(later.turns)) == ["nice to meet you, _.", "goodbye, _!"]


def test_a_conversation_ends_before_what_is_rare() -> None:
    long = _dialogue("hi", "Hello!", "I won", "Well done!", "a pig", "A pig is a fine prize.", "bye", "Bye!")
    stock = {"hello!", "well done!", "bye!"}
    assert [len(turns) for turns in beginnings([long], stock)] == [4]
    assert beginnings([_dialogue("a pig", "A pig is a fine prize.", "bye", "Bye!")], stock) == []
    assert [len(turns) for turns in beginnings([_dialogue("hi", "Hello!")], stock)] == [2]


def test_the_command_writes_what_is_said_often(tmp_path: Path) -> None:
    often = [(f"hello there {i}", "Hello!") for i in range(60)]
    pairs = [*often, *[(f"what about number {i}", f"That is {i} and no other.") for i in range(60)]]
    turns = [[{"speaker": "user", "text": a}, {"speaker": "bot", "text": b}] for a, b in pairs]
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "out.jsonl"
    corpus.write_text("".join(json.dumps({"turns": each}) + "\n" for each in turns), encoding="utf-8")
    result = CliRunner().invoke(main, [str(corpus), str(out)])
    assert result.exit_code == 0, result.output
    replies = {json.loads(row)["turns"][1]["text"] for row in out.read_text(encoding="utf-8").splitlines()}
    assert replies == {"Hello!"}
