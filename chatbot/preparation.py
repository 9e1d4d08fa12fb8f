"""From a corpus to examples: cleaned, split, encoded once, cut into prompts and replies on demand.

A turn is kept once, however many examples it stands in: the ids of the whole Cornell corpus take 20 MB,
and encoding them takes seconds, so nothing is cached on disk.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.config import setting, to_dict
from chatbot.corpus import Corpus, Report
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import Folds, split
from chatbot.dialogue import Dialogue
from chatbot.errors import ConfigError, CorpusError
from chatbot.tokenizer import BOT, END, USER, Tokenizer, TokenizerConfig, newest

Ints = NDArray[np.int32]
Progress = Callable[[int, int], None]
SOME = 8  # speakers that a message names
UNCUT = 1 << 20  # a reply_limit: figures are of whole replies, however long


@dataclass(frozen=True, kw_only=True)
class ExamplesConfig:
    """How much of a conversation a model sees."""

    context: int = setting(3, "turns before the reply that a model may see")
    prompt_limit: int = setting(96, "the longest prompt, in tokens; older turns are left out")
    reply_limit: int = setting(64, "the longest reply to learn, in tokens; the rest is left out")
    speaker: str = setting(
        "", "learn the replies of this speaker alone, by the corpus's name; none: of everybody"
    )
    backward: bool = setting(
        False, "learn conversations backwards, what replies are to: a bot for `chatbot chat --backward`"
    )

    def __post_init__(self) -> None:
        if self.context < 1 or self.prompt_limit < 8 or self.reply_limit < 2:
            raise ConfigError("a model needs at least 1 turn, 8 prompt tokens and 2 reply tokens")


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt's ids, marks included, and the ids of the reply after its mark, the end mark included.

    whole: the loss counts the prompt's turns too, so that one example teaches a whole dialogue; alone: of
    these, only those of who replies.
    """

    prompt: list[int]
    reply: list[int]
    whole: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """Dialogues as ids: turn i is tokens[starts[i]:starts[i+1]] (pieces and end mark, no speaker mark).

    Dialogue j has the turns first[j]:first[j+1]. words and size (UTF-8 bytes) are of each turn's text.
    speaker numbers who speaks in each dialogue; turn i is said by voices[voice[i]] of the whole corpus.
    """

    tokens: Ints
    starts: NDArray[np.int64]
    first: NDArray[np.int64]
    speaker: Ints
    words: Ints
    size: Ints
    voice: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    voices: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """The same for the same dialogues and tokenizer: a training is resumed on what it began with."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.tokens, self.starts, self.first):
            digest.update(array.tobytes())
        return digest.hexdigest()

    @property
    def turns(self) -> int:
        """How many turns there are."""
        return len(self.starts) - 1

    def ids(self, turn: int) -> list[int]:
        """A turn's pieces and its end mark."""
        ids: list[int] = self.tokens[self.starts[turn] : self.starts[turn + 1]].tolist()
        return ids


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corpus, ready to learn from. facts: what the bot's config.json says about it."""

    train: Encoded
    validation: Encoded
    tokenizer: Tokenizer
    report: Report
    facts: dict[str, Any]  # Any: JSON values

    def lines(self) -> list[str]:
        """What a user should know of it before the training, as short plain lines."""
        train, validation, test = (f"{count:,}" for count in self.facts["dialogues"].values())
        divided = f"{train} dialogues to learn from, {validation} to validate with, {test} to test with"
        pieces = f"tokenizer: {len(self.tokenizer):,} pieces"
        return [*self.report.lines(), f"split by {self.facts['split']}: {divided}", pieces]


def prepare(
    corpus: Corpus,
    cleaning: CleaningConfig,
    split_by: str,
    tokenizer: Tokenizer | TokenizerConfig,
    progress: Callable[[str], Progress],
    backward: bool = False,
) -> Prepared:
    """Read, clean, split, learn a tokenizer from the training split unless there is one, encode.

    backward: each conversation from its end to its beginning.
    """
    cleaned = clean(counted(corpus, progress("reading")), cleaning, corpus.report)
    folds = split(cleaned, split_by)
    if backward:  # after the split: both ways learn from the same conversations
        folds = Folds(*([_backward(dialogue) for dialogue in fold] for fold in folds))
    if not folds.train:
        raise CorpusError(f"{corpus.path} holds no usable dialogue", "; ".join(corpus.report.lines()))
    if isinstance(tokenizer, TokenizerConfig):
        progress("learning the tokenizer")(0, 0)
        tokenizer = Tokenizer.train((t.text for d in folds.train for t in d.turns), tokenizer)
    train = encode(folds.train, tokenizer, progress("encoding"))
    validation = encode(folds.validation, tokenizer)
    facts = {
        "name": corpus.name,
        "format": corpus.format,
        "split": split_by,
        "dialogues": {fold: len(found) for fold, found in folds._asdict().items()},
        "cleaning": to_dict(cleaning),
        "report": corpus.report.to_dict(),
        "fingerprint": train.fingerprint(),
    }
    return Prepared(train, validation, tokenizer, corpus.report, facts)


