"""Write a bot's report: a page to open in a browser, its card, and replies to verify it by."""

from __future__ import annotations

from pathlib import Path

import click

from chatbot.bot import Bot
from chatbot.checkpoint import OWN
from chatbot.cli.named import PATH
from chatbot.errors import ConfigError
from chatbot.terminal.text import printable

PAGE, CARD = "report.html", "README.md"


@click.command(
    "report",
    help=__doc__,
    epilog="Run `chatbot eval` first: its table becomes part of the page. The card is written into the bot's "
    "folder as README.md.",
)
@click.argument("name", metavar="[BOT]", required=False)
@click.option(
    "--out",
    type=PATH,
    help="The page.  [default: report.html in the bot's folder]",
)
def report(name: str | None, out: Path | None) -> None:
    """Fill the templates and say where the files are."""
    from chatbot import report as reports  # brings torch
    from chatbot import verification
    from chatbot.training import PROMPTS

    bot = Bot.load(name)
    folder = bot.checkpoint.folder
    page, card = out or folder / PAGE, folder / CARD
    if page.parent.resolve() == folder.resolve() and page.name in OWN:
        raise ConfigError(f"{page} is a part of the bot", "give the page another name")
    made = reports.report(bot)
    if out is None:
        bot.checkpoint.save_text(PAGE, made.page)
    else:
        bot.checkpoint.write(out, made.page)
    click.echo(printable(str(page)))
    bot.checkpoint.save_text(CARD, made.card)
    verification.keep(bot, PROMPTS)
    click.echo(printable(str(card)))
