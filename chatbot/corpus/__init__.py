"""Corpora: conversations in the formats that people have them in, read as one stream of dialogues."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue
from chatbot.errors import CorpusError
from chatbot.registry import Registry

__all__ = ["FORMATS", "Corpora", "Corpus", "Report", "open_corpora", "open_corpus"]

# name -> a module with matches(path) and read(path, report); the first that matches reads
FORMATS = Registry(
    "corpus format",
    {
        "cornell": "chatbot.corpus.cornell",
        "convokit": "chatbot.corpus.convokit",
        "jsonl": "chatbot.corpus.jsonl",
    },
)
LONGEST = 40  # characters of a corpus's name
UNDERSTOOD = (
    "understood: the Cornell movie dialogs (movie_lines.txt and movie_conversations.txt), ConvoKit's "
    'utterances.jsonl, and .jsonl files with {"turns": [{"speaker", "text"}]} or '
    '{"messages": [{"role", "content"}]} on each line'
)


class Corpus:
    """The dialogues at a path, as published: iterate as often as you like.

    `report` is one object for life. Each iteration starts its counts anew, so that it can be handed to
    clean() before the first dialogue is read.
    """

    def __init__(self, path: Path, format: str) -> None:
        self.path = path
        self.format = format
        self.name = _name(path)
        self.report = Report(format=format)

    def __iter__(self) -> Iterator[Dialogue]:
        self.report.reset()
        yield from self.dialogues(self.report)

    def dialogues(self, report: Report) -> Iterator[Dialogue]:
        """All of them, counted in that report; none is a CorpusError."""
        before = report.conversations_read
        try:
            for dialogue in FORMATS.load(self.format).read(self.path, report):
                report.read(dialogue)
                yield dialogue
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if report.conversations_read == before:
            raise CorpusError(f"{self.path} holds no usable conversation", "; ".join(report.lines()[:-1]))


class Corpora(Corpus):
    """Several corpora as one, the dialogues of each after those of the one before.

    Sources keep their names, so that what is held out of one alone is held out here too.
    """

    def __init__(self, parts: Sequence[Corpus]) -> None:
        self.parts = parts
        self.path = Path(", ".join(str(part.path) for part in parts))
        self.format = "+".join(dict.fromkeys(part.format for part in parts))
        self.name = "-".join(part.name for part in parts)[:LONGEST].strip("-")
        self.report = Report(format=self.format)

    def __iter__(self) -> Iterator[Dialogue]:
        self.report.reset()
        for part in self.parts:
            yield from part.dialogues(self.report)


def open_corpora(paths: Sequence[Path]) -> Corpus:
    """One corpus, or several as one; the same one twice is a CorpusError."""
    parts = [open_corpus(path) for path in paths]
    twice = [path for path in paths if sum(os.path.samefile(path, other) for other in paths) > 1]
    if twice:
        raise CorpusError(f"{twice[0]} is named twice", "name each corpus once")
    return parts[0] if len(parts) == 1 else Corpora(parts)


def open_corpus(path: Path) -> Corpus:
    """Recognise a corpus by what is in it; what nobody can read is a CorpusError saying what it is."""
    path = Path(path)
    try:
        for name in FORMATS:
            if FORMATS.load(name).matches(path):
                return Corpus(path, name)
        raise CorpusError(_found(path), UNDERSTOOD)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(f"{error.filename or path} cannot be read: {error.strerror or error}")


def _name(path: Path) -> str:
    """A short name for a bot made from this corpus: the folder's, or the file's where that says more."""
    whole = Path(os.path.abspath(path))  # not resolve(): a link's own name is the one that was chosen
    named = whole.parent.name if whole.stem in ("dialogues", "utterances") else whole.stem
    named = whole.name if whole.is_dir() else named
    plain = unicodedata.normalize("NFKD", named).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST].strip("-") or "corpus"


def _found(path: Path) -> str:
    """What is at a path that no format understands."""
    if path.is_dir():
        names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        return f"{path} is a folder with no corpus in it: {listed}" if names else f"{path} is an empty folder"
    if path.is_file():
        return f"{path} is {_content(path)}, not a corpus"
    return f"{path} is neither a file nor a folder" if os.path.lexists(path) else f"there is no {path}"


def _content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        return "an empty file"
    if start.startswith(b"PK\x03\x04"):
        return "a zip archive (unpack it first)"
    if b"\0" in start:
        return "a binary file"
    fields = list(FORMATS.load("jsonl").peek(path))[:6] if path.suffix == ".jsonl" else []
    return f"JSON with the fields {', '.join(fields)}" if fields else "a text file of an unknown format"
