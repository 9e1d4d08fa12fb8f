"""ConvoKit's utterances.jsonl, one utterance a line, with today's field names or those before 2020.

Conversations are numbered as they first appear in this file, which is not the order of Cornell's own
movie_conversations.txt: the "parlai" split needs the original files.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chatbot.corpus.jsonl import Object, Unusable, parse, peek, printable
from chatbot.corpus.lines import LONGEST, Line, numbered
from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue, Turn

FILE = "utterances.jsonl"
NAMES = {
    "conversation": ("conversation_id", "root"),
    "speaker": ("speaker", "user"),
    "before": ("reply-to", "reply_to"),
}
SOURCES = ("movie_id", "movie_idx", "subreddit")  # where an utterance's meta says what it comes from


class Utterance(NamedTuple):
    """One line of the file."""

    name: str
    before: str  # the utterance that this one answers, "" for none
    turn: Turn
    source: str


def matches(path: Path) -> bool:
    """utterances.jsonl, its folder, or a folder with that folder in it."""
    return _file(path) is not None


def read(path: Path, report: Report) -> Iterator[Dialogue]:
    """Conversations in the order in which they first appear, each put in order by who answers whom."""
    file = _file(path)
    assert file is not None, f"{path} does not match"
    conversations = _index(file, report)
    report.conversations_listed = len(conversations)
    with file.open("rb") as lines:
        for number, (name, offsets) in enumerate(conversations.items(), start=1):
            utterances = [_read(lines, offset) for offset in offsets]
            for chain in chains(utterances, report, f"{file.name}: conversation {name}"):
                turns = tuple(utterance.turn for utterance in chain)
                yield Dialogue(turns, source=chain[0].source or name, number=number)


def chains(utterances: list[Utterance], report: Report, where: str) -> Iterator[list[Utterance]]:
    """Follow the replies. An utterance answered twice starts two chains, so each answer is kept once.

    Where nobody is said to answer anybody, the order of the file is all there is.
    """
    names = {utterance.name for utterance in utterances}
    answers: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        answers.setdefault(utterance.before if utterance.before in names else "", []).append(utterance)
    starts = answers.pop("", [])
    if not answers:
        yield starts
        return
    waiting, seen = [[start] for start in reversed(starts)], 0
    while waiting:
        chain = waiting.pop()
        seen += 1
        while following := answers.pop(chain[-1].name, None):
            waiting += [[chain[-1], other] for other in reversed(following[1:])]
            chain.append(following[0])
            seen += 1
        yield chain
    for _ in range(len(utterances) - seen):
        report.drop("lines: answering one another in a circle", where)


def _file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".jsonl" and _is_utterance(peek(path)) else None
    if not path.is_dir():
        return None
    for file in (path / FILE, *sorted(path.glob(f"*/{FILE}"))):
        if file.is_file() and _is_utterance(peek(file)):
            return file
    return None


def _is_utterance(value: Object) -> bool:
    return "text" in value and _field(value, "conversation") is not None


def _field(value: Object, name: str) -> Any:  # Any: whatever JSON holds
    return next((value[key] for key in NAMES[name] if value.get(key) is not None), None)


def _index(path: Path, report: Report) -> dict[str, array[int]]:
    """Where the utterances of each conversation start: the texts stay on disk."""
    conversations: dict[str, array[int]] = {}
    for line in numbered(path, report):
        report.lines_listed += 1
        try:
            value = parse(line)
            utterance = _utterance(value)
        except Unusable as why:
            report.drop(f"lines: {why}", f"{path.name}:{line.number}")
            continue
        report.lines_empty += not utterance.turn.text
        name = printable(str(_field(value, "conversation")))
        conversations.setdefault(name, array("q")).append(line.offset)
    return conversations


def _read(file: BinaryIO, offset: int) -> Utterance:
    file.seek(offset)
    return _utterance(parse(Line(0, offset, file.readline(LONGEST))))


def _utterance(value: Object) -> Utterance:
    if _field(value, "conversation") is None:
        raise Unusable("of no conversation")
    text, speaker = value.get("text"), _field(value, "speaker")
    if not isinstance(text, str) or not isinstance(speaker, (str, int)):
        raise Unusable("without speaker or text")
    meta = value.get("meta")
    known = meta if isinstance(meta, dict) else {}
    source = next((str(known[key]) for key in SOURCES if known.get(key)), "")
    before = _field(value, "before")
    turn = Turn(printable(str(speaker)), printable(text))
    return Utterance(str(value.get("id", "")), "" if before is None else str(before), turn, printable(source))
