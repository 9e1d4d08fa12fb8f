"""What may reach a terminal: everything that a model, a corpus or a checkpoint says passes here."""

from __future__ import annotations

import re

# White space that would break a line or move the cursor; it is shown as a space.
BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]")
# Controls (C0, DEL, C1), what reorders the text around it, the byte order mark.
CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
# Halves of surrogate pairs cannot be written to any stream.
SURROGATES = re.compile("[\ud800-\udfff]")

UNSAFE = re.compile("|".join(kind.pattern for kind in (BREAKS, CONTROLS, SURROGATES)))


def printable(text: str) -> str:
    """The text as one line, without anything that a terminal obeys.

    Character by character, so that a text printed in pieces comes out as it would whole.
    """
    if text.isascii() and text.isprintable():
        return text
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", CONTROLS.sub("", BREAKS.sub(" ", text)))


def printable_lines(text: str) -> str:
    """The same of a text whose lines stay lines."""
    return "\n".join(map(printable, text.splitlines()))


def escaped(json_text: str) -> str:
    """JSON with the same characters written as escapes: safe to print, and nothing is lost."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def nats_per_word(figures: object) -> str:
    """A bot's figure as its weights' header has it; nothing where it has none, or what is none."""
    figure = figures.get("nats_per_word") if isinstance(figures, dict) else None
    usable = isinstance(figure, (int, float)) and abs(figure) < 1e6  # 1e308 would be a line of digits
    return f"{figure:.3f}" if usable else ""
