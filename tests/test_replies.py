"""Replies on the screen, and what must not get there."""

import json
import re
import signal

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatbot.dialogue import Dialogue, Turn
from chatbot.replying import Event, ReplyEnd, ReplyStart, TokenEvent
from chatbot.terminal import replies
from chatbot.terminal.text import UNSAFE, escaped, printable
from chatbot.terminal.wrapping import Wrapped, broken
from tests.fakes import ScriptedResponder, scripted_bot

HELLO = Dialogue((Turn("user", "hello"),))


def said(*texts: str, end: str = "") -> list[Event]:
    return [
        ReplyStart(()),
        *(TokenEvent(text, text, 9, 1.0, ()) for text in texts),
        ReplyEnd("finished", end),
    ]


def shown(events: list[Event]) -> list[str]:
    written: list[str] = []
    replies.show(iter(events), written.append)
    return written


def test_a_reply_is_written_piece_by_piece() -> None:
    written: list[str] = []
    reply = replies.show(ScriptedResponder("Hi, how are you?").reply(HELLO), written.append)
    assert written == ["Hi", ",", " how", " are", " you", "?"]
    assert (reply.text, reply.reason) == ("Hi, how are you?", "finished")


def test_the_last_of_a_reply_may_come_with_its_end() -> None:
    assert "".join(shown(said("caf", end="\ufffd"))) == "caf\ufffd"


def test_spaces_around_a_reply_are_not_written() -> None:
    assert shown(said("  ", " Hi", " ", "", "there", "  ", end=" ")) == ["Hi", " there"]


def test_an_empty_reply_writes_nothing() -> None:
    assert shown(said("", " ")) == []


def test_escape_sequences_never_reach_the_terminal() -> None:
    written = "".join(shown(said("\x1b[31mred\x1b]0;title\x07", "\x9b2J", "\u202eevil", "a\r\nb")))
    assert written == "[31mred]0;title2Jevila  b"


def test_markup_is_text() -> None:
    assert shown(said("[bold]", "[/nonsense]")) == ["[bold]", "[/nonsense]"]


def test_ctrl_c_stops_a_reply_and_keeps_what_was_said() -> None:
    written: list[str] = []
    responder = ScriptedResponder("Hi, how are you?", interrupted_at=3)
    reply = replies.show(responder.reply(HELLO), written.append)
    assert "".join(written) == reply.text == "Hi, how"
    assert reply.reason == "interrupted"
    assert len(reply.tokens) == 3


def test_ctrl_c_before_the_first_word_leaves_an_empty_reply() -> None:
    reply = replies.show(ScriptedResponder("Hi", interrupted_at=0).reply(HELLO), lambda text: None)
    assert (reply.text, reply.reason) == ("", "interrupted")


@given(st.lists(st.text()))
def test_what_is_written_piece_by_piece_is_the_whole_made_printable(texts: list[str]) -> None:
    assert "".join(shown(said(*texts))) == printable("".join(texts)).strip()


def wrapped(texts: list[str], width: int) -> list[str]:
    written: list[str] = []
    line = Wrapped(written.append, lambda: width)
    for text in texts:
        line.add(text)
    line.end()
    return written


def test_lines_are_broken_between_words_and_never_within() -> None:
    assert wrapped(["I", "'ll", " be", " ri", "ght", " back", "."], 10) == [
        "I'll",
        " be",
        "\n",
        "right",
        "\n",
        "back.",
    ]
    assert "".join(wrapped(["a" * 9, " b", " c"], 10)) == "a" * 9 + "\nb c"


def test_whole_lines_that_come_in_pieces_are_broken_between_words() -> None:
    written: list[str] = []
    write = broken(written.append, lambda: 10)
    for text in ["I'll be ri", "ght", " back.", "\n", "\n", "Not", "hing\nmore\n"]:
        write(text)
    assert "".join(written) == "I'll be\nright\nback.\n\nNothing\nmore\n"
    assert written[0] == "I'll"  # a word is there as soon as it is whole


def test_what_is_longer_than_a_line_is_left_to_the_terminal() -> None:
    assert wrapped(["a", " ", "b" * 25, " c"], 10) == ["a", "\n", "b" * 25, "\n", "c"]


def test_scripts_without_spaces_do_not_wait_for_one() -> None:
    assert wrapped(["東", "京", "都", "へ"], 5) == ["東", "京", "\n", "都", "へ"]


WORDS = st.lists(st.text("abc東 ", max_size=4).map(lambda text: re.sub(" +", " ", text)), max_size=20)


@given(texts=WORDS, width=st.integers(9, 30))
def test_wrapping_changes_nothing_but_spaces_into_line_ends(texts: list[str], width: int) -> None:
    whole = re.sub(" +", " ", "".join(texts)).strip()
    lines = "".join(wrapped([whole[i : i + 3] for i in range(0, len(whole), 3)], width)).split("\n")
    longest = max(map(len, whole.split(" ")))
    assert all(cell_len(line) <= max(width, 2 * longest) for line in lines)
    assert "".join("".join(lines).split()) == "".join(whole.split())


@given(st.text(st.characters(codec=None)))
def test_printable_text_can_be_encoded_and_holds_nothing_unsafe(text: str) -> None:
    assert not UNSAFE.search(printable(text))
    printable(text).encode()


@given(st.text(st.characters(codec=None)))
def test_escaped_json_is_safe_and_says_the_same(text: str) -> None:
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(line) == text
    assert not UNSAFE.search(line)


def test_joiners_of_emoji_and_other_scripts_stay() -> None:
    assert printable("👩\u200d💻 می\u200cخواهم é 東京") == "👩\u200d💻 می\u200cخواهم é 東京"


def test_ctrl_c_waits_until_a_word_is_written_and_noted() -> None:
    written: list[str] = []

    def write(text: str) -> None:
        written.append(text)
        if text == " two":
            signal.raise_signal(signal.SIGINT)

    line = Wrapped(write, lambda: 80)
    reply = replies.show(scripted_bot("one two three four").stream("hello"), line.add)
    line.end()
    assert "".join(written) == reply.text == "one two three"
    assert reply.reason == "interrupted"
