"""How tokens spell words: what is needed to forbid a word however it is cut into pieces."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

SPACE = "▁"  # SentencePiece's
RUN = re.compile(r"\w+")


class Spelling:
    """The pieces of a vocabulary, by the words that they hold, begin or go on with.

    pieces: by id, as SentencePiece writes them. What has no text (a mark, a single byte) is "": it ends no
    word. Case does not matter.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = [piece.casefold() for piece in pieces]
        self._first = defaultdict[str, list[int]](list)  # by the run of letters that a piece begins with
        self._inside = defaultdict[str, list[int]](list)  # by the others
        for token, piece in enumerate(self.pieces):
            for run in RUN.finditer(piece):
                (self._inside if run.start() else self._first)[run[0]].append(token)

    def open(self, tokens: Sequence[int]) -> str:
        """The letters of the word that the last of these tokens leaves unfinished; "" if it is none."""
        text = ""
        for token in reversed(tokens):
            text = self.pieces[token] + text
            if re.search(r"\W", text):
                break
        found = re.search(r"\w*$", text)
        return found[0] if found else ""

    def completing(self, words: Iterable[str], open: str) -> list[int]:
        """The tokens that would make one of the words, where a word is `open` already."""
        tokens: list[int] = []
        for word in words:
            tokens += self._inside.get(word, ())
            if word.startswith(open):
                tokens += self._first.get(word[len(open) :], ())
        return tokens
