"""The line under a reply that shows, while it is made, which of the user's words each piece looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from chatbot.interrupts import uninterrupted
from chatbot.replying import Event, Reply, ReplyStart, TokenEvent
from chatbot.terminal.attention import ASCII, BLOCKS, STEPS, STYLES, Glyphs, Word, prompt_words
from chatbot.terminal.replies import Write

UP, CLEAR = "\x1b[A", "\x1b[J"
EARLIER = "earlier"


class Strip:
    """The words of the last turn, each as dark as it is looked at; what earlier turns get is one more word.

    Without colour a shade stands behind each word.
    """

    def __init__(self, start: ReplyStart, glyphs: Glyphs = BLOCKS) -> None:
        found = list(prompt_words(start.prompt))
        last = max((word.turn for word, _ in found), default=0)
        self.glyphs = glyphs
        self.words = [(word, places) for word, places in found if word.turn == last]
        before = [place for word, places in found if word.turn != last for place in places]
        if before:
            self.words.insert(0, (Word(EARLIER, last, ""), before))
        self._sum = np.zeros(len(start.prompt))
        self._count = 0

    def look(self, event: TokenEvent) -> list[float]:
        """Take a token; its shares (0 to 1) on the words."""
        attention = np.array(event.attention)
        self._sum += attention
        self._count += 1
        return self._shares(attention)

    def average(self) -> list[float]:
        """The shares of all tokens so far."""
        return self._shares(self._sum / max(1, self._count))

    def text(self, shares: Sequence[float], width: int, colour: bool) -> Text:
        """One line of at most `width` columns: the words, from the last one back as many as fit."""
        strongest = max(shares, default=0.0)
        line = Text(no_wrap=True, overflow="crop")
        for (word, _), share in reversed(list(zip(self.words, shares, strict=True))):
            level = sum(share >= step * strongest for step in STEPS) if strongest else 0
            shown = self._word(word.text, level, colour)
            room = width - cell_len(line.plain) - 1
            if cell_len(shown.plain) > room:
                cut = Text(f"{self.glyphs.cut} " if room > 0 else "", "dim")
                return _joined(cut, line) if line.plain else _cut(shown, width)
            line = _joined(shown, " ", line) if line.plain else _joined(shown)
        return line

    def _word(self, text: str, level: int, colour: bool) -> Text:
        if colour:
            return Text(text, STYLES[level] + (" bold" if level == len(STEPS) else "") if level else "dim")
        return Text(text + self.glyphs.shades[level].strip())

    def _shares(self, attention: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
        return [float(attention[places].sum()) for _, places in self.words]


def _joined(*parts: Text | str) -> Text:
    """Parts in a line; "+" would give them all the first one's style."""
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


def _cut(text: Text, width: int) -> Text:
    return Text(set_cell_size(text.plain, width), text.style)


class LiveStrip:
    """Keeps the strip on the line below the reply's last one, redrawn for each token.

    write, column: of what writes the reply's text, and where in the line it stands.
    """

    def __init__(self, console: Console, write: Write, column: Callable[[], int]) -> None:
        self._console, self._write, self._column = console, write, column
        self._strip: Strip | None = None
        self._drawn = False

    def see(self, event: Event) -> None:
        """Draw the strip anew for a token; nothing for other events."""
        if isinstance(event, ReplyStart):
            glyphs = ascii_or_blocks(self._console)
            self._strip = Strip(event, glyphs)
        elif isinstance(event, TokenEvent) and self._strip:
            self._draw(self._strip.look(event))

    def clear(self) -> None:
        """Take the strip away: the reply goes on where it stands."""
        if self._drawn:
            self._write(
                f"\r\n{CLEAR}{self._back()}"
            )  # from the line below: a full line keeps its last column
            self._drawn = False

    def watched(self, events: Iterator[Event]) -> Iterator[Event]:
        """The same events; the strip is away while one is shown, and drawn anew after it."""
        for event in events:
            with uninterrupted():
                self.clear()
            yield event
            with uninterrupted():
                self.see(event)

    def _draw(self, shares: list[float]) -> None:
        assert self._strip
        line = self._strip.text(shares, self._console.width - 1, coloured(self._console))
        with self._console.capture() as drawn:
            self._console.print(line, end="")
        self._write(f"\r\n{CLEAR}{drawn.get()}{self._back()}")
        self._drawn = True

    def _back(self) -> str:
        """From the strip's line to the end of the reply."""
        column = self._column()
        return f"{UP}\r\x1b[{column}C" if column else f"{UP}\r"


def average(reply: Reply, console: Console) -> Text:
    """The strip of a whole reply."""
    strip = Strip(ReplyStart(reply.prompt), ascii_or_blocks(console))
    for token in reply.tokens:
        strip.look(token)
    return strip.text(strip.average(), console.width - 1, coloured(console))


def coloured(console: Console) -> bool:
    """Whether tints can be told apart there."""
    return bool(console.color_system) and not console.no_color


def ascii_or_blocks(console: Console) -> Glyphs:
    """What the console's encoding can write."""
    return ASCII if console.options.ascii_only else BLOCKS
