"""What the user says is typed by another hand, what the bot says is not touched."""

from __future__ import annotations

import json
import random
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.careless import Hand, careless, drawn, main, typed
from chatbot.dialogue import Dialogue, Turn

PLAIN = Hand(0.0, 0.0, 0.0, "as they are", True, True)
SAID = "I don't know what you're going to do tonight, Wren. Are you sure?"


def test_a_hand_that_changes_nothing_changes_nothing() -> None:
    assert typed(SAID, PLAIN, random.Random(0)) == SAID


def test_long_forms_are_shortened_the_longest_first() -> None:
    short = PLAIN._replace(short=1.0)
    text = typed("I don't know who are you, never mind", short, random.Random(0))
    assert text in {
        f"{a} {b}, {c}" for a in ("idk", "i dunno") for b in ("who r u", "who u") for c in ("nvm", "nm")
    }


def test_capitals_apostrophes_and_stops_go_where_the_hand_leaves_them_out() -> None:
    bare = PLAIN._replace(capitals="lower", apostrophes=False, stops=False)
    assert typed(SAID, bare, random.Random(0)) == SAID.replace("'", "").lower()[:-1]
    assert typed("no!", PLAIN._replace(capitals="upper"), random.Random(0)) == "NO!"
    assert typed("...", bare, random.Random(0)) == "..."


def test_a_slip_is_one_letter_of_a_word() -> None:
    slips = PLAIN._replace(slip=1.0)
    for seed in range(50):
        word = typed("elephant", slips, random.Random(seed))
        assert word[0] + word[-1] == "et"
        assert set(word) <= set("elephant")
        assert 7 <= len(word) <= 9
        assert typed("no 1234 it's", slips, random.Random(seed)) == "no 1234 it's"


def test_the_bot_is_not_touched_and_hands_differ() -> None:
    talk = Dialogue((Turn("user", SAID), Turn("bot", SAID), Turn("user", "Thank you!")))
    made = [careless(talk, random.Random(seed)) for seed in range(30)]
    assert all([said[0] for said in turns] == ["user", "bot", "user"] for turns in made)
    assert all(turns[1][1] == SAID for turns in made)
    assert len({turns[0][1] for turns in made}) > 10
    assert len({drawn(random.Random(seed)) for seed in range(30)}) > 10


def test_conversations_are_written_once_each(tmp_path: Path) -> None:
    corpus, out = tmp_path / "talk.jsonl", tmp_path / "careless.jsonl"
    turns = [[{"speaker": "user", "text": "no"}, {"speaker": "bot", "text": f"{n}."}] for n in range(40)]
    corpus.write_text("".join(json.dumps({"turns": talk}) + "\n" for talk in turns))
    for count, whole in ((10, False), (100, True)):
        done = CliRunner().invoke(main, [str(corpus), str(out), "--count", str(count), *["--whole"] * whole])
        assert done.exit_code == 0, done.output
        replies = [json.loads(line)["turns"][1]["text"] for line in out.read_text().splitlines()]
        assert len(set(replies)) == len(replies) == min(count, 40)
