"""Ctrl-C at the wrong moment, and Ctrl-Z."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any


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


@contextmanager
def after_resuming(then: Callable[[], object]) -> Iterator[None]:
    """Whenever the program goes on after a Ctrl-Z within this, do that too."""
    if sys.platform == "win32" or current_thread() is not main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCONT)

    def resumed(*given: Any) -> None:  # Any: a signal's number and frame
        if callable(before):
            before(*given)
        then()

    signal.signal(signal.SIGCONT, resumed)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)
