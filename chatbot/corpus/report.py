"""What was found in a corpus, what was left out and why: counted, never guessed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chatbot.config import to_dict
from chatbot.dialogue import Dialogue


@dataclass
class Report:
    """Counts of one reading of a corpus.

    listed   what the files hold, broken or not
    read     what the format could make of it, before cleaning
    dropped  by reason: "conversations: naming a line that is not there"; the word before the colon says
             what was dropped
    first    where the first case of each reason is: "movie_conversations.txt:812"
    parted   dialogues gained where a turn was dropped: what is before it and what is after it are two
    changed  turns that each cleaning rule changed
    the rest what is left after cleaning: the dialogues read, less those dropped, and those gained
    """

    format: str = ""
    conversations_listed: int = 0
    lines_listed: int = 0
    lines_empty: int = 0
    conversations_read: int = 0
    lines_read: int = 0
    pairs_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    parted: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    dialogues: int = 0
    turns: int = 0
    pairs: int = 0
    words: int = 0

    def reset(self) -> None:
        """Start again from nothing; who holds this report sees the new counts."""
        fresh = Report(format=self.format)
        for item in dataclasses.fields(self):
            setattr(self, item.name, getattr(fresh, item.name))

    def drop(self, reason: str, where: str) -> None:
        """Count one thing that was left out, and where the first of its kind is."""
        self.dropped[reason] += 1
        self.first.setdefault(reason, where)

    def change(self, rule: str) -> None:
        """Count one turn that a cleaning rule changed."""
        self.changed[rule] += 1

    def read(self, dialogue: Dialogue) -> None:
        """Count a dialogue as its format gave it."""
        self.conversations_read += 1
        self.lines_read += len(dialogue.turns)
        self.pairs_read += max(0, len(dialogue.turns) - 1)

    def keep(self, dialogue: Dialogue) -> None:
        """Count a dialogue that cleaning let through."""
        self.dialogues += 1
        self.turns += len(dialogue.turns)
        self.pairs += len(dialogue.turns) - 1
        self.words += sum(len(turn.text.split()) for turn in dialogue.turns)

    def lines(self) -> list[str]:
        """The counts as short plain lines for a user."""
        found = [
            f"found {many(self.conversations_listed, 'conversations')} "
            f"with {many(self.lines_listed, 'lines')}",
            f"read {many(self.conversations_read, 'conversations')} whole: "
            f"{many(self.lines_read, 'lines')}, {many(self.pairs_read, 'pairs')}, "
            f"{many(self.lines_empty, 'lines')} empty",
        ]
        found += self.lines_dropped()
        if self.parted:
            found.append(f"gained {many(self.parted, 'dialogues')}: parted where a turn was dropped")
        found += [f"cleaned {many(count, 'turns')}: {rule}" for rule, count in self.changed.most_common()]
        kept = f"kept {many(self.dialogues, 'dialogues')}: {many(self.turns, 'turns')}, "
        return [*found, f"{kept}{many(self.pairs, 'pairs')}, {many(self.words, 'words')}"]

    def lines_dropped(self) -> list[str]:
        """What was left out and why, the commonest reason first."""
        return [self._dropped(reason, count) for reason, count in self.dropped.most_common()]

    def to_dict(self) -> dict[str, Any]:  # Any: JSON values
        """The counts as JSON values."""
        return to_dict(self)

    def _dropped(self, reason: str, count: int) -> str:
        what, _, why = reason.partition(": ")
        return f"dropped {many(count, what)}: {why} (first: {self.first[reason]})"


def many(count: int, plural: str) -> str:
    """ "1 line", "2 lines" """
    return f"{count:,} {plural[:-1] if count == 1 else plural}"
