"""Check that a bot is whole and still says what it said when it was reported on."""

from __future__ import annotations

import click

from chatbot.bot import Bot
from chatbot.terminal.text import printable


@click.command(
    "verify",
    help=__doc__,
    epilog="`chatbot report` keeps the replies. Weights without their checksum are refused everywhere.",
)
@click.argument("name", metavar="[BOT]", required=False)
def verify(name: str | None) -> None:
    """Make the kept replies again; exit code 1 if one of them is another."""
    from chatbot import verification

    bot = Bot.load(name)  # compares the checksum
    click.echo(printable(f"{bot.name}: the weights are those that were saved"))
    if not verification.kept(bot):
        click.echo(
            printable(f"no replies are kept with it to make again; chatbot report {bot.name} keeps some")
        )
        return
    count, different = verification.verify(bot)
    for one in different:
        told = f"{one.prompt}  then: {one.then}  now: {one.now}"
        click.echo(printable(told))
    click.echo(f"{count - len(different)} of {count} replies are the same")
    if different:
        raise click.exceptions.Exit(1)
