"""Conversations in which something else is talked about before the bot is asked for what it was told.

    python -m benchmarks.starter.spread corpora/plaintalk spread.jsonl --names renamed.jsonl

Of the training part of the corpus, and of what renamed.py made of it: every conversation in which the bot
says again what the user had told ("Your name is ...", "You work at ..."). Before that question come the first
exchanges of other conversations, in which nobody tells a name: a model has to look further back than the last
few turns.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

from benchmarks.starter.renamed import KINDS, line, training_part
from chatbot.corpus import open_corpus
from chatbot.dialogue import Dialogue, Turn

AGAIN = re.compile(
    "(Yes, |Of course, )?"
    "([Yy]our |[Yy]ou (said|work|live|like|told|have|drive|teach|are )|[Yy]ou're (called|going))"
)
ASKED = re.compile(r"\b(what|where|when|who|which|whose|how|remember|name|called)\b", re.IGNORECASE)
TOLD = re.compile(r"\b(name|call me|called|i am|i'm|im|it's|this is|my|mine)\b", re.IGNORECASE)
GREETS = re.compile("^(Hello|Hi|Hey|Good|Bye|Nice to|See you|Enjoy)|welcome|[Gg]oodbye|emergency")
LEAST, SHORT = 3, 120  # exchanges between; characters of a turn
Exchange = tuple[Turn, Turn]


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--names", type=click.Path(exists=True, path_type=Path), help="What renamed.py wrote.")
@click.option("--count", default=5000, show_default=True, help="Conversations, at the most.")
@click.option("--most", default=20, show_default=True, help="Exchanges of a conversation.")
@click.option("--seed", default=0, show_default=True)
def main(corpus: Path, out: Path, names: Path | None, count: int, most: int, seed: int) -> None:
    """Write them."""
    chance, train = random.Random(seed), training_part(corpus)
    asked = [*train, *(open_corpus(names) if names else [])]
    others = [pair for dialogue in train for pair in _exchanges(dialogue)[:1] if _ordinary(*pair)]
    found = [(dialogue, place) for dialogue in asked if (place := _asked_again(dialogue))]
    chosen = chance.sample(found, min(count, len(found)))
    made = (spread(_exchanges(dialogue), place, others, most, chance) for dialogue, place in chosen)
    out.write_text(
        "".join(line((t.speaker, t.text) for pair in pairs for t in pair) for pairs in made), encoding="utf-8"
    )
    click.echo(f"{len(chosen):,} of {len(found):,} conversations, with {len(others):,} other exchanges")


def spread(
    exchanges: Sequence[Exchange], place: int, others: Sequence[Exchange], most: int, chance: random.Random
) -> list[Exchange]:
    """A conversation with some of the others before the exchange at this place, `most` in all."""
    room = max(0, most - len(exchanges))
    between = chance.sample(others, chance.randint(min(LEAST, room), room))
    return [*exchanges[:place], *between, *exchanges[place:]]


def _exchanges(dialogue: Dialogue) -> list[Exchange]:
    return [pair for pair in pairwise(dialogue.turns) if pair[1].speaker == "bot"]


def _asked_again(dialogue: Dialogue) -> int:
    """Which exchange is the first where the bot is asked for what it was told; 0: none."""
    return next(
        (
            i
            for i, (question, answer) in enumerate(_exchanges(dialogue))
            if i and AGAIN.match(answer.text) and ASKED.search(question.text)
        ),
        0,
    )


def _ordinary(before: Turn, reply: Turn) -> bool:
    """Whether an exchange may stand anywhere: nobody tells or hears a name, greets or leaves in it."""
    heard = any(pattern.search(reply.text) for patterns in KINDS.values() for pattern in patterns)
    short = max(len(before.text), len(reply.text)) <= SHORT
    return short and not (heard or TOLD.search(before.text) or GREETS.search(reply.text))


if __name__ == "__main__":
    main()
