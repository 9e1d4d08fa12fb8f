"""Show the bots that there are to talk to."""

from __future__ import annotations

import click
from rich.cells import cell_len

from chatbot import checkpoint
from chatbot.checkpoint import Summary
from chatbot.terminal.text import printable


@click.command("list", help=__doc__)
def list_() -> None:
    """Print a line for each bot."""
    bots = checkpoint.available()
    if not bots:
        click.echo("There is no bot yet. Train one: chatbot train corpora/cornell", err=True)
    for line in aligned([cells(bot) for bot in bots]):
        click.echo(line)


def cells(bot: Summary) -> list[str]:
    """What is said of a bot; all of it comes from files, so it is made safe to print."""
    if bot.problem:
        values = [bot.name, f"cannot be used: {bot.problem}"]
    else:
        figures = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in bot.figures.items()]
        size, date = f"{count(bot.parameters)} parameters", bot.trained[:10]
        values = [bot.name, bot.family, size, bot.corpus, date, ", ".join(figures)]
    return [printable(value) for value in values]


def count(number: int) -> str:
    """5230000 -> "5.2M" """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines with their cells below each other; the last cell of a row is as long as it is."""
    widths: dict[int, int] = {}
    for row in rows:
        for i, cell in enumerate(row[:-1]):
            widths[i] = max(widths.get(i, 0), cell_len(cell))
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: list[str], widths: dict[int, int]) -> list[str]:
    return [cell + " " * (widths.get(i, 0) - cell_len(cell)) for i, cell in enumerate(row[:-1])] + row[-1:]
