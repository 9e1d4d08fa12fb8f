"""Shows work that takes a while: a bar for each stage on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
)
from rich.text import Text

from chatbot.terminal.text import printable

EVERY = 10.0  # seconds between the lines in a pipe

Advance = Callable[[int, int], None]  # (done, total); a total of 0 is not known
Begin = Callable[[str], Advance]


@contextmanager
def stages(*, in_bytes: bool = False, console: Console | None = None) -> Iterator[Begin]:
    """Show work of several stages: the block calls what it gets with each stage's description."""
    console = console or standard_error()
    if can_redraw(console):
        with Progress(*_work_columns(in_bytes), console=console, transient=True) as progress:
            yield lambda description: _as_bar(progress, printable(description))
    else:
        lines = _StageLines(console, in_bytes)
        yield lines.begin
        lines.end()


@contextmanager
def track(description: str, *, in_bytes: bool = False, console: Console | None = None) -> Iterator[Advance]:
    """Show work of one stage."""
    with stages(in_bytes=in_bytes, console=console) as begin:
        yield begin(description)


def say(line: str, console: Console | None = None) -> None:
    """A line between the bars, or after them."""
    print_lines(console or standard_error(), line)


class ProgressConsole(Console):
    """Goes on in silence when nobody reads any more: a training must not end because `head` did."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on. (rich's own way is to end the program.)"""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def standard_error() -> Console:
    """Where progress is shown: stdout is for answers."""
    return ProgressConsole(stderr=True, highlight=False)


def _as_bar(progress: Progress, description: str) -> Advance:
    task = progress.add_task(description, total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total or None)

    return advance


class _StageLines:
    """Stages in a pipe: a line when one begins, one when it ends, and now and then one between."""

    def __init__(self, console: Console, in_bytes: bool) -> None:
        self._console, self._in_bytes = console, in_bytes
        self._description = self._amount = ""
        self._begun = self._shown = 0.0

    def begin(self, description: str) -> Advance:
        self.end()
        self._description, self._amount = description, ""
        self._begun = self._shown = monotonic()
        print_lines(self._console, f"{description} ...")
        return self._advance

    def end(self) -> None:
        if self._description:
            amount = f"{self._amount}, " if self._amount else ""
            print_lines(self._console, f"{self._description}: {amount}{duration(monotonic() - self._begun)}")

    def _advance(self, done: int, total: int) -> None:
        self._amount = _amount(done, total, self._in_bytes) if done else ""
        if monotonic() - self._shown >= EVERY:
            self._shown = monotonic()
            print_lines(self._console, f"{self._description}: {self._amount}")


def _amount(done: int, total: int, in_bytes: bool) -> str:
    whole = total if done < total else 0
    if in_bytes:
        return f"{done / 1e6:.1f} of {whole / 1e6:.1f} MB" if whole else f"{done / 1e6:.1f} MB"
    return f"{done:,} of {whole:,}" if whole else f"{done:,}"


def _work_columns(in_bytes: bool) -> list[ProgressColumn]:
    amount: ProgressColumn = DownloadColumn() if in_bytes else MofNCompleteColumn()
    return [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), amount]


def can_redraw(console: Console) -> bool:
    """Whether a bar can be drawn there."""
    return console.is_terminal and not console.is_dumb_terminal


def print_lines(console: Console, lines: str) -> None:
    """Each line by itself, whatever is in it."""
    for line in lines.splitlines():
        # soft_wrap: a line in a log stays one line; on a screen it breaks between words
        console.print(Text(printable(line)), soft_wrap=not console.is_terminal)


def duration(seconds: float) -> str:
    """75 -> "1:15" """
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
