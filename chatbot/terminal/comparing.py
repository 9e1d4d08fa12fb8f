"""Two bots, one prompt, one judge who does not know which is which; and the tally of what was judged."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from chatbot import paths
from chatbot.errors import ChatbotError
from chatbot.terminal import files

QUESTION = "Which is better? 1, 2, = for equal, Enter for neither: "
EQUAL = "="
ANSWERS = {"1": 0, "2": 1}


@dataclass(frozen=True)
class Tally:
    """What was judged of two bots, by name in the order of the alphabet."""

    one: str
    other: str
    ones: int
    others: int
    equal: int

    def preferred(self) -> tuple[float, float, float]:
        """How often the first was the better one where one was, and at 95 % from where to where (0 to 1).

        The interval is Wilson's (1927).
        """
        from scipy.stats import binomtest  # slow to import

        decided = self.ones + self.others
        if not decided:
            return 0.5, 0.0, 1.0
        interval = binomtest(self.ones, decided).proportion_ci(method="wilson")
        return self.ones / decided, float(interval.low), float(interval.high)


def file() -> Path:
    """Where judgements are kept."""
    return paths.home() / "comparisons.jsonl"


def shuffled(count: int) -> list[int]:
    """An order that nobody knows before."""
    order = list(range(count))
    secrets.SystemRandom().shuffle(order)
    return order


def keep(names: Sequence[str], better: str | None) -> None:
    """Add a judgement: the bots' names, and whose reply was better; None: they were equal."""
    judged = {"bots": sorted(names), "better": better, "date": _now()}
    files.append(file(), json.dumps(judged))


def tallies() -> list[Tally]:
    """What was judged of each two bots."""
    counts: dict[tuple[str, str], Counter[str | None]] = {}
    for judged in _judgements():
        one, other = judged["bots"]
        counts.setdefault((one, other), Counter())[judged["better"]] += 1
    return [
        Tally(one, other, found[one], found[other], found[None])
        for (one, other), found in sorted(counts.items())
    ]


def _judgements() -> Iterator[dict[str, Any]]:
    """Line by line; one that is damaged is left out."""
    try:
        lines = file().read_text(encoding="utf-8", errors="replace").splitlines() if file().exists() else []
    except OSError as error:
        raise ChatbotError(f"{file()} cannot be read: {error.strerror}") from None
    for line in lines:
        try:
            judged = json.loads(line)
            one, other = map(str, judged["bots"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if judged.get("better") in (one, other, None):
            yield {"bots": (one, other), "better": judged.get("better")}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
