"""Did it learn or did it copy? The training exchange that is nearest to a prompt and a reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from chatbot.corpus import Corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import split
from chatbot.errors import CorpusError
from chatbot.preparation import Progress, counted


@dataclass(frozen=True)
class Found:
    """The nearest exchange. similarity: 0 to 1, the mean of prompt's and reply's cosines.

    common, words: how many of the reply's words the other has in the same order, of how many.
    """

    prompt: str
    reply: str
    similarity: float
    common: int
    words: int


class Nearest:
    """Training exchanges, searchable by TF-IDF (Salton & Buckley 1988): cosines of words and word pairs."""

    def __init__(self, prompts: Sequence[str], replies: Sequence[str]) -> None:
        self.prompts, self.replies = prompts, replies
        self._vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", dtype=np.float32)
        self._of_replies = self._vectors.fit_transform(replies)
        self._of_prompts = self._vectors.transform(prompts)

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        cleaning: CleaningConfig,
        split_by: str,
        progress: Progress,
        speaker: str = "",
    ) -> Nearest:
        """The exchanges of a corpus's training part, cleaned and divided as for the training.

        speaker: those with this one's replies alone, if they are what was learned and some are there.
        """
        train = split(clean(counted(corpus, progress), cleaning, corpus.report), split_by).train
        every = [pair for dialogue in train for pair in pairwise(dialogue.turns)]
        pairs = [pair for pair in every if pair[1].speaker == speaker] or every
        if not pairs:
            raise CorpusError(f"{corpus.path} holds no exchange to compare with")
        return cls([before.text for before, _ in pairs], [reply.text for _, reply in pairs])

    def find(self, prompt: str, reply: str) -> Found:
        """The nearest exchange to this one; of equals, the first."""
        asked, said = self._vectors.transform([prompt]), self._vectors.transform([reply])
        cosines = (self._of_prompts @ asked.T + self._of_replies @ said.T).toarray()[:, 0] / 2
        best = int(cosines.argmax())
        mine, theirs = _words(reply), _words(self.replies[best])
        blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
        common = sum(block.size for block in blocks)
        return Found(self.prompts[best], self.replies[best], float(cosines[best]), common, len(mine))


def _words(text: str) -> list[str]:
    return [word.strip(".,!?;:\"'").lower() for word in text.split()]
