"""Ctrl-C at the wrong moment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of this.

    Between writing a word and noting it, it would be written twice. An import that was cut short cannot be
    begun again: torch and NumPy crash, since half of them is loaded already.
    """
    if current_thread() is not main_thread():  # the only one that Ctrl-C interrupts
        yield
        return
    pressed: list[object] = []
    before = signal.signal(signal.SIGINT, lambda *given: pressed.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and callable(before):  # around this there may be another that waits
        before(signal.SIGINT, None)
