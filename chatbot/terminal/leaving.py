"""How to leave, for those who ask the bot: it seldom knows, so the program itself says a line."""

from __future__ import annotations

import re

HOW = "Use Ctrl-D or /exit to leave."
WORD = re.compile(r"\w+")
BEFORE = r"(?:(?:ok|okay|so|um|and|wait|hey|pip|please|sorry|well|but|now) )*"
AFTER = r"(?: (?:please|pls|now|then|again|pip))*"
ASKED = (
    r"(?:how|how to|how (?:do|can|could|should) (?:i|we)|(?:can you )?tell me how to"
    r"|i (?:dont|don t) know how to|what do i (?:have to )?(?:type|press|do) to"
    r"|what s the command to|whats the command to)"
)
WANTED = r"(?:i (?:want to|wanna|need to|would like to|d like to)|id like to)"
THING = r"(?:chat|chatbot|chat bot|bot|app|program|thing|conversation|session|window)"
PLACE = rf"(?: (?:(?:out )?of |from )?(?:here|chatbot|(?:the|this) {THING}))"
THIS = rf"(?:{PLACE}| (?:(?:out )?of |from )?this)"
VERBS = r"(?:leave|close|end|stop|get out|get off|escape|shut down|turn off)"
ASKS = re.compile(
    f"{BEFORE}(?:(?:{ASKED}|{WANTED}) exit{THIS}?|{WANTED} (?:quit|leave){PLACE}"
    f"|{ASKED} (?:quit|log ?(?:out|off)){THIS}?|{ASKED} {VERBS}{PLACE}"
    f"|{ASKED} (?:leave|get out)|let me out{PLACE}?){AFTER}"
)


def asks(text: str) -> bool:
    """Whether a message is nothing but the question how to leave, whatever its case and punctuation."""
    return bool(ASKS.fullmatch(" ".join(WORD.findall(text.lower()))))
