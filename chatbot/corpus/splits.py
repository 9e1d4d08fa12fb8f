"""Train, validation and test: the same on every machine, and no source in two of them where that can be.

Where single sources are large (a chat export is often one source), dialogues are divided one by one.
Validation is never empty: of a corpus too small for chance, a twentieth is taken from the training part.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from chatbot.dialogue import Dialogue
from chatbot.errors import CorpusError, suggestion

Fold = Literal["train", "validation", "test"]

VALIDATION, TEST = 0.05, 0.05  # shares of the sources
DEFAULT_SPLIT = "source"
LARGE = 10  # a source with over a tenth of all dialogues is too large to be in one fold alone
PUBLISHED: dict[str, Fold] = {"train": "train", "val": "validation", "dev": "validation", "test": "test"}


class Folds(NamedTuple):
    """A corpus, divided."""

    train: list[Dialogue]
    validation: list[Dialogue]
    test: list[Dialogue]


def by_source(dialogue: Dialogue) -> Fold:
    """90/5/5 by a hash of the source, so that one film is never on two sides."""
    return _fold(dialogue.source)


def by_parlai(dialogue: Dialogue) -> Fold:
    """ParlAI's rule for Cornell; films are on several sides, but published figures use it."""
    return {0: "test", 1: "validation"}.get(dialogue.number % 10, "train")  # type: ignore[return-value]


def by_published(dialogue: Dialogue) -> Fold:
    """The publisher's own folds; a word that names none is a CorpusError."""
    for beginning, fold in PUBLISHED.items():
        if dialogue.fold.lower().startswith(beginning):
            return fold
    what = f"has the fold '{dialogue.fold}'" if dialogue.fold else "has no published fold"
    raise CorpusError(
        f"conversation {dialogue.number} {what}, not train, validation or test", "split by source instead"
    )


SPLITS: dict[str, Callable[[Dialogue], Fold]] = {
    "source": by_source,
    "parlai": by_parlai,
    "published": by_published,
}


def split(dialogues: Iterable[Dialogue], by: str = DEFAULT_SPLIT) -> Folds:
    """Divide a corpus by one of SPLITS."""
    if by not in SPLITS:
        raise CorpusError(f"there is no split '{by}'", suggestion(by, SPLITS))
    everything = list(dialogues)
    fold_of = _one_by_one if by == "source" and _has_large_sources(everything) else SPLITS[by]
    folds = Folds([], [], [])
    for dialogue in everything:
        getattr(folds, fold_of(dialogue)).append(dialogue)
    if by == "source" and len(folds.train) < len(everything) / 2:  # chance, where there are only a few
        folds = Folds(everything, [], [])
    if everything and not folds.train:
        raise CorpusError(f"split by '{by}', the corpus has nothing to train on", "split by source instead")
    return folds if folds.validation else _held_out(folds)


def _held_out(folds: Folds) -> Folds:
    """Take a twentieth of the training part for validation: whole sources, unless those are large."""
    one_by_one = _has_large_sources(folds.train)
    keys = [_own_key(dialogue) if one_by_one else dialogue.source for dialogue in folds.train]
    wanted, chosen, count = len(keys) * VALIDATION, set[str](), Counter(keys)
    for key in sorted(count, key=_position):
        if sum(count[name] for name in chosen) >= wanted or len(chosen) == len(count) - 1:
            break
        chosen.add(key)
    train = [dialogue for dialogue, key in zip(folds.train, keys, strict=True) if key not in chosen]
    validation = [dialogue for dialogue, key in zip(folds.train, keys, strict=True) if key in chosen]
    return Folds(train, validation, folds.test)


def _has_large_sources(dialogues: list[Dialogue]) -> bool:
    sources = Counter(dialogue.source for dialogue in dialogues)
    return any(count * LARGE > len(dialogues) for count in sources.values())


def _one_by_one(dialogue: Dialogue) -> Fold:
    return _fold(_own_key(dialogue))


def _own_key(dialogue: Dialogue) -> str:
    return f"{dialogue.source}\n{dialogue.number}"


def _fold(key: str) -> Fold:
    position = _position(key)
    if position < TEST:
        return "test"
    return "validation" if position < TEST + VALIDATION else "train"


def _position(key: str) -> float:
    """Where a key falls between 0 and 1: not Python's hash(), which differs from run to run."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
