"""How varied corpora are, side by side: nothing filled in by a template is as varied as what people say.

    python -m benchmarks.variety corpora/smalltalk corpora/cornell

Of the first whole dialogues, evenly spread, that make so many words. distinct-n: different n-grams over all
n-grams of all words; openings: different first turns; twice: dialogues that have half of their sequences of
four words from one other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.dialogue import Dialogue
from chatbot.evaluation.texts import ngrams, words

Grams = set[tuple[str, ...]]


@click.command(help=__doc__)
@click.argument("corpora", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=90_000, show_default=True, help="Words of each corpus.")
def main(corpora: Sequence[Path], count: int) -> None:
    """A table, a line a corpus."""
    click.echo("| corpus | words | distinct-1 | distinct-2 | distinct-3 | openings | twice |")
    click.echo("|---|---|---|---|---|---|---|")
    for path in corpora:
        corpus = open_corpus(path)
        dialogues = spread(list(clean(corpus, CleaningConfig(), corpus.report)), count)
        turns = [words(turn.text) for dialogue in dialogues for turn in dialogue.turns]
        shares = " | ".join(f"{distinct(turns, n):.3f}" for n in (1, 2, 3))
        openings = len({dialogue.turns[0].text.lower() for dialogue in dialogues}) / len(dialogues)
        twice = doubles([grams(dialogue) for dialogue in dialogues]) / len(dialogues)
        click.echo(f"| {corpus.name} | {sum(map(len, turns)):,} | {shares} | {openings:.1%} | {twice:.2%} |")


def spread(dialogues: Sequence[Dialogue], count: int) -> list[Dialogue]:
    """Whole dialogues, evenly spread, of about so many words in all."""
    total = sum(len(words(turn.text)) for dialogue in dialogues for turn in dialogue.turns)
    some = min(len(dialogues), math.ceil(len(dialogues) * count / total))
    return [dialogues[i] for i in np.linspace(0, len(dialogues) - 1, some).astype(int)]


def distinct(turns: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams over all of them (Li et al. 2016), none across turns."""
    found = [gram for turn in turns for gram in ngrams(turn, n)]
    return len(set(found)) / len(found)


def grams(dialogue: Dialogue) -> Grams:
    """Its sequences of four words."""
    return set(ngrams([word for turn in dialogue.turns for word in words(turn.text)], 4))


def doubles(found: Sequence[Grams], most: float = 0.5) -> int:
    """How many have more than that share of the shorter one's sequences in common with an earlier one."""
    holders = defaultdict[tuple[str, ...], list[int]](list)
    for i, own in enumerate(found):
        for gram in own:
            holders[gram].append(i)
    alike = set[int]()
    for i, own in enumerate(found):
        # Who has more than half of them has one of the rarest half.
        rarest = sorted(own, key=lambda gram: len(holders[gram]))[: math.ceil(len(own) * most)]
        others = {j for gram in rarest for j in holders[gram]} - {i}
        alike |= {max(i, j) for j in others if len(own & found[j]) > most * min(len(own), len(found[j]))}
    return len(alike)


if __name__ == "__main__":
    main()
