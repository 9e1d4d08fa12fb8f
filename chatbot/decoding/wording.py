"""Rules about words and length."""

from __future__ import annotations

import re
from functools import cache

from chatbot.decoding.rule import Floats, Seen, without
from chatbot.manners import unmannerly


def bad_words(logits: Floats, seen: Seen, value: str) -> Floats:
    """Forbid every token that would complete one of the words, however it is cut into tokens.

    Also where a longer word might have been meant: "hello" cannot be spelled as hell + o where hell is
    forbidden, but may be said by other pieces. A token that spells single bytes is not looked into.
    """
    if not value or seen.spelling is None:
        return logits
    return without(logits, seen.spelling.completing(listed(value), seen.spelling.open(seen.so_far)))


def manners(logits: Floats, seen: Seen, value: bool) -> Floats:
    """As bad_words, of the words that a well-mannered bot does not say."""
    if not value or seen.spelling is None:
        return logits
    return without(logits, seen.spelling.completing(unmannerly(), seen.spelling.open(seen.so_far)))


@cache
def listed(value: str) -> tuple[str, ...]:
    """The words of a list with commas, without case: "Darn, heck" -> ("darn", "heck"); "none" has none."""
    if value.strip() in ("none", '""'):  # how a list that was set is emptied
        return ()
    return tuple(word for word in (part.strip().casefold() for part in value.split(",")) if word)


def are_words(value: str) -> bool:
    """Whether each is a word by itself; not so "don't" or "shut up", which are two."""
    return all(re.fullmatch(r"\w+", word) for word in listed(value))


def min_tokens(logits: Floats, seen: Seen, value: int) -> Floats:
    """Forbid the end until the reply has so many tokens."""
    if seen.end is None or len(seen.so_far) >= value:
        return logits
    return without(logits, [seen.end])
