"""Who one talks to."""

from __future__ import annotations

import dataclasses

from rich.table import Table
from rich.text import Text

from chatbot import checkpoint
from chatbot.bot import Bot
from chatbot.decoding import SamplingConfig, alone
from chatbot.errors import ChatbotError
from chatbot.terminal.commands.table import command
from chatbot.terminal.session import Session
from chatbot.terminal.text import printable


def names() -> tuple[str, ...]:
    """The bots that there are."""
    return tuple(bot.name for bot in checkpoint.available() if not bot.problem)


@command(
    "model",
    "bot",
    arguments="[NAME]",
    help="go on with another bot; alone: who there is",
    values=lambda session, words: names(),
)
def model(session: Session, argument: str) -> None:
    """Change the bot; the conversation stays, and so do the settings that were changed in it."""
    if not argument:
        session.console.print(_bots(session))
        return
    bot = session.bot = _loaded(session, argument)
    session.rivals, session.last, session.last_bot = (), None, None
    session.console.print(Text(printable(f"This is {checkpoint.introduced(bot.checkpoint.folder)} now.")))


@command(
    "compare",
    arguments="[BOT BOT|off]",
    help="two bots answer, you see which is which after you chose; `chatbot compare` shows the tally",
    values=lambda session, words: ("off", *names()),
)
def compare(session: Session, argument: str) -> None:
    """Let two bots answer from now on; of one name, the other is who one talks to."""
    asked = argument.split()
    if asked == ["off"]:
        session.rivals = ()
        session.console.print(Text(printable(f"{session.bot.name} answers alone.")))
        return
    if not 1 <= len(asked) <= 2:
        raise ChatbotError("/compare takes one bot or two", f"there are: {', '.join(names()) or 'none'}")
    if session.console.stderr:
        raise ChatbotError("there is no choosing where the replies go to a file", "leave out the redirection")
    loaded = tuple(_loaded(session, name) for name in asked)
    rivals = loaded if len(loaded) == 2 else (session.bot, *loaded)
    one, other = (printable(rival.name) for rival in rivals)
    if one == other:
        raise ChatbotError("a bot cannot be compared with itself", f"there are: {', '.join(names())}")
    session.rivals = rivals
    session.console.print(
        Text(
            f"{one} and {other} both answer from now on, in a new order each time. Say which reply is "
            "better, and you see whose it was; the conversation goes on with it. /compare off ends it."
        )
    )


def _loaded(session: Session, name: str) -> Bot:
    """A bot, with what was set in this conversation."""
    before, saved, bot = session.sampling, session.bot.usual, session.load(name)
    changed = {key: value for key, value in vars(before).items() if value != getattr(saved, key)}
    return bot.with_sampling(_with(bot.sampling, changed))


def _with(sampling: SamplingConfig, changed: dict[str, object]) -> SamplingConfig:
    return dataclasses.replace(sampling, **alone(changed) | changed)  # type: ignore[arg-type]


def _bots(session: Session) -> Table:
    table = Table.grid(padding=(0, 2))
    for bot in checkpoint.available():
        mark = "*" if bot.name == session.bot.name else ""
        told = f"cannot be used: {bot.problem}" if bot.problem else f"{bot.family}, {bot.corpus}"
        table.add_row(Text(mark), Text(printable(bot.name)), Text(printable(told), style="dim"))
    return table
