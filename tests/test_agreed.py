"""A bot's replies that it gives twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.starter import agreed
from chatbot.dialogue import Dialogue, Turn
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved

TALK = Dialogue((Turn("user", "hello"), Turn("bot", "Hi."), Turn("user", "why?"), Turn("bot", "Why not.")))


def test_what_a_user_says_is_asked_with_what_was_before() -> None:
    long = Dialogue(tuple(Turn("bot" if i % 2 else "user", str(i)) for i in range(40)))
    assert list(agreed.asked([TALK])) == [TALK.turns[:1], TALK.turns[:3]]
    assert max(map(len, agreed.asked([long]))) == agreed.FARTHEST


def test_only_replies_that_come_twice_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([["Hi.", "Oh.", ""], ["Hi.", "No.", ""]])
    monkeypatch.setattr(agreed, "replies", lambda *given: next(said))
    told = [(Turn("user", text),) for text in ("a", "b", "c")]
    assert list(agreed.agreed(None, told, 0.4, 0)) == [(told[0], "Hi.")]  # type: ignore[arg-type]


def test_the_command_writes_a_corpus(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    turns = [{"speaker": turn.speaker, "text": turn.text} for turn in TALK.turns]
    written = [
        json.dumps({"turns": [{**turns[0], "text": f"{word} there"}, *turns[1:]]})
        for word in ("hello", "well", "what")
        for _ in range(20)
    ]
    corpus, known, out = (tmp_path / name for name in ("talk.jsonl", "known.jsonl", "out.jsonl"))
    corpus.write_text("\n".join(written), encoding="utf-8")
    known.write_text(written[0], encoding="utf-8")
    options = [str(folder), str(corpus), str(out), "--temperature", "0", "--without", str(known)]
    result = CliRunner().invoke(agreed.main, options)
    assert result.exit_code == 0, result.output
    found = [json.loads(row)["turns"] for row in out.read_text(encoding="utf-8").splitlines()]
    assert {turns[0]["text"] for turns in found} == {"well there", "what there"}
    assert all(turns[-1]["speaker"] == "bot" and turns[-1]["text"] for turns in found)
