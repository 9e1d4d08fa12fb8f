"""How wide the terminal is."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from rich.console import Console


def fitted(console: Console) -> Console:
    """The console, as wide as its terminal is now: rich takes every dumb one to have 80 columns."""
    if console.is_dumb_terminal:
        with suppress(OSError, ValueError):  # what it writes to need not have a size
            found = os.get_terminal_size(console.file.fileno())
            if found.columns:
                console.size = shutil.get_terminal_size(found)
    return console
