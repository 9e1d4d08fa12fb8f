"""Files that a user names in a conversation: what the system refuses is one line, never its end."""

from __future__ import annotations

import os
from pathlib import Path

from chatbot.errors import ChatbotError


def named(argument: str) -> Path:
    """The file or folder; "~" is a home."""
    try:
        return Path(argument).expanduser()
    except RuntimeError:
        raise ChatbotError(f"there is no home {Path(argument).parts[0]}", "write the whole path") from None


def exists(path: Path) -> bool:
    """Whether it is there for us: not where we may not look, nor under what no file can be called."""
    return os.path.exists(path)  # Path.exists() raises there


def is_file(path: Path) -> bool:
    """Whether it is a file that is there for us."""
    return os.path.isfile(path)


def beginning(typed: str) -> tuple[str, ...]:
    """What is there whose path begins so; folders end with a slash."""
    folder, slash, start = typed.rpartition("/")
    try:
        there = sorted(os.scandir(named(folder + slash or ".")), key=lambda entry: entry.name)
    except (OSError, ValueError, ChatbotError):
        return ()
    # What no line can hold is left out: a line break would make a text of a command.
    shown = [
        entry
        for entry in there
        if entry.name.isprintable() and (start.startswith(".") or not entry.name.startswith("."))
    ]
    found = [entry for entry in shown if entry.name.startswith(start)]
    return tuple(f"{folder}{slash}{entry.name}{'/' * entry.is_dir()}" for entry in found)


def append(file: Path, line: str) -> None:
    """Add a line to a file that only the user may read; it is made if there is none."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with open(opened, "a", encoding="utf-8") as kept:
            kept.write(f"{line}\n")
    except OSError as error:
        raise ChatbotError(f"{file} cannot be written: {error.strerror}") from None
