"""Conversations of a corpus with a bot's replies in them, where it says the same twice: for another to learn.

    python -m benchmarks.starter.agreed starter-gpt corpora/plaintalk agreed.jsonl --without stock.jsonl

Of the training part of the corpus, everything that a user says, up to the sixth message of a conversation,
but for what stands in --without with a reply of its own. Each is answered twice, drawn by chance; where both
replies are the same, most are right, and the conversation up to it is written with that reply. So a smaller
model learns to say what a larger one says for sure (sequence-level distillation, Kim & Rush 2016), to prompts
whose own replies are too rare to learn from.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from benchmarks.starter.draw import replies
from benchmarks.starter.renamed import cleaned, line, training_part
from chatbot.bot import Bot
from chatbot.dialogue import Dialogue, Turn

FARTHEST = 11  # turns of a conversation, the reply's not counted
AT_ONCE = 2000


@click.command(help=__doc__)
@click.argument("name")
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--without", multiple=True, type=click.Path(exists=True, path_type=Path), help="Corpora.")
@click.option("--count", default=50_000, show_default=True, help="Messages to answer, at the most.")
@click.option("--temperature", default=0.4, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    name: str, corpus: Path, out: Path, without: tuple[Path, ...], count: int, temperature: float, seed: int
) -> None:
    """Write what is agreed on, and say how much that is."""
    bot = Bot.load(name, engine="torch")
    known = {said for path in without for said in asked(cleaned(path))}
    found = sorted(set(asked(training_part(corpus))) - known, key=str)
    random.Random(seed).shuffle(found)
    written = 0
    with out.open("w", encoding="utf-8") as file:
        for turns, reply in agreed(bot, found[:count], temperature, seed):
            file.write(line([*((turn.speaker, turn.text) for turn in turns), ("bot", reply)]))
            written += 1
    click.echo(f"{written:,} of {min(count, len(found)):,} messages answered twice the same")


def asked(dialogues: Iterable[Dialogue]) -> Iterator[tuple[Turn, ...]]:
    """Everything a user says that is answered, with what was said before it."""
    for dialogue in dialogues:
        for i in range(1, min(len(dialogue.turns), FARTHEST + 1)):
            if dialogue.turns[i].speaker == "bot" != dialogue.turns[i - 1].speaker:
                yield dialogue.turns[:i]


def agreed(
    bot: Bot, told: Sequence[tuple[Turn, ...]], temperature: float, seed: int
) -> Iterator[tuple[tuple[Turn, ...], str]]:
    """The conversations to which both replies are the same, and that reply."""
    for at in range(0, len(told), AT_ONCE):
        some = told[at : at + AT_ONCE]
        what = f"messages from {at + 1:,} on"
        first = replies(bot, some, what, seed + at, temperature)
        second = replies(bot, some, f"{what}, again", seed + at + len(told), temperature)
        yield from ((turns, a) for turns, a, b in zip(some, first, second, strict=True) if a and a == b)


if __name__ == "__main__":
    main()
