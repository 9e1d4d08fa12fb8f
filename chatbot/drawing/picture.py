"""Attention as a picture worth putting into a lecture, by matplotlib: PNG or SVG.

Everything is placed in units of a cell's height; the canvas is cut to what is on it.
"""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len, set_cell_size

from chatbot.attribution import ABOUT
from chatbot.errors import ChatbotError
from chatbot.replying import Reply
from chatbot.terminal.attention import Word, WordAttention, words
from chatbot.terminal.text import printable

try:
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager
    from matplotlib.patches import FancyBboxPatch
except ImportError:
    raise ChatbotError(
        "a picture needs matplotlib, which is not installed", "pip install -e '.[plot]'"
    ) from None

Kind = Literal["png", "svg"]
UNIT = 0.42  # inches
DOTS = 220  # an inch, of a PNG
CHARACTER = 0.2  # units, at the labels' size
NARROWEST, LONGEST = 1.3, 18  # of a column, in units, and of a label, in characters
ACROSS = 26.0  # units of columns in a band: a longer prompt goes on below
GAP = 0.45  # before a turn
SHOWN = 0.05  # from which share on a cell says its percent
INK, DIM, EMPTY = "#26242b", "#8a8590", "#f5f2ee"
# Light to dark in even steps, so that it survives a poor projector and a grey printer (ColorBrewer's OrRd).
HEAT = LinearSegmentedColormap.from_list("heat", [EMPTY, "#fdd9a8", "#fc9a5c", "#e2502f", "#8f1010"])
GREY = LinearSegmentedColormap.from_list("grey", [EMPTY, "#77727d"])
# Scripts that matplotlib's own font has not, where the machine has them.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans",
)


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column stands in its band; `index` is None for the marks."""

    label: str
    left: float
    width: float
    index: int | None
    turn: int
    speaker: str


def picture(reply: Reply, method: str, bot: str, kind: Kind = "png") -> bytes:
    """The heat map of a reply whose attention is that method's; the same reply gives the same bytes."""
    found = words(reply)
    fonts = {font.name for font in fontManager.ttflist}
    settings: dict[Any, Any] = {  # Any: matplotlib's names and their types
        "font.family": [name for name in FONTS if name in fonts],
        "svg.hashsalt": "chatbot",
        "text.parse_math": False,  # a dollar in a reply is a dollar
    }
    out = io.BytesIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box
        figure = _Drawing(found, method, bot).figure
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(
            out,
            format=kind,
            dpi=DOTS,
            bbox_inches="tight",
            pad_inches=0.25,
            facecolor="white",
            metadata=metadata,
        )
    return out.getvalue()


