"""How often a bot replies the same to a prompt that is typed in a hurry.

    python -m benchmarks.starter.hurried starter-gpt starter-seq2seq

What the fifties begin their conversations with, as it stands there and typed by five hands (careless.py);
some of them change nothing. The replies are the likeliest, word by word, so that only the typing matters.
"""

from __future__ import annotations

import random

import click

from benchmarks.starter.__main__ import HERE, conversations
from benchmarks.starter.careless import drawn, typed
from benchmarks.starter.draw import replies
from chatbot.bot import Bot
from chatbot.dialogue import Turn

HANDS = 5
SEED = 1000
GREEDY = 1e-4


@click.command(help=__doc__)
@click.argument("bots", nargs=-1, required=True)
def main(bots: tuple[str, ...]) -> None:
    """A line for each bot."""
    files = sorted(path.name for path in HERE.glob("newcomer*.txt"))
    plain = sorted({told[0] for file in files for told in conversations(file)})
    hurried = [variants(text) for text in plain]
    for name in bots:
        bot = Bot.load(name)
        said = greedy(bot, plain)
        again = greedy(bot, [text for texts in hurried for text in texts])
        same = sum(a == said[i // HANDS] for i, a in enumerate(again))
        click.echo(f"{bot.name}: {same / len(again):.1%} of {len(again):,} replies are the same")


def variants(text: str) -> list[str]:
    """A prompt typed by five hands, the same whenever it is asked for."""
    chance = random.Random(f"{SEED} {text}")
    return [typed(text, drawn(chance), chance) for _ in range(HANDS)]


def greedy(bot: Bot, texts: list[str]) -> list[str]:
    """The bot's likeliest reply to each, by itself."""
    return replies(bot, [[Turn("user", text)] for text in texts], bot.name, seed=0, temperature=GREEDY)


if __name__ == "__main__":
    main()
