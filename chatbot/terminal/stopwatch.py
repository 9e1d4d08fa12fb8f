"""How fast a reply came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from chatbot.replying import Event, TokenEvent


@dataclass
class Stopwatch:
    """Watches a reply being made. first, seconds: until its first token, and in all; tokens: how many."""

    tokens: int = 0
    first: float = 0.0
    seconds: float = 0.0

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds else 0.0

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        """The same events; what their consumer does meanwhile is not counted."""
        self.tokens, self.first, self.seconds = 0, 0.0, 0.0
        began = time.perf_counter()
        for event in events:
            self.seconds += time.perf_counter() - began
            if isinstance(event, TokenEvent):
                self.tokens += 1
                self.first = self.first or self.seconds
            yield event
            began = time.perf_counter()

    def told(self, seed: int | None) -> str:
        """A line."""
        speed, first = f"{self.speed:,.0f} tokens/s", f"the first after {1000 * self.first:.0f} ms"
        drawn = "" if seed is None else f", seed {seed}"
        return f"{self.tokens} tokens, {speed}, {first}{drawn}"
