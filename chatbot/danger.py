"""People in danger: a bot this small answers them kindly at best, so the program itself says a line."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

HELP = (
    "If you or somebody else may be in danger, please call your emergency number or talk to a person "
    "you trust. This is only a small program."
)
WORD = re.compile(r"[^\W_]+")


@cache
def _phrases() -> re.Pattern[str]:
    lines = (files("chatbot") / "danger.txt").read_text(encoding="utf-8").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(said)})\b")


def speaks_of(text: str) -> bool:
    """Whether a phrase of danger.txt stands in a text, whatever its case and punctuation."""
    plain = re.sub("['’`ʼ´]", "", unicodedata.normalize("NFKC", text.casefold()))
    return bool(_phrases().search(" ".join(WORD.findall(plain))))
