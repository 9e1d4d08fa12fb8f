"""The program over scripted bots: `python -m tests.program chat`.

SCRIPT, in the environment, is JSON:
    bots    name -> what it says, in turn
    stops   before the piece of this number a reply waits until there is a file "go"; none: it never does
    broken  no bot can be loaded, for this reason
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatbot import checkpoint
from chatbot.bot import Bot
from chatbot.checkpoint import Summary
from chatbot.cli import main
from chatbot.errors import ChatbotError
from tests.fakes import scripted_bot

SCRIPT: dict[str, Any] = {"bots": {"parrot": ["Hi there.", "Fine, thanks."]}, "stops": None, "broken": ""}
GO, FOLDER = Path("go"), Path("checkpoints")


def moving(position: int, length: int) -> Sequence[float]:
    """All attention on one token of the prompt, on the next one at each piece, marks left out."""
    _wait(position)
    words = max(1, length - 2)
    return [float(i == 1 + position % words) for i in range(length)]


def _wait(position: int) -> None:
    while position == SCRIPT["stops"] and not GO.exists():
        time.sleep(0.01)


def _find(name: str | None) -> Path:
    bots = {str(FOLDER / bot): FOLDER / bot for bot in SCRIPT["bots"]}
    known = {None: next(iter(bots.values())), **bots, **{folder.name: folder for folder in bots.values()}}
    return known[name] if name in known else _really(name)


def _load(folder: Path | str, device: str = "auto", engine: str = "auto") -> Bot:
    if SCRIPT["broken"]:
        raise ChatbotError(SCRIPT["broken"])
    name = Path(folder).name
    return scripted_bot(*SCRIPT["bots"][name], name=name, looks=moving)


if __name__ == "__main__":
    SCRIPT.update(json.loads(os.environ.get("SCRIPT", "{}")))
    _really = checkpoint.find
    checkpoint.find = _find
    checkpoint.available = lambda: [
        Summary(name, FOLDER / name, "gpt", corpus="own") for name in SCRIPT["bots"]
    ]
    Bot.load = _load  # type: ignore[method-assign, assignment]
    main()
