"""What a terminal does when it is resized, or told to clear."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pyte
import pytest
from prompt_toolkit.data_structures import Point, Size
from prompt_toolkit.layout.screen import Char, Screen

from chatbot.terminal import window


@pytest.mark.parametrize(
    ("length", "columns", "expected"), [(0, 10, 1), (10, 10, 1), (11, 10, 2), (25, 10, 3)]
)
def test_a_line_takes_as_many_rows_as_it_fills(length: int, columns: int, expected: int) -> None:
    assert window.rows(length, columns) == expected


def test_spaces_behind_the_last_word_are_no_part_of_a_row() -> None:
    row = {x: Char(character) for x, character in enumerate("> hi  ")}
    assert window.length(row) == 4
    assert window.length({}) == 0
    assert window.length({0: Char("好")}) == 2


def test_terminals_that_wrap_anew_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*window.REFLOWING, "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    assert not window.reflows()
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    assert window.reflows()
    monkeypatch.delenv("TERM_PROGRAM")
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    assert window.reflows()


@pytest.mark.parametrize("terminal", ["tmux", ""])
def test_the_cursor_is_looked_for_where_the_terminal_has_put_it(
    monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    for name in (*window.REFLOWING, "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMUX", terminal)
    drawn = Screen()
    for x in range(25):
        drawn.data_buffer[0][x] = Char("a")
    renderer = SimpleNamespace(
        last_rendered_screen=drawn,
        _cursor_pos=Point(x=12, y=1),
        output=SimpleNamespace(get_size=lambda: Size(rows=20, columns=10)),
    )
    resized: list[Point] = []
    app = SimpleNamespace(renderer=renderer, _on_resize=lambda: resized.append(renderer._cursor_pos))
    window.follow(cast(Any, app))
    app._on_resize()
    # Three rows of ten for the first line, and the cursor in the second row of the next.
    assert resized == [Point(x=2, y=4) if terminal else Point(x=12, y=1)]


@pytest.mark.parametrize("row", [0, 1, 3])
def test_all_below_is_erased_and_the_cursor_stays(row: int) -> None:
    screen = pyte.Screen(5, 4)
    stream = pyte.Stream(screen)
    stream.feed("aaaaa\r\nbbbbb\r\nccccc\r\nddddd")
    stream.feed(f"\x1b[{row + 1};1H{window.ERASE_DOWN}")
    before = ["aaaaa", "bbbbb", "ccccc", "ddddd"]
    assert screen.display == [*before[:row], *["     "] * (4 - row)]
    assert (screen.cursor.x, screen.cursor.y) == (0, row)