class _Drawing:
    """One figure: a heading, bands of columns with the reply's words at their left, a scale."""

    def __init__(self, found: WordAttention, method: str, bot: str) -> None:
        self.found = found
        self.strongest = max((weight for row in found.rows for weight in row.weights), default=0.0)
        bands = list(_bands(found.columns))
        self.width = max([4.0, *(band[-1].left + band[-1].width for band in bands)])
        self.band_height = len(found.rows) + 2.6
        height = self.band_height * len(bands)
        self.figure = Figure(figsize=(self.width * UNIT, (height + 1.7) * UNIT))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(height - 0.3, -2), aspect="equal")
        self.axes.axis("off")
        self._heading(method, bot)
        for number, band in enumerate(bands):
            self._band(band, number * self.band_height + 0.9)
        if self.strongest:
            self._scale(height - 0.75)

    def _heading(self, method: str, bot: str) -> None:
        left = -0.25 - max([0.0, *(1.15 * _width(row.text) for row in self.found.rows)])  # they are bold
        self._text(left, -1.6, "What each word of the reply looked at", size=13, weight="bold")
        self._text(left, -0.85, f"{printable(bot)} · {ABOUT[method].title}", size=9, color=DIM)

    def _band(self, band: Sequence[Column], top: float) -> None:
        for column in band:
            dim = column.index is None
            middle = column.left + column.width / 2
            self._text(middle, top - 0.4, column.label, ha="center", color=DIM if dim else INK, size=10)
            for y, row in enumerate(self.found.rows):
                share = row.marks if column.index is None else row.weights[column.index]
                self._cell(column, top + y, share)
        for y, row in enumerate(self.found.rows):
            self._text(-0.25, top + y + 0.5, _cut(row.text), ha="right", weight="bold", size=10)
        for _, turn in itertools.groupby(band, key=lambda column: column.turn):
            self._bracket(list(turn), top + len(self.found.rows) + 0.25)

    def _cell(self, column: Column, top: float, share: float) -> None:
        marks = column.index is None
        heat = min(1.0, share / self.strongest) if self.strongest and not marks else share
        red, green, blue, _ = (GREY if marks else HEAT)(heat)
        inset = 0.05
        self.axes.add_patch(
            FancyBboxPatch(
                (column.left + inset + 0.1, top + inset + 0.1),
                column.width - 2 * inset - 0.2,
                1 - 2 * inset - 0.2,
                boxstyle="round,pad=0.1,rounding_size=0.14",
                facecolor=(red, green, blue),
                edgecolor="none",
            )
        )
        if share >= SHOWN:
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.6
            middle = column.left + column.width / 2
            color = "white" if dark else INK
            self._text(middle, top + 0.52, f"{100 * share:.0f}", ha="center", size=8.5, color=color)

    def _bracket(self, turn: Sequence[Column], top: float) -> None:
        """A line under a turn's columns, and who said it."""
        if turn[0].index is None:
            return
        left, right = turn[0].left + 0.1, turn[-1].left + turn[-1].width - 0.1
        self.axes.plot([left, right], [top, top], color=DIM, linewidth=0.8, solid_capstyle="round")
        self._text(
            (left + right) / 2, top + 0.4, turn[0].speaker, ha="center", size=8.5, color=DIM, style="italic"
        )

    def _scale(self, bottom: float) -> None:
        """What the colours stand for, at the right end."""
        steps, wide = 24, 3.6
        left = max(self.width - wide - 1.4, 0.6)
        for i in range(steps):
            x = left + wide * i / steps
            patch = FancyBboxPatch(
                (x, bottom),
                wide / steps,
                0.22,
                boxstyle="square,pad=0",
                facecolor=HEAT((i + 0.5) / steps),
                lw=0,
            )
            self.axes.add_patch(patch)
        self._text(left - 0.15, bottom + 0.11, "0", ha="right", size=8, color=DIM)
        self._text(left + wide + 0.15, bottom + 0.11, f"{100 * self.strongest:.0f} %", size=8, color=DIM)

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:  # Any: matplotlib's settings
        self.axes.text(x, y, text, **{"va": "center", "color": INK, **style})


def _bands(found: Sequence[Word]) -> Iterator[list[Column]]:
    """The prompt's words, and the marks at the end, in as few bands as fit, all of about the same width."""
    total = sum(max(NARROWEST, _width(word.text) + 0.5) for word in found) + NARROWEST
    room = total / -(-total // ACROSS) + NARROWEST
    band, left, turn = list[Column](), 0.0, None
    for i, word in enumerate([*found, None]):
        text = "marks" if word is None else _cut(word.text)
        width, of = max(NARROWEST, _width(text) + 0.5), -1 if word is None else word.turn
        if band and left + width > room + GAP * len({column.turn for column in band}):
            yield band
            band, left, turn = [], 0.0, None
        left += GAP if band and of != turn else 0
        speaker = "" if word is None else "you" if word.speaker == "user" else printable(word.speaker)
        band.append(Column(text, left, width, None if word is None else i, of, speaker))
        left, turn = left + width, of
    yield band


def _cut(text: str) -> str:
    return text if cell_len(text) <= LONGEST else set_cell_size(text, LONGEST - 1).rstrip() + "…"


def _width(text: str) -> float:
    return CHARACTER * cell_len(_cut(text))
