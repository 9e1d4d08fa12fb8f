"""Show which of two bots you preferred, blindly, with /compare in a conversation."""

from __future__ import annotations

import click

from chatbot.cli.list import write
from chatbot.terminal import comparing
from chatbot.terminal.comparing import Tally
from chatbot.terminal.text import printable

HEADINGS = [
    "one bot",
    "was better",
    "equal",
    "was better",
    "the other",
    "how often one was better, and from where to where at 95 %",
]


@click.command("compare", help=__doc__)
def compare() -> None:
    """Print a line for each two bots."""
    tallies = comparing.tallies()
    if not tallies:
        click.echo("Nothing was compared yet. In a conversation: /compare BOT BOT", err=True)
        return
    write([HEADINGS, *map(cells, tallies)])


def cells(tally: Tally) -> list[str]:
    """Two bots and what was judged of them."""
    share, low, high = tally.preferred()
    told = f"{printable(tally.one)}: {share:.0%} of {tally.ones + tally.others} ({low:.0%} to {high:.0%})"
    return [
        printable(tally.one),
        f"{tally.ones}",
        f"{tally.equal}",
        f"{tally.others}",
        printable(tally.other),
        told,
    ]
