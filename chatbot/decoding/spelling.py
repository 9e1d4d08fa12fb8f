"""How tokens spell words: what is needed to forbid a word however it is cut into pieces."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

SPACE = "▁"  # SentencePiece's
RUN = re.compile(r"\w+|\n")
NONE = "\0"  # in no word
Words = frozenset[str] | tuple[str, ...]  # hashable


class Spelling:
    """The pieces of a vocabulary, by the words that they hold, begin or go on with.

    pieces: by id, as SentencePiece writes them. What has no text (a mark, a single byte) is "": it ends no
    word. Case does not matter.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = [piece.casefold() for piece in pieces]
        self._first = defaultdict[str, list[int]](list)  # by the run of letters that a piece begins with
        self._inside = defaultdict[str, list[int]](list)  # by the others
        self._completing: dict[tuple[Words, str], list[int]] = {}
        token = start = 0
        for run in RUN.finditer("\n".join(piece.replace("\n", " ") for piece in self.pieces)):
            if run[0] == "\n":
                token, start = token + 1, run.end()
            else:
                (self._inside if run.start() > start else self._first)[run[0]].append(token)

    def open(self, tokens: Sequence[int]) -> str:
        """The letters of the word that the last of these tokens leaves unfinished; "" if it is none."""
        text = ""
        for token in reversed(tokens):
            text = self.pieces[token] + text
            if re.search(r"\W", text):
                break
        found = re.search(r"\w*$", text)
        return found[0] if found else ""

    def completing(self, words: Words, open: str) -> list[int]:
        """The tokens that would make one of the words, where a word is `open` already.

        Kept, since a reply asks at every token: as many answers as the words have beginnings, and one more.
        """
        begun = open if open in _beginnings(words) else NONE
        if (words, begun) not in self._completing:
            self._completing[words, begun] = self._completed(words, begun)
        return self._completing[words, begun]

    def _completed(self, words: Words, open: str) -> list[int]:
        tokens: list[int] = []
        for word in words:
            tokens += self._inside.get(word, ())
            if word.startswith(open):
                tokens += self._first.get(word[len(open) :], ())
        return tokens


@lru_cache(maxsize=8)
def _beginnings(words: Words) -> frozenset[str]:
    """All that one of the words begins with, "" and the word itself included."""
    return frozenset(word[:length] for word in words for length in range(len(word) + 1))
