"""The program over scripted bots: `python -m tests.program chat`.

SCRIPT, in the environment, is JSON:
    bots    name -> what it says, in turn
    stops   before the piece of this number a reply waits until there is a file "go"; none: it never does
    spelled characters outside ASCII are pieces of a byte each
    broken  no bot can be loaded, for this reason
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatbot import checkpoint
from chatbot.bot import Bot
from chatbot.checkpoint import Summary
from chatbot.cli import main
from chatbot.errors import ChatbotError
from chatbot.terminal.attention import BYTE
from chatbot.tokenizer import MARKS
from tests.fakes import WordTokenizer, scripted_bot

SCRIPT: dict[str, Any] = {"bots": {"parrot": ["Hi there.", "Fine, thanks."]}, "stops": None}
SCRIPT.update(broken="", spelled=False)
GO, FOLDER = Path("go"), Path("checkpoints")


class Spelled(WordTokenizer):
    """Characters outside ASCII are spelled as a trained tokenizer does it that has no piece for them."""

    def encode(self, text: str) -> list[int]:
        """ "a é" -> "▁a" "▁" "<0xC3>" "<0xA9>" """
        found = re.findall(r" ?[\x21-\x7e]+| |[^\x00-\x7f]", f" {text}")
        spelled = [[f"<0x{b:02X}>" for b in one.encode()] if not one.isascii() else [one] for one in found]
        return [self._id(piece.replace(" ", "▁")) for pieces in spelled for piece in pieces]

    def decode(self, ids: Sequence[int]) -> str:
        """Bytes that are no character yet become U+FFFD."""
        pieces = [self.piece(i) for i in ids if i not in MARKS]
        said = b"".join(bytes.fromhex(one[3:5]) if BYTE.fullmatch(one) else one.encode() for one in pieces)
        return said.decode(errors="replace").replace("▁", " ").removeprefix(" ")


def moving(position: int, length: int) -> Sequence[float]:
    """All attention on one token of the prompt, on the next one at each piece, marks left out."""
    _wait(position)
    words = max(1, length - 2)
    return [float(i == 1 + position % words) for i in range(length)]


def _wait(position: int) -> None:
    while position == SCRIPT["stops"] and not GO.exists():
        time.sleep(0.01)


def _find(name: str | None = None) -> Path:
    bots = {str(FOLDER / bot): FOLDER / bot for bot in SCRIPT["bots"]}
    known = {None: next(iter(bots.values())), **bots, **{folder.name: folder for folder in bots.values()}}
    return known[name] if name in known else _really(name)


def _load(folder: Path | str, device: str = "auto", engine: str = "auto") -> Bot:
    if SCRIPT["broken"]:
        raise ChatbotError(SCRIPT["broken"])
    name = Path(folder).name
    tokenizer = Spelled() if SCRIPT["spelled"] else WordTokenizer()
    return scripted_bot(*SCRIPT["bots"][name], name=name, tokenizer=tokenizer, looks=moving)


if __name__ == "__main__":
    SCRIPT.update(json.loads(os.environ.get("SCRIPT", "{}")))
    _really = checkpoint.find
    checkpoint.find = _find
    checkpoint.available = lambda: [
        Summary(name, FOLDER / name, "gpt", corpus="own") for name in SCRIPT["bots"]
    ]
    Bot.load = _load  # type: ignore[method-assign, assignment]
    main()
