"""The line under a reply, on the screen of a terminal that is looked at after every token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import StringIO

import numpy as np
import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from chatbot.dialogue import Dialogue, Turn
from chatbot.replying import Event, Reply, ReplyStart, TokenEvent
from chatbot.terminal import replies
from chatbot.terminal.attention import BLOCKS, STEPS, STYLES
from chatbot.terminal.strip import LiveStrip, Strip, average
from chatbot.terminal.wrapping import Wrapped
from tests.fakes import scripted_bot


def moving(position: int, length: int) -> Sequence[float]:
    """All attention on the token of the prompt that has this position, marks left out."""
    weights = np.zeros(length)
    weights[1 + position % (length - 2)] = 1
    return list(weights)


class Terminal:
    """A screen, and what is written to it. seen: what it showed just before each of the model's tokens."""

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)
        self.console = Console(
            file=StringIO(), width=columns, force_terminal=True, color_system=None, _environ={}
        )
        self.seen: list[list[str]] = []

    def write(self, text: str) -> None:
        self._stream.feed(text)

    def shown(self) -> list[str]:
        """The lines that hold something."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def follow(self, events: Iterator[Event], with_strip: bool = True) -> None:
        """Show a reply, with its strip or without."""
        line = Wrapped(self.write, lambda: self.screen.columns)
        strip = LiveStrip(self.console, self.write, lambda: line.column)

        def looked_at() -> Iterator[Event]:
            for event in events:
                yield event
                self.seen.append(self.shown())

        replies.show(strip.watched(looked_at()) if with_strip else events, line.add)
        strip.clear()
        line.end()


def events(prompt: str, reply: str) -> Iterator[Event]:
    return scripted_bot(reply, looks=moving).stream(prompt)


def test_the_strip_follows_the_reply_and_leaves_nothing_behind() -> None:
    terminal = Terminal(40, 8)
    terminal.follow(events("who are you", "An owl am I"))
    assert terminal.seen == [
        [],
        ["who█ are you"],  # the first word waits for its end
        ["An", "who are█ you"],
        ["An owl", "who are you█"],
        ["An owl am", "who█ are you"],
        ["An owl am", "who are█ you"],
        ["An owl am"],
    ]
    assert terminal.shown() == ["An owl am I"]


def test_the_strip_moves_with_the_attention() -> None:
    strip, shades = None, []
    for event in events("who are you", "An owl am I"):
        if isinstance(event, ReplyStart):
            strip = Strip(event)
        elif isinstance(event, TokenEvent) and strip:
            shares = strip.look(event)
            assert sum(shares) == pytest.approx(1)
            shades.append(strip.text(shares, 40, colour=False).plain)
    assert shades[:4] == ["who█ are you", "who are█ you", "who are you█", "who█ are you"]
    assert strip
    assert strip.average() == pytest.approx([2 / 5, 2 / 5, 1 / 5])


@pytest.mark.parametrize("columns", [12, 20, 33, 80])
@pytest.mark.parametrize("lines", [4, 24])
def test_long_replies_wrap_and_scroll_without_a_trace_of_the_strip(columns: int, lines: int) -> None:
    said = " ".join(f"word{n}" for n in range(40))
    terminal, without = Terminal(columns, lines), Terminal(columns, lines)
    terminal.follow(events("who are you then my very old friend", said))
    without.follow(events("who are you", said), with_strip=False)
    # Where the screen was full, the strip has made it scroll by a line.
    assert terminal.shown()[1 - lines :] == without.shown()[1 - lines :]
    assert sum("█" in row for seen in terminal.seen for row in seen) >= 10


@pytest.mark.parametrize("lines", [4, 24])
def test_a_window_that_became_narrower_unseen_keeps_no_piece_of_the_strip(lines: int) -> None:
    terminal = Terminal(10, lines)
    terminal.console.width = 80  # as it was
    terminal.follow(events("who are you and what is it that you are doing there", "I am not"))
    assert terminal.shown() == ["I am not"]
    assert pyte.modes.DECAWM in terminal.screen.mode  # lines wrap again


def test_wide_characters_and_emoji_stay_whole() -> None:
    terminal = Terminal(20, 8)
    without = Terminal(20, 8)
    said = "猫 は 屋根 の 上 です 🐱 ね 屋根 の 上 です 🐱 ね"
    terminal.follow(events("猫 はどこ 🐱", said))
    without.follow(events("猫 はどこ 🐱", said), with_strip=False)
    assert terminal.shown() == without.shown()
    assert terminal.shown()[0].startswith("猫")


def test_a_narrow_strip_keeps_the_last_words() -> None:
    start = next(events("one two three four five six", "Yes."))
    assert isinstance(start, ReplyStart)
    strip = Strip(start, BLOCKS)
    for width in range(1, 40):
        line = strip.text([0, 0, 0, 0, 0, 1.0], width, colour=False).plain
        assert len(line) <= width
        assert "six█".startswith(line.strip("… ")) or line.endswith("six█")
    assert strip.text([0, 0, 0, 0, 0, 1.0], 13, colour=False).plain == "… five six█"


def conversation() -> Reply:
    turns = (Turn("user", "hello there"), Turn("bot", "Hi."), Turn("user", "who are you"))
    return Reply.collect(scripted_bot("Yes.").stream(Dialogue(turns)))


def test_turns_before_are_parted_by_lines() -> None:
    plain = Console(file=StringIO(), width=60, color_system=None)
    shown = re.sub("[░▒▓█]", "", average(conversation(), plain).plain)
    assert shown == "hello there │ Hi. │ who are you"


def test_of_turns_before_only_what_is_looked_at_is_there() -> None:
    strip = Strip(ReplyStart(conversation().prompt))
    assert strip.text([0, 0.9, 0, 0, 0, 0.1], 40, colour=False).plain == "there█ │ who are you░"
    assert strip.text([0.9, 0, 0, 0, 0, 0.1], 40, colour=False).plain == "hello█ │ who are you░"
    assert strip.text([0, 0, 0, 1.0, 0, 0], 40, colour=False).plain == "who█ are you"


@given(
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.integers(1, 50),
)
def test_what_is_looked_at_most_is_there_in_any_width(shares: list[float], width: int) -> None:
    strip = Strip(ReplyStart(conversation().prompt))
    line = strip.text(shares, width, colour=False).plain
    assert len(line) <= width
    most = max(i for i in range(6) if shares[i] >= STEPS[-1] * max(shares))
    if max(shares) and width >= 20:  # where no word is cut
        assert f"{strip.words[most][0].text}█" in line
        assert any(word.text in line.rpartition("│")[2] for word, _ in strip.words if word.turn == 2)


@pytest.mark.parametrize("width", [8, 12, 20, 40])
def test_a_word_that_is_too_wide_is_cut_and_keeps_nothing_out(width: int) -> None:
    start = next(events("see Llanfairpwllgwyngyllgogerychwyrndrobwll now", "Yes."))
    assert isinstance(start, ReplyStart)
    line = Strip(start).text([0, 1.0, 0.5], width, colour=False).plain
    assert len(line) <= width
    assert line.count("Llan") == (width > 12)
    assert "…█" in line
    assert "now▓" in line or width < 12


def test_colour_needs_no_shades_and_no_colour_needs_no_tints() -> None:
    reply = Reply.collect(events("who are you", "An owl am I"))
    for colour in (True, False):
        console = Console(
            file=StringIO(),
            force_terminal=True,
            color_system="256" if colour else None,
            width=60,
            _environ={},
        )
        line = average(reply, console)
        assert bool(line.spans) == colour
        assert any(shade in line.plain for shade in BLOCKS.shades[1:]) != colour


def test_each_word_has_its_own_style() -> None:
    start = next(events("who are you", "An owl am I"))
    assert isinstance(start, ReplyStart)
    line = Strip(start).text([0.1, 1.0, 0.6], 40, colour=True)
    styles = {line.plain[span.start : span.end]: str(span.style) for span in line.spans}
    assert styles == {"who": STYLES[1], "are": f"{STYLES[4]} bold underline", "you": f"{STYLES[3]} underline"}
    assert not line.style
