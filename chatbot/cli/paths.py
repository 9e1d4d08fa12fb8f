"""Show the folders and files that chatbot uses."""

from __future__ import annotations

import click

from chatbot import paths as places
from chatbot.terminal.text import printable


@click.command("paths", help=__doc__)
def paths() -> None:
    """A line for each; CHATBOT_HOME moves all that are not in this folder."""
    from chatbot.terminal import comparing, judging, keeping

    here, users, shipped = places.checkpoint_folders()
    for name, path in {
        "bots here": here.absolute(),
        "your bots": users,
        "bots that came along": shipped,
        "what you typed": places.history_file(),
        "conversations kept": keeping.folder(),
        "comparisons": comparing.file(),
        "judged replies": judging.file(),
    }.items():
        click.echo(f"{name:22}{printable(str(path))}")
