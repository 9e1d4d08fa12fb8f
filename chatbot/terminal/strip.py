"""The line under a reply that shows, while it is made, which of the user's words each piece looks at."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from chatbot.interrupts import uninterrupted
from chatbot.replying import Event, Reply, ReplyStart, TokenEvent
from chatbot.terminal.attention import ASCII, BLOCKS, NARROWEST, STEPS, STYLES, Glyphs, prompt_words
from chatbot.terminal.replies import Write

LINE, CUT = -1, -2  # parts of the strip that are no words
EMPHASIS = "", "", "", " underline", " bold underline"  # of a level: not by colour alone
UP, CLEAR = "\x1b[A", "\x1b[J"
# Around a line that has to stay one: a window that was made narrower just now would wrap it, unseen by us.
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"


class Strip:
    """The words of the last turn, each as dark as it is looked at; and those before it that are looked at.

    Without colour a shade stands behind each word.
    """

    def __init__(self, start: ReplyStart, glyphs: Glyphs = BLOCKS) -> None:
        self.glyphs = glyphs
        self.words = list(prompt_words(start.prompt))
        turns = [word.turn for word, _ in self.words]
        self._last = max(turns, default=0)
        self._opening = turns.index(self._last) if turns else 0  # where the last turn begins
        self._widths = [cell_len(word.text) for word, _ in self.words]
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
        """One line of at most `width` columns: the words that are looked at most, then the last ones said.

        They stand in the order in which they were said; "…" is for words left out, a line parts turns.
        """
        strongest = max(shares, default=0.0)
        levels = [sum(share >= step * strongest for step in STEPS) if strongest else 0 for share in shares]
        order = self._order(levels)
        shades = 0 if colour else 1  # columns behind a word
        widest = max(NARROWEST, width // 3)  # so that no word keeps all others out

        def fits(count: int) -> bool:
            parts = self._parts(order[:count])
            return sum(self._width(part, levels, shades, widest) + 1 for part in parts) <= width + 1

        count = len(order)
        if not fits(count):
            count = bisect(range(1, count), False, key=lambda count: not fits(count))
        if order and not count:
            return _cut(self._shown(order[0], levels, colour, widest), width)
        shown = [self._shown(part, levels, colour, widest) for part in self._parts(order[:count])]
        return _joined(*[piece for text in shown for piece in (text, " ")][:-1])

    def _order(self, levels: Sequence[int]) -> list[int]:
        """The words, darkest first, of equals the last. Of earlier turns, those that are looked at."""
        places = [i for i, (word, _) in enumerate(self.words) if levels[i] or word.turn == self._last]
        order = sorted(places, key=lambda i: (-levels[i], -i))
        of_last = [i for i in order[1:] if i >= self._opening]
        if of_last and order[0] < self._opening:  # something of the last turn is always there
            order.remove(of_last[0])
            order.insert(1, of_last[0])
        return order

    def _parts(self, chosen: Sequence[int]) -> list[int]:
        """The chosen words; marks where others are left out of the last turn, or between two of one turn."""
        parts: list[int] = []
        turn, before = -1, -1
        for i in sorted(chosen):
            if self.words[i][0].turn != turn:
                turn, before = self.words[i][0].turn, (self._opening if i >= self._opening else i) - 1
                parts += [LINE] if parts else []
            parts += [i] if i == before + 1 else [CUT, i]
            before = i
        return [*parts, CUT] if 0 <= before < len(self.words) - 1 else parts

    def _width(self, part: int, levels: Sequence[int], shades: int, widest: int) -> int:
        return 1 if part < 0 else min(widest, self._widths[part]) + (shades if levels[part] else 0)

    def _shown(self, part: int, levels: Sequence[int], colour: bool, widest: int) -> Text:
        if part < 0:
            return Text(self.glyphs.line if part == LINE else self.glyphs.cut, "dim")
        text = self.words[part][0].text
        if self._widths[part] > widest:
            text = set_cell_size(text, widest - 1) + self.glyphs.cut
        return self._word(text, levels[part], colour)

    def _word(self, text: str, level: int, colour: bool) -> Text:
        if colour:
            return Text(text, STYLES[level] + EMPHASIS[level] if level else "dim")
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
            # From the line below: a full line keeps its last column.
            self._write(f"\r\n{CLEAR}{self._back()}")
            self._drawn = False

    def moved(self) -> None:
        """Forget the strip: something else has written since, and the cursor is elsewhere."""
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
        self._write(f"\r\n{CLEAR}{NO_WRAP}{drawn.get()}{WRAP}{self._back()}")
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
