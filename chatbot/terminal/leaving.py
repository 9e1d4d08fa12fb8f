"""How to leave, for those who ask the bot: it seldom knows, so the program itself says a line."""

from __future__ import annotations

import re

HOW = "Use Ctrl-D or /exit to leave."
WORD = re.compile(r"\w+")
BEFORE = r"(?:(?:ok|okay|so|um|and|wait|hey|pip|please|sorry|well|but|now) )*"
AFTER = r"(?: (?:please|pls|now|then|again|pip))*"
ASKED = (
    r"(?:how|how to|how (?:do|can|could|would|should) (?:i|you|we)|tell me how to"
    r"|what do i (?:type|press|do) to)"
)
WANTED = r"i (?:want to|wanna|need to|would like to)"
THING = r"(?:chat|chatbot|bot|app|program|thing|conversation)"
PLACE = rf"(?: (?:of )?(?:here|this|(?:the|this) {THING}))"
VERBS = r"(?:leave|close|end|stop|get out|get off|escape|shut down|turn off)"
ASKS = re.compile(
    f"{BEFORE}(?:(?:{ASKED}|{WANTED}) (?:exit|quit|log ?out){PLACE}?|{ASKED} {VERBS}{PLACE}"
    f"|{ASKED} (?:leave|get out)|let me out{PLACE}?){AFTER}"
)


def asks(text: str) -> bool:
    """Whether a message is nothing but the question how to leave, whatever its case and punctuation."""
    return bool(ASKS.fullmatch(" ".join(WORD.findall(text.lower()))))
