"""Breaks lines: a reply's while it is made, and those of lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from chatbot.terminal.replies import Write

GAP = "  "  # between things of a list
CHARACTER = re.compile(".(?:\ufe0f?\u200d.)*")  # emoji that are joined stay together


class Wrapped:
    """Breaks lines between words. A word is written when it is whole, so that it never has to move.

    width: the columns of the terminal, asked for anew at each word, since windows change.
    """

    def __init__(self, write: Write, width: Callable[[], int]) -> None:
        self._write, self._width = write, width
        self.column = 0
        self._space = self._word = ""

    def add(self, text: str) -> None:
        """Take the next piece of one long line."""
        for part in re.split("( +)", text):
            if part.startswith(" "):
                self.end()
                self._space += part
            else:
                self._word += part
        if self._is_wide() or cell_len(self._word) >= self._width():
            self.end()

    def moved(self) -> None:
        """Go on at the beginning of a line: something else has written since."""
        self.column = 0

    def end(self) -> None:
        """Write the word that is waiting; what is longer than a line is left to the terminal."""
        parts = CHARACTER.findall(self._word) if self._is_wide() else [self._word]
        for part in filter(None, parts):
            if self.column and self.column + cell_len(self._space + part) > self._width():
                self._write("\n")
                self.column, self._space = 0, ""
            self._write(self._space + part)
            self.column += cell_len(self._space + part)
            self._space = ""
        self._word = ""

    def _is_wide(self) -> bool:
        """Scripts with wide characters have no spaces, and may be broken anywhere."""
        return cell_len(self._word) > len(self._word)


def broken(write: Write, width: Callable[[], int]) -> Write:
    """For whole lines that come in pieces: written as before, but broken between words."""
    line = Wrapped(write, width)

    def add(text: str) -> None:
        words, end, rest = text.partition("\n")
        line.add(words)
        if end:
            line.end()
            line.moved()
            write(end)
            add(rest)

    return add


class Listed:
    """Things in a row, on as many lines as it takes: none is broken, a piece is not parted from its number.

    rich itself breaks at every space, no-break spaces among them.
    """

    def __init__(self, things: Sequence[Text]) -> None:
        self.things = things

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for thing in self.things:
            if line and line.cell_len + len(GAP) + thing.cell_len > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, GAP, thing) if line else thing
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = [thing.cell_len for thing in self.things] or [0]
        whole = sum(widths) + len(GAP) * (len(widths) - 1)
        return Measurement(max(widths), whole).with_maximum(options.max_width)
