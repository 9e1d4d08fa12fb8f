"""Keeps what is typed while the bot loads or replies, for the next prompt."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

if sys.platform != "win32":
    import termios

Lend = Callable[[], AbstractContextManager[object]]
Mode = list[Any]  # Any: as termios has it


@contextmanager
def kept() -> Iterator[Lend]:
    """Between prompts, keys are neither shown nor changed; Ctrl-C still works.

    A terminal left alone would print them into the reply, and would make Enter a line feed, which at the
    next prompt begins a line instead of sending one. What is given lends the terminal to another program,
    as it was before.
    """
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield nullcontext
        return
    stdin = sys.stdin.fileno()
    before, quiet = termios.tcgetattr(stdin), _quiet(termios.tcgetattr(stdin))
    with _mode(stdin, quiet, before), _resumed(lambda *given: _again(stdin, quiet)):
        yield lambda: _lent(stdin, before, quiet)


def _quiet(mode: Mode) -> Mode:
    mode[0] &= ~termios.ICRNL
    mode[3] &= ~(termios.ECHO | termios.ICANON)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    return mode


@contextmanager
def _lent(stdin: int, before: Mode, quiet: Mode) -> Iterator[None]:
    with _resumed(signal.SIG_DFL), _mode(stdin, before, quiet):  # who has it looks after it
        yield


@contextmanager
def _mode(stdin: int, wanted: Mode, after: Mode) -> Iterator[None]:
    """The terminal in a mode, and then in another."""
    termios.tcsetattr(stdin, termios.TCSADRAIN, wanted)
    try:
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, after)


@contextmanager
def _resumed(then: Callable[..., None] | signal.Handlers) -> Iterator[None]:
    """What is done when the program goes on after a Ctrl-Z."""
    before = signal.signal(signal.SIGCONT, then)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)


def _again(stdin: int, mode: Mode) -> None:
    """The mode again: the shell had its own meanwhile. In the background the terminal is not ours to set."""
    with suppress(OSError, termios.error):
        if os.tcgetpgrp(stdin) == os.getpgrp():
            termios.tcsetattr(stdin, termios.TCSADRAIN, mode)
