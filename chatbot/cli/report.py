"""Write a bot's report: a page to open in a browser, and its card."""

from __future__ import annotations

from pathlib import Path

import click

from chatbot.bot import Bot
from chatbot.errors import ChatbotError

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
    type=click.Path(path_type=Path),
    help="The page.  [default: report.html in the bot's folder]",
)
def report(name: str | None, out: Path | None) -> None:
    """Fill the templates and say where the files are."""
    from chatbot import report as reports  # brings torch

    bot = Bot.load(name)
    made = reports.report(bot)
    if out is None:
        bot.checkpoint.save_text(PAGE, made.page)
    else:
        _write(out, made.page)
    click.echo(str(out or bot.checkpoint.folder / PAGE))
    bot.checkpoint.save_text(CARD, made.card)
    click.echo(str(bot.checkpoint.folder / CARD))


def _write(out: Path, page: str) -> None:
    """To where the user wants it."""
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ChatbotError(f"{out} cannot be written: {error.strerror}") from None
