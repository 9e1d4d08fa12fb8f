"""Text to ids and back, prompts, and text that comes one id at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatbot.corpus.cleaning import clean_text
from chatbot.dialogue import Turn
from chatbot.errors import ConfigError, TokenizerError
from chatbot.tokenizer import (
    BOT,
    END,
    MARKS,
    PAD,
    REPLACEMENT,
    UNKNOWN,
    USER,
    Tokenizer,
    TokenizerConfig,
    silenced,
)
from tests.conftest import SENTENCES

FIRST_BYTE = len(MARKS)
WRITTEN = (
    st.text()
    | st.sampled_from(SENTENCES)
    | st.sampled_from(["👩‍👩‍👧 née 東京", "<user>", "Ünïcödé…", "שלום"])
)
# Marks and bytes are a small part of a real vocabulary, and the hard part of streaming.
IDS = st.lists(
    st.integers(0, FIRST_BYTE - 1)
    | st.integers(FIRST_BYTE, FIRST_BYTE + 255)
    | st.sampled_from([FIRST_BYTE + byte for byte in "é€😀\ufffd".encode()])
    | st.integers(0, 399),
    max_size=12,
)


def bytes_of(text: str) -> list[int]:
    return [FIRST_BYTE + byte for byte in text.encode()]


def turns(*texts: str) -> list[Turn]:
    """The user begins, the bot answers, and so on."""
    return [Turn("user" if i % 2 == 0 else "bot", text) for i, text in enumerate(texts)]


def test_the_vocabulary_begins_with_marks_and_bytes(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) == 400
    assert [tokenizer.piece(i) for i in range(7)] == [*MARKS.values(), "<0x00>", "<0x01>"]
    assert tokenizer.piece(FIRST_BYTE + 255) == "<0xFF>"
    assert (PAD, UNKNOWN, END, USER, BOT) == (0, 1, 2, 3, 4)


@given(WRITTEN)
def test_cleaned_text_comes_back_as_it_went_in(tokenizer: Tokenizer, text: str) -> None:
    cleaned = clean_text(text).replace("▁", "")  # SentencePiece's own sign for a space
    assert tokenizer.decode(tokenizer.encode(clean_text(cleaned))) == clean_text(cleaned)


@given(WRITTEN)
def test_no_text_becomes_a_mark(tokenizer: Tokenizer, text: str) -> None:
    assert not set(tokenizer.encode(clean_text(text))) & set(MARKS)


@pytest.mark.parametrize("text", ["<user>", "<end>", "<bot> hi <pad>", "<unk>", "x<end>", "<0x41>"])
def test_a_typed_mark_is_ordinary_text(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert len(ids) > 1
    assert not set(ids) & set(MARKS)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", ["Привет", "😀", "日本", "a😀b", "ŕ"])
def test_what_the_tokenizer_never_saw_is_spelt_in_bytes(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert {t for t in ids if FIRST_BYTE <= t < FIRST_BYTE + 256}
    assert tokenizer.decode(ids) == text


def test_marks_are_silent(tokenizer: Tokenizer) -> None:
    (hello,) = (i for i in range(400) if tokenizer.piece(i) == "▁the")
    assert tokenizer.decode([*MARKS, hello, *MARKS, hello, *MARKS]) == "the the"


def test_many_texts_are_encoded_as_one_by_one(tokenizer: Tokenizer) -> None:
    texts = [*SENTENCES, "", "😀"]
    assert tokenizer.encode_all(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_all([]) == []


def test_a_newline_comes_back_and_a_very_long_text_is_no_trouble(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("Hello,\nhow  are\tyou")) == "Hello,\nhow are\tyou"
    long = " ".join(SENTENCES * 200)
    assert tokenizer.decode(tokenizer.encode(long)) == long


def test_a_turn_is_mark_pieces_end(tokenizer: Tokenizer) -> None:
    assert tokenizer.turn(USER, "Hello, owl") == [USER, *tokenizer.encode("Hello, owl"), END]


# Streaming


@given(IDS)
@example(bytes_of("😀")[:2])  # broken off
@example([*bytes_of("😀")[:2], *bytes_of("é")])  # begun and left
@example([*bytes_of("é")[:1], END, *bytes_of("é")[1:]])  # a mark between the halves of a character
@example([*bytes_of("\ufffd"), 399])  # a real U+FFFD
@example([FIRST_BYTE + 0x80, FIRST_BYTE + 0xC0, FIRST_BYTE + 0xFF])  # never valid
def test_streamed_text_is_the_decoded_text_and_nothing_is_taken_back(
    tokenizer: Tokenizer, ids: list[int]
) -> None:
    stream, shown, whole = tokenizer.stream(), "", tokenizer.decode(ids)
    for token in ids:
        shown += stream.push(token)
        assert whole.startswith(shown)
    assert shown + stream.close() == whole


@given(WRITTEN.map(clean_text))
def test_streamed_text_of_an_encoded_text_is_that_text(tokenizer: Tokenizer, text: str) -> None:
    ids, stream = tokenizer.encode(text), tokenizer.stream()
    assert "".join([*map(stream.push, ids), stream.close()]) == tokenizer.decode(ids)


def test_text_appears_with_its_token_and_keeps_its_spaces(tokenizer: Tokenizer) -> None:
    stream, shown, ids = tokenizer.stream(), "", tokenizer.encode("Where is the old oak?")
    for i, token in enumerate(ids):
        new = stream.push(token)
        shown += new
        assert shown == tokenizer.decode(ids[: i + 1])
        assert new or tokenizer.piece(token) == "▁"
    assert (shown, stream.close()) == ("Where is the old oak?", "")


def test_a_character_appears_when_its_last_byte_is_there(tokenizer: Tokenizer) -> None:
    stream = tokenizer.stream()
    assert [stream.push(token) for token in bytes_of("é€")] == ["", "é", "", "", "€"]
    assert stream.close() == ""


def test_the_bytes_of_a_broken_character_appear_at_the_end(tokenizer: Tokenizer) -> None:
    stream = tokenizer.stream()
    assert [stream.push(token) for token in bytes_of("a€")[:3]] == ["a", "", ""]
    assert set(stream.close()) == {REPLACEMENT}
    assert stream.close() == ""


# Prompts


def test_a_prompt_says_whose_turn_each_piece_is(tokenizer: Tokenizer) -> None:
    prompt = tokenizer.prompt(turns("owl", "the sea", "the oak"), 100)
    ids = [tokenizer.turn(mark, text) for mark, text in ((USER, "owl"), (BOT, "the sea"), (USER, "the oak"))]
    assert [p.token for p in prompt] == [token for turn in ids for token in turn]
    assert [p.turn for p in prompt] == [0] * len(ids[0]) + [1] * len(ids[1]) + [2] * len(ids[2])
    assert [p.speaker for p in prompt if p.mark] == ["user", "user", "bot", "bot", "user", "user"]
    assert [p.piece for p in prompt if p.mark] == ["<user>", "<end>", "<bot>", "<end>", "<user>", "<end>"]
    assert all(p.piece == tokenizer.piece(p.token) for p in prompt)


def test_everybody_but_the_replier_is_a_user(tokenizer: Tokenizer) -> None:
    spoken = [Turn("Ann", "owl"), Turn("Bob", "sea"), Turn("Cy", "oak")]
    prompt = tokenizer.prompt(spoken, 100, replier="Bob")
    assert [p.token for p in prompt if p.token in (USER, BOT)] == [USER, BOT, USER]
    assert [p.speaker for p in prompt if p.token == BOT] == ["Bob"]


@given(
    st.lists(
        st.sampled_from(["owl", "the sea", "Give the pears to the horse", "", "😀", "a b c d e f"]),
        max_size=6,
    ),
    st.integers(1, 60),
)
def test_a_prompt_is_the_newest_turns_that_fit(tokenizer: Tokenizer, texts: list[str], limit: int) -> None:
    spoken = turns(*texts)
    prompt = tokenizer.prompt(spoken, limit)
    written = [tokenizer.turn(BOT if t.speaker == "bot" else USER, t.text) for t in spoken]
    fitting = [n for n in range(len(written) + 1) if sum(map(len, written[len(written) - n :])) <= limit]
    kept = max(fitting)
    assert len(prompt) <= limit
    if kept or not texts:
        assert [p.token for p in prompt] == [
            token for turn in written[len(written) - kept :] for token in turn
        ]
        assert [p.turn for p in prompt] == sorted(p.turn for p in prompt)
        assert len({p.turn for p in prompt}) == kept
        assert all(p.speaker == spoken[len(spoken) - kept + p.turn].speaker for p in prompt)
    else:  # the last turn alone is too long: its mark and its end
        assert prompt[0].token == written[-1][0]
        assert [p.token for p in prompt[1:]] == (written[-1][-(limit - 1) :] if limit > 1 else [])
        assert {p.turn for p in prompt} == {0}


def test_a_prompt_may_fill_its_limit_to_the_last_token(tokenizer: Tokenizer) -> None:
    spoken = turns("owl", "the sea", "the oak")
    whole = sum(len(tokenizer.turn(USER, turn.text)) for turn in spoken)
    for limit, oldest in ((whole, "owl"), (whole - 1, "the sea")):
        prompt = tokenizer.prompt(spoken, limit)
        assert tokenizer.decode([p.token for p in prompt if p.turn == 0]) == oldest


def test_of_a_too_long_turn_the_mark_and_the_end_are_read(tokenizer: Tokenizer) -> None:
    prompt = tokenizer.prompt(turns("owl", "sea", " ".join(SENTENCES)), 9)
    assert [p.token for p in prompt] == [USER, *tokenizer.encode(" ".join(SENTENCES))[-7:], END]
    assert {(p.turn, p.speaker) for p in prompt} == {(0, "user")}


# Training and loading


def trained(texts: Sequence[str], vocabulary: int = 8192, algorithm: str = "unigram") -> Tokenizer:
    return Tokenizer.train(texts, TokenizerConfig(vocabulary=vocabulary, algorithm=algorithm))  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
@pytest.mark.parametrize(
    "texts", [SENTENCES[:20], ["hello"], ["a"], ["two\nlines", "😀"], ["word " * 1000, "b"]]
)
def test_a_tiny_corpus_gets_a_smaller_vocabulary(texts: list[str], algorithm: str) -> None:
    small = trained(texts, algorithm=algorithm)
    assert FIRST_BYTE + 256 < len(small) < 1000
    for text in (*texts, "Something else: 日本!"):
        cleaned = clean_text(text)
        assert small.decode(small.encode(cleaned)) == cleaned


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_a_vocabulary_is_never_larger_than_asked_for(algorithm: str) -> None:
    assert 320 < len(trained(SENTENCES, 350, algorithm)) <= 350


def test_the_same_text_gives_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    again = Tokenizer.train(iter(SENTENCES), TokenizerConfig(vocabulary=400, algorithm="bpe"))
    assert again.serialized == tokenizer.serialized


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer) -> None:
    loaded = Tokenizer(tokenizer.serialized)
    assert loaded.encode(" ".join(SENTENCES)) == tokenizer.encode(" ".join(SENTENCES))
    assert len(loaded) == len(tokenizer)


def test_marks_in_the_corpus_are_learned_as_text() -> None:
    small = trained(["<user> said <end> and <bot> said <pad>"] * 5)
    assert small.decode(small.encode("<user> said <end>")) == "<user> said <end>"
    assert not set(small.encode("<user> said <end>")) & set(MARKS)


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_text_is_a_tokenizer_error(texts: list[str]) -> None:
    with pytest.raises(TokenizerError, match="no tokenizer can be learned from no text"):
        trained(texts)


def test_a_vocabulary_too_small_for_the_alphabet_says_how_large_it_must_be() -> None:
    alphabet = [chr(code) for code in range(0x4E00, 0x4E00 + 300)]
    with pytest.raises(TokenizerError, match="a vocabulary of 290 is too small") as error:
        trained(alphabet, 290)
    needed = int("".join(c for c in error.value.hint if c.isdigit()))
    assert needed > 300 + FIRST_BYTE + 256 - 1
    assert len(trained(alphabet, needed)) == needed


@pytest.mark.parametrize("vocabulary", [-1, 0, FIRST_BYTE + 256, 2**31])
def test_an_impossible_vocabulary_is_a_config_error(vocabulary: int) -> None:
    with pytest.raises(ConfigError, match=f"vocabulary must be from 262 to 1000000, not {vocabulary}"):
        TokenizerConfig(vocabulary=vocabulary)


def test_damaged_bytes_are_a_tokenizer_error(tokenizer: Tokenizer) -> None:
    whole = tokenizer.serialized
    for damaged in (b"", b"hello", b"\0" * 100, whole[: len(whole) // 2], whole[:-1], whole[1:]):
        with pytest.raises(TokenizerError):
            Tokenizer(damaged)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_byte_is_noticed_at_once_or_does_no_harm(
    tokenizer: Tokenizer, where: int, flip: int
) -> None:
    damaged = bytearray(tokenizer.serialized)
    damaged[where % len(damaged)] ^= flip
    try:
        loaded = Tokenizer(bytes(damaged))
    except TokenizerError:
        return
    assert [loaded.piece(i) for i in MARKS] == list(MARKS.values())
    loaded.decode(loaded.encode("Hello, owl"))
    for token in range(len(loaded)):
        loaded.stream().push(token)


def test_another_programs_tokenizer_is_a_tokenizer_error() -> None:
    import io

    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(SENTENCES), model_writer=written, vocab_size=60, minloglevel=2
    )
    with pytest.raises(TokenizerError, match="not made by chatbot"):
        Tokenizer(written.getvalue())


def test_in_a_silenced_prompt_only_the_last_turn_says_nothing(tokenizer: Tokenizer) -> None:
    turns = [Turn("user", "Hello."), Turn("bot", "Hi."), Turn("user", "How are you?")]
    ids = [piece.token for piece in tokenizer.prompt(turns, 96)]
    before = [piece.token for piece in tokenizer.prompt(turns[:2], 96)]
    assert silenced(ids) == [*before, USER, END]
    assert silenced([USER, 10, END]) == [USER, END]
    assert silenced([USER, 10, END, BOT, 11, END]) == [USER, 10, END, BOT, END]
