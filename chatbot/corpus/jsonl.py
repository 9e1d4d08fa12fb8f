"""Dialogues as JSON, one a line: {"turns": [{"speaker", "text"}]} or {"messages": [{"role", "content"}]}."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from chatbot.corpus.lines import Line, numbered
from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue, Turn

FIELDS = {"turns": ("speaker", "text"), "messages": ("role", "content")}
UNHEARD = ("system", "developer", "tool", "function")  # roles that nobody in the conversation speaks
PEEK = 20  # lines looked at to recognise a file; the first ones may be broken

Object = dict[str, Any]  # Any: whatever JSON holds
T = TypeVar("T")


class Unusable(Exception):
    """Why a line is no dialogue."""


def matches(path: Path) -> bool:
    """One .jsonl file, or a folder of them, in which dialogues are found."""
    return bool(_files(path))


def read(path: Path, report: Report) -> Iterator[Dialogue]:
    """Every usable dialogue, file by file in the order of their names."""
    for file in _files(path):
        yield from usable(file, dialogue, report)


def usable(file: Path, made: Callable[[Object, str, Report], T], report: Report) -> Iterator[T]:
    """What is made of each line, given where it stands too; one that is Unusable is counted."""
    for line in numbered(file, report):
        report.conversations_listed += 1
        where = f"{file.name}:{line.number}"
        try:
            yield made(parse(line), where, report)
        except Unusable as why:
            report.drop(f"conversations: {why}", where)


def parse(line: Line) -> Object:
    """The JSON object of a line; whatever else it holds is Unusable."""
    try:
        value = json.loads(line.data.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Unusable("bytes that are not UTF-8") from None
    except RecursionError:
        raise Unusable("nested too deeply") from None
    except ValueError:
        raise Unusable("not JSON") from None
    if not isinstance(value, dict):
        raise Unusable("not a JSON object")
    return value


def peek(path: Path) -> Object:
    """The first JSON object of a file, {} where the first lines hold none."""
    first_lines = itertools.islice(numbered(path, Report()), PEEK)
    return next((value for line in first_lines if (value := _object(line))), {})


def _object(line: Line) -> Object | None:
    try:
        return parse(line)
    except Unusable:
        return None


def printable(text: str) -> str:
    """JSON can hold half a surrogate pair, which nothing could write again."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".jsonl" and _holds_dialogues(path) else []
    if not path.is_dir():
        return []
    inside = sorted(entry for entry in path.glob("*.jsonl") if entry.is_file())
    chosen = [path / "dialogues.jsonl"] if path / "dialogues.jsonl" in inside else inside
    return [file for file in chosen if _holds_dialogues(file)]


def _holds_dialogues(path: Path) -> bool:
    return any(isinstance(peek(path).get(key), list) for key in FIELDS)


def dialogue(value: Object, where: str, report: Report) -> Dialogue:
    key = next((key for key in FIELDS if key in value), None)
    if key is None:
        raise Unusable(f"neither {' nor '.join(FIELDS)}")
    if not isinstance(value[key], list) or not value[key]:
        raise Unusable(f"no list of {key}")
    turns = tuple(_turns(value[key], *FIELDS[key], where, report))
    if not turns:
        raise Unusable("no turns but the system's")
    source = next((str(value[name]) for name in ("source", "id") if _is_name(value.get(name))), where)
    fold = value.get("split")
    return Dialogue(
        turns,
        printable(source),
        report.conversations_listed,
        printable(fold) if isinstance(fold, str) else "",
    )


def _turns(items: list[Any], speaker: str, text: str, where: str, report: Report) -> Iterator[Turn]:
    for position, item in enumerate(items):
        if not isinstance(item, dict) or text not in item:
            raise Unusable(f"a turn without {text}")
        name = item.get(speaker, "AB"[position % 2])
        if not _is_name(name):
            raise Unusable(f"a {speaker} that is not text")
        report.lines_listed += 1
        if speaker == "role" and name in UNHEARD:
            report.drop(f"turns: said by the role {name}", where)
            continue
        words = printable(_text(item[text], text))
        report.lines_empty += not words
        yield Turn(printable(str(name)), words, cut=item.get("cut") is True)


def _text(content: Any, name: str) -> str:
    """A turn's words: a string, or the text among a list of parts; a call of a tool says nothing."""
    if isinstance(content, str):
        return content
    if content is None and name == "content":
        return ""
    if not isinstance(content, list) or name != "content":
        raise Unusable(f"a {name} that is not text")
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(part for part in parts if isinstance(part, str))


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
