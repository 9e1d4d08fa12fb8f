"""Replies that somebody judged, one conversation a line: {"turns": [...], "good": [...], "bad": [...]}.

`turns` (or `messages`) are as in a corpus, and the last of them is what is replied to; `good` and `bad` are
texts, and one that stands there more often (since a bot says it more often) counts for more. The bot's own
turns are those of the speaker "bot" (or the role "assistant"), or, where nobody is called so, of whoever does
not speak last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatbot.corpus.cleaning import clean_text
from chatbot.corpus.jsonl import Object, Unusable, dialogue, printable, usable
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


def read_all(paths: Sequence[Path], report: Report) -> list[Judged]:
    """Every usable line of the files; a file that cannot be read, or none usable, is a CorpusError."""
    found = [judged for path in paths for judged in _read(path, report)]
    if not found:
        files = " and ".join(map(str, paths))
        hint = 'a line is {"turns": [{"speaker", "text"}, ...], "good": [text, ...], "bad": [text, ...]}'
        why = (f"{reason.partition(': ')[2]} ({report.first[reason]})" for reason in report.dropped)
        raise CorpusError(f"{files} holds no judged replies", "; ".join([*why, hint]))
    return found


def _read(path: Path, report: Report) -> Iterator[Judged]:
    if path.exists() and not path.is_file():  # one that never ends would be read for ever
        raise CorpusError(f"{path} is no file", "give it files: *.jsonl")
    try:
        yield from usable(path, _judged, report)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from None


def _judged(value: Object, where: str, report: Report) -> Judged:
    turns = _turns(dialogue(value, where, report).turns)
    good, bad = (tuple(_texts(value, name)) for name in ("good", "bad"))
    if set(good) & set(bad):
        raise Unusable("a reply is good and bad at once")
    return Judged(turns, good, bad)


def _turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """By "user" and "bot", without those without words."""
    named = any(turn.speaker.lower() in BOTS for turn in turns)
    last = turns[-1].speaker
    found = [
        Turn("bot" if own else "user", clean_text(turn.text))
        for turn in turns
        for own in [turn.speaker.lower() in BOTS if named else turn.speaker != last]
    ]
    if found[-1].speaker == "bot":
        raise Unusable("its last turn is the bot's own")
    if not found[-1].text:
        raise Unusable("nothing is said in its last turn")
    return tuple(turn for turn in found if turn.text)


def _texts(value: Object, name: str) -> Iterator[str]:
    """The replies of that kind; at least one is needed."""
    texts = value.get(name)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Unusable(f"no list of {name} replies")
    for text in texts:
        if not (cleaned := clean_text(printable(text))):
            raise Unusable(f"a {name} reply without words")
        yield cleaned
