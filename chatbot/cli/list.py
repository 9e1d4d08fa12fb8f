"""Show the bots that there are to talk to."""

from __future__ import annotations

import sys
from shutil import get_terminal_size

import click
from rich.cells import cell_len

from chatbot import checkpoint
from chatbot.checkpoint import Summary
from chatbot.terminal.text import nats_per_word, printable

MARK = "*"
HEADINGS = ["", "name", "model", "size", "trained", "nats/word", "corpus"]


@click.command("list", help=__doc__)
def list_() -> None:
    """Print a line for each bot."""
    bots = checkpoint.available()
    if not bots:
        click.echo("There is no bot yet. Train one: chatbot train corpora/smalltalk --time 3m", err=True)
        return
    default = checkpoint.newest(bots)
    write([HEADINGS, *(cells(bot, bot is default) for bot in bots)])
    if default:
        click.echo(f"{MARK} is who `chatbot chat` talks to without a name", err=True)


def cells(bot: Summary, is_default: bool = False) -> list[str]:
    """What is said of a bot; all of it comes from files, so it is made safe to print."""
    mark = MARK if is_default else ""
    if bot.problem:
        values = [mark, bot.name, f"cannot be used: {bot.problem}"]
    else:
        quality = nats_per_word(bot.figures) or "-"
        size, date = count(bot.parameters), bot.trained[:10]
        values = [mark, bot.name, bot.family, size, date, quality, bot.corpus]
    return [printable(value) for value in values]


def count(number: int) -> str:
    """5230000 -> "5.2M" """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def write(rows: list[list[str]]) -> None:
    """Print a table: lines in a pipe; in a window that is too narrow for them, cells of several lines."""
    lines = aligned(rows)
    redirected = sys.stdout is None or not sys.stdout.isatty()
    if redirected or max(cell_len(line) for line in lines) <= get_terminal_size().columns:
        for line in lines:
            click.echo(line)
        return
    from rich.console import Console  # 0.1 s
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines with their cells below each other; the last cell of a row is as long as it is."""
    widths: dict[int, int] = {}
    for row in rows:
        for i, cell in enumerate(row[:-1]):
            widths[i] = max(widths.get(i, 0), cell_len(cell))
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: list[str], widths: dict[int, int]) -> list[str]:
    return [cell + " " * (widths.get(i, 0) - cell_len(cell)) for i, cell in enumerate(row[:-1])] + row[-1:]
