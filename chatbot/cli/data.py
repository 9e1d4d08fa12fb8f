"""Look at a corpus before a bot learns from it: check, show, stats, convert."""

from __future__ import annotations

import json
import os
import random
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TypeVar

import click

from chatbot.checkpoint import Checkpoint
from chatbot.cli.list import write
from chatbot.cli.named import PATH
from chatbot.cli.options import given, options_for
from chatbot.config import override
from chatbot.corpus import Corpus, open_corpora
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.report import many
from chatbot.corpus.splits import DEFAULT_SPLIT, SPLITS, split
from chatbot.dialogue import Dialogue
from chatbot.errors import ConfigError, CorpusError
from chatbot.terminal.stages import track
from chatbot.terminal.text import escaped, printable

T = TypeVar("T")
PAIRS = 10  # that `check` shows
SPEAKERS = 8  # that are named; of a film corpus there are thousands
LONGEST = 100  # characters of a turn of such a pair
HEADINGS = ["speaker", "turns", "words", "a turn", "different", "distinct-2", "20 commonest"]
CORPORA = click.argument("corpora", metavar="CORPUS...", nargs=-1, required=True, type=PATH)


@click.group("data")
def data() -> None:
    """Look at a corpus before a bot learns from it, or write it in another format.

    CORPUS is what `chatbot train` takes: a folder or a file; several are one. It is seen as a training sees
    it, cleaned, but for `convert --as-it-is`.

    \b
    chatbot data check my-chats.jsonl          what is usable, what is left out and why, some pairs
    chatbot data show corpora/smalltalk -n 3   whole conversations
    chatbot data stats corpora/smalltalk       who says how much, and how various it is
    chatbot data convert corpora/cornell cornell.jsonl
    """


@data.command()
@CORPORA
@click.option(
    "--split", "split_by", type=click.Choice(list(SPLITS)), default=DEFAULT_SPLIT, show_default=True
)
@click.option("--seed", default=0, show_default=True, help="Which pairs are shown.")
@options_for(CleaningConfig)
def check(corpora: tuple[Path, ...], split_by: str, seed: int, **settings: str | None) -> None:
    """Say what a training would find, and show ten pairs of it."""
    corpus = open_corpora(corpora)
    dialogues = _cleaned(corpus, settings)
    folds = split(dialogues, split_by)
    parts = f"{many(len(folds.train), 'dialogues')} to learn from, {len(folds.validation):,} to validate with"
    told = [f"split by {split_by}: {parts}, {len(folds.test):,} to test with"]
    told += [_known(folds.train, [*folds.validation, *folds.test]), _speakers(dialogues), ""]
    for before, reply in _drawn(list(_pairs(dialogues)), PAIRS, seed):
        told += [f"  {_short(before)}", f"    -> {_short(reply)}"]
    enough = any(len(dialogue.turns) > 1 for dialogue in folds.train)
    train = f"to learn from it: chatbot train {shlex.join(map(str, corpora))}"
    told += ["", train if enough else "there is too little to learn from: give it more conversations"]
    for line in [*corpus.report.lines(), *told]:
        click.echo(printable(line))


@data.command()
@CORPORA
@click.option("-n", "--count", default=3, show_default=True, type=click.IntRange(1), help="Conversations.")
@click.option("--seed", default=0, show_default=True, help="Which ones.")
@options_for(CleaningConfig)
def show(corpora: tuple[Path, ...], count: int, seed: int, **settings: str | None) -> None:
    """Print conversations, as they are drawn at random."""
    corpus = open_corpora(corpora)
    drawn = _drawn(_cleaned(corpus, settings), count, seed)
    _tell_what_is_missing(corpus)
    for i, dialogue in enumerate(drawn):
        lines = [f"{turn.speaker}: {turn.text}" for turn in dialogue.turns]
        for line in [*([""] if i else []), f"# {dialogue.source}, conversation {dialogue.number}", *lines]:
            click.echo(printable(line))


@data.command()
@CORPORA
@options_for(CleaningConfig)
def stats(corpora: tuple[Path, ...], **settings: str | None) -> None:
    """Print how much each speaker says, and how various it is."""
    corpus = open_corpora(corpora)
    dialogues = _cleaned(corpus, settings)
    _tell_what_is_missing(corpus)
    lengths = [len(dialogue.turns) for dialogue in dialogues]
    sources = len({dialogue.source for dialogue in dialogues})
    each = f"{statistics.mean(lengths):.1f} turns each (median {statistics.median(lengths):g}"
    found = f"{many(len(dialogues), 'dialogues')} of {many(sources, 'sources')}"
    click.echo(f"{found}, {each}, longest {max(lengths):,})")
    texts: dict[str, list[str]] = {}
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        texts.setdefault(turn.speaker, []).append(turn.text)
    order = sorted(texts, key=lambda speaker: -len(texts[speaker]))
    rows = [_figures(speaker, texts[speaker]) for speaker in order[:SPEAKERS]]
    rows.append(_figures("all", [text for speaker in order for text in texts[speaker]]))
    write([HEADINGS, *rows])
    if len(order) > SPEAKERS:
        click.echo(f"({len(order) - SPEAKERS:,} speakers more)")