def counted(dialogues: Iterable[Dialogue], progress: Progress) -> Iterator[Dialogue]:
    """The same dialogues, their number shown now and then. How many there will be is not known."""
    for number, dialogue in enumerate(dialogues, 1):
        if number % 1024 == 0:
            progress(number, 0)
        yield dialogue


def encode(dialogues: Sequence[Dialogue], tokenizer: Tokenizer, progress: Progress | None = None) -> Encoded:
    """Encode every turn, in pieces of a few thousand dialogues so that progress shows."""
    tokens: list[Ints] = []
    lengths: list[int] = []
    voices: dict[str, int] = {}
    done = 0
    for batch in _batched(dialogues, 4096):
        for ids in tokenizer.encode_all([turn.text for d in batch for turn in d.turns]):
            tokens.append(np.array([*ids, END], dtype=np.int32))
            lengths.append(len(ids) + 1)
        done += len(batch)
        if progress is not None:
            progress(done, len(dialogues))
    return Encoded(
        tokens=np.concatenate(tokens) if tokens else np.zeros(0, np.int32),
        starts=_offsets(lengths),
        first=_offsets([len(d.turns) for d in dialogues]),
        speaker=np.array([i for d in dialogues for i in _speakers(d)], dtype=np.int32),
        words=np.array([len(t.text.split()) for d in dialogues for t in d.turns], dtype=np.int32),
        size=np.array([len(t.text.encode()) for d in dialogues for t in d.turns], dtype=np.int32),
        voice=np.array(
            [voices.setdefault(t.speaker, len(voices)) for d in dialogues for t in d.turns], np.int32
        ),
        voices=tuple(voices),
    )


class Examples(Sequence[Example]):
    """Examples of encoded dialogues, made when they are asked for.

    spans    (n, 2): the turns before the reply start at spans[i, 0]; the reply is turn spans[i, 1]
    lengths  (n, 2): tokens of prompt and reply
    """

    def __init__(self, data: Encoded, spans: NDArray[np.int64], config: ExamplesConfig, whole: bool) -> None:
        self.data, self.spans, self.config, self.whole = data, spans, config, whole
        self.lengths = np.array([self._lengths(i) for i in range(len(spans))], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, i: int) -> Example:  # type: ignore[override]  # slices are not needed
        first, reply = self.spans[i]
        turns = [self._marked(t, reply) for t in range(first, reply)]
        prompt = [token for ids in newest(turns, self.prompt_limit) for token in ids]
        reply_ids = self.data.ids(reply)[: self.config.reply_limit]
        return Example(prompt, reply_ids, self.whole, alone=bool(self.config.speaker))

    @property
    def prompt_limit(self) -> int:
        """A whole dialogue may fill the room of its reply too."""
        return self.config.prompt_limit + (self.config.reply_limit if self.whole else 0)

    def words(self) -> int:
        """White-space words of all replies."""
        return int(self.data.words[self.spans[:, 1]].sum())

    def size(self) -> int:
        """UTF-8 bytes of all replies."""
        return int(self.data.size[self.spans[:, 1]].sum())

    def some(self, count: int) -> Examples:
        """Evenly spread examples, `count` at the most: the same ones every time."""
        if len(self) <= count:
            return self
        rows = np.linspace(0, len(self) - 1, count).astype(np.int64)
        return Examples(self.data, self.spans[rows], self.config, self.whole)

    def _marked(self, turn: int, reply: int) -> list[int]:
        mark = BOT if self.data.speaker[turn] == self.data.speaker[reply] else USER
        return [mark, *self.data.ids(turn)]

    def _lengths(self, i: int) -> tuple[int, int]:
        first, reply = self.spans[i]
        sizes = np.diff(self.data.starts[first : reply + 2])  # the end marks are counted in
        prompt, room = 0, self.prompt_limit
        for size in sizes[-2::-1] + 1:
            if prompt and prompt + size > room:
                break
            prompt += min(int(size), room)
        return prompt, min(int(sizes[-1]), self.config.reply_limit)


