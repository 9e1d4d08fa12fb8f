"""The heat map under a reply: which words of the prompt each word of the reply looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from chatbot.attribution import title_of
from chatbot.errors import ChatbotError
from chatbot.replying import Reply, TokenEvent
from chatbot.terminal.text import printable
from chatbot.tokenizer import MARKS, PromptPiece

BLANK = "\u2800"  # Braille without dots: a symbol to Unicode, nothing to the eye
BYTE = re.compile("<0x([0-9A-F]{2})>")
CONTINUED = bytes(range(0x80, 0xC0))  # the bytes of a character after its first
# Scripts without spaces between words: there, every piece is taken as a word.
SPACELESS = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the prompt; `turn` counts from the oldest turn that the model saw."""

    text: str
    turn: int
    speaker: str


@dataclass(frozen=True, slots=True)
class Row:
    """A word of the reply, and the share of its attention on each word of the prompt and on the marks."""

    text: str
    weights: tuple[float, ...]
    marks: float


@dataclass(frozen=True, slots=True)
class WordAttention:
    """A reply's attention between words; every row's weights and marks sum to 1."""

    columns: tuple[Word, ...]
    rows: tuple[Row, ...]


def words(reply: Reply) -> WordAttention:
    """From tokens to words: summed over the tokens of a prompt's word, averaged over those of a reply's."""
    columns = list(prompt_words(reply.prompt))
    marks = [i for i, piece in enumerate(reply.prompt) if piece.mark]
    said = [token for token in reply.tokens if token.token not in MARKS]
    rows = []
    for group in _groups([token.piece for token in said]):
        tokens = [said[i] for i in group]
        weights = tuple(_share(tokens, positions) for _, positions in columns)
        rows.append(Row(_text(token.piece for token in tokens), weights, _share(tokens, marks)))
    return WordAttention(tuple(word for word, _ in columns), tuple(rows))


def prompt_words(prompt: Sequence[PromptPiece]) -> Iterator[tuple[Word, list[int]]]:
    """Each word of the prompt and the positions of its tokens. Marks are in no word, and part words."""
    for turn in dict.fromkeys(piece.turn for piece in prompt):
        places = [i for i, piece in enumerate(prompt) if piece.turn == turn and not piece.mark]
        for group in _groups([prompt[i].piece for i in places]):
            positions = [places[i] for i in group]
            text = _text(prompt[i].piece for i in positions)
            yield Word(text, turn, prompt[positions[0]].speaker), positions


def _groups(pieces: Sequence[str]) -> list[list[int]]:
    """Which pieces form a word together: a new one starts at a space."""
    groups: list[list[int]] = []
    before = ""
    for i, piece in enumerate(pieces):
        spaceless = SPACELESS.match(piece) or SPACELESS.match(before[-1:])
        alone = before == "▁"  # a space that belongs to what follows
        if not groups or piece.startswith("▁") or (spaceless and not alone):
            groups.append([])
        groups[-1].append(i)
        before = piece
    return groups


def _text(pieces: Iterator[str]) -> str:
    """The pieces as text; bytes become the character that they spell, what cannot be seen "_".

    A prompt may be cut within a character: what is left of it spells nothing.
    """
    spelled = b"".join(
        bytes.fromhex(byte[1]) if (byte := BYTE.fullmatch(piece)) else piece.encode("utf-8", "replace")
        for piece in pieces
    )
    decoded = spelled.lstrip(CONTINUED).decode("utf-8", "replace")
    text = printable(decoded.replace("▁", " ")).strip().strip(BLANK)
    return text if cell_len(text) else "_"


def _share(tokens: Sequence[TokenEvent], positions: Sequence[int]) -> float:
    return sum(token.attention[i] for token in tokens for i in positions) / len(tokens)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What the map is drawn with: the shades from light to dark, and the lines between turns."""

    shades: str
    line: str
    cut: str


BLOCKS = Glyphs(" ░▒▓█", "│", "…")
ASCII = Glyphs(" -+*#", "|", "~")  # for consoles whose encoding has no blocks

# From cold to hot; every one of them is legible on black and on white.
STYLES = ("", "color(67)", "color(97)", "color(168)", "color(202)")
STEPS = (0.1, 0.3, 0.5, 0.75)  # where the shades begin, as shares of the strongest weight in the map
FAINT = 1  # the darkest shade of an earlier turn that is not drawn
LEAST = 0.005  # what "1%" begins with

TITLE = "attention: {}, averaged over a word's tokens"
MARKS_LABEL = "marks"  # the share on speaker and end marks, which are no words
NARROWEST, WIDEST = 4, 12  # of a column; a longer word is cut


class AttentionMap:
    """A reply's heat map. It fits itself to the width that it is printed in.

    method: by which the reply's attention was found; the title says so.
    """

    def __init__(self, reply: Reply, method: str = "weights") -> None:
        self.attention = words(reply)
        self.method = method

    def row(self, number: int) -> AttentionMap:
        """The map of the reply's n-th word alone, counted from 1; a ChatbotError if there is none."""
        rows = self.attention.rows
        if not 1 <= number <= len(rows):
            raise ChatbotError(f"the reply has no word {number}", f"it has {len(rows)}, counted from 1")
        alone = copy(self)
        alone.attention = replace(self.attention, rows=rows[number - 1 : number])
        return alone

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title, the map in as many bands as the width needs, and what the shades mean."""
        if not self.attention.rows:
            yield Text("no words, no attention", style="dim")
            return
        glyphs = ASCII if options.ascii_only else BLOCKS
        yield Text(TITLE.format(title_of(self.method)), style="dim")
        yield from _Layout(self.attention, options.max_width, glyphs).lines()


Cell = tuple[str, str]  # text and style


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it is drawn; `index` is None for the marks."""

    label: str
    width: int
    index: int | None
    speaker: str
    opens: bool  # the first of its turn, or of the marks: a line stands before it


