"""Shows a reply while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatbot.interrupts import uninterrupted
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


def show(events: Iterator[Event], write: Write) -> Reply:
    """Write the reply as it is made. Ctrl-C stops it: what was said until then is the reply."""
    seen: list[Event] = []
    line = ReplyLine(write)
    try:
        for event in events:
            with uninterrupted():
                seen.append(event)
                if not isinstance(event, ReplyStart):
                    line.add(event.text)
    except KeyboardInterrupt:
        pass  # a stream without its end collects as "interrupted"
    return Reply.collect(seen)
