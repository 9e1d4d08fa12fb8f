"""What can be typed after a slash. One table: dispatch, /help and completion are made from it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatbot.config import override
from chatbot.decoding import STYLES, SamplingConfig, Styles, styled
from chatbot.dialogue import Turn
from chatbot.errors import ChatbotError
from chatbot.replying import Reply, Responder
from chatbot.terminal.attention import AttentionMap
from chatbot.terminal.text import printable


@dataclass
class Session:
    """A conversation, as far as it has come."""

    name: str
    responder: Responder
    console: Console
    attention: bool = False
    styles: Styles = field(default_factory=lambda: STYLES)
    turns: tuple[Turn, ...] = ()
    last: Reply | None = None


Run = Callable[[Session, str], None]


@dataclass(frozen=True)
class Command:
    """A command: its first name is the one that /help shows; `values` are what completion offers."""

    names: tuple[str, ...]
    arguments: str
    help: str
    values: tuple[str, ...]
    run: Run


COMMANDS: dict[str, Command] = {}
SETTINGS = tuple(field.name for field in fields(SamplingConfig))

KEYS = {
    "Enter": "send",
    "Alt-Enter": "a new line",
    "Ctrl-C": "stop a reply, or clear what is typed",
    "Ctrl-D": "leave",
    "//text": "say a text that begins with a slash",
}


def command(
    *names: str, arguments: str = "", help: str, values: tuple[str, ...] = ()
) -> Callable[[Run], Run]:
    """Enter a function into the table under these names."""

    def enter(run: Run) -> Run:
        entry = Command(names, arguments, help, values, run)
        COMMANDS.update(dict.fromkeys(names, entry))
        return run

    return enter


def run(session: Session, line: str) -> None:
    """Run a line that begins with a slash. EOFError means that the user wants to leave."""
    name, _, argument = line.removeprefix("/").partition(" ")
    if name not in COMMANDS:
        raise ChatbotError(f"Unknown command '/{name}'. Type /help for help.", _nearest(name))
    COMMANDS[name].run(session, argument.strip())


def completions(line: str) -> list[str]:
    """What the last word of a command line can become."""
    if not line.startswith("/") or "\n" in line:
        return []
    name, space, argument = line[1:].partition(" ")
    if not space:
        return [f"/{known}" for known in COMMANDS if known.startswith(name)]
    values = COMMANDS[name].values if name in COMMANDS else ()
    return [value for value in values if value.startswith(argument)]


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"did you mean '/{near[0]}'?" if near else ""


@command("help", "?", help="this list")
def show_help(session: Session, argument: str) -> None:
    """Show every command and key."""
    table = Table.grid(padding=(0, 2))
    for entry in dict.fromkeys(COMMANDS.values()):
        names = ", ".join(f"/{name}" for name in entry.names)
        table.add_row(Text(f"{names} {entry.arguments}"), Text(entry.help))
    table.add_row()
    for key, meaning in KEYS.items():
        table.add_row(Text(key), Text(meaning))
    session.console.print(table)


@command(
    "attention",
    arguments="[on|off]",
    help="which of your words each word of a reply looked at; without on or off: for the last reply",
    values=("on", "off"),
)
def attention(session: Session, argument: str) -> None:
    """Switch the heat maps on or off, or show the last reply's."""
    if argument in ("on", "off"):
        session.attention = argument == "on"
        session.console.print(Text(f"attention {argument}"))
    elif argument:
        raise ChatbotError(f"/attention takes on or off, not '{argument}'")
    elif session.last is None:
        raise ChatbotError("There is no reply yet.", "say something first, or: /attention on")
    else:
        session.console.print(AttentionMap(session.last))


@command(
    "set",
    arguments="[NAME VALUE]",
    help="change how replies are drawn; alone: show the settings",
    values=SETTINGS,
)
def set_(session: Session, argument: str) -> None:
    """Show the settings, or change one."""
    name, *rest = re.split(r"[\s=]+", argument, maxsplit=1)
    name, value = name.replace("-", "_"), "".join(rest).strip()
    sampling = session.responder.sampling
    if name:
        changed = override(sampling, {name: value or _current(sampling, name)}, "sampling")
        session.responder = session.responder.with_sampling(changed)
    session.console.print(_settings(session.responder.sampling, (name,) if name else SETTINGS))


@command(
    "style",
    arguments="NAME",
    help=f"change several settings at once: {', '.join(STYLES)}",
    values=tuple(STYLES),
)
def style(session: Session, argument: str) -> None:
    """Take the settings of a style."""
    if not argument:
        raise ChatbotError("/style takes a name", f"there are: {', '.join(session.styles)}")
    changed = styled(session.responder.sampling, argument, session.styles)
    session.responder = session.responder.with_sampling(changed)
    session.console.print(_settings(changed, tuple(session.styles[argument])))


@command("clear", help="forget the conversation and begin another")
def clear(session: Session, argument: str) -> None:
    """Forget what was said."""
    session.turns, session.last = (), None
    session.console.print(Text("A new conversation."))


@command("exit", "quit", "bye", help="leave")
def leave(session: Session, argument: str) -> None:
    """Leave as Ctrl-D does."""
    raise EOFError


def _current(sampling: SamplingConfig, name: str) -> str:
    """A setting's value as text; `override` reports a name that does not exist."""
    return str(getattr(sampling, name, ""))


def _settings(sampling: SamplingConfig, names: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for setting in fields(sampling):
        if setting.name in names:
            value = getattr(sampling, setting.name)
            shown = "none" if value in (None, "") else str(value)
            table.add_row(Text(setting.name), Text(shown), Text(setting.metadata["help"], style="dim"))
    return table


def problem(error: ChatbotError) -> str:
    """An error as one line."""
    return printable(f"{error.what} ({error.hint})" if error.hint else error.what)
