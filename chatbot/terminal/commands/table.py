"""What can be typed after a slash. One table: dispatch, /help and completion are made from it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from chatbot.config import quoted
from chatbot.errors import ChatbotError
from chatbot.terminal.session import Session
from chatbot.terminal.text import printable

Run = Callable[[Session, str], str | None]  # what it gives is said to the bot
Values = Callable[[Session, tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True)
class Command:
    """A command: its first name is the one that /help shows.

    values: what completion offers for the last of these words, in this conversation. help: "{values}" stands
    for those of the first there.
    """

    names: tuple[str, ...]
    arguments: str
    help: str
    values: Values
    run: Run


COMMANDS: dict[str, Command] = {}
# What other programs call it, where it is not our nearest name.
OTHERWISE = {
    **dict.fromkeys(("h", "commands"), "help"),
    **dict.fromkeys(("q", "x", "stop", "end"), "exit"),
    **dict.fromkeys(("reset", "restart", "forget"), "clear"),
    **dict.fromkeys(("list", "models", "bots", "switch"), "model"),
    **dict.fromkeys(("settings", "options", "parameters", "config"), "set"),
    **dict.fromkeys(("temp", "temperature"), "set temperature"),
    **dict.fromkeys(("history", "transcript", "write", "copy"), "save"),
    **dict.fromkeys(("info", "status", "stats", "about"), "show"),
    **dict.fromkeys(("open", "resume", "continue"), "load"),
    **dict.fromkeys(("again", "redo", "another", "reroll"), "regen"),
    **dict.fromkeys(("map", "heatmap", "look"), "attention"),
    "seed": "set seed",
}


def no_values(session: Session, words: tuple[str, ...]) -> tuple[str, ...]:
    """Where nothing can be completed."""
    return ()


def command(*names: str, arguments: str = "", help: str, values: Values = no_values) -> Callable[[Run], Run]:
    """Enter a function into the table under these names."""

    def enter(run: Run) -> Run:
        entry = Command(names, arguments, help, values, run)
        COMMANDS.update(dict.fromkeys(names, entry))
        return run

    return enter


def run(session: Session, line: str) -> str | None:
    """Run a line that begins with a slash; what it gives is to be said. EOFError: the user wants to leave."""
    name, _, argument = line.removeprefix("/").partition(" ")
    name = name.lower()
    if name not in COMMANDS:
        raise ChatbotError(f"Unknown command '/{name}'. Type /? for help.", _nearest(name))
    argument = argument.strip()
    if argument and not COMMANDS[name].arguments:
        raise ChatbotError(f"/{name} takes nothing more, not {quoted(argument)}", f"type /{name} alone")
    return COMMANDS[name].run(session, argument)


def completions(session: Session, line: str) -> list[str]:
    """What the last word of a command line can become."""
    if not line.startswith("/") or "\n" in line:
        return []
    name, space, argument = line[1:].partition(" ")
    if not space:
        found = [known for known in COMMANDS if known.startswith(name)]
        first = [known for known in found if known == COMMANDS[known].names[0]]  # not their other names too
        return [f"/{known}" for known in first or found]
    words = tuple(argument.split(" "))
    values = COMMANDS[name].values(session, words) if name in COMMANDS else ()
    return [value for value in values if value.startswith(words[-1])]


def _nearest(name: str) -> str:
    if not name.isalpha():
        return f"to say it to the bot: //{name} ..."
    near = [OTHERWISE[name]] if name in OTHERWISE else difflib.get_close_matches(name, COMMANDS, n=1)
    return f"did you mean '/{near[0]}'?" if near else ""


def problem(error: ChatbotError) -> str:
    """An error as one line."""
    return printable(f"{error.what} ({error.hint})" if error.hint else error.what)
