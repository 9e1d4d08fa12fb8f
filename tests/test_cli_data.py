"""`chatbot data`, `chatbot info` and `chatbot self-chat` as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatbot.bot import Bot
from chatbot.cli import main, self_chat
from chatbot.corpus import open_corpus
from chatbot.dialogue import Turn
from chatbot.replying import Reply
from chatbot.terminal import replies
from tests.fakes import ScriptedResponder, scripted_bot

CORNELL = Path(__file__).parent / "data" / "cornell"
TALK = [["Hi.", "Hello."], ["How are you?", "Fine.", "Good."], ["Hi.", "Hello."], ["Tea?", "", "Yes."]]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "talk.jsonl"
    lines = [{"turns": [{"speaker": "ab"[i % 2], "text": t} for i, t in enumerate(d)]} for d in TALK]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_check_says_what_a_training_would_find(corpus: Path) -> None:
    told = call("data", "check", str(corpus)).stdout
    assert "found 4 conversations with 10 lines" in told
    assert "dropped 1 dialogue: there before, word for word (first: conversation 3)" in told
    assert "dropped 1 turn: empty (first: conversation 4)" in told
    assert "speakers: a (3 turns), b (2 turns)" in told
    assert told.count("    -> ") == 3
    assert told.endswith(f"to learn from it: chatbot train {corpus}\n")


def test_check_counts_what_is_held_out_and_was_learned(tmp_path: Path) -> None:
    file = tmp_path / "again.jsonl"
    lines = [
        {"source": f"s{i}", "turns": [{"text": "Hi."}, {"text": "Hello."}, {"text": f"Number {i}."}]}
        for i in range(100)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = call("data", "check", str(file)).stdout
    held_out = 100 - int(told.partition("split by source: ")[2].split()[0])
    assert held_out
    assert f"of {2 * held_out} pairs to validate and test with {held_out} stand" in told


def test_show_prints_conversations_and_the_same_ones_again(corpus: Path) -> None:
    told = call("data", "show", str(corpus), "-n", "9").stdout
    assert "# talk.jsonl:2, conversation 2\na: How are you?\nb: Fine.\na: Good.\n" in told
    assert told.count("#") == 2  # without the repeat, and what an empty turn left of the last
    assert told == call("data", "show", str(corpus), "-n", "9").stdout
    assert call("data", "show", str(corpus), "-n", "1").stdout in (
        told,
        *told.split("\n\n"),
        told[: told.index("\n\n") + 1],
    )


def test_stats_count_for_each_speaker(corpus: Path) -> None:
    lines = call("data", "stats", str(corpus), "--repeats", "on").stdout.splitlines()
    assert lines[0] == "3 dialogues of 3 sources, 2.3 turns each (median 2, longest 3)"
    assert lines[2].split() == ["a", "4", "6", "1.5", "75%", "1.00", "100%"]
    assert lines[-1].split()[:3] == ["all", "7", "9"]


def test_convert_writes_what_can_be_read_again(tmp_path: Path) -> None:
    out = tmp_path / "film.jsonl"
    done = call("data", "convert", str(CORNELL), str(out), "--as-it-is")
    assert f"{out}: 4 conversations\n" in done.stderr
    before, after = list(open_corpus(CORNELL)), list(open_corpus(out))
    assert [(d.turns, d.source) for d in after] == [(d.turns, d.source) for d in before]


def test_convert_cleans_and_keeps_what_is_there(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.jsonl"
    assert call("data", "convert", str(corpus), str(out)).exit_code == 0
    assert len(out.read_text().splitlines()) == 2
    again = call("data", "convert", str(corpus), str(out))
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert "--force" in again.stderr
    assert call("data", "convert", str(corpus), str(out), "--force").exit_code == 0
    assert "end it with .jsonl" in call("data", "convert", str(corpus), str(tmp_path / "new.txt")).stderr


@pytest.mark.parametrize("options", [(), ("--as-it-is",)])
def test_convert_says_what_it_leaves_out(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = tmp_path / "torn.jsonl"
    good = json.dumps({"turns": [{"text": "Hi."}, {"text": "Hello."}]})
    file.write_text(f"{good}\nBROKEN{{\n")
    done = call("data", "convert", str(file), "-", *options)
    assert [len(json.loads(line)["turns"]) for line in done.stdout.splitlines()] == [2]
    assert "dropped 1 conversation: not JSON (first: torn.jsonl:2)" in done.stderr
    assert "-: 1 conversation\n" in done.stderr


def test_convert_keeps_the_mark_of_a_cut_turn(tmp_path: Path) -> None:
    file, out = tmp_path / "cut.jsonl", tmp_path / "out.jsonl"
    turns = [{"text": "Hi."}, {"text": "Hel", "cut": True}]
    file.write_text(json.dumps({"turns": turns}) + "\n")
    assert call("data", "convert", str(file), str(out), "--as-it-is").exit_code == 0
    (dialogue,) = open_corpus(out)
    assert [turn.cut for turn in dialogue.turns] == [False, True]


@pytest.mark.parametrize("out", ["no/folder.jsonl", "x" * 300 + ".jsonl"])
def test_convert_cannot_write_everywhere(corpus: Path, tmp_path: Path, out: str) -> None:
    done = call("data", "convert", str(corpus), str(tmp_path / out))
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
    assert "still there" not in done.stderr


@pytest.mark.parametrize("command", ["data check", "data stats", "train", "eval bot"])
def test_an_empty_name_is_not_this_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*command.split(), "")
    assert done.exit_code == 2
    assert "it has no name" in done.stderr


@pytest.mark.parametrize("command", ["check", "show", "stats"])
def test_what_is_no_corpus_is_one_clear_error(command: str, tmp_path: Path) -> None:
    done = call("data", command, str(tmp_path / "nothing"))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: there is no {tmp_path / 'nothing'}")


def test_texts_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    turns = [{"speaker": "\x1b[31mred", "text": "\x1b]0;title\x07 hi"}, {"text": "\x1b[2Jgone"}]
    file.write_text(json.dumps({"turns": turns, "source": "\x1b[5m"}) + "\n")
    for command in ("check", "show", "stats"):
        assert "\x1b" not in call("data", command, str(file)).output


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> dict[str, Bot]:
    bots = {"owl": scripted_bot("Who?", "Who are you?", name="owl"), "cat": scripted_bot("Me.", name="cat")}
    monkeypatch.setattr(Bot, "load", classmethod(lambda cls, name: bots[name or "owl"]))
    return bots


def heard(bot: Bot) -> list[str]:
    assert isinstance(bot.responder, ScriptedResponder)
    return bot.responder.heard()


def test_two_bots_speak_in_turn(two: dict[str, Bot]) -> None:
    done = call("self-chat", "owl", "cat", "--start", "Hoo", "--turns", "4")
    assert done.stdout.splitlines() == ["cat: Hoo", "owl: Who?", "cat: Me.", "owl: Who are you?"]


def test_one_bot_talks_with_itself_by_numbers(two: dict[str, Bot]) -> None:
    lines = call("self-chat", "cat", "--turns", "3").stdout.splitlines()
    assert lines == ["cat 1: Hello!", "cat 2: Me.", "cat 1: Me."]


def test_a_self_chat_can_be_learned_from(two: dict[str, Bot], tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(call("self-chat", "owl", "cat", "--turns", "2", "--json").stdout)
    (dialogue,) = open_corpus(file)
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == [("cat", "Hello!"), ("owl", "Who?")]


def test_ctrl_c_keeps_what_was_said(two: dict[str, Bot], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "show", lambda events, write: Reply("Wh", (), (), "interrupted"))
    done = call("self-chat", "owl", "cat", "--json")
    assert done.exit_code == 130
    whole, torn = json.loads(done.stdout)["turns"]
    assert (whole["text"], "cut" in whole) == ("Hello!", False)
    assert (torn["text"], torn["cut"]) == ("Wh", True)


def test_who_speaks_next_is_the_bot() -> None:
    said = [Turn("cat", "one"), Turn("owl", "two"), Turn("cat", "three")]
    turns = self_chat.seen(said).turns
    assert [(turn.speaker, turn.text) for turn in turns] == [
        ("user", "one"),
        ("bot", "two"),
        ("user", "three"),
    ]
    assert [turn.speaker for turn in self_chat.seen(said[:2]).turns] == ["bot", "user"]


def test_a_first_line_needs_words(two: dict[str, Bot]) -> None:
    done = call("self-chat", "--start", "  ")
    assert done.exit_code == 2
    assert "without words" in done.stderr
