"""The Cornell Movie-Dialogs Corpus as its authors publish it.

movie_lines.txt          L194 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Can we make this quick?
movie_conversations.txt  u0 +++$+++ u2 +++$+++ m0 +++$+++ ['L194', 'L195', 'L196', 'L197']
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from chatbot.corpus.lines import Line, numbered
from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue, Turn

LINES, CONVERSATIONS = "movie_lines.txt", "movie_conversations.txt"
SEPARATOR = b" +++$+++ "
IDS = re.compile(rb"'([^']+)'|\"([^\"]+)\"")
# Four scripts came through another encoding ("Iím", "Time¹s"): what stands for their quotation marks.
MISREAD = {
    "m315": str.maketrans("í", "'"),
    "m443": str.maketrans("í", "'"),
    "m497": str.maketrans("Œ³²", '\'""'),
    "m612": str.maketrans("¹", "'"),
}

Index = dict[bytes, int]


def matches(path: Path) -> bool:
    """The folder holds the two files, or one folder in it does."""
    return _folder(path) is not None


def read(path: Path, report: Report) -> Iterator[Dialogue]:
    """The conversations whose lines are all there, in the order of movie_conversations.txt."""
    folder = _folder(path)
    assert folder is not None, f"{path} does not match"
    index = _index(folder / LINES, report)
    if not index:  # an empty file cannot be mapped
        return
    with (folder / LINES).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as texts:
        for number, line in enumerate(numbered(folder / CONVERSATIONS, report), start=1):
            report.conversations_listed += 1
            dialogue = _conversation(line, number, index, texts, report)
            if dialogue:
                yield dialogue


def _folder(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    inside = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for folder in (path, *inside):
        if (folder / LINES).is_file() and (folder / CONVERSATIONS).is_file():
            return folder
    return None


def _index(path: Path, report: Report) -> Index:
    """Where each line starts: the texts stay on disk."""
    index: Index = {}
    for line in numbered(path, report):
        report.lines_listed += 1
        fields = _fields(line.data, 5)
        if len(fields) != 5:
            report.drop("lines: expected 5 fields", f"{path.name}:{line.number}")
        elif fields[0] in index:
            report.drop("lines: an id that was given before", f"{path.name}:{line.number}")
        else:
            index[fields[0]] = line.offset
            report.lines_empty += not fields[4]
    return index


def _conversation(line: Line, number: int, index: Index, texts: mmap.mmap, report: Report) -> Dialogue | None:
    where = f"{CONVERSATIONS}:{line.number}"
    fields = _fields(line.data, 4)
    if len(fields) != 4:
        report.drop("conversations: expected 4 fields", where)
        return None
    ids = [single or double for single, double in IDS.findall(fields[3])]
    if not ids:
        report.drop("conversations: naming no line", where)
        return None
    if any(name not in index for name in ids):
        report.drop("conversations: naming a line that is not there", where)
        return None
    turns = tuple(_turn(texts, index[name]) for name in ids)
    return Dialogue(turns, source=_decoded(fields[2]), number=number)


def _turn(texts: mmap.mmap, start: int) -> Turn:
    end = texts.find(b"\n", start)
    line = texts[start : end if end >= 0 else len(texts)].rstrip(b"\r\n")
    _, character, film, name, text = (_decoded(field) for field in _fields(line, 5))
    return Turn(character or name, text if text.isascii() else text.translate(MISREAD.get(film, {})))


def _fields(data: bytes, count: int) -> list[bytes]:
    """The fields of a line; an editor that strips line ends also strips the last separator's space."""
    if data.endswith(SEPARATOR[:-1]):
        data += b" "
    return data.split(SEPARATOR, count - 1)


def _decoded(data: bytes) -> str:
    """The authors' cp1252; the five bytes that it lacks as Latin-1, so that no line stops a reading."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
