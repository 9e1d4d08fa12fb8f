"""Who asks how to leave, and what the program says then."""

from __future__ import annotations

import pytest

from chatbot.terminal import leaving


@pytest.mark.parametrize(
    "text",
    [
        "how do I exit",
        "How do I quit?",
        "how to quit this",
        "how do i get out of here??",
        "ok, how do i leave this chat",
        "How can I leave?",
        "how can i exit this thing",
        "let me out!",
        "i want to exit",
        "how do i stop this program",
        "How do I exit chatbot?",
        "how do I exit out of this",
        "I want to leave this chat",
        "I'd like to exit",
        "I don't know how to exit",
        "what's the command to exit",
        "how do I log off",
        "how do I end the session",
        "how do I close the program please",
        "what do I type to quit",
    ],
)
def test_who_asks_how_to_leave_is_heard(text: str) -> None:
    assert leaving.asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "how do i quit smoking",
        "how do i leave my husband",
        "how do I get out of bed",
        "how do i end it",
        "how do i stop it",
        "how do i end this",
        "How do I stop this?",
        "how do i get out of this",
        "how do i escape this",
        "I want to quit",
        "how would you leave",
        "i want to leave",
        "i want to get out",
        "let me out of the house",
        "how do i close a bank account",
        "bye",
    ],
)
def test_other_questions_are_left_to_the_bot(text: str) -> None:
    assert not leaving.asks(text)
