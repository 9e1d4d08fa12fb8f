"""Text to ids and back: SentencePiece with byte fallback, so that no text is unknown.

A turn is written as its speaker's mark, its pieces, and the end mark. Marks are control symbols: no
text that anybody types can become one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sentencepiece

from chatbot.config import setting
from chatbot.dialogue import Turn
from chatbot.errors import ConfigError, TokenizerError

PAD, UNKNOWN, END, USER, BOT = range(5)
MARKS = {PAD: "<pad>", UNKNOWN: "<unk>", END: "<end>", USER: "<user>", BOT: "<bot>"}
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ALWAYS = len(MARKS) + 256  # pieces that every vocabulary has: the marks and the bytes


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How a tokenizer is trained."""

    vocabulary: int = setting(8192, "the most pieces the vocabulary may have; a small corpus gets fewer")
    algorithm: Literal["bpe", "unigram"] = setting("unigram", "how pieces are found: bpe or unigram")

    def __post_init__(self) -> None:
        if not ALWAYS < self.vocabulary <= 1_000_000:
            raise ConfigError(f"vocabulary must be from {ALWAYS + 1} to 1000000, not {self.vocabulary}")


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """One token of a prompt: `turn` counts from the oldest turn that the model sees; marks have no text."""

    token: int
    piece: str
    turn: int
    speaker: str
    mark: bool


class Tokenizer:
    """A trained SentencePiece model and the marks that dialogues need."""

    end = END
    bot = BOT
    unsayable = (PAD, UNKNOWN, USER, BOT)  # what no reply may contain

    def __init__(self, serialized: bytes) -> None:
        self.serialized = serialized
        self._model = sentencepiece.SentencePieceProcessor()
        try:
            self._model.LoadFromSerializedProto(serialized)
            marks = {i: self.piece(i) for i in range(min(len(MARKS), len(self)))}
            self.decode(range(len(self)))  # a damaged piece must not come to light in the middle of a reply
        except (RuntimeError, ValueError):
            raise TokenizerError("this is not a tokenizer, or it is damaged") from None
        if marks != MARKS:
            raise TokenizerError("this tokenizer was not made by chatbot: its marks are others")

    def __len__(self) -> int:
        return int(self._model.GetPieceSize())

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
        """Learn the pieces of these texts (the training split's, and no other)."""
        written = io.BytesIO()
        # A list: no Python runs while SentencePiece reads it, so Ctrl-C cannot look like one of its errors.
        sentences = iter(list(texts))
        try:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=sentences, model_writer=written, **_options(config)
            )
        except RuntimeError as error:
            raise _untrainable(str(error), config) from None
        return cls(written.getvalue())

    def encode(self, text: str) -> list[int]:
        """The text's ids, without marks."""
        return list(self._model.EncodeAsIds(text))

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """`encode` for many texts at once, on every core."""
        return list(self._model.Encode(texts, num_threads=-1))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; marks are silent, broken characters become U+FFFD."""
        return str(self._model.DecodeIds(list(ids)))

    def piece(self, token: int) -> str:
        """The token as SentencePiece writes it: "▁" is a space, "<0xE2>" a byte, "<end>" a mark."""
        return str(self._model.IdToPiece(token))

    def pieces(self) -> list[str]:
        """All tokens, as SentencePiece writes them."""
        return list(map(self.piece, range(len(self))))

    def stream(self) -> TextStream:
        """Text for ids that arrive one by one."""
        return TextStream(self)

    def turn(self, mark: int, text: str) -> list[int]:
        """A whole turn: mark, pieces, end."""
        return [mark, *self.encode(text), END]

    def prompt(self, turns: Sequence[Turn], limit: int, replier: str = "bot") -> tuple[PromptPiece, ...]:
        """The newest turns that fit into `limit` tokens; of a too long last turn, its end.

        `replier`'s own turns carry the bot's mark, everybody else's the user's.
        """
        written = [self.turn(BOT if turn.speaker == replier else USER, turn.text) for turn in turns]
        kept = newest(written, limit)
        return tuple(
            PromptPiece(token, self.piece(token), i, turn.speaker, token in MARKS)
            for i, (turn, ids) in enumerate(zip(turns[len(turns) - len(kept) :], kept, strict=True))
            for token in ids
        )


def newest(turns: Sequence[list[int]], limit: int) -> list[list[int]]:
    """The newest turns that fit into `limit` ids together; if not even the last one does, its end."""
    if not turns:
        return []
    kept = [shortened(turns[-1], limit)]
    room = limit - len(kept[0])
    for turn in reversed(turns[:-1]):
        if len(turn) > room:
            break
        kept.insert(0, turn)
        room -= len(turn)
    return kept


def silenced(prompt: Sequence[int]) -> list[int]:
    """The same conversation, but in its last turn nothing is said: what guidance compares with."""
    begins = len(prompt) - len(last_turn(prompt))
    return [*prompt[: begins + 1], END]


def last_turn(prompt: Sequence[int]) -> list[int]:
    """A prompt's last turn, mark and end included."""
    begins = max(i for i, token in enumerate(prompt) if token in (USER, BOT))
    return list(prompt[begins:])


