"""What every recipe gets: the same conversations to learn from, the same replies to be judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.speedrun.words import Pair, Vocabulary, is_short, normalised, pairs
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import Folds, split
from chatbot.dialogue import Dialogue, Turn
from chatbot.preparation import UNCUT, Encoded, Examples, ExamplesConfig, encode, exchanges, unigram_figures
from chatbot.tokenizer import Tokenizer, TokenizerConfig

JUDGED = 2000  # replies, evenly spread over those that can be judged

Text = Literal["written", "tutorial"]


@dataclass(frozen=True)
class Material:
    """A corpus, divided, in one of two texts.

    written   as people wrote it, after our cleaning; any test reply may be judged
    tutorial  in the tutorial's normalisation; only pairs that it can represent are judged: under ten words
              on both sides, none rare
    """

    folds: Folds
    text: Text

    @classmethod
    def read(cls, corpus: Path, split_by: str, text: Text) -> Material:
        """Read, clean, divide, and normalise if that is asked."""
        opened = open_corpus(corpus)
        folds = split(clean(opened, CleaningConfig(), opened.report), split_by)
        return cls(folds if text == "written" else Folds(*map(_normalised, folds)), text)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """For recipes that bring none: ours."""
        texts = (turn.text for dialogue in self.folds.train for turn in dialogue.turns)
        return Tokenizer.train(texts, TokenizerConfig())

    @cached_property
    def train(self) -> Encoded:
        """The training part in pieces."""
        return encode(self.folds.train, self.tokenizer)

    @cached_property
    def validation(self) -> Encoded:
        """The validation part in pieces."""
        return encode(self.folds.validation, self.tokenizer)

    @cached_property
    def pairs(self) -> list[Pair]:
        """All test pairs, as words."""
        return pairs(self.folds.test)

    @cached_property
    def representable(self) -> NDArray[np.int64]:
        """The test pairs that may be judged, as rows of `pairs`."""
        if self.text == "written":
            return np.arange(len(self.pairs))
        vocabulary = Vocabulary([pair for pair in pairs(self.folds.train) if is_short(pair)])
        chosen = [i for i, pair in enumerate(self.pairs) if is_short(pair) and vocabulary.knows(pair)]
        return np.array(chosen, np.int64)

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """The pairs that are judged, as rows of `pairs`."""
        spread = np.linspace(0, len(self.representable) - 1, min(JUDGED, len(self.representable)))
        chosen: NDArray[np.int64] = self.representable[spread.astype(int)]
        return chosen

    @cached_property
    def examples(self) -> Examples:
        """The judged replies with the turns before them, whole, in pieces."""
        limits = ExamplesConfig(reply_limit=UNCUT)
        found = exchanges(encode(self.folds.test, self.tokenizer), limits)
        return Examples(found.data, found.spans[self.judged], limits, whole=False)

    @property
    def words(self) -> NDArray[np.int64]:
        """White-space words of each judged reply (N,)."""
        return np.array([len(self.pairs[i][1]) for i in self.judged], np.int64)

    def floor(self) -> float:
        """A unigram model's nats per word."""
        return unigram_figures(self.train, self.examples, len(self.tokenizer)).nats_per_word


def _normalised(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """In the tutorial's text; a dialogue of which a turn has no words left is out."""
    found = [
        dataclasses.replace(d, turns=tuple(Turn(t.speaker, normalised(t.text)) for t in d.turns))
        for d in dialogues
    ]
    return [dialogue for dialogue in found if all(turn.text for turn in dialogue.turns)]
