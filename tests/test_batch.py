"""Replies for pipes and scripts."""

import json
from collections.abc import Iterator

import pytest

from chatbot.decoding import SamplingConfig
from chatbot.replying import Reply
from chatbot.terminal import batch
from tests.fakes import GREEDY, ScriptedResponder, evenly


def answers(responder: ScriptedResponder, *prompts: str) -> str:
    written: list[str] = []
    batch.answer(prompts, responder, written.append)
    return "".join(written)


def records(responder: ScriptedResponder, *prompts: str) -> list[batch.Record]:
    written: list[str] = []
    batch.answer(prompts, responder, written.append, as_json=True)
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    return [json.loads(line) for line in written]


def test_each_prompt_gets_a_line() -> None:
    assert (
        answers(ScriptedResponder("Hi.", "Fine, thanks."), "hello", "how are you?") == "Hi.\nFine, thanks.\n"
    )


def test_prompts_do_not_hear_each_other() -> None:
    responder = ScriptedResponder("Hi.", "Fine.")
    answers(responder, "hello", "how are you?")
    assert responder.heard() == ["hello", "how are you?"]


def test_a_prompt_without_words_gets_an_empty_line() -> None:
    assert (
        answers(ScriptedResponder("Hi.", "Yes."), "hello", "", " \x1b[0m\u200b ", "you?") == "Hi.\n\n\nYes.\n"
    )


def test_a_reply_without_words_is_an_empty_line() -> None:
    assert answers(ScriptedResponder("", "Yes."), "hello", "you?") == "\nYes.\n"


def test_a_reply_is_written_before_the_next_prompt_is_read() -> None:
    written: list[str] = []

    def prompts() -> Iterator[str]:
        yield "hello"
        assert "".join(written) == "Hi.\n"
        yield "you?"

    batch.answer(prompts(), ScriptedResponder("Hi.", "Yes."), written.append)
    assert "".join(written) == "Hi.\nYes.\n"


def test_ctrl_c_ends_the_line_and_goes_on_to_the_caller() -> None:
    written: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        batch.answer(["hello", "you?"], ScriptedResponder("Hi there.", interrupted_at=1), written.append)
    assert "".join(written) == "Hi\n"


def test_every_reply_can_be_looked_at() -> None:
    shown: list[Reply] = []
    batch.answer(["hello", "", "you?"], ScriptedResponder("Hi.", "Yes."), lambda text: None, shown.append)
    assert [reply.text for reply in shown] == ["Hi.", "Yes."]


def test_json_tells_everything_about_a_reply() -> None:
    responder = ScriptedResponder("Hi you", looks=lambda position, length: [0.75, 0.25, 0.0])
    [record] = records(responder, "hello")
    assert record.pop("sampling")["temperature"] == 0
    half = pytest.approx(0.5, rel=0.01)  # the marks' share goes to the words
    rest = {"probability": half, "attention": [0.75, 0.25, 0.0]}
    assert record == {
        "prompt": "hello",
        "reply": "Hi you",
        "reason": "finished",
        "prompt_pieces": [
            {"piece": "<user>", "speaker": "user", "mark": True},
            {"piece": "▁hello", "speaker": "user", "mark": False},
            {"piece": "<end>", "speaker": "user", "mark": True},
        ],
        "pieces": [
            {"piece": "▁Hi", "text": "Hi", **rest},
            {"piece": "▁you", "text": " you", **rest},
            {"piece": "<end>", "text": "", **rest},
        ],
    }


def test_json_names_the_seed_that_was_drawn() -> None:
    first, second = records(ScriptedResponder("Hi."), "hello", "hello")
    seeds = [record["sampling"]["seed"] for record in (first, second)]
    assert all(isinstance(seed, int) for seed in seeds)
    assert seeds[0] != seeds[1]


def test_a_seed_that_was_given_stays() -> None:
    assert batch.with_seed(SamplingConfig(seed=5)).seed == 5


def test_json_of_a_prompt_without_words_has_no_reply() -> None:
    [record] = records(ScriptedResponder("Hi."), "")
    assert (record["reply"], record["pieces"], record["prompt_pieces"]) == ("", [], [])


def test_json_is_safe_to_print_and_loses_nothing() -> None:
    text = batch.line({"reply": "\x9b2J \u202e 東京"})
    assert text == '{"reply": "\\u009b2J \\u202e 東京"}\n'


def test_json_of_an_interrupted_reply_comes_first() -> None:
    written: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        batch.answer(
            ["hello"], ScriptedResponder("Hi there.", interrupted_at=1), written.append, as_json=True
        )
    assert json.loads(written[0])["reason"] == "interrupted"


def test_numbers_that_json_does_not_have_are_our_mistake() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        batch.line({"probability": float("nan")})


def test_the_fakes_attention_sums_to_one() -> None:
    assert sum(evenly(0, 7)) == pytest.approx(1)
    assert GREEDY.temperature == 0
