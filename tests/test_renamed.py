"""Conversations with other names: the same all through, found by what the bot says."""

from __future__ import annotations

import json
import random
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.renamed import main, named, others, renamed, repertoire, told
from chatbot.dialogue import Dialogue, Turn

SAID = "im bo", "Nice to meet you, Bo.", "our dog is called rex", "Rex is a nice name.", "Bo is me. who's he?"
TALK = Dialogue(tuple(Turn(("user", "bot")[i % 2], text) for i, text in enumerate(SAID)))


def test_names_are_what_the_bot_takes_from_the_user() -> None:
    assert named(TALK) == {"Bo": "person", "Rex": "animal"}
    assert named(Dialogue((Turn("user", "hi"), Turn("bot", "Nice to meet you, Bo.")))) == {}


def test_a_name_is_another_one_wherever_it_stands() -> None:
    turns = list(renamed(TALK, {"Bo": "Ann", "Rex": "Miso"}))
    assert [text for _, text in turns] == [
        "im ann",
        "Nice to meet you, Ann.",
        "our dog is called miso",
        "Miso is a nice name.",
        "Ann is me. who's he?",
    ]


def test_two_names_do_not_become_one() -> None:
    pools = {"person": ["Bo", "Ann", "Rex"], "animal": ["Ann", "Rex", "Miso"]}
    for seed in range(20):
        found = others({"Bo": "person", "Rex": "animal"}, pools, [], random.Random(seed))
        assert found == {"Bo": "Ann", "Rex": "Miso"}


def test_places_stay_places() -> None:
    pools = {"place": ["Oslo", "Rome"]}
    found = [others({"Rome": "place"}, pools, [["Spoon"]], random.Random(seed)) for seed in range(20)]
    assert found == 20 * [{"Rome": "Oslo"}]


def test_the_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    corpus, out = tmp_path / "talk.jsonl", tmp_path / "renamed.jsonl"
    talks = [
        {"turns": [{"speaker": who, "text": text} for who, text in (("user", f"im {name}"), ("bot", reply))]}
        for name in ("ada", "ben", "cleo", "dov", "eva")
        for reply in [f"Nice to meet you, {name.title()}."]
    ]
    corpus.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    texts = []
    for _ in range(2):
        done = CliRunner().invoke(main, [str(corpus), str(out), "--copies", "3"])
        assert done.exit_code == 0, done.output
        texts.append(out.read_text())
    assert texts[0] == texts[1]
    for line in map(json.loads, texts[0].splitlines()):
        user, bot = (turn["text"] for turn in line["turns"])
        assert bot == f"Nice to meet you, {user.removeprefix('im ').title()}."


def test_of_several_jokes_none_is_told_twice() -> None:
    jokes = [f"Why is {i} odd? It is not even." for i in range(4)]
    turns = tuple(Turn("bot", joke) for joke in jokes[:2])
    assert told([Dialogue(10 * turns), Dialogue((Turn("bot", "Why not? Once."),))]) == set(jokes[:2])
    names = repertoire(Dialogue(turns), jokes)
    assert names == dict.fromkeys(jokes[:2], "joke")
    assert repertoire(Dialogue(turns[:1]), jokes) == {}
    for seed in range(20):
        found = others(names, {"joke": jokes}, [["Spoon"]], random.Random(seed))
        assert {text for _, text in renamed(Dialogue(turns), found)} == set(jokes[2:])
