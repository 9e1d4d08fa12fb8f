"""Conversations with other names, so that a model learns to take names from what was said, not to guess them.

    python -m benchmarks.starter.renamed corpora/plaintalk renamed.jsonl --copies 6 --words corpora/smalltalk

Of the training part, every conversation in which the bot says a name that the user had said before: people,
animals and places, found by what the bot says around them ("Nice to meet you, ...", "Your dog is called ...",
"You are going to ..."). In each copy they have other names of their kind, the same all through; with --words
and --pieces, some of those of people and animals are words that other corpora write with a capital, whatever
they are, and words that are one piece of a bot's tokenizer: of each of those it must be learned by itself
that it can be said again. With --usual, half are usual names (names.txt, of people and pets). Where the bot
tells several jokes, they are others in each copy: none is told twice, that is to be learned, not which comes
after which.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

import click

from chatbot.checkpoint import Checkpoint, find
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import DEFAULT_SPLIT, split
from chatbot.dialogue import Dialogue

NAME = r"([A-Z][a-zé]+)\b"
KINDS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "person": tuple(
        re.compile(before + NAME)
        for before in (
            "[Nn]ice to meet you, ",
            "[Yy]our name is ",
            "(?:Hello|Hi|Goodbye|Bye|Good night|You're welcome), ",
            "(?:son|daughter|sister|brother|friend|wife|husband|partner|baby|niece|nephew) is called ",
        )
    ),
    "animal": (
        *(re.compile(f"{animal} is called {NAME}") for animal in ("[a-z]+",)),
        re.compile(f"{NAME} is a (?:nice|good|lovely|sweet|fine) name"),
    ),
    "place": tuple(re.compile(before + NAME) for before in ("going to ", "live in ", "lives in ", "from ")),
}
JOKE = re.compile(r"Why [^?]+\? [A-Z].*")
KNOWN = 10  # times that a joke is told, or it is none of the bot's
LONGEST = 2000  # characters of a turn
LONG = 10  # turns; a conversation of more costs a training far more than one of four


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--copies", default=6, show_default=True)
@click.option("--long-copies", default=1, show_default=True, help=f"Of those of more than {LONG} turns.")
@click.option("--words", multiple=True, type=click.Path(exists=True, path_type=Path), help="Corpora.")
@click.option("--pieces", metavar="BOT", help="A bot.")
@click.option("--usual", is_flag=True, help="Usual names too.")
@click.option("--seed", default=0, show_default=True)
def main(
    corpus: Path,
    out: Path,
    copies: int,
    long_copies: int,
    words: tuple[Path, ...],
    pieces: str | None,
    usual: bool,
    seed: int,
) -> None:
    """Write them."""
    train, chance = training_part(corpus), random.Random(seed)
    jokes = told(train)
    found = [(dialogue, named(dialogue) | repertoire(dialogue, jokes)) for dialogue in train]
    pools = {kind: sorted({n for _, names in found for n, k in names.items() if k == kind}) for kind in KINDS}
    pools["joke"] = sorted(jokes)
    capitals = sorted({word for each in words for word in capitalised(each)})
    whole = sorted(filter(re.compile(NAME).fullmatch, single(pieces))) if pieces else []
    common = (Path(__file__).parent / "names.txt").read_text(encoding="utf-8").split() if usual else []
    more = [pool for pool in (capitals, whole, common, common) if pool]
    lines = [
        line(turns)
        for dialogue, names in found
        if names
        for _ in range(long_copies if len(dialogue.turns) > LONG else copies)
        for turns in [renamed(dialogue, others(names, pools, more, chance))]
    ]
    out.write_text("".join(lines), encoding="utf-8")
    kinds = ", ".join(f"{len(pool):,} {kind}s" for kind, pool in pools.items())
    click.echo(f"{len(lines):,} conversations, with {kinds}, and {len(capitals) + len(whole):,} other words")


def training_part(corpus: Path) -> list[Dialogue]:
    """What a training with this corpus learns from, long turns too."""
    return split(cleaned(corpus), DEFAULT_SPLIT).train


def cleaned(corpus: Path) -> Iterator[Dialogue]:
    """All of its conversations, as a training cleans them, long turns too."""
    opened = open_corpus(corpus)
    return clean(opened, CleaningConfig(longest_turn=LONGEST), opened.report)


def line(turns: Iterable[tuple[str, str]]) -> str:
    """A conversation in a .jsonl file, of speakers and what they say."""
    return json.dumps({"turns": [{"speaker": speaker, "text": text} for speaker, text in turns]}) + "\n"


def capitalised(corpus: Path) -> list[str]:
    """Words with a capital in the middle of a sentence."""
    turns = (turn for dialogue in open_corpus(corpus) for turn in dialogue.turns)
    return sorted({word for turn in turns for word in re.findall(rf"(?<=[a-z,] ){NAME}", turn.text)})


def single(bot: str) -> list[str]:
    """Words that are one piece of a bot's tokenizer."""
    pieces = Checkpoint.load(find(bot)).tokenizer.pieces()
    return [piece[1:] for piece in pieces if piece.startswith("\u2581")]


def named(dialogue: Dialogue) -> dict[str, str]:
    """The names that the bot takes from the user, and of what kind each is."""
    said, names = "", dict[str, str]()
    for turn in dialogue.turns:
        if turn.speaker == "user":
            said += f" {turn.text.lower()}"
            continue
        for kind, patterns in KINDS.items():
            for name in (found for pattern in patterns for found in pattern.findall(turn.text)):
                if re.search(rf"\b{name.lower()}\b", said):
                    names.setdefault(name, kind)
    return names


def told(dialogues: Iterable[Dialogue]) -> set[str]:
    """The jokes that the bot tells again and again."""
    said = Counter(
        turn.text for dialogue in dialogues for turn in dialogue.turns if JOKE.fullmatch(turn.text)
    )
    return {joke for joke, count in said.items() if count >= KNOWN}


def repertoire(dialogue: Dialogue, jokes: Container[str]) -> dict[str, str]:
    """The jokes of a conversation with several."""
    here = {turn.text: "joke" for turn in dialogue.turns if turn.text in jokes}
    return here if len(here) > 1 else {}


def others(
    names: Mapping[str, str], pools: Mapping[str, list[str]], more: list[list[str]], chance: random.Random
) -> dict[str, str]:
    """For each name another one of its kind, or of some other pool, none twice and none that is there."""
    taken, found = set(names), dict[str, str]()
    for name, kind in names.items():
        pool = chance.choice([pools[kind], *more]) if kind in ("person", "animal") else pools[kind]
        found[name] = chance.choice([one for one in pool if one not in taken] or [name])
        taken.add(found[name])
    return found


def renamed(dialogue: Dialogue, names: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """The turns, with these names for those, in small letters where they stood in small letters."""
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
    by_letters = {name.lower(): other for name, other in names.items()}

    def other(found: re.Match[str]) -> str:
        new = by_letters[found[1].lower()]
        return new if found[1][0].isupper() else new.lower()

    return [(turn.speaker, pattern.sub(other, turn.text)) for turn in dialogue.turns]


if __name__ == "__main__":
    main()
