"""Sampling rules, the sampler and the decoding loop, in NumPy alone."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from chatbot.decoding import (
    RULES,
    Choice,
    Floats,
    Sampler,
    SamplingConfig,
    Seen,
    Spelling,
    adjusted,
    generate,
    softmax,
)
from chatbot.decoding.truncation import temperature, top_k, top_p
from chatbot.errors import ChatbotError, ConfigError
from tests.fakes import ScriptedEngine, evenly

V = 11
NEVER = -math.inf
FREE = SamplingConfig(top_k=0, temperature=1.0, top_p=1.0, seed=1)

LOGITS = (
    st.lists(
        st.floats(-80, 80, width=32) | st.sampled_from([NEVER, 0.0, 1.0, 1.0, 3.0]), min_size=V, max_size=V
    )
    .filter(lambda values: max(values) > NEVER)
    .map(lambda values: np.array(values, np.float32))
)
PIECES = ["", "", "▁an", "▁owl", "▁ow", "l", "s", ".", "▁", "▁the▁owl", "L"]  # of the eleven tokens
SEEN = Seen(
    so_far=[6, 8, 5],
    unprompted=np.linspace(-3, 3, V, dtype=np.float32),
    prompt=[2, 5, 9, 4, 6, 8, 5, 7, 2],
    end=V - 1,
    spelling=Spelling(PIECES),
)
KINDS = {f.name: str(f.type) for f in dataclasses.fields(SamplingConfig)}


@pytest.fixture(autouse=True)
def _owls_are_unmannerly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot.decoding.wording.unmannerly", lambda: frozenset({"owl"}))


def values(name: str) -> st.SearchStrategy[Any]:  # Any: of the setting's type
    """Values that a rule takes."""
    kinds = {
        "int": st.integers(0, V + 3),
        "str": st.sampled_from(["", "owl", "An, owl", ",", "x"]),
        "float": st.floats(0, 1) | st.floats(-100, 100),
        "bool": st.booleans(),
    }
    return kinds[KINDS[name]].filter(RULES[name].valid)


ALL = st.sampled_from(list(RULES)).flatmap(lambda name: st.tuples(st.just(name), values(name)))


def logits_of(*probabilities: float) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, np.float32))


def kept(logits: Floats) -> list[int]:
    """What can still be drawn."""
    found: list[int] = np.flatnonzero(softmax(logits) > 0).tolist()
    return found


# Every rule


@settings(max_examples=600)
@given(logits=LOGITS, chosen=ALL)
@example(logits=np.array([3.0] + [NEVER] * 10, np.float32), chosen=("top_k", 1))
@example(logits=np.array([NEVER] * 10 + [3.0], np.float32), chosen=("min_tokens", 4))
@example(logits=np.array([NEVER] * 5 + [1, 1] + [NEVER] * 4, np.float32), chosen=("no_repeat", 1))
@example(logits=np.zeros(V, np.float32), chosen=("top_p", 1))
@example(logits=np.array([80.0, -80.0] * 5 + [0.0], np.float32), chosen=("temperature", 5e-324))
def test_a_rule_leaves_a_distribution_over_what_was_allowed(logits: Floats, chosen: tuple[str, Any]) -> None:
    name, value = chosen
    before = logits.copy()
    after = RULES[name].apply(logits, SEEN, value)
    assert (logits == before).all(), "a rule must not change its input"
    assert after.shape == (V,)
    assert after.dtype == np.float32
    probabilities = softmax(after)
    assert probabilities.sum() == pytest.approx(1)
    assert not (probabilities[logits == NEVER]).any(), "what was forbidden stays forbidden"
    if not RULES[name].reorders:
        assert probabilities[logits.argmax()] > 0, "the most probable token can always be drawn"
        larger = logits[:, None] > logits[None, :]
        assert (after[:, None] >= after[None, :])[larger].all(), "the order is never turned round"


@pytest.mark.parametrize("name", RULES)
@given(logits=LOGITS)
def test_a_rule_does_nothing_at_its_neutral_value(name: str, logits: Floats) -> None:
    rule = RULES[name]
    assert rule.valid(rule.neutral)
    after = rule.apply(logits, SEEN, rule.neutral)
    np.testing.assert_allclose(softmax(after), softmax(logits), atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_does_something_at_another_value(name: str) -> None:
    logits = logits_of(*np.arange(1, V + 1) / 66)
    telling = {"int": (1, 4), "float": (3.0, 0.5), "str": ("owl",), "bool": (True,)}[KINDS[name]]
    afters = [RULES[name].apply(logits, SEEN, value) for value in telling if RULES[name].valid(value)]
    assert max(np.abs(softmax(after) - softmax(logits)).max() for after in afters) > 0.01


def test_every_rule_is_a_setting_and_they_are_applied_in_the_order_of_the_fields() -> None:
    assert [f.name for f in dataclasses.fields(SamplingConfig) if f.name in RULES] == list(RULES)


# Each rule


@given(LOGITS, st.integers(1, V + 2))
def test_top_k_keeps_the_k_largest_and_ties_with_the_last(logits: Floats, k: int) -> None:
    threshold = sorted(logits.tolist(), reverse=True)[min(k, V) - 1]
    after = top_k(logits, Seen(), k)
    assert kept(after) == [i for i in range(V) if logits[i] >= threshold and softmax(logits)[i] > 0]
    assert (after[kept(after)] == logits[kept(after)]).all()


def test_top_k_by_hand() -> None:
    logits = np.array([1, 4, 2, 4, 3, 2, 0], np.float32)
    assert [kept(top_k(logits, Seen(), k)) for k in (1, 2, 3, 4, 7, 50)] == [
        [1, 3],
        [1, 3],
        [1, 3, 4],
        [1, 2, 3, 4, 5],
        [*range(7)],
        [*range(7)],
    ]


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits: Floats, p: float) -> None:
    probabilities = softmax(logits)
    after = top_p(logits, Seen(), p)
    found = np.flatnonzero(after > NEVER) if p < 1 else np.flatnonzero(probabilities)
    rounding = 1e-9
    assert probabilities[found].sum() >= p - rounding
    assert probabilities[found].sum() - probabilities[found].min() < p + rounding
    dropped = np.setdiff1d(np.arange(V), found)
    assert probabilities[found].min() >= probabilities[dropped].max(initial=0)
    assert (after[found] == logits[found]).all()


def test_top_p_by_hand() -> None:
    logits = logits_of(0.1, 0.5, 0.15, 0.25)
    assert [kept(top_p(logits, Seen(), p)) for p in (1e-9, 0.4, 0.6, 0.7, 0.8, 0.95, 1)] == [
        [1],
        [1],
        [1, 3],
        [1, 3],
        [1, 2, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
    ]


def test_of_equals_top_p_keeps_the_first() -> None:
    assert kept(top_p(np.zeros(8, np.float32), Seen(), 0.3)) == [0, 1, 2]


@given(LOGITS, st.floats(0.05, 50))
def test_temperature_divides_the_logits(logits: Floats, value: float) -> None:
    expected = softmax(logits.astype(np.float64) / value)  # type: ignore[arg-type]
    np.testing.assert_allclose(softmax(temperature(logits, Seen(), value)), expected, atol=1e-5)


@given(LOGITS)
def test_temperature_zero_keeps_the_first_of_the_largest_alone(logits: Floats) -> None:
    assert kept(temperature(logits, Seen(), 0)) == [int(logits.argmax())]


@pytest.mark.parametrize("value", [1e-5, 1e-30, 1e-300, 5e-324])
def test_a_tiny_temperature_is_like_zero_and_overflows_nowhere(value: float) -> None:
    logits = np.array([-1e30, 5, 7, 7, NEVER, 1e-30], np.float32)
    np.testing.assert_array_equal(softmax(temperature(logits, Seen(), value)), [0, 0, 0.5, 0.5, 0, 0])


def test_probabilities_of_huge_logits_are_finite() -> None:
    np.testing.assert_array_equal(softmax(np.array([3e38, -3e38, 3e38, NEVER], np.float32)), [0.5, 0, 0.5, 0])


@given(LOGITS, st.floats(0.001, 1))
def test_min_p_keeps_what_is_probable_enough_beside_the_most_probable(logits: Floats, p: float) -> None:
    probabilities = softmax(logits)
    found = kept(RULES["min_p"].apply(logits, Seen(), p))
    share = probabilities / probabilities.max()
    assert (
        set(np.flatnonzero(share > p * (1 + 1e-6)))
        <= set(found)
        <= set(np.flatnonzero(share > p * (1 - 1e-6)))
    )


def test_min_p_by_hand() -> None:
    logits = logits_of(0.1, 0.5, 0.15, 0.25)
    assert [kept(RULES["min_p"].apply(logits, Seen(), p)) for p in (0.1, 0.25, 0.4, 0.9, 1)] == [
        [0, 1, 2, 3],
        [1, 2, 3],
        [1, 3],
        [1],
        [1],
    ]


def test_typical_by_hand() -> None:
    # H = 1.2080 nats; surprises 2.3026, 0.6931, 1.8971, 1.3863: nearest to it are the last, then 0.5, ...
    logits = logits_of(0.1, 0.5, 0.15, 0.25)
    assert [kept(RULES["typical"].apply(logits, Seen(), p)) for p in (0.2, 0.5, 0.8, 0.95)] == [
        [3],
        [1, 3],
        [1, 2, 3],
        [0, 1, 2, 3],
    ]


def test_typical_may_forbid_the_most_probable() -> None:
    logits = logits_of(0.4, *[0.06] * 10)  # H = 2.05 nats; 0.92 and 2.81 away from it: 1.14 and 0.76
    assert 0 not in kept(RULES["typical"].apply(logits, Seen(), 0.5))


def test_penalties_by_hand() -> None:
    logits = np.array([2.0, -2.0, 1.0, NEVER], np.float32)
    seen = Seen(so_far=[0, 1, 0, 3])
    np.testing.assert_array_equal(RULES["repetition_penalty"].apply(logits, seen, 2.0), [1, -4, 1, NEVER])
    np.testing.assert_array_equal(RULES["presence_penalty"].apply(logits, seen, 0.5), [1.5, -2.5, 1, NEVER])
    np.testing.assert_array_equal(RULES["frequency_penalty"].apply(logits, seen, 0.5), [1, -2.5, 1, NEVER])


@pytest.mark.parametrize("name", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_penalties_look_at_the_window_alone(name: str) -> None:
    logits = np.array([2.0, 2.0, 2.0], np.float32)
    after = RULES[name].apply(logits, Seen(so_far=[0, 1, 1], window=2), 1.5)
    assert after[1] < after[0] == after[2] == 2


def test_no_run_of_tokens_stands_twice_in_a_reply() -> None:
    logits = np.zeros(V, np.float32)
    said = [4, 5, 6, 7, 4, 5]

    def forbidden(n: int) -> list[int]:
        return np.flatnonzero(RULES["no_repeat"].apply(logits, Seen(said), n) == NEVER).tolist()

    assert [forbidden(n) for n in (0, 1, 2, 3, 4, 9)] == [[], [4, 5, 6, 7], [6], [6], [], []]


def test_no_run_of_tokens_is_the_conversations() -> None:
    logits = np.zeros(V, np.float32)
    seen = Seen([8, 4, 5], prompt=[4, 5, 9, 5, 3])

    def forbidden(n: int) -> list[int]:
        return np.flatnonzero(RULES["no_echo"].apply(logits, seen, n) == NEVER).tolist()

    assert [forbidden(n) for n in (0, 1, 2, 3, 4)] == [[], [3, 4, 5, 9], [3, 9], [9], []]


def test_to_end_as_the_prompt_did_is_no_echo() -> None:
    seen = Seen([8, 5], prompt=[4, 5, 7], end=7)
    assert (RULES["no_echo"].apply(np.zeros(V, np.float32), seen, 2) == 0).all()


def test_what_goes_on_as_an_earlier_reply_is_less_probable() -> None:
    # Two earlier replies, 6 5 8 9 2 (end) and 6 5 8 7; what the user said (mark 3) is no reply.
    prompt = [3, 6, 5, 8, 1, 2, 4, 6, 5, 8, 9, 2, 3, 8, 2, 4, 6, 5, 8, 7, 2, 3, 8, 2]

    def less(said: list[int], by: float = 1.5) -> list[int]:
        changed = RULES["again"].apply(np.zeros(V, np.float32), Seen(said, prompt=prompt, end=2), by)
        assert set(changed) <= {0, -by}
        return np.flatnonzero(changed).tolist()

    assert less([6, 5, 8]) == [7, 9]
    assert less([6, 5, 8], 0) == []
    assert less([6, 5]) == [], "replies may begin alike"
    assert less([5, 8, 9]) == [], "not from its beginning"
    assert less([6, 5, 8, 9]) == [], "to end as before is no repetition"
    assert less([6, 5, 8, 1]) == [], "what only the user said"
    prompt += [4, 6, 5, 8, 1, 2, 3, 5, 2]
    assert less([6, 5, 8]) == [7, 9], "1 is the user's own word: a name may be said again"


@pytest.mark.parametrize("settings", [{"bad_words": "owl"}, {"no_repeat": 1}, {"min_tokens": 9}])
def test_what_is_forbidden_stays_so_where_nothing_else_is_plausible(settings: dict[str, Any]) -> None:
    # Nearly all of it on one token; guidance would leave no other.
    sampler = Sampler(SamplingConfig(guidance=1, **settings), end=3, spelling=Spelling(PIECES))
    logits = np.full(V, -9, np.float32)
    logits[3] = 9
    assert sampler(logits, Seen([3, 7], np.zeros(V, np.float32), prompt=[3])).token != 3


def test_a_reply_does_not_end_too_early() -> None:
    logits, apply = np.zeros(V, np.float32), RULES["min_tokens"].apply
    assert apply(logits, Seen([3], end=7), 2)[7] == NEVER
    assert apply(logits, Seen([3, 3], end=7), 2) is logits
    assert apply(logits, Seen([3]), 2) is logits


# Words


@pytest.mark.parametrize(
    ("said", "forbidden"),
    [
        ([], [3, 9]),  # "owl" and "the owl" would say it
        ([4], [3, 5, 9, 10]),  # "ow": so would "l", and "L"
        ([4, 6], [3, 9]),  # "ows" is another word
        ([2, 4], [3, 5, 9, 10]),
        ([4, 8], [3, 9]),  # a space after "ow"
        ([4, 7], [3, 9]),  # a full stop
    ],
)
def test_a_bad_word_is_forbidden_however_it_is_cut(said: list[int], forbidden: list[int]) -> None:
    for rule, value in (("bad_words", " OWL,"), ("manners", True)):
        after = RULES[rule].apply(np.zeros(V, np.float32), Seen(said, spelling=Spelling(PIECES)), value)
        assert np.flatnonzero(after == NEVER).tolist() == forbidden


@given(st.lists(st.integers(2, V - 1), max_size=8), st.integers(0, 9))
def test_no_reply_holds_a_bad_word(begun: list[int], seed: int) -> None:
    def written(tokens: Sequence[int]) -> list[str]:
        return re.findall(r"\w+", "".join(PIECES[token] for token in tokens).casefold())

    assume("owl" not in written(begun) and not any("owl".startswith(w) and w for w in written(begun)[-1:]))
    sampler = Sampler(
        dataclasses.replace(FREE, seed=seed, bad_words="owl"), forbidden=[0, 1], spelling=Spelling(PIECES)
    )
    tokens = list(begun)
    for _ in range(12):
        tokens.append(sampler(np.zeros(V, np.float32), Seen(tokens)).token)
    # "owl" stands in it only as a part of a longer word that went on from another token.
    assert "owl" not in written(tokens)


# Beside transformers, where it is installed


@pytest.mark.parametrize(
    ("name", "value", "theirs"),
    [
        ("temperature", 0.7, "TemperatureLogitsWarper"),
        ("top_k", 3, "TopKLogitsWarper"),
        ("top_p", 0.6, "TopPLogitsWarper"),
        ("min_p", 0.2, "MinPLogitsWarper"),
        ("typical", 0.6, "TypicalLogitsWarper"),
        ("repetition_penalty", 1.3, "RepetitionPenaltyLogitsProcessor"),
        ("no_repeat", 2, "NoRepeatNGramLogitsProcessor"),
    ],
)
def test_a_rule_is_that_of_transformers(name: str, value: float, theirs: str) -> None:
    processors = pytest.importorskip("transformers").generation.logits_process
    import torch

    random = np.random.default_rng(0)
    for _ in range(50):
        logits = random.normal(0, 2, 50).astype(np.float32)
        said = random.integers(0, 50, 20).tolist()
        ours = RULES[name].apply(logits, Seen(said), value)
        other = getattr(processors, theirs)(value)(torch.tensor([said]), torch.from_numpy(logits)[None])
        np.testing.assert_allclose(softmax(ours), softmax(other[0].numpy()), atol=1e-6)


# The sampler


def draw(sampler: Sampler, logits: Floats, count: int) -> list[int]:
    return [sampler(logits, Seen()).token for _ in range(count)]


@pytest.mark.parametrize("config", [FREE, dataclasses.replace(FREE, top_k=6, temperature=0.6, top_p=0.95)])
def test_tokens_are_drawn_as_often_as_they_are_probable(config: SamplingConfig) -> None:
    probabilities = np.array([0.02, 0.2, 0.01, 0.15, 0.3, 0.05, 0.04, 0.1, 0.03, 0.06, 0.04])
    logits = logits_of(*probabilities)
    if config.top_k:  # by hand: the 6 most probable, sharpened, and of those what reaches 0.95
        probabilities = np.where(probabilities >= 0.05, probabilities, 0) ** (1 / 0.6)
        probabilities /= probabilities.sum()
        probabilities[5] = 0
        assert 0.95 <= probabilities.sum() < 0.95 + probabilities[probabilities > 0].min()
        probabilities /= probabilities.sum()
    drawn = np.bincount(draw(Sampler(config), logits, 20_000), minlength=V)
    expected = 20_000 * probabilities
    assert not drawn[expected == 0].any()
    possible = expected > 0
    distance = ((drawn - expected)[possible] ** 2 / expected[possible]).sum()
    assert distance < 35.6  # the 0.9999 quantile of chi-square with 10 degrees of freedom


def test_the_same_seed_draws_the_same_tokens() -> None:
    logits = np.zeros(V, np.float32)

    def drawn(seed: int | None) -> list[int]:
        return draw(Sampler(dataclasses.replace(FREE, seed=seed)), logits, 30)

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(None) != drawn(None)


@given(
    LOGITS,
    st.sets(st.integers(0, V - 1), max_size=V - 1),
    st.sampled_from([0.0, 0.7, 50.0]),
    st.integers(0, 9),
)
def test_what_is_forbidden_is_never_drawn(
    logits: Floats, forbidden: set[int], heat: float, seed: int
) -> None:
    finite = np.where(logits == NEVER, np.float32(-90), logits).astype(np.float32)
    before = finite.copy()
    sampler = Sampler(SamplingConfig(temperature=heat, seed=seed), sorted(forbidden))
    assert not {sampler(finite, Seen()).token for _ in range(5)} & forbidden
    assert (finite == before).all()


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_no_random_number_draws_what_is_forbidden(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dice:
        def random(self) -> float:
            return number

    sampler = Sampler(FREE, forbidden=[0, 1, V - 1])
    monkeypatch.setattr(sampler, "_random", Dice())
    assert sampler(np.zeros(V, np.float32), Seen()).token == (2 if number == 0 else V - 2)


@given(LOGITS)
def test_temperature_zero_draws_the_most_probable_token(logits: Floats) -> None:
    sampler = Sampler(SamplingConfig(temperature=0))
    assert set(draw(sampler, logits, 3)) == {int(logits.argmax())}


@pytest.mark.parametrize("heat", [0.0, 0.3, 1.0])
def test_the_probability_of_a_choice_is_the_models_own(heat: float) -> None:
    probabilities = (0.1, 0.6, 0.3)
    sampler = Sampler(SamplingConfig(temperature=heat, top_k=2, top_p=0.8, seed=3))
    for choice in (sampler(logits_of(*probabilities), Seen()) for _ in range(20)):
        assert choice.probability == pytest.approx(probabilities[choice.token], abs=1e-6)


def test_what_no_reply_may_contain_takes_no_share() -> None:
    sampler = Sampler(SamplingConfig(temperature=0), forbidden=[0])
    choice = sampler(logits_of(0.5, 0.2, 0.3), Seen())
    assert choice.token == 2
    assert choice.probability == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"top_k": -1}, "top_k must be 0 or more, not -1"),
        ({"temperature": -0.1}, "temperature must be from 0 to 100, not -0.1"),
        ({"temperature": 100.5}, "temperature must be from 0 to 100, not 100.5"),
        ({"temperature": math.nan}, "temperature must be from 0 to 100, not nan"),
        ({"temperature": math.inf}, "temperature must be from 0 to 100, not inf"),
        ({"top_p": 0.0}, "top_p must be over 0 and at most 1, not 0.0"),
        ({"top_p": 1.01}, "top_p must be over 0 and at most 1, not 1.01"),
        ({"top_p": math.nan}, "top_p must be over 0 and at most 1, not nan"),
        ({"max_tokens": 0}, "max_tokens must be from 1 to 10,000, not 0"),
        ({"max_tokens": 10**20}, f"max_tokens must be from 1 to 10,000, not {10**20}"),
        ({"seed": -3}, "seed must not be negative, not -3"),
        ({"window": -1}, "window must not be negative, not -1"),
        (
            {"bad_words": "darn, don't"},
            "bad_words must be words of letters with commas between, not darn, don't",
        ),
        ({"beams": 2, "candidates": 3}, "beams (2) and candidates (3) exclude each other"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SamplingConfig(**values)
    assert error.value.what == message


# Guidance


def test_guidance_is_the_formula() -> None:
    own, other = logits_of(0.5, 0.3, 0.2), logits_of(0.6, 0.1, 0.3)
    found = softmax(RULES["guidance"].apply(own, Seen((), other), 1.0))
    expected = np.array([0.5**2 / 0.6, 0.3**2 / 0.1, 0.2**2 / 0.3])
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-5)


def test_guidance_chooses_from_what_is_plausible_by_itself() -> None:
    own, other = logits_of(0.85, 0.1, 0.05), logits_of(0.9, 0.0999, 0.0001)
    assert kept(RULES["guidance"].apply(own, Seen((), other), 5.0)) == [0, 1]  # 0.05 < 0.1 * 0.85


def test_guidance_fades_with_the_reply() -> None:
    own, other = logits_of(0.5, 0.3, 0.2), logits_of(0.6, 0.1, 0.3)
    rule = RULES["guidance"].apply
    half, later = rule(own, Seen([7] * 5, other), 2.0), rule(own, Seen([7] * 10, other), 2.0)
    np.testing.assert_allclose(half, rule(own, Seen([], other), 1.0), rtol=1e-6)
    assert later is own


def test_without_anything_to_compare_with_guidance_does_nothing() -> None:
    logits = logits_of(0.5, 0.3, 0.2)
    assert RULES["guidance"].apply(logits, Seen(), 3.0) is logits


def test_guidance_survives_what_only_one_side_forbids() -> None:
    own, other = logits_of(0.5, 0.5, 0.0), logits_of(0.0, 0.5, 0.5)
    found = RULES["guidance"].apply(own, Seen((), other), 10.0)
    assert found.argmax() == 0
    assert not np.isnan(found).any()


def test_the_probability_of_a_choice_is_the_models_not_the_guided_one() -> None:
    sampler = Sampler(SamplingConfig(guidance=2, temperature=0))
    choice = sampler(logits_of(0.5, 0.3, 0.2), Seen((), logits_of(0.6, 0.1, 0.3)))
    assert choice.token == 1
    assert choice.probability == pytest.approx(0.3)


def test_the_loop_compares_with_silence_in_the_same_batch() -> None:
    engine = CountingEngine([[9, 8, 7]])
    config = SamplingConfig(temperature=0, guidance=1)
    found = list(generate(engine, [3, 10, 2], Sampler(config), limit=3, silence=(3, 2)))
    assert engine.prompts == [[3, 10, 2], [3, 2]]
    assert engine.steps == [[found[0].choice.token] * 2, [found[1].choice.token] * 2]
    assert [chosen.attention.shape for chosen in found] == [(3,)] * 3


# The loop


class CountingEngine(ScriptedEngine):
    """Remembers the steps that were asked for."""

    def step(self, tokens: Sequence[int], state: Any) -> Any:
        self.steps = [*getattr(self, "steps", []), list(tokens)]
        return super().step(tokens, state)


GREEDY = SamplingConfig(temperature=0, guidance=0)


def test_the_loop_reads_the_prompt_once_and_feeds_back_each_token() -> None:
    engine = CountingEngine([[9, 8, 7, 6, 5]])
    found = list(generate(engine, [3, 10, 2], Sampler(GREEDY), limit=4))
    assert [chosen.choice.token for chosen in found] == [9, 8, 7, 6]
    assert engine.prompts == [[3, 10, 2]]
    assert engine.steps == [[9], [8], [7]], "after the last token no step is needed"


def test_the_loop_passes_on_where_the_model_looked() -> None:
    looks = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]]
    engine = ScriptedEngine([[9, 8, 7]], looks=lambda position, _: looks[position])
    found = [chosen.attention.tolist() for chosen in generate(engine, [3, 10, 2], Sampler(GREEDY), limit=2)]
    assert found == [pytest.approx(row) for row in looks]
    assert evenly(0, 4) == [0.25] * 4


def test_who_stops_pays_for_no_further_step() -> None:
    engine = CountingEngine([[9, 8, 7]])
    loop = generate(engine, [3, 10, 2], Sampler(GREEDY), limit=3)
    next(loop)
    next(loop)
    loop.close()  # type: ignore[attr-defined]
    assert engine.steps == [[9]]


def test_the_sampler_sees_the_reply_so_far() -> None:
    seen = []

    class Noting(Sampler):
        def __call__(self, logits: Floats, known: Seen) -> Choice:
            seen.append(list(known.so_far))
            return super().__call__(logits, known)

    list(generate(ScriptedEngine([[9, 8, 7]]), [3, 2], Noting(GREEDY), limit=3))
    assert seen == [[], [9], [9, 8]]


def test_logits_that_are_no_numbers_are_an_error_and_not_a_token() -> None:
    with pytest.raises(ChatbotError, match="no numbers"):
        Sampler(SamplingConfig())(np.full(5, np.nan, np.float32), Seen())


def test_a_comparison_that_gives_no_numbers_is_an_error_too() -> None:
    silent = np.zeros(5, np.float32)
    silent[1] = np.nan
    with pytest.raises(ChatbotError, match="no numbers"):
        Sampler(SamplingConfig(), forbidden=[1])(np.zeros(5, np.float32), Seen(unprompted=silent))


@pytest.mark.parametrize(
    ("before", "settings", "after"),
    [
        ((4, 1), {"beams": "3"}, (1, 3)),
        ((1, 3), {"candidates": "4"}, (4, 1)),
        ((4, 1), {"beams": "1"}, (4, 1)),
        ((4, 1), {"temperature": "1"}, (4, 1)),
        ((1, 3), {"candidates": "1"}, (1, 3)),
    ],
)
def test_who_asks_for_beams_alone_has_no_candidates_any_more(
    before: tuple[int, int], settings: dict[str, str], after: tuple[int, int]
) -> None:
    found = adjusted(SamplingConfig(candidates=before[0], beams=before[1]), settings)
    assert (found.candidates, found.beams) == after


def test_who_asks_for_both_is_told() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        adjusted(SamplingConfig(), {"beams": "3", "candidates": "4"})
