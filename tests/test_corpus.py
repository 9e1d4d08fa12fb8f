"""Reading corpora: every format against small files of ours that are broken on purpose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chatbot.corpus import FORMATS, Report, convokit, lines, open_corpora, open_corpus
from chatbot.dialogue import Dialogue
from chatbot.errors import CorpusError

DATA = Path(__file__).parent / "data"

EXPECTED = {
    "cornell": {
        "listed": (8, 13),
        "read": (4, 12, 8),
        "empty": 1,
        "dropped": {
            "lines: expected 5 fields": (2, "movie_lines.txt:11"),
            "lines: an id that was given before": (1, "movie_lines.txt:13"),
            "conversations: naming a line that is not there": (2, "movie_conversations.txt:3"),
            "conversations: expected 4 fields": (1, "movie_conversations.txt:5"),
            "conversations: naming no line": (1, "movie_conversations.txt:6"),
        },
    },
    "convokit": {
        "listed": (4, 13),
        "read": (4, 9, 5),
        "empty": 0,
        "dropped": {
            "lines: not JSON": (1, "utterances.jsonl:4"),
            "lines: without speaker or text": (1, "utterances.jsonl:10"),
            "lines: of no conversation": (1, "utterances.jsonl:11"),
            "lines: answering one another in a circle": (2, "utterances.jsonl: conversation Y1"),
        },
    },
    "jsonl": {
        "listed": (14, 11),
        "read": (3, 8, 5),
        "empty": 1,
        "dropped": {
            "turns: said by the role system": (2, "dialogues.jsonl:3"),
            "conversations: not JSON": (2, "dialogues.jsonl:4"),
            "conversations: bytes that are not UTF-8": (1, "dialogues.jsonl:5"),
            "conversations: no list of turns": (1, "dialogues.jsonl:6"),
            "conversations: not a JSON object": (1, "dialogues.jsonl:7"),
            "conversations: a text that is not text": (1, "dialogues.jsonl:8"),
            "conversations: neither turns nor messages": (1, "dialogues.jsonl:10"),
            "conversations: a turn without text": (1, "dialogues.jsonl:11"),
            "conversations: a speaker that is not text": (1, "dialogues.jsonl:12"),
            "conversations: no turns but the system's": (1, "dialogues.jsonl:13"),
            "conversations: nested too deeply": (1, "dialogues.jsonl:14"),
        },
    },
}


def texts(dialogue: Dialogue) -> list[str]:
    return [turn.text for turn in dialogue.turns]


@pytest.fixture(params=sorted(FORMATS))
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_format_is_recognised_by_content_and_by_no_other_format(format: str) -> None:
    assert [name for name in FORMATS if FORMATS.load(name).matches(DATA / format)] == [format]
    assert open_corpus(DATA / format).format == format


def test_what_is_listed_read_and_dropped_is_counted_exactly(format: str) -> None:
    corpus = open_corpus(DATA / format)
    dialogues = list(corpus)
    report, expected = corpus.report, EXPECTED[format]
    assert (report.conversations_listed, report.lines_listed) == expected["listed"]
    assert (report.conversations_read, report.lines_read, report.pairs_read) == expected["read"]
    assert report.lines_empty == expected["empty"]
    assert {why: (n, report.first[why]) for why, n in report.dropped.items()} == expected["dropped"]
    assert len(dialogues) == report.conversations_read
    json.dumps(report.to_dict())


def test_a_second_iteration_gives_the_same_dialogues_and_the_same_counts(format: str) -> None:
    corpus = open_corpus(DATA / format)
    once, counts, report = list(corpus), corpus.report.to_dict(), corpus.report
    assert list(corpus) == once
    assert corpus.report.to_dict() == counts
    assert corpus.report is report


def test_a_folder_is_opened_whether_by_link_or_with_a_slash_or_from_inside(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(open_corpus(DATA / format))
    (tmp_path / "My Chats!").symlink_to(DATA / format)
    linked = open_corpus(tmp_path / "My Chats!")
    assert list(linked) == expected
    assert linked.name == "my-chats"
    assert list(open_corpus(Path(f"{DATA / format}/"))) == expected
    monkeypatch.chdir(DATA / format)
    assert list(open_corpus(Path())) == expected
    assert open_corpus(Path()).name == format


def test_numbers_rise_and_texts_can_be_written_again(format: str) -> None:
    dialogues = list(open_corpus(DATA / format))
    numbers = [dialogue.number for dialogue in dialogues]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1
    for dialogue in dialogues:
        "".join([*texts(dialogue), dialogue.source, dialogue.fold]).encode("utf-8")


def test_cornell_numbers_count_dropped_conversations_and_films_are_sources() -> None:
    dialogues = list(open_corpus(DATA / "cornell"))
    assert [(d.number, d.source, len(d.turns)) for d in dialogues] == [
        (1, "m0", 2),
        (2, "m0", 3),
        (4, "m1", 5),
        (8, "m1", 2),
    ]


def test_cornell_bytes_are_windows_and_what_windows_lacks_is_latin() -> None:
    first, _, third, _ = open_corpus(DATA / "cornell")
    assert texts(first) == ["Is this the café?", "I’m <u>sure</u>  it is."]
    assert texts(third) == [
        "Who is \x81there?", "Only me +++$+++ and the dog.", "", "Are you asleep?", "Not any more."
    ]  # fmt: skip
    assert [turn.speaker for turn in first.turns] == ["u0", "u1"]


def test_apostrophes_that_four_scripts_lost_are_put_back_there_only(tmp_path: Path) -> None:
    rows = [
        ("L1", "m443", "Iím here."),
        ("L2", "m443", "Itís late."),
        ("L3", "m1", "Luís?"),
        ("L4", "m1", "Sí."),
    ]
    written = "".join(f"{n} +++$+++ u0 +++$+++ {film} +++$+++ A +++$+++ {text}\n" for n, film, text in rows)
    (tmp_path / "movie_lines.txt").write_bytes(written.encode("cp1252"))
    conversation = "u0 +++$+++ u1 +++$+++ m +++$+++ ['L1', 'L2', 'L3', 'L4']"
    (tmp_path / "movie_conversations.txt").write_text(conversation)
    (dialogue,) = open_corpus(tmp_path)
    assert texts(dialogue) == ["I'm here.", "It's late.", "Luís?", "Sí."]


def test_files_one_folder_further_in_are_found(format: str, tmp_path: Path) -> None:
    if format == "jsonl":
        pytest.skip("any folder may hold .jsonl files: only the one that is named counts")
    shutil.copytree(DATA / format, tmp_path / "outside" / "cornell movie-dialogs corpus")
    corpus = open_corpus(tmp_path / "outside")
    assert list(corpus) == list(open_corpus(DATA / format))
    assert corpus.name == "outside"


def test_convokit_follows_replies_and_keeps_both_of_two_answers() -> None:
    dialogues = [texts(dialogue) for dialogue in open_corpus(DATA / "convokit")]
    assert dialogues == [
        ["When is lunch?", "At noon.", "See you there."],
        ["Who has the key?", "I do."],
        ["Who has the key?", "It is in the door."],
        ["Old names work too.", "So they do."],
    ]
    assert [d.source for d in open_corpus(DATA / "convokit")] == ["m7", "V1", "V1", "W1"]


def test_convokit_keeps_the_order_of_the_file_where_nobody_answers_anybody() -> None:
    utterances = [
        convokit.Utterance(name, "", turn, "")
        for name, turn in zip("abc", next(iter(open_corpus(DATA / "convokit"))).turns, strict=True)
    ]
    assert list(convokit.chains(utterances, Report(), "")) == [utterances]


def test_a_file_may_be_named_instead_of_its_folder() -> None:
    for file in ("convokit/utterances.jsonl", "jsonl/dialogues.jsonl"):
        corpus = open_corpus(DATA / file)
        assert list(corpus) == list(open_corpus((DATA / file).parent))
        assert corpus.name == Path(file).parent.name


def test_jsonl_sources_folds_and_speakers() -> None:
    one, two, three = open_corpus(DATA / "jsonl")
    assert (one.source, one.fold, one.number) == ("one", "train", 1)
    assert (two.source, two.fold, two.number) == ("work", "", 2)
    assert texts(two) == ["Hello?", "Hello!"]
    assert [turn.speaker for turn in two.turns] == ["user", "assistant"]
    assert three.source == "dialogues.jsonl:15"
    assert [turn.speaker for turn in three.turns] == ["A", "B", "A"]
    assert texts(three) == ["No names?", "None ? needed.", ""]


def test_several_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        turns = [{"speaker": "A", "text": name}, {"speaker": "B", "text": "yes"}]
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"turns": turns}))
    (tmp_path / "settings.jsonl").write_text('{"colour": "red"}')
    assert [texts(dialogue)[0] for dialogue in open_corpus(tmp_path)] == ["a", "b"]
    assert [dialogue.number for dialogue in open_corpus(tmp_path)] == [1, 2]


def test_a_giant_line_is_skipped_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 100)
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"x" * 1000 + b"\n" + b"y" * 99 + b"\n" + b"short\n" + b"z" * 250)
    report = Report()
    assert [(n, offset, len(data)) for n, offset, data in lines.numbered(file, report)] == [
        (2, 1001, 99),
        (3, 1101, 5),
    ]
    assert report.dropped == {lines.TOO_LONG: 2}
    assert report.first[lines.TOO_LONG] == "a.jsonl:1"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x7fELF\0\0", "a binary file"),
        (b"Dear diary,", "a text file of an unknown format"),
        (b'{"question": "?", "answer": "!"}', "JSON with the fields question, answer"),
    ],
)
def test_a_file_that_is_no_corpus_is_described(tmp_path: Path, content: bytes, found: str) -> None:
    file = tmp_path / "what.jsonl"
    file.write_bytes(content)
    with pytest.raises(CorpusError) as error:
        open_corpus(file)
    assert found in error.value.what
    assert "movie_lines.txt" in error.value.hint


def test_a_folder_that_is_no_corpus_is_described(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no .*nowhere"):
        open_corpus(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="is an empty folder"):
        open_corpus(tmp_path)
    for name in "abcdefg":
        (tmp_path / f"{name}.txt").write_text("hello")
    (tmp_path / "corpora").mkdir()
    with pytest.raises(
        CorpusError, match=r"no corpus in it: a.txt, b.txt, c.txt, corpora/, d.txt and 3 more"
    ):
        open_corpus(tmp_path)


def test_a_corpus_without_one_usable_conversation_says_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "movie_lines.txt").write_bytes(b"")
    (tmp_path / "movie_conversations.txt").write_bytes(b"")
    with pytest.raises(CorpusError, match="no usable conversation"):
        list(open_corpus(tmp_path))
    shutil.copy(DATA / "cornell" / "movie_lines.txt", tmp_path)
    (tmp_path / "movie_conversations.txt").write_text("u0 +++$+++ u1 +++$+++ m0 +++$+++ ['L98', 'L99']\n")
    with pytest.raises(CorpusError) as error:
        list(open_corpus(tmp_path))
    assert "dropped 1 conversation: naming a line that is not there" in error.value.hint


def test_a_report_says_in_words_what_was_dropped() -> None:
    report = Report(conversations_listed=83097, lines_listed=302877)
    for number in range(1048):
        report.drop(
            "conversations: naming a line that is not there", f"movie_conversations.txt:{812 + number}"
        )
    report.drop("turns: empty", "conversation 7")
    report.change("HTML tags")
    assert report.lines() == [
        "found 83,097 conversations with 302,877 lines",
        "read 0 conversations whole: 0 lines, 0 pairs, 0 lines empty",
        "dropped 1,048 conversations: naming a line that is not there (first: movie_conversations.txt:812)",
        "dropped 1 turn: empty (first: conversation 7)",
        "cleaned 1 turn: HTML tags",
        "kept 0 dialogues: 0 turns, 0 pairs, 0 words",
    ]


def test_several_corpora_are_read_one_after_the_other(tmp_path: Path) -> None:
    for name in ("owls", "cats"):
        (tmp_path / name).mkdir()
        line = json.dumps({"turns": [{"speaker": "A", "text": name}, {"speaker": "B", "text": "Yes."}]})
        (tmp_path / name / "dialogues.jsonl").write_text(f"{line}\n{line}\n")
    both = open_corpora([tmp_path / "owls", tmp_path / "cats"])
    for _ in range(2):
        assert [dialogue.turns[0].text for dialogue in both] == ["owls", "owls", "cats", "cats"]
        assert both.report.conversations_read == 4
    assert (both.name, both.format) == ("owls-cats", "jsonl")
    (tmp_path / "cats" / "dialogues.jsonl").write_text('{"turns": []}\n')
    with pytest.raises(CorpusError, match="cats holds no usable conversation"):
        list(both)
