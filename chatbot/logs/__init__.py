"""Where else a training may be written down, by name; a kind is one file and one line here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chatbot.registry import Registry

if TYPE_CHECKING:  # this module imports no torch
    from chatbot.training import Event

LOGS = Registry("log", {"tensorboard": "chatbot.logs.tensorboard:TensorBoard"})


class Log(Protocol):
    """A kind of log, of the bot in `folder`."""

    def __init__(self, folder: Path) -> None: ...

    @staticmethod
    def require() -> None:
        """A ConfigError if a package is missing."""

    def write(self, event: Event) -> None:
        """Keep what is of interest."""

    def close(self) -> None:
        """Write what is left."""


def logged(events: Iterable[Event], kinds: Sequence[type[Log]], folder: Path) -> Iterator[Event]:
    """The same events, written down on the way."""
    with ExitStack() as stack:
        logs = [stack.enter_context(closing(kind(folder))) for kind in kinds]
        for event in events:
            for log in logs:
                log.write(event)
            yield event
