"""A table of names and what they stand for, imported only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from chatbot.errors import ConfigError, suggestion
from chatbot.interrupts import uninterrupted


class Registry(Mapping[str, str]):
    """name -> "package.module" or "package.module:attribute".

    Strings, so that listing the names imports nothing (torch alone costs over a second).
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __setitem__(self, name: str, target: str) -> None:
        self._entries[name] = target

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str) -> Any:  # Any: a registry's entries are of one kind, known to its users
        """Import what `name` stands for. Unknown names raise ConfigError with a suggestion."""
        if name not in self._entries:
            raise ConfigError(f"there is no {self.kind} '{name}'", suggestion(name, self._entries))
        module, _, attribute = self._entries[name].partition(":")
        with uninterrupted():
            loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
