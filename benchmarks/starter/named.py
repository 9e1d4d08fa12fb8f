"""How often a bot knows a name that it was just told.

    python -m benchmarks.starter.named starter-gpt starter-seq2seq

Thirty usual names (names.txt, evenly spread), each said in three ways in a conversation of its own, and asked
for after one more exchange.
"""

from __future__ import annotations

import click

from benchmarks.starter.__main__ import HERE, talk
from chatbot.bot import Bot

NAMES = 30
WAYS = ("hi, my name is {}", "I'm {}, by the way", "you can call me {}")
BETWEEN, ASKED = "I had a nice day today", "what's my name?"


@click.command(help=__doc__)
@click.argument("bots", nargs=-1, required=True)
def main(bots: tuple[str, ...]) -> None:
    """A line for each bot."""
    names = (HERE / "names.txt").read_text(encoding="utf-8").split()
    some = names[:: len(names) // NAMES][:NAMES]
    for name in bots:
        bot = Bot.load(name)
        wrong = [
            told.format(person)
            for person in some
            for told in WAYS
            if person not in list(talk(bot, [told.format(person), BETWEEN, ASKED], 0))[-1][1]
        ]
        count = len(some) * len(WAYS)
        click.echo(
            f"{bot.name}: {count - len(wrong)} of {count}" + "; not: " * bool(wrong) + ", ".join(wrong)
        )


if __name__ == "__main__":
    main()
