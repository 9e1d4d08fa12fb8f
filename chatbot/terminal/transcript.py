"""Conversations on disk: as JSONL, which `chatbot train` reads too, as Markdown, as a page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from chatbot.corpus import Report, open_corpus
from chatbot.dialogue import Turn
from chatbot.errors import ChatbotError
from chatbot.terminal import files
from chatbot.terminal.text import escaped, printable, printable_lines

CUT = " (interrupted)"
LAST = 6  # turns that are shown of a conversation that goes on
LONGEST_NAME = 100  # characters of what a file may call a bot
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~])")


def as_jsonl(turns: Sequence[Turn], bot: str, voices: Sequence[str]) -> str:
    """A line of the corpus format `jsonl`; a turn that another bot said names it, a cut one says so."""
    said: list[dict[str, Any]] = [{"speaker": turn.speaker, "text": turn.text} for turn in turns]
    for line, turn, voice in zip(said, turns, voices, strict=True):
        if turn.speaker != "user" and voice != bot:
            line["bot"] = voice
        if turn.cut:
            line["cut"] = True
    return escaped(json.dumps({"turns": said, "bot": bot}, ensure_ascii=False)) + "\n"


def as_markdown(turns: Sequence[Turn], bot: str, voices: Sequence[str]) -> str:
    """A paragraph a turn; what Markdown would read as its own signs is escaped."""
    lines = [
        f"**{'you' if turn.speaker == 'user' else _marked(voice)}:** {_marked(turn.text)}"
        + " *(interrupted)*" * turn.cut
        for turn, voice in zip(turns, voices, strict=True)
    ]
    return f"# A conversation with {_marked(_all(turns, bot, voices))}\n\n" + "\n\n".join(lines) + "\n"


def _marked(text: str) -> str:
    return "  \n".join(MARKDOWN.sub(_escape, line) for line in printable_lines(text).split("\n"))


def _all(turns: Sequence[Turn], bot: str, voices: Sequence[str]) -> str:
    """Every bot that spoke."""
    spoke = [voice for turn, voice in zip(turns, voices, strict=True) if turn.speaker != "user"]
    return " and ".join(dict.fromkeys(spoke)) or bot


def as_html(turns: Sequence[Turn], bot: str, voices: Sequence[str]) -> str:
    """A page that needs nothing beside it; its template escapes everything."""
    import jinja2  # slow to import

    environment = jinja2.Environment(loader=jinja2.PackageLoader("chatbot", "terminal"), autoescape=True)
    said = [
        (turn.speaker == "user", printable_lines(turn.text), printable(voice), turn.cut)
        for turn, voice in zip(turns, voices, strict=True)
    ]
    told = printable(_all(turns, bot, voices))
    return environment.get_template("transcript.html").render(bot=told, turns=said)


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] not in ".-!" else found[1]


Write = Callable[[Sequence[Turn], str, Sequence[str]], str]
KINDS: dict[str, Write] = {".jsonl": as_jsonl, ".md": as_markdown, ".html": as_html}
KINDS_SAID = ", ".join(KINDS)


def write(file: Path, turns: Sequence[Turn], bot: str, voices: Sequence[str] = ()) -> None:
    """Write a conversation in the kind that the file's name ends with, for its owner's eyes only.

    voices: which bot said each turn; where that is not told, `bot` did. The whole file or nothing.
    """
    known = [*voices, *[""] * len(turns)][: len(turns)]
    spoken = [voice or bot for voice in known]
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise ChatbotError(f"'{file.name}' says no kind of file", f"let it end with one of {KINDS_SAID}")
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(kind(turns, bot, spoken).encode("utf-8", "replace"))
        partial.replace(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ChatbotError(f"{file} cannot be written: {reason}", "nothing was lost") from None


def read(file: Path) -> tuple[Turn, ...]:
    """The last conversation of a file."""
    return with_report(file)[0]


def spoken(file: Path, count: int) -> tuple[str, tuple[str, ...]]:
    """Who the last conversation of a file was held with, and which bot said each of its `count` turns.

    Nothing where the file does not say, or has another number of turns.
    """
    for line in reversed(file.read_text(encoding="utf-8", errors="replace").splitlines()):
        with suppress(ValueError, RecursionError):  # a torn line
            last = json.loads(line)
            if isinstance(last, dict) and isinstance(last.get("turns"), list):
                return _named(last), _voices(last, count)
    return "", ()


def _voices(conversation: dict[str, Any], count: int) -> tuple[str, ...]:
    turns = [turn if isinstance(turn, dict) else {} for turn in conversation["turns"]]
    held_with = _named(conversation)
    voices = ("" if turn.get("speaker") == "user" else _named(turn) or held_with for turn in turns)
    return tuple(voices) if len(turns) == count else ()


def _named(values: dict[str, Any]) -> str:
    named = values.get("bot")
    return named if isinstance(named, str) and len(named) <= LONGEST_NAME else ""


def with_report(file: Path) -> tuple[tuple[Turn, ...], Report]:
    """The last conversation of a file, and what else the file holds."""
    if not os.path.lexists(file):
        raise ChatbotError(f"there is no {file}")
    if file.suffix.lower() != ".jsonl" or not files.is_file(file):
        raise ChatbotError(f"{file} is no conversation", "one that goes on ends with .jsonl")
    corpus = open_corpus(file)
    last = list(corpus)[-1]
    turns = (Turn("user" if turn.speaker == "user" else "bot", turn.text, turn.cut) for turn in last.turns)
    return tuple(turns), corpus.report


def shown(turns: Sequence[Turn]) -> Group:
    """The end of a conversation."""
    left_out = len(turns) - LAST
    first = [Text(f"... {left_out} turns before", style="dim")] if left_out > 0 else []
    lines = [
        Text("> " * (turn.speaker == "user") + printable_lines(turn.text) + CUT * turn.cut, style="dim")
        for turn in turns[-LAST:]
    ]
    return Group(*first, *lines)
