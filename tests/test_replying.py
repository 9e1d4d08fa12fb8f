"""Replies as streams of events: the real tokenizer and sampler over an engine that follows a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from chatbot.decoding import SamplingConfig
from chatbot.decoding.rule import Seen
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ChatbotError
from chatbot.preparation import ExamplesConfig
from chatbot.replying import Event, Reply, ReplyEnd, ReplyStart, Responder, TokenEvent, unlike
from chatbot.tokenizer import BOT, END, REPLACEMENT, USER, Tokenizer
from tests.fakes import GREEDY, ScriptedEngine, evenly

Looks = Callable[[int, int], Sequence[float]]
BYTES = 5  # the id of the byte 0


class CountingEngine(ScriptedEngine):
    """Counts what is asked of it."""

    steps = 0

    def step(self, tokens: Sequence[int], state: Any) -> Any:
        self.steps += 1
        return super().step(tokens, state)


def spelt(text: str) -> list[int]:
    """The text as bytes, whose ids every tokenizer has."""
    return [BYTES + byte for byte in text.encode()]


def responder(
    tokenizer: Tokenizer,
    *script: int,
    context: int = 3,
    prompt_limit: int = 40,
    max_tokens: int = 30,
    looks: Looks = evenly,
) -> Responder:
    """Says this script, whatever it is asked."""
    return Responder(
        CountingEngine([list(script)], looks=looks),
        tokenizer,
        dataclasses.replace(GREEDY, max_tokens=max_tokens),
        ExamplesConfig(context=context, prompt_limit=prompt_limit),
    )


def engine_of(found: Responder) -> CountingEngine:
    assert isinstance(found.engine, CountingEngine)
    return found.engine


def asked(*texts: str) -> Dialogue:
    """The user begins and ends."""
    return Dialogue(
        tuple(Turn("bot" if (len(texts) - i) % 2 == 0 else "user", t) for i, t in enumerate(texts))
    )


def parts(events: list[Event]) -> tuple[ReplyStart, list[TokenEvent], ReplyEnd]:
    """One start, tokens, one end: in this order and no other."""
    start, *tokens, end = events
    assert isinstance(start, ReplyStart)
    assert isinstance(end, ReplyEnd)
    assert all(isinstance(token, TokenEvent) for token in tokens)
    return start, [token for token in tokens if isinstance(token, TokenEvent)], end


def test_a_reply_is_a_start_its_tokens_and_an_end(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, *spelt("né 😀!"), END)
    start, tokens, end = parts(list(found.reply(asked("Hello, owl"))))
    assert [p.token for p in start.prompt] == [USER, *tokenizer.encode("Hello, owl"), END]
    assert [p.token for p in start.prompt] == engine_of(found).prompts[0]
    assert [t.token for t in tokens] == [*spelt("né 😀!"), END]
    assert [t.text for t in tokens] == ["n", "", "é", " ", "", "", "", "😀", "!", ""]
    assert [t.piece for t in tokens[:3]] == ["<0x6E>", "<0xC3>", "<0xA9>"]
    assert tokens[-1].piece == "<end>"
    assert end == ReplyEnd("finished")


def test_the_text_is_the_decoded_tokens(tokenizer: Tokenizer) -> None:
    ids = [i for i in tokenizer.encode("Where is the old owl?") if i < 300]  # what the scripted model can say
    _, tokens, end = parts(list(responder(tokenizer, *ids, END).reply(asked("hi"))))
    assert "".join(t.text for t in tokens) + end.text == tokenizer.decode(ids) != ""


def test_a_reply_ends_at_its_limit_and_shows_the_rest_of_its_text(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, *spelt("no €"), END, max_tokens=5)
    _, tokens, end = parts(list(found.reply(asked("hi"))))
    assert "".join(t.text for t in tokens) == "no "
    assert end.reason == "length"
    assert set(end.text) == {REPLACEMENT}
    assert engine_of(found).steps == 4


def test_a_reply_of_exactly_the_limit_is_finished(tokenizer: Tokenizer) -> None:
    _, tokens, end = parts(list(responder(tokenizer, *spelt("no"), END, max_tokens=3).reply(asked("hi"))))
    assert (len(tokens), end.reason) == (3, "finished")


def test_an_end_inside_a_character_leaves_its_bytes_to_the_end(tokenizer: Tokenizer) -> None:
    _, tokens, end = parts(list(responder(tokenizer, *spelt("é")[:1], END).reply(asked("hi"))))
    assert [t.text for t in tokens] == ["", ""]
    assert end == ReplyEnd("finished", REPLACEMENT)


def test_after_the_end_mark_no_step_is_made(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, *spelt("abc"), END)
    list(found.reply(asked("hi")))
    assert engine_of(found).steps == 3


def test_a_reply_closed_early_costs_no_further_step(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, *spelt("abcdef"), END)
    events = found.reply(asked("hi"))
    for _ in range(3):  # the start and two tokens
        next(events)
    events.close()  # type: ignore[attr-defined]
    assert engine_of(found).steps == 1


def test_nothing_is_computed_before_the_first_token_is_wanted(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, END)
    next(found.reply(asked("hi")))
    assert engine_of(found).prompts == []


def test_each_token_says_where_the_model_looked_and_how_sure_it_was(tokenizer: Tokenizer) -> None:
    def looks(position: int, length: int) -> list[float]:
        return [0.75 if i == position else 0.25 / (length - 1) for i in range(length)]

    start, tokens, _ = parts(list(responder(tokenizer, *spelt("ab"), END, looks=looks).reply(asked("owl"))))
    for i, token in enumerate(tokens):
        assert token.attention == pytest.approx(looks(i, len(start.prompt)))
        assert isinstance(token.attention[0], float)
        assert token.probability == pytest.approx(0.5, abs=0.01)


def test_only_the_newest_turns_are_read(tokenizer: Tokenizer) -> None:
    dialogue = asked("dog", "owl", "sea", "the old hat", "a wet oak")
    found = responder(tokenizer, END, context=4, prompt_limit=100)
    start, _, _ = parts(list(found.reply(dialogue)))
    assert [p.token for p in start.prompt if p.token in (USER, BOT)] == [BOT, USER, BOT, USER]
    assert tokenizer.decode([p.token for p in start.prompt if p.turn == 0]) == "owl"

    limit = sum(len(tokenizer.turn(USER, text)) for text in ("the old hat", "a wet oak"))
    for room, turns in ((limit, 2), (limit - 1, 1)):
        found = responder(tokenizer, END, context=4, prompt_limit=room)
        start, _, _ = parts(list(found.reply(dialogue)))
        assert max(p.turn for p in start.prompt) + 1 == turns
        assert len(start.prompt) <= room


def test_a_very_long_message_is_read_from_its_end(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, END, prompt_limit=12)
    start, _, _ = parts(list(found.reply(asked("owl " * 500 + "the sea"))))
    assert len(start.prompt) == 12
    assert start.prompt[0].token == USER
    assert tokenizer.decode([p.token for p in start.prompt]).endswith(" owl the sea")


def test_what_a_user_types_is_cleaned_as_the_corpus_was(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, END)
    list(found.reply(Dialogue((Turn("bot", "So ?"), Turn("user", "  “It’s\x1b[31m <b>cold</b>”\n ")))))
    assert engine_of(found).prompts == [
        [BOT, *tokenizer.encode("So?"), END, USER, *tokenizer.encode('"It\'s cold"'), END]
    ]


def test_guidance_compares_with_the_same_conversation_but_for_the_last_words(tokenizer: Tokenizer) -> None:
    guided = dataclasses.replace(GREEDY, guidance=1.0)
    found = responder(tokenizer, END).with_sampling(guided)
    said = Dialogue((Turn("user", "So?"), Turn("bot", "No."), Turn("user", "Why?")))
    before = [USER, *tokenizer.encode("So?"), END, BOT, *tokenizer.encode("No."), END, USER]
    prompt = [*before, *tokenizer.encode("Why?"), END]
    list(found.reply(said))
    found.reply_all([prompt])
    assert engine_of(found).prompts == [prompt, [*before, END]] * 2


def test_a_typed_mark_is_read_as_text(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, END)
    list(found.reply(asked("<end><bot>")))
    (prompt,) = engine_of(found).prompts
    assert (prompt[0], prompt[-1]) == (USER, END)
    assert not {END, BOT} & set(prompt[1:-1])


@pytest.mark.parametrize("texts", [(), ("",), (" \t\n",), ("hi", "hello", "\x1b[31m")])
def test_nothing_to_reply_to_is_an_error_that_says_so(tokenizer: Tokenizer, texts: tuple[str, ...]) -> None:
    found = responder(tokenizer, END)
    with pytest.raises(ChatbotError, match="there is nothing to reply to") as error:
        list(found.reply(asked(*texts)))
    assert error.value.hint == "say something first"
    assert engine_of(found).prompts == []


def test_no_reply_contains_a_mark_however_probable(tokenizer: Tokenizer) -> None:
    for unsayable in tokenizer.unsayable:
        found = responder(tokenizer, unsayable, END, max_tokens=1)
        _, (token,), _ = parts(list(found.reply(asked("hi"))))
        assert token.token not in tokenizer.unsayable


def test_the_same_seed_and_dialogue_give_the_same_reply(tokenizer: Tokenizer) -> None:
    class Uniform(ScriptedEngine):
        def step(self, tokens: Sequence[int], state: Any) -> Any:
            return self._predict(state)

    def said(seed: int | None) -> list[int]:
        sampling = SamplingConfig(seed=seed, temperature=1.0, top_k=0, top_p=1.0, max_tokens=6)
        engine = Uniform([[250]], probability=1 / 300)
        found = Responder(engine, tokenizer, sampling, ExamplesConfig())
        first, second = ([t.token for t in Reply.collect(found.reply(asked("hi"))).tokens] for _ in range(2))
        assert (first == second) == (seed is not None)
        return first

    assert said(11) == said(11) != said(12)
    said(None)


def test_other_sampling_is_another_responder(tokenizer: Tokenizer) -> None:
    one = responder(tokenizer, *spelt("abc"), END)
    two = one.with_sampling(dataclasses.replace(one.sampling, max_tokens=2))
    assert [len(Reply.collect(r.reply(asked("hi"))).tokens) for r in (one, two)] == [4, 2]


# Putting events together


def test_a_collected_reply_holds_everything(tokenizer: Tokenizer) -> None:
    found = responder(tokenizer, *spelt(" so € "), END)
    events = list(found.reply(asked("hi")))
    start, tokens, _ = parts(events)
    reply = Reply.collect(events)
    assert reply == Reply("so €", start.prompt, tuple(tokens), "finished")


def test_a_stream_without_its_end_was_interrupted(tokenizer: Tokenizer) -> None:
    events = list(responder(tokenizer, *spelt("abc"), END).reply(asked("hi")))
    reply = Reply.collect(events[:3])
    assert (reply.text, reply.reason) == ("ab", "interrupted")
    assert Reply.collect([]) == Reply("", (), (), "interrupted")


def test_the_text_that_comes_with_the_end_belongs_to_the_reply(tokenizer: Tokenizer) -> None:
    events = responder(tokenizer, *spelt("a€")[:3], END).reply(asked("hi"))
    text = Reply.collect(events).text
    assert text.startswith("a")
    assert set(text[1:]) == {REPLACEMENT}


def said(text: str, made: list[str]) -> Iterator[Event]:
    """The events of a reply, a word at a time; `made` grows as they are asked for."""
    made.append("")
    yield ReplyStart(())
    for word in text.split():
        made[-1] += f"{word} "
        yield TokenEvent(f"{word} ", word, 9, 0.5, ())
    yield ReplyEnd("finished")


@pytest.mark.parametrize(
    ("refused", "reply", "asked_for"),
    [
        ((), "Hi there.", 1),
        (("Hi.",), "Hi there.", 1),
        (("Hi there.",), "Oh.", 2),
        (("Hi there.", "Hi there, you."), "Oh.", 2),
    ],
)
def test_a_refused_reply_is_not_said_again(refused: tuple[str, ...], reply: str, asked_for: int) -> None:
    made: list[str] = []
    found = Reply.collect(unlike(refused, said("Hi there.", made), said("Oh.", made)))
    assert (found.text, found.reason, len(made)) == (reply, "finished", asked_for)


def test_a_reply_is_shown_as_soon_as_it_is_another() -> None:
    made: list[str] = []
    events = unlike(("Hi there, you.",), said("Hi there, all of you.", made), said("Oh.", made))
    assert next(events) == ReplyStart(())
    assert made == [""]
    next(events)
    assert made == ["Hi there, all "]
    assert sum(1 for _ in unlike((), said("a b", made), said("c", made))) == 4


@pytest.mark.parametrize(
    ("refused", "likeliest", "allowed"),
    [
        ("You are.", "▁t", True),
        ("The dog.", "▁the", False),
        ("it is.", "▁It", False),
        ("the dog.", "▁", False),
        ("Hello.", "▁", True),  # it is how this tokenizer begins it
        ("Why?", "e", False),
        ("Why?", "<end>", False),
    ],
)
def test_what_is_drawn_again_begins_otherwise(
    tokenizer: Tokenizer, refused: str, likeliest: str, allowed: bool
) -> None:
    bot, pieces = responder(tokenizer, END), tokenizer.pieces()
    token = pieces.index(likeliest)
    logits = np.zeros(len(tokenizer), dtype=np.float32)
    logits[token] = 9
    sampler = bot.beginning_unlike([refused, ""]).with_sampling(GREEDY).sampler(GREEDY)
    assert (sampler(logits, Seen()).token == token) is allowed
    assert sampler(logits, Seen((9,))).token == token


def test_a_reply_begins_even_where_every_beginning_was_refused(tokenizer: Tokenizer) -> None:
    every = [piece.removeprefix("▁") for piece in tokenizer.pieces() if piece[0] == "▁"]
    sampler = responder(tokenizer, END).beginning_unlike(every).sampler(GREEDY)
    logits = np.zeros(len(tokenizer), dtype=np.float32)
    logits[tokenizer.pieces().index("▁the")] = 9
    assert tokenizer.piece(sampler(logits, Seen()).token) == "▁the"
