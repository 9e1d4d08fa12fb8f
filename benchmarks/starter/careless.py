"""Conversations of a corpus once more, as people in a hurry type: for a bot that meets such people.

    python -m benchmarks.starter.careless corpora/plaintalk careless.jsonl --count 20000

What the user says is changed, what the bot says is not. Each conversation gets a hand of its own: how many
of the words that have another form (careless.txt) take it, how often a letter is missing or changes places
and a word stands before or after, whether there are capitals, apostrophes, full stops. Noise in what is read
makes a model robust to noise of its kind (Belinkov & Bisk 2018).
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.starter.renamed import cleaned, line, training_part
from chatbot.dialogue import Dialogue

SHORT = {
    long: short.split(" | ")
    for long, _, short in (
        row.partition(": ") for row in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
    )
}
LONG_FORM = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, SHORT), key=len, reverse=True))})\b", re.IGNORECASE
)
BEFORE = ("yo", "so", "ok so", "um", "bruh", "hey", "lol", "haha", "well", "bro", "omg", "ok")
AFTER = (
    "lol",
    "tho",
    "fr",
    "bro",
    "haha",
    "lmao",
    "pls",
    "man",
    "rn",
    "ngl",
    "tbh",
    "mate",
    "xd",
    ":)",
    "..",
)


class Hand(NamedTuple):
    """How somebody types: how probable are short forms and slips of a word, and fillers of a message."""

    short: float
    slip: float
    filler: float
    capitals: str
    apostrophes: bool
    stops: bool


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=20_000, show_default=True, help="Conversations, at the most.")
@click.option("--whole", is_flag=True, help="Of all of the corpus, not of its training part.")
@click.option("--seed", default=0, show_default=True)
def main(corpus: Path, out: Path, count: int, whole: bool, seed: int) -> None:
    """Write them."""
    chance, found = random.Random(seed), list(cleaned(corpus)) if whole else training_part(corpus)
    chosen = chance.sample(found, min(count, len(found)))
    out.write_text("".join(line(careless(dialogue, chance)) for dialogue in chosen), encoding="utf-8")
    click.echo(f"{len(chosen):,} of {len(found):,} conversations")


def careless(dialogue: Dialogue, chance: random.Random) -> list[tuple[str, str]]:
    """Who says what, all of the user's turns typed by one hand."""
    hand = drawn(chance)
    return [
        (turn.speaker, turn.text if turn.speaker == "bot" else typed(turn.text, hand, chance))
        for turn in dialogue.turns
    ]


def drawn(chance: random.Random) -> Hand:
    """A hand by chance: most leave out the capitals, some shorten nearly every word, few shout."""
    return Hand(
        short=chance.choice((0.0, 0.2, 0.5, 0.9)),
        slip=chance.choice((0.0, 0.0, 0.02, 0.06)),
        filler=chance.choice((0.0, 0.0, 0.1, 0.3)),
        capitals=chance.choices(("lower", "as they are", "upper"), (16, 3, 1))[0],
        apostrophes=chance.random() < 0.3,
        stops=chance.random() < 0.3,
    )


def typed(text: str, hand: Hand, chance: random.Random) -> str:
    """A message as this hand types it; never nothing."""
    text = LONG_FORM.sub(lambda found: _shortened(found[0], hand, chance), text)
    text = " ".join(_slipped(word, hand, chance) for word in text.split())
    text = text if hand.apostrophes else text.replace("'", "")
    text = text if hand.stops else text.rstrip(".?!") or text
    before = chance.choice(BEFORE) + " " if chance.random() < hand.filler / 2 else ""
    after = " " + chance.choice(AFTER) if chance.random() < hand.filler else ""
    return _capitals(before + text + after, hand)


def _shortened(words: str, hand: Hand, chance: random.Random) -> str:
    return chance.choice(SHORT[words.lower()]) if chance.random() < hand.short else words


def _slipped(word: str, hand: Hand, chance: random.Random) -> str:
    """A word of four letters or more, where the hand slips: one missing, twice, or two exchanged."""
    if not word.isalpha() or len(word) < 4 or chance.random() >= hand.slip:
        return word
    at = chance.randrange(1, len(word) - 2)
    return chance.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )


def _capitals(text: str, hand: Hand) -> str:
    return {"lower": text.lower(), "upper": text.upper()}.get(hand.capitals, text)


if __name__ == "__main__":
    main()
