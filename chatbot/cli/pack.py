"""Copy a bot to give away: weights in half precision, and nothing that only training needs."""

from __future__ import annotations

from pathlib import Path

import click

from chatbot.checkpoint import LONGEST_NAME, Checkpoint, find
from chatbot.cli.named import PATH
from chatbot.terminal.text import printable


@click.command(
    "pack",
    help=__doc__,
    epilog="FOLDER is the copy, its name the new bot's. What its notes.md says becomes a part of "
    "the card that `chatbot report` writes. `chatbot eval` of both shows what half precision costs.",
)
@click.argument("name", metavar="BOT")
@click.argument("folder", type=PATH)
@click.option(
    "--called", metavar="TEXT", default="", help="What the bot calls itself: `chatbot chat` says it."
)
def pack(name: str, folder: Path, called: str) -> None:
    """Say how large it became."""
    if called and not (
        called.isprintable() and len(called) <= LONGEST_NAME and any(map(str.isalnum, called))
    ):
        raise click.BadParameter(
            f"a name has letters, and {LONGEST_NAME} at the most.", param_hint="--called"
        )
    packed = Checkpoint.load(find(name)).pack(folder, called)
    size = sum(file.stat().st_size for file in packed.folder.iterdir())
    click.echo(printable(f"{packed.folder}: {size / 1e6:.1f} MB; talk to it: chatbot chat {packed.folder}"))