class _Layout:
    """Where everything goes, for one width."""

    def __init__(self, attention: WordAttention, width: int, glyphs: Glyphs) -> None:
        self.attention, self.glyphs = attention, glyphs
        self.strongest = max((weight for row in attention.rows for weight in row.weights), default=0.0)
        self.drawn = self._turns()
        longest = max(cell_len(row.text) for row in attention.rows)
        self.label_width = max(1, min(longest, WIDEST, width // 4))
        self.room = max(width - self.label_width, NARROWEST + 3)

    def lines(self) -> Iterator[Text]:
        """Every line of the map."""
        for number, band in enumerate(_bands(list(self._columns()), self.room)):
            if number:
                yield Text()
            yield self._line("", band, lambda column: (column.speaker, "dim"), starts_only=True)
            yield self._line("", band, lambda column: (column.label, "bold"))
            for row in self.attention.rows:
                yield self._line(row.text, band, partial(self._cell, row))
        yield self._legend()
        if left_out := self._left_out():
            yield Text(left_out, style="dim")

    def _turns(self) -> set[int]:
        """The turns that are drawn: those with a word that is more than faint anywhere, and the last."""
        columns = self.attention.columns
        most = [max(row.weights[i] for row in self.attention.rows) for i in range(len(columns))]
        lit = {word.turn for word, weight in zip(columns, most, strict=True) if self._level(weight) > FAINT}
        return lit | {columns[-1].turn} if columns else lit

    def _left_out(self) -> str:
        """A line on the turns that are not drawn; nothing where all are."""
        count = len({word.turn for word in self.attention.columns} - self.drawn)
        if not count:
            return ""
        least = STEPS[FAINT] * self.strongest
        turns = "1 turn is" if count == 1 else f"{count} turns are"
        return f"{turns} not drawn: no word there got {least:.1%} of any word's attention"

    def _columns(self) -> Iterator[_Column]:
        widest = min(WIDEST, self.room - 3)
        turn = None
        for i, word in enumerate(self.attention.columns):
            if word.turn not in self.drawn:
                continue
            width = min(widest, max(NARROWEST, cell_len(word.text)))
            speaker = "you" if word.speaker == "user" else printable(word.speaker)
            yield _Column(word.text, width, i, f"{speaker}:", word.turn != turn)
            turn = word.turn
        if any(row.marks >= LEAST for row in self.attention.rows):  # some families look at none
            yield _Column(MARKS_LABEL, min(widest, len(MARKS_LABEL)), None, "", True)

    def _line(
        self, label: str, band: Sequence[_Column], cell: Callable[[_Column], Cell], starts_only: bool = False
    ) -> Text:
        """A label, to the right so that it stands next to its cells, and a cell for each column."""
        label = self._fit(label, self.label_width).rstrip()
        line = Text(no_wrap=True, overflow="crop")
        line.append(" " * (self.label_width - cell_len(label)) + label, "bold")
        for i, column in enumerate(band):
            opens = column.opens or i == 0
            line.append(f" {self.glyphs.line} " if opens else " ", "dim")
            text, style = cell(column) if opens or not starts_only else ("", "")
            line.append(self._fit(text, column.width), style)
        line.rstrip()
        return line

    def _cell(self, row: Row, column: _Column) -> Cell:
        if column.index is None:
            return f"{row.marks:.0%}".rjust(column.width), "dim"
        level = self._level(row.weights[column.index])
        return self.glyphs.shades[level] * column.width, STYLES[level]

    def _level(self, weight: float) -> int:
        return sum(weight >= step * self.strongest for step in STEPS) if self.strongest else 0

    def _legend(self) -> Text:
        legend = Text()
        for shade, style, step in zip(self.glyphs.shades[1:], STYLES[1:], STEPS, strict=True):
            legend.append(shade, style).append(f" {step * self.strongest:.0%}+  ", "dim")
        return legend.append(f"most {self.strongest:.0%}", "dim")

    def _fit(self, text: str, width: int) -> str:
        if cell_len(text) > width:  # half a wide character becomes a space, which does not stay
            text = set_cell_size(text, width - 1).rstrip() + self.glyphs.cut
        return set_cell_size(text, width)


def _bands(columns: Sequence[_Column], room: int) -> list[list[_Column]]:
    """The columns in as few bands as fit into `room`, all of about the same width."""
    bands = _filled(columns, room)
    while room > 1 and len(narrower := _filled(columns, room - 1)) == len(bands):
        bands, room = narrower, room - 1
    return bands


def _filled(columns: Sequence[_Column], room: int) -> list[list[_Column]]:
    """Bands, each filled before the next is begun."""
    bands: list[list[_Column]] = []
    for column in columns:
        if not bands or _width([*bands[-1], column]) > room:
            bands.append([])
        bands[-1].append(column)
    return bands


def _width(band: Sequence[_Column]) -> int:
    return sum(column.width + (3 if column.opens or i == 0 else 1) for i, column in enumerate(band))
