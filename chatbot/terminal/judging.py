"""Which replies were good, as `/good` says it; `chatbot prefer` learns from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from chatbot import paths
from chatbot.dialogue import Turn
from chatbot.terminal import files
from chatbot.terminal.text import escaped


def file() -> Path:
    """Where judged replies are kept."""
    return paths.home() / "judged.jsonl"


def keep(turns: Sequence[Turn], good: str, bad: Sequence[str]) -> None:
    """Add a line as `chatbot.corpus.judged` reads it: what was said, the good reply to it, and the others."""
    said = [{"speaker": turn.speaker, "text": turn.text} for turn in turns]
    judged = json.dumps({"turns": said, "good": [good], "bad": list(bad)}, ensure_ascii=False)
    files.append(file(), escaped(judged))
