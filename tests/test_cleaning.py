"""Cleaning: each rule by examples, and laws that hold for every text."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.corpus import Report
from chatbot.corpus import cleaning as cleaning_module
from chatbot.corpus.cleaning import RULES, CleaningConfig, clean, clean_text
from chatbot.dialogue import Dialogue, Turn

CASES = [
    # HTML
    ("&quot;Hi&quot; &amp; bye", '"Hi" & bye'),
    ("&amp;amp;amp;lt;3 &#39;x&#x27;", "<3 'x'"),
    ("?a=1&copy=2 AT&T &nonsense;", "?a=1&copy=2 AT&T &nonsense;"),
    ("&lt;b&gt;loud&lt;/b&gt;", "loud"),
    ("You <u>know</u> <I>that</I>.", "You know that."),
    ('one<br/>two<p class="x">three</p>', "one two three"),
    ('<a href="http://a.b/c?d=e" id=x>here</a>', "here"),
    ("I <3 you, a < b and c > d", "I <3 you, a < b and c > d"),
    ("a <b and c> d <breathing> <me>", "a <b and c> d <breathing> <me>"),
    ("<<b>u>deep", "deep"),
    # typography and Unicode
    ("“It’s ‘fine’…”", "\"It's 'fine'...\""),
    ("wait—no – yes——", "wait--no - yes--"),
    ("``Quoted'' don`t use `code`", '"Quoted" don\'t use `code`'),
    ("```x```", "```x```"),
    ("ｆｕｌｌ ﬁnancé ①", "full financé 1"),
    ("Right。Next、please", "Right. Next, please"),
    ("你好。再见", "你好。再见"),
    # controls and white space
    ("\x1b[31mred\x1b[0m \x1b]0;title\x07x\x9b2Jy", "red xy"),
    ("a\x00b\x7fc\x85d\x1be", "abc d"),
    ("pay\u202epal\u200b \ufeffhead\u00adquarters", "paypal headquarters"),
    ("می\u200cخواهم 👩\u200d🚀 a\u200db", "می\u200cخواهم 👩\u200d🚀 ab"),
    ("half \ud800 a pair", "half a pair"),
    ("  two\t\tspaces\n and\u00a0lines\u2028 ", "two spaces and lines"),
    # what a tokeniser took apart
    ("I ’ m fine .", "I'm fine."),
    ("Say , Jim , how about", "Say, Jim, how about"),
    ("I do n't , you ca n't , he 's", "I don't, you can't, he's"),
    ("I ’ Ve , you' re , I ' LL", "I've, you're, I'LL"),
    ("push-ups ? No ! !", "push-ups? No!!"),
    ("( yes ) [ no ] (maybe)", "(yes) [no] (maybe)"),
    ("at ten o ' clock , ma ' am , c ' mon", "at ten o'clock, ma'am, c'mon"),
    ("' Super Girl ' and ' it's me ' .", "'Super Girl' and 'it's me'."),
    ('He said " Thank you " to " us " .', 'He said "Thank you" to "us".'),
    ("a two weeks ' holiday in my parents ' house", "a two weeks' holiday in my parents' house"),
    ("the U . S . at 7 a . m . , C . I . F .", "the U.S. at 7 a.m., C.I.F."),
    (
        "$ 16 . 50 , 3 , 000 yuan , £ 6 , 10 % off at 8: 30 by L / C",
        "$16.50, 3,000 yuan, £6, 10% off at 8:30 by L/C",
    ),
    ("well . . . maybe. . . .", "well ... maybe..."),
    ("In 1940 ' s", "In 1940's"),
]
LEFT_ALONE = [
    "I'm fine. Don't ... go -- no!",
    "It's 10:30, 3.5 km, $5, 50%, e.g. this.",
    "see http://example.com/a.b?c=d,e and x@y.org",
    "Hi :) ;) :D :( <3 :-) ^_^",
    "the '60s, rock 'n' roll, 'til then, give 'em hell",
    'She said "hi" and "bye" (twice).',
    'a 6" pipe and a 7" pipe',
    "right.But this stays",
    "the boys' t-shirts",
    "I like .NET and .5 mm",
    "press 's' now",
    "¿Qué tal? Ça va, señor. Straße, naïve, 日本語",
    "👍🏽 ok 🇩🇪",
]


@pytest.mark.parametrize(("text", "cleaned"), CASES)
def test_what_is_broken_is_mended(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_sound_is_left_alone(text: str) -> None:
    assert clean_text(text) == text


def test_every_rule_is_needed_by_some_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for rule in list(RULES):
        with monkeypatch.context() as without:
            without.delitem(RULES, rule)
            assert any(clean_text(text) != cleaned for text, cleaned in CASES), rule


NASTY = st.text(
    st.sampled_from(
        list(
            " '\".,!?;:()[]<>&;#/-`$%0123:amIsStuUb\t\n\x1b\x07\x00\x85\x9b…—–’‘“”。ﬁé\u00ad\u0301\u200d👩¨´"
        )
    )
)
MIXED = st.lists(st.one_of(NASTY, st.sampled_from([text for text, _ in CASES])), max_size=4).map(" ".join)


@given(st.one_of(NASTY, MIXED, st.text()))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once


@given(st.one_of(NASTY, st.text()))
def test_nothing_that_a_terminal_obeys_comes_out(text: str) -> None:
    cleaned = clean_text(text)
    assert not [c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not re.search("[\u202a-\u202e\u2060-\u2069\u200b\u200e\u200f\ufeff]", cleaned)
    assert cleaned == cleaned.strip()
    cleaned.encode("utf-8")


@given(st.one_of(NASTY, MIXED))
def test_the_quick_look_never_hides_work_from_a_rule(text: str) -> None:
    if not cleaning_module.SUSPECT.search(text):
        for rule in RULES.values():
            assert rule(text) == text


@pytest.mark.parametrize(
    "unit", ["&amp;", "<b ", '" ', "( ", "' a", " .", "\x9d", "\x1b]", "&#38;", "[ ", "U . "]
)
def test_no_text_takes_long(unit: str) -> None:
    clean_text(unit * (8000 // len(unit)))  # as long as clean() ever gives; the suite's timeout is the judge


def test_cleaning_a_users_words_imports_nothing_heavy() -> None:
    code = "import sys, chatbot.corpus.cleaning; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "numpy", "rich", "click", "sentencepiece", "platformdirs", "urllib.request"} & set(
        loaded
    )


def dialogue(*texts: str, number: int = 1) -> Dialogue:
    turns = tuple(Turn("AB"[i % 2], text) for i, text in enumerate(texts))
    return Dialogue(turns, source="film", number=number, fold="train")


def cleaned(
    *dialogues: Dialogue, longest_turn: int = 400, repeats: bool = False
) -> tuple[list[Dialogue], Report]:
    report, config = Report(), CleaningConfig(longest_turn=longest_turn, repeats=repeats)
    return list(clean(dialogues, config, report)), report


def test_an_empty_turn_parts_its_dialogue_in_two() -> None:
    kept, report = cleaned(dialogue("one", "two", " \t", "three", "four", "five", number=7))
    assert [[turn.text for turn in d.turns] for d in kept] == [["one", "two"], ["three", "four", "five"]]
    assert all((d.source, d.number, d.fold) == ("film", 7, "train") for d in kept)
    assert report.dropped == {"turns: empty": 1}
    assert report.first["turns: empty"] == "conversation 7"
    assert (report.dialogues, report.turns, report.pairs, report.words) == (2, 5, 3, 5)


def test_a_turn_that_is_too_long_counts_after_cleaning_and_parts_its_dialogue() -> None:
    kept, report = cleaned(dialogue("four", "five!", "five5   ", "sixsix", "a", "b"), longest_turn=5)
    assert [[turn.text for turn in d.turns] for d in kept] == [["four", "five!", "five5"], ["a", "b"]]
    assert report.dropped == {"turns: longer than 5 characters": 1}


def test_a_hopelessly_long_turn_is_dropped_unread() -> None:
    _, report = cleaned(dialogue("a", "b", " " * 1001), longest_turn=50)
    assert report.dropped == {"turns: longer than 50 characters": 1}


def test_what_is_left_of_a_dialogue_needs_two_turns() -> None:
    kept, report = cleaned(dialogue("alone"), dialogue("a", "", "b", "c", ""), dialogue("", ""))
    assert [len(d.turns) for d in kept] == [2]
    assert report.dropped == {"dialogues: fewer than two turns left": 3, "turns: empty": 4}
    assert 3 - 3 + report.parted == report.dialogues == 1


def test_a_repeat_is_dropped_whatever_its_case_but_kept_on_request() -> None:
    said_again = [
        dialogue("Hello.", "Hi!"),
        dialogue("HELLO.", "hi!", number=2),
        dialogue("Hello. Hi!", "", "x", "y"),
    ]
    kept, report = cleaned(*said_again)
    assert [d.number for d in kept] == [1, 1]
    assert report.dropped["dialogues: there before, word for word"] == 1
    assert report.first["dialogues: there before, word for word"] == "conversation 2"
    assert len(cleaned(*said_again, repeats=True)[0]) == 3


def test_each_rule_counts_the_turns_that_it_changed() -> None:
    _, report = cleaned(dialogue("<u>a</u>  <u>b</u>", "&lt;i&gt;c", "plain"))
    assert report.changed == {"HTML tags": 2, "white space": 1, "HTML entities": 1}


def test_a_turn_that_needs_no_cleaning_is_passed_on_as_it_is() -> None:
    given_dialogue = dialogue("Sound.", "Very.")
    kept, _ = cleaned(given_dialogue)
    assert kept[0].turns[0] is given_dialogue.turns[0]
