"""Replies that somebody judged, one conversation a line: {"turns": [...], "good": [...], "bad": [...]}.

`turns` (or `messages`) are as in a corpus, and the last of them is what is replied to; `good` and `bad` are
texts, and one that stands there more often (since a bot says it more often) counts for more. The bot's own
turns are those of the speaker "bot" (or the role "assistant").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chatbot.corpus.cleaning import clean_text
from chatbot.corpus.jsonl import Object, Unusable, dialogue, parse, printable
from chatbot.corpus.lines import numbered
from chatbot.corpus.report import Report
from chatbot.dialogue import Turn
from chatbot.errors import CorpusError

BOTS = ("bot", "assistant")


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said, oldest first, by "user" and "bot"; replies to it that are good, and that are not."""

    turns: tuple[Turn, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]


def read_all(paths: Iterable[Path], report: Report) -> list[Judged]:
    """Every usable line of the files; a file that cannot be read, or none usable, is a CorpusError."""
    paths = list(paths)
    try:
        found = [judged for path in paths for judged in _read(path, report)]
    except OSError as error:
        raise CorpusError(f"{error.filename} cannot be read: {error.strerror or error}") from None
    if not found:
        files = " and ".join(map(str, paths))
        hint = 'a line is {"turns": [{"speaker", "text"}, ...], "good": [text, ...], "bad": [text, ...]}'
        raise CorpusError(f"{files} holds no judged replies", "; ".join([*report.dropped, hint]))
    return found


def _read(path: Path, report: Report) -> Iterator[Judged]:
    for line in numbered(path, report):
        report.conversations_listed += 1
        where = f"{path.name}:{line.number}"
        try:
            yield _judged(parse(line), where, report)
        except Unusable as why:
            report.drop(f"judged: {why}", where)


def _judged(value: Object, where: str, report: Report) -> Judged:
    turns = tuple(
        Turn("bot" if turn.speaker in BOTS else "user", text)
        for turn in dialogue(value, where, report).turns
        if (text := clean_text(turn.text))
    )
    if not turns:
        raise Unusable("nothing is said that one could reply to")
    good, bad = (tuple(_texts(value, name)) for name in ("good", "bad"))
    if set(good) & set(bad):
        raise Unusable("a reply is good and bad at once")
    return Judged(turns, good, bad)


def _texts(value: Object, name: str) -> Iterator[str]:
    """The replies of that kind; at least one is needed."""
    texts = value.get(name)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Unusable(f"no list of {name} replies")
    for text in texts:
        if not (cleaned := clean_text(printable(text))):
            raise Unusable(f"a {name} reply without words")
        yield cleaned
