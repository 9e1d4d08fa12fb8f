"""What every test may use: a home of its own, a small tokenizer, a few small dialogues."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from chatbot.dialogue import Dialogue, Turn
from chatbot.preparation import Encoded, encode
from chatbot.tokenizer import Tokenizer, TokenizerConfig

settings.register_profile("chatbot", deadline=None)  # a busy machine is no failure
settings.load_profile("chatbot")

SENTENCES = [
    "Hello, how are you today?",
    "I am fine, thank you. And you?",
    "Not so bad, I slept until nine.",
    "Where did you put the keys?",
    "They are on the kitchen table, under the newspaper.",
    "The train to the coast leaves at half past six.",
    "Then we should go now, or we will miss it again.",
    "Did you see the owl last night?",
    "No, but I heard it in the old oak behind the house.",
    "My brother wants to become a baker.",
    "Bread is a good thing to be good at.",
    "It has been raining since Monday, and the cellar is wet.",
    "Shall I bring the pump?",
    "Please do, and a pair of rubber boots.",
    "What are we having for dinner?",
    "Soup, unless you would rather cook.",
    "I would rather eat soup than cook!",
    "She said that she would call at 17:45.",
    "It is ten to six, and nobody has called.",
    "Perhaps her telephone is broken...",
    "Can you keep a secret?",
    "I can, but my sister cannot.",
    "Why is the dog wearing a hat?",
    "Because it is his birthday, of course.",
    "We have 3 apples and 12 pears left.",
    "Give the pears to the horse; it likes them.",
    "Who painted this picture of the harbour?",
    "Nobody knows. It hung here when we bought the place.",
    "You look tired. Did you work late?",
    "I read a long book about the sea, and could not stop.",
    "Is the sea in it cold?",
    "Very cold, and full of whales.",
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes the bots and settings of whoever runs it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CHATBOT_HOME", str(folder))
    monkeypatch.setenv("CHATBOT_STARTERS", str(tmp_path / "starters"))
    return folder


# Before torch is imported, in the programs that tests start too: products on other numbers of threads round
# otherwise, and what is compared bit for bit must have had the same.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny tensors are slower on many threads; torch is not imported for this."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A real tokenizer, trained in milliseconds."""
    return Tokenizer.train(SENTENCES, TokenizerConfig(vocabulary=400, algorithm="bpe"))


@pytest.fixture(scope="session")
def small_dialogues() -> list[Dialogue]:
    """Four dialogues of 2, 3, 5 and 7 turns; in the third, one speaker speaks twice running."""
    return [
        said("AB", SENTENCES[0:2]),
        said("ABA", SENTENCES[3:6]),
        said("ABBAB", SENTENCES[9:14]),
        said("ABABABA", SENTENCES[14:21]),
    ]


@pytest.fixture(scope="session")
def encoded(small_dialogues: list[Dialogue], tokenizer: Tokenizer) -> Encoded:
    """`small_dialogues` as ids."""
    return encode(small_dialogues, tokenizer)


def said(speakers: str, texts: list[str]) -> Dialogue:
    """said("AB", ["Hi.", "Hello."])"""
    return Dialogue(tuple(Turn(*pair) for pair in zip(speakers, texts, strict=True)))
