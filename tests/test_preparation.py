"""From dialogues to examples: what is encoded, what a model sees of it, and figures of replies."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig
from chatbot.corpus.splits import split
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ConfigError
from chatbot.preparation import (
    Encoded,
    Examples,
    ExamplesConfig,
    Figures,
    Prepared,
    Progress,
    dialogues,
    encode,
    exchanges,
    learned,
    prepare,
    unigram_figures,
)
from chatbot.tokenizer import BOT, END, USER, Tokenizer, TokenizerConfig
from tests.conftest import SENTENCES, said

TURNS = st.builds(
    Turn, st.sampled_from("AB"), st.sampled_from(["Yes.", "😀", *SENTENCES[:4], " ".join(SENTENCES[:3])])
)
DIALOGUES = st.lists(st.lists(TURNS, min_size=2, max_size=8).map(lambda t: Dialogue(tuple(t))), max_size=4)
LIMITS = st.builds(
    ExamplesConfig, context=st.integers(1, 4), prompt_limit=st.integers(8, 70), reply_limit=st.integers(2, 40)
)


def by_hand(turns: Sequence[tuple[list[int], int, str]], dialogue_sizes: Sequence[int]) -> Encoded:
    """Encoded from (ids with the end mark, speaker, text)."""
    return Encoded(
        tokens=np.array([i for ids, _, _ in turns for i in ids], np.int32),
        starts=np.cumsum([0, *(len(ids) for ids, _, _ in turns)]),
        first=np.cumsum([0, *dialogue_sizes]),
        speaker=np.array([speaker for _, speaker, _ in turns], np.int32),
        words=np.array([len(text.split()) for _, _, text in turns], np.int32),
        size=np.array([len(text.encode()) for _, _, text in turns], np.int32),
    )


def test_turns_are_encoded_in_their_order(small_dialogues: list[Dialogue], tokenizer: Tokenizer) -> None:
    data = encode(small_dialogues, tokenizer)
    turns = [turn for d in small_dialogues for turn in d.turns]
    assert data.turns == 17
    assert [data.ids(i) for i in range(17)] == [[*tokenizer.encode(turn.text), END] for turn in turns]
    assert data.first.tolist() == [0, 2, 5, 10, 17]
    assert data.speaker.tolist() == [0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert data.words.tolist() == [len(turn.text.split()) for turn in turns]
    assert data.size.tolist() == [len(turn.text.encode()) for turn in turns]


def test_size_is_in_bytes_and_not_in_characters(tokenizer: Tokenizer) -> None:
    data = encode([said("AB", ["née 東京", "one two three"])], tokenizer)
    assert data.size.tolist() == [11, 13]
    assert data.words.tolist() == [2, 3]


def test_many_dialogues_are_encoded_as_few_are_and_progress_is_told(tokenizer: Tokenizer) -> None:
    many = [said("AB", [f"Apple {i}.", "Pear."]) for i in range(4100)]
    told: list[tuple[int, int]] = []
    data = encode(many, tokenizer, lambda done, total: told.append((done, total)))
    assert told == [(4096, 4100), (4100, 4100)]
    assert data.ids(2 * 4097) == [*tokenizer.encode("Apple 4097."), END]


def test_nothing_encoded_is_no_trouble(tokenizer: Tokenizer) -> None:
    data = encode([], tokenizer)
    config = ExamplesConfig()
    assert (data.turns, len(exchanges(data, config)), len(dialogues(data, config))) == (0, 0, 0)
    assert exchanges(data, config).lengths.shape == (0, 2)


def test_a_fingerprint_is_of_the_words_and_where_dialogues_end(tokenizer: Tokenizer) -> None:
    def fingerprint(*found: Dialogue) -> str:
        return encode(found, tokenizer).fingerprint()

    four = ["owl", "sea", "oak", "dog"]
    one = fingerprint(said("ABAB", four))
    assert one == fingerprint(said("ABAB", four))
    others = [
        fingerprint(said("ABAB", [*four[:3], "hat"])),
        fingerprint(said("AB", four[:2]), said("AB", four[2:])),
        fingerprint(said("AB", ["owl sea", "oak dog"])),
    ]
    assert len({one, *others}) == 4


def test_examples_worked_out_by_hand() -> None:
    data = by_hand(
        [([7, 8, END], 0, "a b"), ([9, END], 1, "c"), ([10, 11, 12, END], 0, "d"), ([13, END], 1, "e")], [4]
    )
    short = ExamplesConfig(context=2, prompt_limit=8, reply_limit=3)
    found = exchanges(data, short)
    assert [(e.prompt, e.reply) for e in found] == [
        ([USER, 7, 8, END], [9, END]),
        ([BOT, 7, 8, END, USER, 9, END], [10, 11, 12]),  # the reply is cut at its limit
        ([BOT, 9, END, USER, 10, 11, 12, END], [13, END]),
    ]
    assert not any(e.whole for e in found)
    whole, other_side = dialogues(data, ExamplesConfig(prompt_limit=12, reply_limit=3))
    assert whole.prompt == [USER, 7, 8, END, BOT, 9, END, USER, 10, 11, 12, END]
    assert (whole.reply, whole.whole) == ([13, END], True)
    assert other_side.prompt == [BOT, 7, 8, END, USER, 9, END]
    assert (other_side.reply, other_side.whole) == ([10, 11, 12], True)
    first, second, other_side = dialogues(data, ExamplesConfig(prompt_limit=9, reply_limit=4))
    assert (first.prompt, first.reply) == ([BOT, 7, 8, END, USER, 9, END], [10, 11, 12, END])
    assert (second.prompt, second.reply) == ([USER, 10, 11, 12, END], [13, END])
    assert (other_side.prompt, other_side.reply) == ([USER, 7, 8, END], [9, END])


@given(DIALOGUES, LIMITS)
def test_the_training_sees_the_prompts_that_a_chat_sees(
    tokenizer: Tokenizer, found: list[Dialogue], config: ExamplesConfig
) -> None:
    examples = exchanges(encode(found, tokenizer), config)
    expected = [exchange for d in found for exchange in d.exchanges(config.context)]
    assert len(examples) == len(expected)
    for example, exchange in zip(examples, expected, strict=True):
        prompt = tokenizer.prompt(exchange.context, config.prompt_limit, replier=exchange.reply.speaker)
        assert example.prompt == [piece.token for piece in prompt]
        assert example.reply == [*tokenizer.encode(exchange.reply.text), END][: config.reply_limit]


@given(DIALOGUES, LIMITS)
def test_lengths_are_those_of_the_examples(
    tokenizer: Tokenizer, found: list[Dialogue], config: ExamplesConfig
) -> None:
    data = encode(found, tokenizer)
    for examples in (exchanges(data, config), dialogues(data, config)):
        assert examples.lengths.tolist() == [[len(e.prompt), len(e.reply)] for e in examples]


@given(DIALOGUES, LIMITS)
def test_every_turn_of_a_dialogue_is_learned(
    tokenizer: Tokenizer, found: list[Dialogue], config: ExamplesConfig
) -> None:
    data = encode(found, tokenizer)
    examples = dialogues(data, config)
    room = config.prompt_limit + config.reply_limit
    covered: list[int] = []
    pieces = _without_other_sides(examples.spans.tolist())
    for first, reply in pieces:
        opening = covered[-1:] if first not in data.first else []
        assert opening in ([], [first])  # a later piece opens with the last turn before it
        covered += range(first + len(opening), reply + 1)
    assert covered == list(range(data.turns))
    for i, (first, reply) in enumerate(pieces):
        example = examples[i]
        written = [len(data.ids(turn)) + 1 for turn in range(first, reply + 1)]
        assert len(example.prompt) <= room
        assert sum(written) <= room or reply - first == 1  # two turns are the least there can be
        assert len(example.prompt) == min(sum(written[:-1]), room)
        assert example.whole
        if reply + 1 < data.turns and reply + 1 not in data.first:  # the dialogue goes on in another piece
            assert sum(written) + len(data.ids(reply + 1)) + 1 > room


def _without_other_sides(spans: list[list[int]]) -> list[list[int]]:
    """The pieces: those from other sides come after them, and begin over."""
    count = next((i for i in range(1, len(spans)) if spans[i] < spans[i - 1]), len(spans))
    return spans[:count]


@given(DIALOGUES, LIMITS)
def test_every_reply_is_the_bots_from_some_side(
    tokenizer: Tokenizer, found: list[Dialogue], config: ExamplesConfig
) -> None:
    data = encode(found, tokenizer)
    spans, speaker = dialogues(data, config).spans.tolist(), data.speaker
    for first, end in zip(data.first[:-1], data.first[1:], strict=True):
        for turn in range(first + 1, end):
            if speaker[turn] != speaker[turn - 1]:  # else nobody has replied
                assert any(a < turn <= b and speaker[turn] == speaker[b] for a, b in spans), (turn, spans)


def test_a_dialogue_that_fits_is_one_example_for_each_side(encoded: Encoded) -> None:
    config = ExamplesConfig(prompt_limit=400, reply_limit=50)
    whole, other_side = [[0, 1], [2, 4], [5, 9], [10, 16]], [[2, 3], [5, 8], [10, 15]]
    assert dialogues(encoded, config).spans.tolist() == [*whole, *other_side]


@given(DIALOGUES, LIMITS)
def test_one_speakers_replies_are_those_that_everybodys_hold(
    tokenizer: Tokenizer, found: list[Dialogue], config: ExamplesConfig
) -> None:
    data = encode(found, tokenizer)
    said = [turn.speaker for dialogue in found for turn in dialogue.turns]
    assert [data.voices[number] for number in data.voice] == said
    for kind in (exchanges, dialogues):
        everybody = kind(data, config).spans.tolist()
        for speaker in {*said, "nobody"}:
            own = kind(data, dataclasses.replace(config, speaker=speaker)).spans.tolist()
            assert own == [span for span in everybody if said[span[1]] == speaker]


def test_a_speaker_whom_nobody_knows_is_refused(encoded: Encoded) -> None:
    with pytest.raises(ConfigError, match=r"nobody called 'Zoe' speaks in the corpus") as error:
        learned(encoded, ExamplesConfig(speaker="Zoe"), whole=True)
    assert error.value.hint == f"there are: {', '.join(encoded.voices)}"
    speaker = encoded.voices[0]
    assert 0 < len(learned(encoded, ExamplesConfig(speaker=speaker), whole=False)) < encoded.turns


def test_of_one_speaker_only_what_that_one_says_is_learned(encoded: Encoded) -> None:
    own = ExamplesConfig(speaker=encoded.voices[0])
    assert {example.alone for example in learned(encoded, own, whole=True)} == {True}
    assert {example.alone for example in learned(encoded, ExamplesConfig(), whole=True)} == {False}


def test_some_examples_are_spread_evenly_and_always_the_same(encoded: Encoded) -> None:
    examples = exchanges(encoded, ExamplesConfig())
    assert len(examples) == 13
    some = examples.some(5)
    assert some.spans.tolist() == examples.spans[[0, 3, 6, 9, 12]].tolist()
    assert [e.reply for e in some] == [examples[i].reply for i in (0, 3, 6, 9, 12)]
    assert examples.some(5).spans.tolist() == some.spans.tolist()
    assert examples.some(13) is examples
    assert examples.some(0).lengths.shape == (0, 2)


def test_words_and_bytes_are_those_of_the_replies_alone(
    small_dialogues: list[Dialogue], encoded: Encoded
) -> None:
    replies = [turn.text for d in small_dialogues for turn in d.turns[1:]]
    examples = exchanges(encoded, ExamplesConfig())
    assert examples.words() == sum(len(text.split()) for text in replies)
    assert examples.size() == sum(len(text.encode()) for text in replies)


def two_replies() -> Examples:
    data = by_hand([([7, END], 0, "x"), ([7, 8, END], 1, "née zwei"), ([9, 9, END], 0, "drei")], [3])
    return exchanges(data, ExamplesConfig())


def test_figures_worked_out_by_hand() -> None:
    figures = Figures.of(nats=12.0, tokens=6, replies=two_replies())
    assert figures.nats_per_token == 2.0
    assert figures.nats_per_word == 4.0  # 3 words
    assert figures.bits_per_byte == pytest.approx(12 / 0.693147180559945 / 13)  # 9 + 4 bytes


def test_the_floor_worked_out_by_hand() -> None:
    training = by_hand([([7, 7, END], 0, ""), ([7, 5, END], 1, "")], [2])
    # Of 6 + 11 counts after adding one to each of 11 pieces: 7 has 4, END 3, 5 has 2, others 1.
    cost = -math.log(4 / 17) - 2 * math.log(3 / 17) - 3 * math.log(1 / 17)  # 7 8 END, 9 9 END
    figures = unigram_figures(training, two_replies(), vocabulary=11)
    assert figures.nats_per_token == pytest.approx(cost / 6)
    assert figures.nats_per_word == pytest.approx(cost / 3)
    assert figures.bits_per_byte == pytest.approx(cost / math.log(2) / 13)


@pytest.mark.parametrize("values", [{"context": 0}, {"prompt_limit": 7}, {"reply_limit": 1}])
def test_a_model_that_could_see_nothing_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least 1 turn, 8 prompt tokens and 2 reply tokens"):
        ExamplesConfig(**values)


# The whole way


def small_corpus(folder: Path) -> Path:
    file = folder / "talks.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        for i in range(60):
            texts = [f"{SENTENCES[i % 32]} {i}", f"  {SENTENCES[(i * 7) % 32]}\t&amp; {i}!", "So it is."]
            turns = [{"speaker": "AB"[n % 2], "text": text} for n, text in enumerate(texts)]
            lines.write(json.dumps({"turns": turns, "source": f"talk {i}"}) + "\n")
    return file


def prepared(file: Path, tokenizer: Tokenizer | None = None) -> tuple[Prepared, list[str]]:
    told: list[str] = []

    def progress(what: str) -> Progress:
        told.append(what)
        return lambda done, total: None

    config = TokenizerConfig(vocabulary=400)
    return prepare(open_corpus(file), CleaningConfig(), "source", tokenizer or config, progress), told


def test_a_corpus_is_read_cleaned_split_and_encoded(tmp_path: Path) -> None:
    made, told = prepared(small_corpus(tmp_path))
    counts = made.facts["dialogues"]
    assert sum(counts.values()) == 60
    assert (
        len(made.train.first) - 1
        == counts["train"]
        > counts["validation"]
        == len(made.validation.first) - 1
        > 0
    )
    assert "& " in made.tokenizer.decode(made.train.ids(1))  # cleaned: "&amp;" is not there any more
    assert told == ["reading", "learning the tokenizer", "encoding"]
    assert made.facts["fingerprint"] == made.train.fingerprint()
    assert (made.facts["name"], made.facts["format"], made.facts["split"]) == ("talks", "jsonl", "source")
    assert json.loads(json.dumps(made.facts)) == made.facts


def test_the_tokenizer_is_learned_from_the_training_split_alone(tmp_path: Path) -> None:
    made, _ = prepared(small_corpus(tmp_path))
    texts = [made.tokenizer.decode(made.train.ids(i)) for i in range(made.train.turns)]
    again = Tokenizer.train(texts, TokenizerConfig(vocabulary=400))
    assert again.serialized == made.tokenizer.serialized


def test_a_tokenizer_that_is_there_is_kept_and_the_data_are_the_same(tmp_path: Path) -> None:
    file = small_corpus(tmp_path)
    first, _ = prepared(file)
    second, told = prepared(file, first.tokenizer)
    assert second.tokenizer is first.tokenizer
    assert second.facts == first.facts
    assert "learning the tokenizer" not in told


def test_training_and_validation_share_no_source(tmp_path: Path) -> None:
    made, _ = prepared(small_corpus(tmp_path))
    openings = [
        {tuple(data.ids(int(turn))) for turn in data.first[:-1]} for data in (made.train, made.validation)
    ]
    assert not openings[0] & openings[1]
    folds = split(open_corpus(tmp_path / "talks.jsonl"), "source")
    assert len(folds.train) == len(made.train.first) - 1


def test_backward_it_is_the_same_conversations_from_their_ends(tmp_path: Path) -> None:
    def progress(what: str) -> Progress:
        return lambda done, total: None

    file, config = small_corpus(tmp_path), CleaningConfig()
    forward, _ = prepared(file)
    made = prepare(open_corpus(file), config, "source", forward.tokenizer, progress, backward=True)
    for ours, theirs in ((made.train, forward.train), (made.validation, forward.validation)):
        assert ours.first.tolist() == theirs.first.tolist()
        for first, end in zip(ours.first[:-1], ours.first[1:], strict=True):
            turns = [ours.ids(int(turn)) for turn in range(first, end)]
            assert turns == [theirs.ids(int(turn)) for turn in reversed(range(first, end))]
    assert made.facts["fingerprint"] != forward.facts["fingerprint"]