@data.command()
@CORPORA
@click.argument("out", type=PATH)
@click.option("--as-it-is", is_flag=True, help="Without cleaning.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@options_for(CleaningConfig)
def convert(
    corpora: tuple[Path, ...], out: Path, as_it_is: bool, force: bool, **settings: str | None
) -> None:
    """Write the conversations to OUT, as JSONL (which `train` reads); - is stdout."""
    plain = str(out) != "-" and (os.path.isfile(out) or not os.path.exists(out))
    if plain and out.suffix != ".jsonl":
        raise ConfigError(f"{out} is no name of a corpus", "end it with .jsonl")
    if plain and os.path.lexists(out) and not force:
        raise ConfigError(f"{out} exists already", "give another name, or say --force")
    corpus = open_corpora(corpora)
    dialogues = _read(corpus) if as_it_is else _cleaned(corpus, settings)
    text = "".join(map(_line, dialogues))
    if str(out) == "-":
        click.echo(text, nl=False)
    else:
        Checkpoint.write(out, text)
    _tell_what_is_missing(corpus)
    click.echo(printable(f"{out}: {many(len(dialogues), 'conversations')}"), err=True)


def _read(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """All of them, and how far that is."""
    found: list[Dialogue] = []
    with track("reading") as advance:
        for dialogue in dialogues:
            found.append(dialogue)
            advance(len(found), 0)
    return found


def _cleaned(corpus: Corpus, settings: dict[str, str | None]) -> list[Dialogue]:
    config = override(CleaningConfig(), given(CleaningConfig, settings), "cleaning")
    dialogues = _read(clean(corpus, config, corpus.report))
    if not dialogues:
        raise CorpusError(f"{corpus.path} holds no usable dialogue", "; ".join(corpus.report.lines()))
    return dialogues


def _tell_what_is_missing(corpus: Corpus) -> None:
    """On stderr: what was left out, and why."""
    for line in corpus.report.lines():
        if line.startswith(("dropped", "gained")):
            click.echo(printable(line), err=True)


def _pairs(dialogues: Iterable[Dialogue]) -> Iterator[tuple[str, str]]:
    """What was said, and what to it."""
    for dialogue in dialogues:
        for exchange in dialogue.exchanges(1):
            yield exchange.context[-1].text, exchange.reply.text


def _drawn(all_of_them: Sequence[T], count: int, seed: int) -> list[T]:
    return random.Random(seed).sample(all_of_them, min(count, len(all_of_them)))


def _short(text: str) -> str:
    return shorten(text, LONGEST, placeholder=" ...")


def _known(train: Iterable[Dialogue], held_out: Iterable[Dialogue]) -> str:
    """How much of what is held out would not be new."""
    learned, asked = set(_pairs(train)), list(_pairs(held_out))
    known = sum(pair in learned for pair in asked)
    pairs = many(len(asked), "pairs")
    return f"of {pairs} to validate and test with {known:,} stand among those to learn from too"


def _speakers(dialogues: Iterable[Dialogue]) -> str:
    """Who says how many turns; the training's --set examples.speaker=NAME learns one side alone."""
    turns = Counter(turn.speaker for dialogue in dialogues for turn in dialogue.turns)
    named = ", ".join(f"{name} ({many(count, 'turns')})" for name, count in turns.most_common(SPEAKERS))
    return f"speakers: {named}" + (f" and {len(turns) - SPEAKERS:,} more" if len(turns) > SPEAKERS else "")


def _figures(speaker: str, texts: Sequence[str]) -> list[str]:
    """A line of `stats`. distinct-2 and the 20 commonest are of 250 turns at a time, as in `chatbot eval`."""
    from chatbot.evaluation.texts import commonest_share, distinct_2

    words = sum(len(text.split()) for text in texts)
    return [
        printable(shorten(speaker, 30, placeholder="...")),
        f"{len(texts):,}",
        f"{words:,}",
        f"{words / len(texts):.1f}",
        f"{len(set(texts)) / len(texts):.0%}",
        f"{distinct_2(texts).total:.2f}",
        f"{commonest_share(texts).total:.0%}",
    ]


def _line(dialogue: Dialogue) -> str:
    """A line of the corpus format `jsonl`."""
    turns = [
        {"speaker": turn.speaker, "text": turn.text, **({"cut": True} if turn.cut else {})}
        for turn in dialogue.turns
    ]
    source = {"source": dialogue.source, **({"split": dialogue.fold} if dialogue.fold else {})}
    return escaped(json.dumps({**source, "turns": turns}, ensure_ascii=False)) + "\n"
