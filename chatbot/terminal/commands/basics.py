"""Help, settings, leaving."""

from __future__ import annotations

import re
from dataclasses import fields

from rich.table import Table
from rich.text import Text

from chatbot.config import choices, parse
from chatbot.decoding import OTHER_NAMES, USUAL, SamplingConfig, Styles, adjusted, style_of, styled
from chatbot.terminal.commands.table import COMMANDS, command
from chatbot.terminal.session import Session
from chatbot.terminal.text import nats_per_word, printable

SHOWN = {None: "none", "": "none", True: "on", False: "off"}
SETTINGS = tuple(field.name for field in fields(SamplingConfig))

KEYS = {
    "Enter": "send",
    "Alt-Enter, Ctrl-J": 'a new line; so is Enter after """, until the next """',
    "Tab": "complete a command, a value, a file",
    "Right": "take the suggestion, in grey",
    "Up, Down": "what you said before",
    "Ctrl-G": "write in your editor ($VISUAL or $EDITOR)",
    "Ctrl-C": "stop a reply, or clear what is typed",
    "Ctrl-D": "leave",
    "Ctrl-Z": "to the shell; fg comes back",
    "Ctrl-R": "search what you said before",
    "//text": "say a text that begins with a slash",
}


@command("help", "?", help="this list")
def show_help(session: Session, argument: str) -> None:
    """Show every command and key."""
    table = Table.grid(padding=(0, 2))
    for entry in dict.fromkeys(COMMANDS.values()):
        names = ", ".join(f"/{name}" for name in entry.names)
        told = entry.help.replace("{values}", printable(", ".join(entry.values(session, ("",)))))
        table.add_row(Text(f"{names} {entry.arguments}", overflow="fold"), Text(told))
    table.add_row()
    for key, meaning in KEYS.items():
        table.add_row(Text(key), Text(meaning))
    session.console.print(table)


@command(
    "set",
    arguments="[NAME VALUE]",
    help="change how replies are drawn; alone: show the settings; nohistory: keep nothing of what you type",
    values=lambda session, words: (
        (*SETTINGS, "history", "nohistory") if len(words) < 2 else choices(SamplingConfig, words[0])
    ),
)
def set_(session: Session, argument: str) -> None:
    """Show the settings, or change one."""
    name, *rest = re.split(r"[\s=]+", argument, maxsplit=1)
    name, value = name.replace("-", "_"), "".join(rest).strip()
    name = OTHER_NAMES.get(name, name)
    if name in ("history", "nohistory"):
        wanted = parse(value or "on", bool, f"/set {name}")
        session.remembers = wanted == (name == "history")
        told = "goes to" if session.remembers else "no longer goes to"
        session.console.print(Text(f"What you type {told} the history file."))
        return
    if name:
        session.change(lambda bot: _set(bot.sampling, name, value))
    session.console.print(settings(session.sampling, (name,) if name else SETTINGS))


@command(
    "style",
    arguments="[NAME]",
    help="change several settings at once: {values}; alone: show them",
    values=lambda session, words: session.styles,
)
def style(session: Session, argument: str) -> None:
    """Show the styles, or take the settings of one."""
    if argument:
        session.change(lambda bot: styled(bot.sampling, argument, bot.styles))
    now, styles = style_of(session.sampling, session.bot.styles), session.bot.styles
    table = Table.grid(padding=(0, 2))
    for name in (argument,) if argument else session.styles:
        table.add_row(
            Text("*" if name == now else ""), Text(printable(name)), Text(_told(name, styles), style="dim")
        )
    session.console.print(table)


@command("show", help="who this is, what it learned from, and the settings that are not the usual ones")
def show(session: Session, argument: str) -> None:
    """The bot's card in a few lines."""
    table = Table.grid(padding=(0, 2))
    for name, value in _facts(session).items():
        table.add_row(Text(name), Text(printable(value)))
    session.console.print(table)


@command("clear", "new", help="forget the conversation and begin another")
def clear(session: Session, argument: str) -> None:
    """Forget what was said; what is kept on disk stays there."""
    session.begin()
    session.console.print(Text("A new conversation."))


@command("exit", "quit", "bye", help="leave")
def leave(session: Session, argument: str) -> None:
    """Leave as Ctrl-D does."""
    raise EOFError


def settings(sampling: SamplingConfig, names: tuple[str, ...]) -> Table:
    """Settings, their values, and what they mean."""
    table = Table.grid(padding=(0, 2))
    for setting in fields(sampling):
        if setting.name in names:
            value = getattr(sampling, setting.name)
            shown = SHOWN.get(value, str(value)) if isinstance(value, (bool, str, type(None))) else str(value)
            table.add_row(Text(setting.name), Text(shown), Text(setting.metadata["help"], style="dim"))
    return table


def _told(name: str, styles: Styles) -> str:
    """What a style changes of the bot's usual settings."""
    usual, style = styles[USUAL], styles[name]
    changed = [f"{key} {value}" for key, value in style.items() if value != usual[key]]
    return ", ".join(changed) or "as it was saved"


def _set(sampling: SamplingConfig, name: str, value: str) -> SamplingConfig:
    """A copy with a setting changed, if there is a value; `override` reports a name that does not exist."""
    return adjusted(sampling, {name: value or str(getattr(sampling, name, ""))})


def _facts(session: Session) -> dict[str, str]:
    bot, config = session.bot, session.bot.checkpoint.config
    usual, now = SamplingConfig(), session.sampling
    changed = [name for name in SETTINGS if getattr(now, name) != getattr(usual, name)]
    facts = {
        "bot": f"{bot.name} ({config.family}, {config.size or 'no size of the list'})",
        "folder": str(bot.checkpoint.folder),
        "learned from": str(config.corpus.get("name", "")),
        "trained": str(bot.header.get("trained", ""))[:10],
        "nats a word": nats_per_word(bot.header.get("figures")),
        "sees": f"{bot.context} turns, {bot.responder.examples.prompt_limit} tokens",
        "said so far": f"{len(session.turns)} turns",
        "style": style_of(now, bot.styles),
        "styles": ", ".join(bot.styles),
        "settings": ", ".join(f"{name} {getattr(now, name)}" for name in changed) or "the usual ones",
        "kept in": str(session.log.file) if session.log else "",
    }
    return {name: value for name, value in facts.items() if value}
