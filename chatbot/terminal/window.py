"""How wide the terminal is, and what it does when that changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.layout.screen import Char
    from prompt_toolkit.output import Output

# Set by terminals that wrap what stands on the screen anew when they are resized; xterm is not one of them.
REFLOWING = "TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "WT_SESSION", "ALACRITTY_WINDOW_ID", "KONSOLE_VERSION"
PROGRAMS = "iTerm.app", "Apple_Terminal", "WezTerm", "ghostty", "vscode"  # TERM_PROGRAM of others
# Clears as ED does, but not from the first column of the first row: there tmux and others take it for
# `clear`, and what the prompt looked like before goes to the history.
ERASE_DOWN = "\x1b7\x1b[K\x1b[B\r\x1b[J\x1b8"


def fitted(console: Console) -> Console:
    """The console, as wide as its terminal is now: rich takes every dumb one to have 80 columns."""
    if console.is_dumb_terminal:
        with suppress(OSError, ValueError):  # what it writes to need not have a size
            found = os.get_terminal_size(console.file.fileno())
            if found.columns:
                console.size = shutil.get_terminal_size(found)
    return console


def leave_no_copies(output: Output) -> Output:
    """The same output, which a terminal does not take for one that clears the whole screen."""
    setattr(output, "erase_down", lambda: output.write_raw(ERASE_DOWN))  # noqa: B010
    return output


def reflows() -> bool:
    """Whether this terminal wraps lines anew when it is resized, as far as it says which one it is."""
    known = any(os.environ.get(name) for name in REFLOWING)
    return known or os.environ.get("TERM_PROGRAM") in PROGRAMS


def follow(app: Application[Any]) -> None:
    """Let a prompt know, when the window is resized, where the terminal has put the cursor.

    prompt-toolkit goes up as many rows as it has drawn above it, and leaves those that have become more.
    """
    resize = app._on_resize  # nothing public is asked before the old rows are erased

    def resized() -> None:
        drawn, renderer = app.renderer.last_rendered_screen, app.renderer
        columns = renderer.output.get_size().columns
        if drawn and columns and reflows():
            at = renderer._cursor_pos
            up = sum(rows(length(drawn.data_buffer[y]), columns) for y in range(at.y)) + at.x // columns
            renderer._cursor_pos = at._replace(x=at.x % columns, y=up)
        resize()

    setattr(app, "_on_resize", resized)  # noqa: B010


def length(row: Mapping[int, Char]) -> int:
    """How many cells of it were written: spaces behind the last word are not."""
    return max((x + cell.width for x, cell in row.items() if cell.char != " "), default=0)


def rows(length: int, columns: int) -> int:
    """How many a line of so many cells takes."""
    return max(1, -(-length // columns))
