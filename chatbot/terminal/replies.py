"""Shows a reply while it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rich.cells import cell_len

from chatbot.replying import Event, Reply, ReplyStart
from chatbot.terminal.text import printable

Write = Callable[[str], object]


class ReplyLine:
    """Writes text as it comes, as one line without white space around it.

    What is written, joined, equals `printable(whole).strip()`: white space waits for the next word.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._started = False
        self._waiting = ""

    def add(self, text: str) -> None:
        """Write the text, except for white space that may turn out to be the last."""
        text = self._waiting + printable(text)
        words = text.rstrip()
        if not words:
            self._waiting = text
            return
        self._waiting = text[len(words) :]
        self._write(words if self._started else words.lstrip())
        self._started = True


class Wrapped:
    """Breaks lines between words. A word is written when it is whole, so that it never has to move.

    width: the columns of the terminal, asked for anew at each word, since windows change.
    """

    def __init__(self, write: Write, width: Callable[[], int]) -> None:
        self._write, self._width = write, width
        self._column = 0
        self._space = self._word = ""

    def add(self, text: str) -> None:
        """Take the next piece of one long line."""
        for part in re.split("( +)", text):
            if part.startswith(" "):
                self.end()
                self._space += part
            else:
                self._word += part
        # Scripts with wide characters have no spaces and may be broken anywhere.
        if cell_len(self._word) > len(self._word) or cell_len(self._word) >= self._width():
            self.end()

    def end(self) -> None:
        """Write the word that is waiting."""
        if not self._word:
            return
        if self._column and self._column + cell_len(self._space + self._word) > self._width():
            self._write("\n")
            self._column, self._space = 0, ""
        self._write(self._space + self._word)
        self._column += cell_len(self._space + self._word)
        self._space = self._word = ""


def show(events: Iterator[Event], write: Write) -> Reply:
    """Write the reply as it is made. Ctrl-C stops it: what was said until then is the reply."""
    seen: list[Event] = []
    line = ReplyLine(write)
    try:
        for event in events:
            seen.append(event)
            if not isinstance(event, ReplyStart):
                line.add(event.text)
    except KeyboardInterrupt:
        pass  # a stream without its end collects as "interrupted"
    return Reply.collect(seen)