def exchanges(data: Encoded, config: ExamplesConfig) -> Examples:
    """One example for every reply, with up to `context` turns before it; by an unknown speaker, none."""
    spans = [
        (max(first, reply - config.context), reply)
        for first, end in zip(data.first[:-1], data.first[1:], strict=True)
        for reply in range(first + 1, end)
    ]
    return Examples(data, _said_by(config.speaker, data, spans), config, whole=False)


def dialogues(data: Encoded, config: ExamplesConfig) -> Examples:
    """Every dialogue, whole; a long one in pieces that fit, each opening with the last turn before it.

    The bot is who speaks last. So each piece comes again for each other speaker in it, up to that one's last
    turn: in a question, an answer and thanks, it is the answer that a bot should learn to give.
    """
    room = config.prompt_limit + config.reply_limit
    spans: list[tuple[int, int]] = []
    for first, end in zip(data.first[:-1], data.first[1:], strict=True):
        start, used = first, 0
        for turn in range(first, end):
            size = int(data.starts[turn + 1] - data.starts[turn]) + 1
            if used + size > room and turn - start >= 2:
                spans.append((start, turn - 1))
                start, used = turn - 1, int(data.starts[turn] - data.starts[turn - 1]) + 1
            used += size
        spans.append((start, end - 1))
    spans += [(first, last) for first, reply in spans for last in _other_sides(data, first, reply)]
    return Examples(data, _said_by(config.speaker, data, spans), config, whole=True)


def learned(data: Encoded, config: ExamplesConfig, whole: bool) -> Examples:
    """What a model is trained on: whole dialogues, or a reply at a time.

    A ConfigError if nobody of the speaker's name is there.
    """
    if config.speaker and config.speaker not in data.voices:
        often = Counter(data.voice.tolist()).most_common(SOME)
        named = ", ".join(data.voices[number] for number, _ in often)
        raise ConfigError(f"nobody called '{config.speaker}' speaks in the corpus", f"there are: {named}")
    return (dialogues if whole else exchanges)(data, config)


@dataclass(frozen=True, slots=True)
class Figures:
    """How well replies are predicted, in units that do not depend on the tokenizer.

    The nats of all tokens, the end mark's included, per white-space word and per UTF-8 byte of the text.
    """

    nats_per_token: float
    nats_per_word: float
    bits_per_byte: float

    @classmethod
    def of(cls, nats: float, tokens: int, replies: Examples) -> Figures:
        """The figures of replies whose tokens cost `nats` in all."""
        return cls(nats / tokens, nats / replies.words(), nats / math.log(2) / replies.size())


def unigram_nats(training: Encoded, vocabulary: int) -> NDArray[np.float64]:
    """Nats of each token (V,) by how often it stands in the training split (add-one smoothing)."""
    counts = np.bincount(training.tokens, minlength=vocabulary) + 1.0
    return np.asarray(-np.log(counts / counts.sum()))


def unigram_figures(training: Encoded, replies: Examples, vocabulary: int) -> Figures:
    """The floor: tokens drawn by how often each stands in the training split (add-one smoothing)."""
    nats = unigram_nats(training, vocabulary)
    seen = Counter(token for example in replies for token in example.reply)
    total = sum(float(nats[token]) * count for token, count in seen.items())
    return Figures.of(total, sum(seen.values()), replies)


def _backward(dialogue: Dialogue) -> Dialogue:
    """From its last turn to its first."""
    return replace(dialogue, turns=dialogue.turns[::-1])


def _said_by(speaker: str, data: Encoded, spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The spans (n, 2) whose reply is this speaker's; all of them if none is named."""
    found = np.array(spans, np.int64).reshape(-1, 2)
    if not speaker:
        return found
    number = data.voices.index(speaker) if speaker in data.voices else -1
    return np.asarray(found[data.voice[found[:, 1]] == number])


def _other_sides(data: Encoded, first: int, reply: int) -> list[int]:
    """The last replies of those who are not the last to speak."""
    last = {int(data.speaker[turn]): turn for turn in range(first + 1, reply + 1)}
    return [turn for turn in last.values() if turn != reply]


def _speakers(dialogue: Dialogue) -> Iterator[int]:
    numbers: dict[str, int] = {}
    for turn in dialogue.turns:
        yield numbers.setdefault(turn.speaker, len(numbers))


def _offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))]).astype(np.int64)


def _batched(items: Sequence[Dialogue], size: int) -> Iterator[list[Dialogue]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
