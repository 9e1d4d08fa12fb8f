"""The one dial: what `--size` means, for every family."""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.errors import ConfigError, suggestion


@dataclass(frozen=True, slots=True)
class Size:
    """width: of every layer; depth: Transformer blocks. A family derives the rest (heads, recurrent layers).

    The vocabulary is the tokenizer's for all sizes: fewer pieces were worse even for the smallest.
    """

    width: int
    depth: int


# What the models come to stands in the README, and a test holds it to the truth.
SIZES: dict[str, Size] = {
    "nano": Size(width=64, depth=2),
    "micro": Size(width=128, depth=4),
    "small": Size(width=256, depth=4),
    "medium": Size(width=384, depth=6),
    "base": Size(width=512, depth=8),
}
DEFAULT_SIZE = "small"


def size_named(name: str) -> Size:
    """The size of that name; an unknown one is a ConfigError with a suggestion."""
    if name not in SIZES:
        raise ConfigError(f"there is no size '{name}'", suggestion(name, SIZES))
    return SIZES[name]
