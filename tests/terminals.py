"""A program in a pseudo-terminal, and the screen that a person would see of it."""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pexpect
import pyte
from wcwidth import wcwidth

ROOT = Path(__file__).parent.parent
ANSWER_WITHIN = 60  # seconds; a busy machine is no failure
DIM, BLINK = 2, 5
CANVAS = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "VISUAL", "EDITOR", "COLORTERM")


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a program in a terminal is given: nothing of whoever runs the tests decides how it looks."""
    kept = {name: value for name, value in os.environ.items() if name not in CANVAS}
    ours = {"CHATBOT_HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    return {**kept, **ours, **more}


def heeds_ctrl_c() -> None:
    """What runs in a shell's background ignores it, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Emulator(pyte.HistoryScreen):
    """A terminal that keeps what scrolls away; pyte's, without two faults that our screens run into.

    pyte drops what follows a character without width, such as the joiner in an emoji, and knows no dim text:
    here a cell that is dim blinks, which nothing of ours does.
    """

    answer: Callable[[str], None]  # writes to the program

    def write_process_input(self, data: str) -> None:
        """Answer what the program asks."""
        self.answer(data)

    def draw(self, data: str) -> None:
        """Characters without width stay with the cell before them."""
        shown = ""
        for character in data:
            if wcwidth(character) == 0:
                super().draw(shown)
                shown = ""
                self._join(character)
            else:
                shown += character
        super().draw(shown)

    def select_graphic_rendition(self, *attributes: int, **private: bool) -> None:
        """SGR 2 is dim; a 2 within a colour is not."""
        left, found = list(attributes), list[int]()
        while left:
            first = left.pop(0)
            found.append(BLINK if first == DIM else first)
            if first in (38, 48) and left:
                count = 2 if left[0] == 5 else 4
                found += left[:count]
                left = left[count:]
            if first == 22:
                found.append(25)  # neither bold nor dim: no blinking either
        super().select_graphic_rendition(*found, **private)

    def _join(self, character: str) -> None:
        line, x = self.buffer[self.cursor.y], self.cursor.x - 1
        if x >= 0 and not line[x].data:  # the second half of a wide character
            x -= 1
        if x >= 0:
            line[x] = line[x]._replace(data=line[x].data + character)


class Screen:
    """A program, and the screen that it draws on.

    It answers what a terminal is asked (where the cursor is): the program runs as it does for a person.
    """

    BRACKETED = b"\x1b[?2004h"  # the prompt is open where it is switched on

    def __init__(
        self,
        home: Path,
        command: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        **more: str,
    ) -> None:
        self.emulator = Emulator(columns, lines, history=2000, ratio=0.5)
        self.emulator.answer = self.press
        self._stream = pyte.ByteStream(self.emulator)
        self.raw, self.read_at = b"", 0.0  # all that was written so far, and when the last of it came
        self._child: Any = pexpect.spawn(
            command[0],
            list(command[1:]),
            env=environment(home, **more),
            dimensions=(lines, columns),
            preexec_fn=heeds_ctrl_c,
            echo=True,
        )
        self._child.delaybeforesend = None

    def read(self, seconds: float = 0.02) -> bool:
        """Draw what the program has written; whether it can still write."""
        try:
            data: bytes = self._child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.read_at = time.perf_counter()
        self.raw += data
        self._stream.feed(data)
        return True

    def wait(self, until: Callable[[], object], why: str = "") -> None:
        """Draw until this is so."""
        end = time.monotonic() + ANSWER_WITHIN
        while not until():
            alive = self.read()
            if until():
                return
            assert alive, f"it ended, not: {why}\n{self}"
            assert time.monotonic() < end, f"not: {why}\n{self}"

    def wait_for(self, *texts: str) -> None:
        """Draw until all of these stand on the screen."""
        for text in texts:
            self.wait(lambda text=text: text in str(self), repr(text))  # type: ignore[misc]

    def press(self, keys: str) -> None:
        """Press keys at once."""
        self._child.send(keys.encode())

    def enter(self, text: str) -> None:
        """Type a line, and wait for the next prompt."""
        self.open()
        opened = self.prompts
        self.press(text + "\r")
        self.open(opened + 1)

    def open(self, number: int = 1) -> None:
        """Wait for the prompt of this number, drawn whole: the cursor behind "> ", the status line below."""
        self.wait(lambda: self.prompts >= number and self._drawn(), f"prompt {number}")

    @property
    def prompts(self) -> int:
        """How often a prompt was opened."""
        return self.raw.count(self.BRACKETED)

    def _drawn(self) -> bool:
        row = self.emulator.cursor.y
        status = "".join(self.lines[row + 1 :])
        return self.lines[row] == ">" and bool(status) and "loading" not in status

    @property
    def lines(self) -> list[str]:
        """The screen's rows, without the space behind them."""
        return [_row(self.emulator.buffer[y], self.emulator.columns) for y in range(self.emulator.lines)]

    @property
    def shown(self) -> list[str]:
        """The rows that hold something."""
        return [line for line in self.lines if line]

    @property
    def said(self) -> list[str]:
        """The rows that hold something above the open prompt, those that scrolled away too."""
        cursor = self.emulator.cursor.y
        return [line for line in [*self.scrolled, *self.lines[:cursor]] if line]

    @property
    def scrolled(self) -> list[str]:
        """What scrolled away at the top."""
        return [_row(line, self.emulator.columns) for line in self.emulator.history.top]

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self.emulator.resize(lines, columns)
        self._child.setwinsize(lines, columns)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._child.child_fd)[3] & termios.ECHO)

    def suspend(self) -> None:
        """Stop the program; the terminal is in the shell's mode then."""
        self._child.kill(signal.SIGSTOP)
        mode = termios.tcgetattr(self._child.child_fd)
        mode[0] |= termios.ICRNL
        mode[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(self._child.child_fd, termios.TCSANOW, mode)

    def resume(self) -> None:
        """Let it go on, as `fg` does."""
        self._child.kill(signal.SIGCONT)

    def leave(self, keys: str = "\x04") -> int:
        """Press Ctrl-D; the exit code."""
        self.press(keys)
        return self.ended()

    def ended(self) -> int:
        """Wait for the program to end; the exit code."""
        end = time.monotonic() + ANSWER_WITHIN
        while self.read():
            assert time.monotonic() < end, f"it does not end\n{self}"
        self._child.wait()
        self._child.close()
        return int(self._child.exitstatus)

    def kill(self) -> None:
        """End what did not end."""
        self._child.close(force=True)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def _row(line: Any, columns: int) -> str:  # Any: pyte's buffers
    return "".join(line[x].data for x in range(columns)).rstrip()


def program(*arguments: str) -> tuple[str, ...]:
    """`chatbot` over scripted bots, in a process of its own."""
    return (sys.executable, "-m", "tests.program", *arguments)


def cells(screen: Screen) -> Iterator[Any]:
    """Every cell that holds something, with its colours."""
    for y in range(screen.emulator.lines):
        for x in range(screen.emulator.columns):
            cell = screen.emulator.buffer[y][x]
            if cell.data.strip():
                yield cell
