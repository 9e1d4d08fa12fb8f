"""Cleaning: small rules for texts, and what is left of dialogues after them.

clean_text() is also used on what a user types, so that a bot reads what it was trained on.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html.entities import html5

from chatbot.config import setting
from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue, Turn, said
from chatbot.manners import offends

Rule = Callable[[str], str]

HOPELESS = 20  # times the longest turn: no cleaning makes such a text short enough
ROUNDS = 8  # rules uncover work for one another ("&amp;lt;b>"); real texts need one or two


@dataclass(frozen=True, kw_only=True)
class CleaningConfig:
    """What is left out of a corpus."""

    longest_turn: int = setting(400, "characters that a turn may have; longer ones are monologues")
    repeats: bool = setting(False, "keep dialogues that were there before, word for word")
    manners: bool = setting(False, "leave out turns with slurs or the worst words (chatbot/manners.txt)")


def clean_text(text: str) -> str:
    """One text after all the rules; cleaning it again changes nothing."""
    return _apply(text)[0]


def clean(dialogues: Iterable[Dialogue], config: CleaningConfig, report: Report) -> Iterator[Dialogue]:
    """Clean every turn. One that is empty, too long or unmannerly goes, and parts its dialogue in two: the
    turns around it do not answer each other. Parts of fewer than two turns go too, and so do repeats."""
    seen: set[bytes] = set()
    for dialogue in dialogues:
        # One without any turn left is still a dialogue to be counted.
        for i, part in enumerate(list(_parts(dialogue, config, report)) or [[]]):
            where = f"conversation {dialogue.number}"
            report.parted += i > 0
            if len(part) < 2:
                report.drop("dialogues: fewer than two turns left", where)
            elif not config.repeats and _is_repeat(part, seen):
                report.drop("dialogues: there before, word for word", where)
            else:
                kept = Dialogue(tuple(part), dialogue.source, dialogue.number, dialogue.fold)
                report.keep(kept)
                yield kept


def _parts(dialogue: Dialogue, config: CleaningConfig, report: Report) -> Iterator[list[Turn]]:
    part: list[Turn] = []
    for turn in dialogue.turns:
        hopeless = len(turn.text) > config.longest_turn * HOPELESS
        text, changed = (turn.text, []) if hopeless else _apply(turn.text)
        for rule in changed:
            report.change(rule)
        reason = "cut short" if turn.cut else _unwanted(text, config)
        if not reason:
            part.append(turn if text == turn.text else Turn(turn.speaker, text))
            continue
        report.drop(f"turns: {reason}", f"conversation {dialogue.number}")
        if part:
            yield part
        part = []
    if part:
        yield part


def _unwanted(text: str, config: CleaningConfig) -> str:
    """Why a turn is left out, or ""."""
    if not text:
        return "empty"
    if len(text) > config.longest_turn:
        return f"longer than {config.longest_turn} characters"
    return "with words of manners.txt" if config.manners and offends(text) else ""


def _is_repeat(turns: list[Turn], seen: set[bytes]) -> bool:
    """Digests, not texts: 16 bytes a dialogue hold for the largest corpus."""
    digest = hashlib.blake2b(said(turns).encode(), digest_size=16).digest()
    if digest in seen:
        return True
    seen.add(digest)
    return False


# The rules, in the order in which they are applied.

ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
ESCAPED_AMPERSANDS = re.compile(r"&(?:(?:amp|#38);)+")  # at one go: "&amp;amp;amp;lt;" is one "&lt;"

ATTRIBUTE = r"""\s+[\w-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s<>"']+)"""
# Only HTML's own: "<3", "a < b" and scripts' "<breathing>" are text.
INLINE_TAG = re.compile(
    rf"</?(?:a|abbr|b|big|center|cite|code|del|em|font|html|i|ins|mark|pre|s|small|span|strike|strong|sub|sup|tt|u)"
    rf"(?:{ATTRIBUTE})*\s*/?>",
    re.IGNORECASE,
)
BLOCK_TAG = re.compile(
    rf"</?(?:blockquote|body|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|table|td|th|tr|ul)(?:{ATTRIBUTE})*\s*/?>",
    re.IGNORECASE,
)

TYPOGRAPHY = str.maketrans(
    dict.fromkeys("‘’‚‛′´", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–−", "-")
    | {"—": "--", "―": "--", "…": "...", "‹": "'", "›": "'", "⁄": "/"}
)
APOSTROPHE = re.compile(r"(?<=[A-Za-z])`(?=[A-Za-z])")  # "don`t"
DOUBLE_QUOTE = re.compile(r"(?<!`)``(?!`)|(?<![A-Za-z0-9])''|''(?![A-Za-z0-9])")
DASHES = re.compile(r"[—―]{2,}|-[–—]|[–—]-|––")
LOW_COMMA = re.compile(r"(?<=\w)‚(?=\s)")  # U+201A, which looks like one
CHINESE_STOP = re.compile(r"(?<=[!-~]) ?([。、])")  # within English

# As terminals read them: ESC [ ... letter, ESC ] ... BEL, ESC letter, and the same by their C1 names.
ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
# Controls, bidi and other invisible marks, halves of surrogate pairs, noncharacters. White space is left
# to the next rule. Joiners stay between characters beyond ASCII: emoji, Persian and Hindi need them.
CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    r"|(?<![^\x00-\x7f\s])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\s])"
)


def entities(text: str) -> str:
    """&quot;Hi&quot; -> "Hi"; only those that end in a semicolon."""
    if "&" not in text:
        return text
    return ENTITY.sub(_character, ESCAPED_AMPERSANDS.sub("&", text))


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return html.unescape(entity[0]) if name.startswith("#") else html5.get(f"{name};", entity[0])


def tags(text: str) -> str:
    """You <u>know</u><br>it -> You know it"""
    return BLOCK_TAG.sub(" ", INLINE_TAG.sub("", text)) if "<" in text else text


def typography(text: str) -> str:
    """“It’s…” -> "It's..." """
    if "``" in text or "''" in text:
        text = DOUBLE_QUOTE.sub('"', text)
    if "`" in text:
        text = APOSTROPHE.sub("'", text)
    if text.isascii():
        return text
    text = DASHES.sub("--", text)
    text = LOW_COMMA.sub(",", text)
    text = CHINESE_STOP.sub(lambda found: ". " if found[1] == "。" else ", ", text)
    return text.translate(TYPOGRAPHY)


def unicode(text: str) -> str:
    """One way to write each character (NFKC): ｆｕｌｌ ﬁnancé -> full financé"""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def controls(text: str) -> str:
    """Nothing invisible, nothing that a terminal obeys."""
    if text.isascii() and text.isprintable():
        return text
    return CONTROL.sub("", ESCAPE.sub("", text))


def spaces(text: str) -> str:
    """One space, wherever there is white space."""
    return " ".join(text.split())


DETOKENISING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\.+(?: \.+)+", "..."),  # wait . . . what
        (r"(?<=\w) ' ?Ve\b", "'ve"),  # DailyDialog has it 700 times
        # I ' m, that 's; not the quoted letter in: press ' s '
        (r"(?<=\w) ' ?((?i:s|m|re|ve|ll|d|t))\b(?! ?')", r"'\1"),
        (r"(?<=[A-Za-rt-z])' ((?i:s|m|re|ve|ll|d|t))\b(?!-| ?')", r"'\1"),  # you' re; not: boys' t-shirts
        (r"(?<=[A-Za-z]) n't\b", "n't"),
        (r"\b([Oo]) ?' ?(?=clock\b)|\b([Mm]a) ?' ?(?=am\b)|\b([Cc]) ?' ?(?=mon\b)", r"\1\2\3'"),
        (r"\b((?:day|week|month|year|hour|minute|night)s) ' (?=[a-z])", r"\1' "),  # two weeks ' holiday
        (r"(?<!\S)' ((?:[^']|(?<=\w)'(?=\w))*[^' ]) '(?!\w)", r"'\1'"),  # ' quoted '
        (r"(?<=[a-z]s) ' (?=[a-z])", "' "),  # my parents ' house
        (r'(?<![^\s(\[-])" ?([^" ]|[^" ][^"]*[^" ]) ?"(?!\w)', r'"\1"'),
        (r"(?<![:;=8xX-])\( ?([^() ]|[^() ][^()]*[^() ]) ?\)", r"(\1)"),
        (r"\[ ?([^\[\] ]|[^\[\] ][^\[\]]*[^\[\] ]) ?\]", r"[\1]"),
        (r"\b([A-Z]) \. ([A-Z]) \. ([A-Z]) \.(?!\S)", r"\1.\2.\3."),
        (r"\b([A-Z]) \. ([A-Z]) \.(?!\S)", r"\1.\2."),
        (r"\b([ap]) \. ?m(?: ?\.(?!\S)|\b)", r"\1.m."),
        (r"(?<=\d) \. (?=\d)", "."),  # $ 16 . 50
        (r"(?<=\d) , (?=000\b)", ","),
        (r"\b(\d{1,2}): (?=\d\d\b)", r"\1:"),  # at 8: 30
        (r"\b([A-Z]) / (?=[A-Z]\b)", r"\1/"),
        (r"""(?<=\S) +([,!?;:]+|\.)(?=["']?(?:\s|$))""", r"\1"),
        (r"([$£€¥]) (?=\d)", r"\1"),
        (r"(?<=\d) %", "%"),
    )
)
TAKEN_APART = re.compile(
    r""" (?:[^\w(\[<-]|n't)|["'(\[$£€¥] |\d: \d"""
)  # one search for what most texts lack


def tokens(text: str) -> str:
    """Put together what a tokeniser took apart: Say , I ' m fine . -> Say, I'm fine."""
    if TAKEN_APART.search(text):
        for pattern, replacement in DETOKENISING:
            text = pattern.sub(replacement, text)
    return text


RULES: dict[str, Rule] = {
    "HTML entities": entities,
    "HTML tags": tags,
    "typographic marks": typography,
    "Unicode forms": unicode,
    "control characters": controls,
    "white space": spaces,
    "spaces around punctuation": tokens,
}


# What every rule needs something of: most texts have none of it and are left alone after one search.
SUSPECT = re.compile(r"""[^ -~]|[&<`]|''|^ | $| [^A-Za-z0-9]|["'(\[$] |: \d| n't""")


def _apply(text: str) -> tuple[str, list[str]]:
    """The text after all rules, and the names of those that changed it."""
    changed: dict[str, None] = {}
    for _ in range(ROUNDS):
        if not SUSPECT.search(text):
            break
        before = text
        for name, rule in RULES.items():
            after = rule(text)
            if after != text:
                changed[name] = None
                text = after
        if text == before:
            break
    return text, list(changed)