def shortened(turn: list[int], limit: int) -> list[int]:
    """A turn of at most `limit` ids: its mark and the newest of the rest."""
    return turn if len(turn) <= limit else [turn[0], *turn[len(turn) - limit + 1 :]]


class TextStream:
    """Ids in one by one, text out as soon as it is whole: what is emitted, joined, equals `decode` of all."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._emitted = 0

    def push(self, token: int) -> str:
        """The text that this token completes. A trailing U+FFFD is held back: its bytes may still come."""
        self._ids.append(token)
        return self._new(self._tokenizer.decode(self._ids).rstrip(REPLACEMENT))

    def close(self) -> str:
        """What was held back."""
        return self._new(self._tokenizer.decode(self._ids))

    def _new(self, text: str) -> str:
        new = text[self._emitted :]
        self._emitted = max(self._emitted, len(text))
        return new


def _untrainable(reason: str, config: TokenizerConfig) -> TokenizerError:
    """What SentencePiece's error means for whoever trains a bot."""
    if "sentences_.empty()" in reason:
        return TokenizerError(
            "no tokenizer can be learned from no text", "give it a corpus with conversations"
        )
    if needed := re.search(r"required_chars\. \d+ vs (\d+)", reason):
        return TokenizerError(
            f"a vocabulary of {config.vocabulary} is too small for the characters of this corpus",
            f"give it at least {needed[1]}, or a larger --size",
        )
    return TokenizerError(f"no tokenizer could be trained: {' '.join(reason.split())}")


def _options(config: TokenizerConfig) -> dict[str, Any]:  # Any: SentencePiece's own types
    return {
        "model_type": config.algorithm,
        "vocab_size": config.vocabulary,
        "hard_vocab_limit": False,  # a small corpus gets fewer pieces instead of an error
        "byte_fallback": True,
        "character_coverage": 0.9999,
        "split_digits": True,
        "normalization_rule_name": "identity",  # cleaning has done it, for the user's words too
        "input_sentence_size": 200_000,
        "shuffle_input_sentence": False,  # so that the same text gives the same tokenizer
        "max_sentence_length": 16_384,
        "pad_id": PAD,
        "unk_id": UNKNOWN,
        "eos_id": END,
        "bos_id": -1,
        "pad_piece": MARKS[PAD],
        "unk_piece": MARKS[UNKNOWN],
        "unk_surface": "",  # silent, as the other marks are
        "eos_piece": MARKS[END],
        "control_symbols": [MARKS[USER], MARKS[BOT]],
        "minloglevel": 2,
        "num_threads": 2,  # a fixed number: the sums, and so the pieces, could depend on it
    }
