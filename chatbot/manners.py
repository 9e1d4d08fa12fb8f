"""What a well-mannered bot neither learns nor says: slurs and the worst words, in manners.txt, one a line."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

WORD = re.compile(r"\w+")


@cache
def unmannerly() -> frozenset[str]:
    """The words, without case."""
    lines = (files("chatbot") / "manners.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def offends(text: str) -> bool:
    """Whether one of them stands in a text, as a word by itself."""
    return not unmannerly().isdisjoint(WORD.findall(text.casefold()))
