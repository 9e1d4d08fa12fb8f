"""Conversations on disk: as JSONL, which `chatbot train` reads too, as Markdown, as a page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Group
from rich.text import Text

from chatbot.corpus import Report, open_corpus
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
    return with_report(file)[0]


def bot_of(file: Path) -> str:
    """Who the last conversation of a file was held with; nothing where it does not say."""
    for line in reversed(file.read_text(encoding="utf-8", errors="replace").splitlines()):
        with suppress(ValueError, RecursionError):  # a torn line
            last = json.loads(line)
            named = last.get("bot") if isinstance(last, dict) else None
            return named if isinstance(named, str) else ""
    return ""


def with_report(file: Path) -> tuple[tuple[Turn, ...], Report]:
    """The last conversation of a file, and what else the file holds."""
    if not os.path.lexists(file):
        raise ChatbotError(f"there is no {file}")
    if file.suffix.lower() != ".jsonl" or not files.is_file(file):
        raise ChatbotError(f"{file} is no conversation", "one that goes on ends with .jsonl")
    corpus = open_corpus(file)
    last = list(corpus)[-1]
    turns = (Turn("user" if turn.speaker == "user" else "bot", turn.text) for turn in last.turns)
    return tuple(turns), corpus.report


def shown(turns: Sequence[Turn]) -> Group:
    """The end of a conversation."""
    left_out = len(turns) - LAST
    first = [Text(f"... {left_out} turns before", style="dim")] if left_out > 0 else []
    lines = [
        Text(f"> {printable(turn.text)}" if turn.speaker == "user" else printable(turn.text), style="dim")
        for turn in turns[-LAST:]
    ]
    return Group(*first, *lines)
