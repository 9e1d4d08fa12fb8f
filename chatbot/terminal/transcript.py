"""Conversations on disk: as JSONL, which `chatbot train` reads too, as Markdown, as a page."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Group
from rich.text import Text

from chatbot import paths
from chatbot.corpus import open_corpus
from chatbot.dialogue import Turn
from chatbot.errors import ChatbotError
from chatbot.terminal import files
from chatbot.terminal.text import escaped, printable

LAST = 6  # turns that are shown of a conversation that goes on
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~])")


def as_jsonl(turns: Sequence[Turn], bot: str) -> str:
    """A line of the corpus format `jsonl`."""
    said = [{"speaker": turn.speaker, "text": turn.text} for turn in turns]
    return escaped(json.dumps({"turns": said, "bot": bot}, ensure_ascii=False)) + "\n"


def as_markdown(turns: Sequence[Turn], bot: str) -> str:
    """A paragraph a turn; what Markdown would read as its own signs is escaped."""
    title = MARKDOWN.sub(_escape, printable(bot))
    lines = [
        f"**{'you' if turn.speaker == 'user' else title}:** {MARKDOWN.sub(_escape, printable(turn.text))}"
        for turn in turns
    ]
    return f"# A conversation with {title}\n\n" + "\n\n".join(lines) + "\n"


def as_html(turns: Sequence[Turn], bot: str) -> str:
    """A page that needs nothing beside it; its template escapes everything."""
    import jinja2  # slow to import

    environment = jinja2.Environment(loader=jinja2.PackageLoader("chatbot", "terminal"), autoescape=True)
    said = [Turn(turn.speaker, printable(turn.text)) for turn in turns]
    return environment.get_template("transcript.html").render(bot=printable(bot), turns=said)


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] not in ".-!" else found[1]


Write = Callable[[Sequence[Turn], str], str]
KINDS: dict[str, Write] = {".jsonl": as_jsonl, ".md": as_markdown, ".html": as_html}
KINDS_SAID = ", ".join(KINDS)


def write(file: Path, turns: Sequence[Turn], bot: str) -> None:
    """Write a conversation in the kind that the file's name ends with, for its owner's eyes only.

    The whole file or nothing.
    """
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise ChatbotError(f"'{file.name}' says no kind of file", f"let it end with one of {KINDS_SAID}")
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(kind(turns, bot).encode("utf-8", "replace"))
        partial.replace(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ChatbotError(f"{file} cannot be written: {reason}", "nothing was lost") from None


def read(file: Path) -> tuple[Turn, ...]:
    """The last conversation of a file."""
    if file.suffix.lower() != ".jsonl" or not files.is_file(file):
        raise ChatbotError(f"{file} is no conversation", "one that goes on ends with .jsonl")
    last = list(open_corpus(file))[-1]
    return tuple(Turn("user" if turn.speaker == "user" else "bot", turn.text) for turn in last.turns)


def shown(turns: Sequence[Turn]) -> Group:
    """The end of a conversation."""
    left_out = len(turns) - LAST
    first = [Text(f"... {left_out} turns before", style="dim")] if left_out > 0 else []
    lines = [
        Text(f"> {printable(turn.text)}" if turn.speaker == "user" else printable(turn.text), style="dim")
        for turn in turns[-LAST:]
    ]
    return Group(*first, *lines)


def folder() -> Path:
    """Where conversations are kept for `--log` and `--continue`."""
    return paths.home() / "conversations"


def fresh() -> Path:
    """A file for a conversation that begins now."""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ChatbotError(f"{folder()} cannot be made: {error.strerror}") from None
    started = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    names = itertools.chain([started], (f"{started}-{n}" for n in itertools.count(2)))
    return next(file for name in names if not (file := folder() / f"{name}.jsonl").exists())


def newest() -> Path:
    """The conversation that was kept last."""
    there = filter(files.is_file, folder().glob("*.jsonl"))  # not a link to nowhere
    found = sorted(there, key=lambda file: (file.stat().st_mtime_ns, file.name))
    if not found:
        raise ChatbotError("no conversation was kept yet", "keep one: chatbot chat --log")
    return found[-1]
