"""Conversations in which the bot says what it says often: as far as they go before it says something rare.

    python -m benchmarks.starter.stock corpora/plaintalk stock.jsonl --names renamed.jsonl

Of the training part of the corpus, and of what renamed.py made of it. A reply is often said when it stands so
many times in the corpus, where what it repeats of the user's words does not count ("Your dog is called Rex."
and "Your dog is called Max." are one). A small model can learn what always fits its kind; from replies that
are each said once it learns to say them at the wrong time.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from benchmarks.starter.renamed import line, training_part
from chatbot.corpus import open_corpus
from chatbot.dialogue import Dialogue, Turn

WORD = re.compile(r"[A-Za-z']+")
SHORT = 4  # letters; a shorter word is the bot's own too
# Words that the bot says whoever said them before.
OWN = frozenset((Path(__file__).parent / "own.txt").read_text(encoding="utf-8").split())


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--names", type=click.Path(exists=True, path_type=Path), help="What renamed.py wrote.")
@click.option("--often", default=4, show_default=True, help="Times.")
@click.option("--count", default=60_000, show_default=True, help="Conversations of the corpus, at the most.")
@click.option("--renamed", default=10_000, show_default=True, help="Those of --names, at the most.")
@click.option("--seed", default=0, show_default=True)
def main(
    corpus: Path, out: Path, names: Path | None, often: int, count: int, renamed: int, seed: int
) -> None:
    """Write them."""
    chance, train = random.Random(seed), training_part(corpus)
    said = Counter(shape for dialogue in train for shape in shapes(dialogue.turns))
    stock = {shape for shape, times in said.items() if times >= often}
    own = some(beginnings(train, stock), count, chance)
    others = some(beginnings(open_corpus(names), stock), renamed, chance) if names else []
    found = own + others
    chance.shuffle(found)
    out.write_text("".join(line((t.speaker, t.text) for t in turns) for turns in found), encoding="utf-8")
    click.echo(f"{len(own):,} conversations and {len(others):,} with other names, of {len(stock):,} replies")


def shapes(turns: Sequence[Turn]) -> Iterator[str]:
    """Every second turn's text, in small letters, without what it takes from the turns before it."""
    said = set[str]()
    for before, reply in zip(turns[::2], turns[1::2], strict=False):
        said |= set(WORD.findall(before.text.lower())) - OWN
        yield WORD.sub(partial(_shape, said), reply.text)


def beginnings(dialogues: Iterable[Dialogue], stock: set[str]) -> list[Sequence[Turn]]:
    """What comes before the first reply that is not of these; those with something before it."""
    found = list[Sequence[Turn]]()
    for dialogue in dialogues:
        rare = (i for i, shape in enumerate(shapes(dialogue.turns)) if shape not in stock)
        if end := 2 * next(rare, len(dialogue.turns) // 2):
            found.append(dialogue.turns[:end])
    return found


def some(found: list[Sequence[Turn]], count: int, chance: random.Random) -> list[Sequence[Turn]]:
    """So many of them at the most, by chance."""
    return chance.sample(found, min(count, len(found)))


def _shape(said: set[str], found: re.Match[str]) -> str:
    word = found[0].lower()
    return "_" if len(word) >= SHORT and word in said else word


if __name__ == "__main__":
    main()
