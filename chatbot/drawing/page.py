"""Attention as one HTML page: point at a word of the reply, and the prompt's words light up.

The page asks for nothing beside it, and its policy would let nothing in: of styles and scripts only the two
that are in it, by their hash. Everything that a model or a checkpoint says is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from chatbot.attribution import ABOUT
from chatbot.replying import Reply
from chatbot.terminal.attention import Word, WordAttention, words
from chatbot.terminal.text import printable

LEVELS = 20  # of the tint: classes, since the policy allows no styles on elements


@dataclass(frozen=True, slots=True)
class Cell:
    """A share, and the level of its tint: of the strongest share in the map."""

    share: float
    level: int


@dataclass(frozen=True, slots=True)
class Line:
    """A word of the reply, its shares of the prompt's words, and the share on marks."""

    text: str
    cells: tuple[Cell, ...]
    marks: float


def page(reply: Reply, method: str, bot: str) -> str:
    """The page for a reply whose attention is that method's."""
    found = words(reply)
    strongest = max((weight for row in found.rows for weight in row.weights), default=0.0)
    mean = [
        sum(column) / len(found.rows) for column in zip(*(row.weights for row in found.rows), strict=True)
    ]
    style, script = (_packaged(name) for name in ("page.css", "page.js"))
    style = _tints() + style
    return (
        _environment()
        .get_template("page.html")
        .render(
            bot=bot,
            about=ABOUT[method],
            method=method,
            turns=list(_turns(found, [_cell(share, strongest) for share in mean])),
            words=found.columns,
            lines=[Line(row.text, _cells(row.weights, strongest), row.marks) for row in found.rows],
            style=Markup(style),
            script=Markup(script),
            hashes={"style": _hash(style), "script": _hash(script)},
        )
    )


def _turns(found: WordAttention, means: Sequence[Cell]) -> Iterator[tuple[str, list[tuple[int, str, Cell]]]]:
    """Each turn's speaker and its words: number, text, and the reply's mean share."""
    numbered = list(enumerate(found.columns))
    for _, turn in itertools.groupby(numbered, key=lambda pair: pair[1].turn):
        some = list(turn)
        cells = means or [Cell(0.0, 0)] * len(found.columns)
        yield _speaker(some[0][1]), [(i, word.text, cells[i]) for i, word in some]


def _speaker(word: Word) -> str:
    return "you" if word.speaker == "user" else word.speaker


def _cells(shares: Sequence[float], strongest: float) -> tuple[Cell, ...]:
    return tuple(_cell(share, strongest) for share in shares)


def _cell(share: float, strongest: float) -> Cell:
    return Cell(share, round(LEVELS * share / strongest) if strongest else 0)


def _tints() -> str:
    """A class for each level."""
    return "".join(f".w{i} {{ --heat: {100 * i // LEVELS}%; }}\n" for i in range(1, LEVELS + 1))


def _packaged(name: str) -> str:
    return resources.files("chatbot.drawing").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names a text (CSP level 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chatbot", "drawing"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = printable
    return environment
