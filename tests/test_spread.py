"""What was told is asked for after talk of something else, in which nobody tells a name."""

from __future__ import annotations

import json
import random
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.spread import main, spread
from chatbot.dialogue import Turn

ASKED = ("i'm bo", "Nice to meet you, Bo."), ("what's my name?", "Your name is Bo.")
ORDINARY = [(f"it rains on day {n}", f"Take an umbrella, or {n}.") for n in range(40)]
NAMED = [("hello", "Hello! I'm Pip."), ("my cat is called rex", "Rex is a nice name.")]


def _turns(pairs: list[tuple[str, str]]) -> list[tuple[Turn, Turn]]:
    return [(Turn("user", before), Turn("bot", reply)) for before, reply in pairs]


def _spoken(before: str, reply: str) -> list[dict[str, str]]:
    return [{"speaker": "user", "text": before}, {"speaker": "bot", "text": reply}]


def test_others_stand_before_the_question_and_no_more_than_there_is_room_for() -> None:
    for seed in range(20):
        made = spread(_turns([*ASKED]), 1, _turns(ORDINARY), 12, random.Random(seed))
        assert [made[0], made[-1]] == _turns([*ASKED])
        assert 5 <= len(made) <= 12
        assert set(made[1:-1]) < set(_turns(ORDINARY))


def test_only_what_is_asked_again_is_spread_and_by_what_tells_no_name(tmp_path: Path) -> None:
    talks = [[ASKED[0], (f"{n}: {ASKED[1][0]}", ASKED[1][1])] for n in range(20)]
    talks += [[pair] for pair in ORDINARY + NAMED]
    corpus, out = tmp_path / "talk.jsonl", tmp_path / "spread.jsonl"
    lines = [{"turns": [turn for pair in talk for turn in _spoken(*pair)]} for talk in talks]
    corpus.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = CliRunner().invoke(main, [str(corpus), str(out)])
    assert done.exit_code == 0, done.output
    made = [[turn["text"] for turn in json.loads(line)["turns"]] for line in out.read_text().splitlines()]
    assert len(made) > 10
    for texts in made:
        assert texts[:2] == [*ASKED[0]]
        assert texts[-1] == ASKED[1][1]
        assert len(texts) >= 10
        assert all(before.startswith("it rains") for before in texts[2:-2:2])
