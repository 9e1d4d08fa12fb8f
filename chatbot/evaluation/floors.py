"""What needs no learning, or next to none: a bot that does not beat these has learned nothing.

P test prompts, N training replies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.evaluation.texts import f1, words
from chatbot.preparation import Encoded, Example, unigram_nats

KNOWN = 50  # the commonest training replies, of which the best fixed one is taken
JUDGED = 2000  # training replies that it is judged by
AT_ONCE = 256  # prompts searched together: each is a row of similarities to every training prompt


def fixed(training: Sequence[str]) -> str:
    """Of the commonest training replies, the one with the best F1 against training replies."""
    judges = [training[i] for i in np.linspace(0, len(training) - 1, min(JUDGED, len(training))).astype(int)]
    known = [reply for reply, _ in Counter(training).most_common(KNOWN)]
    scores = [float(f1([reply] * len(judges), judges).parts[:, 0].mean()) for reply in known]
    return known[int(np.argmax(scores))]


def drawn(training: Sequence[str], count: int, seed: int) -> list[str]:
    """Random training replies."""
    random = np.random.default_rng(seed)
    return [training[i] for i in random.integers(len(training), size=count)]


class Retrieval:
    """TF-IDF (Salton & Buckley 1988): the reply to the most similar training prompt, by cosine."""

    def __init__(self, prompts: Sequence[str], replies: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # 1 s

        self._replies = replies
        self._vectors: Any = TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False)
        self._prompts = self._vectors.fit_transform(prompts)

    def replies(self, prompts: Sequence[str]) -> list[str]:
        """The reply to each prompt (P); the first of equally similar ones."""
        found: list[str] = []
        for at in range(0, len(prompts), AT_ONCE):
            similar = self._vectors.transform(prompts[at : at + AT_ONCE]) @ self._prompts.T  # (P, N)
            found += [self._replies[i] for i in np.asarray(similar.argmax(axis=1)).ravel()]
        return found

    def similarity(self, prompts: Sequence[str], candidates: Sequence[str]) -> NDArray[np.float64]:
        """How alike prompt and candidate are, pair by pair."""
        pairs = self._vectors.transform(prompts).multiply(self._vectors.transform(candidates))
        return np.asarray(pairs.sum(axis=1), np.float64).ravel()


class Unigram:
    """Tokens drawn by how often each stands in the training split (add-one smoothing)."""

    def __init__(self, training: Encoded, vocabulary: int) -> None:
        self._nats = unigram_nats(training, vocabulary)
        self._likeliest = int(self._nats.argmin())

    def scores(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Nats, tokens and right ones of each reply: (3, N)."""
        found = []
        for example in examples:
            reply = np.array(example.reply)
            found.append((self._nats[reply].sum(), len(reply), (reply == self._likeliest).sum()))
        return np.array(found, np.float64).T
