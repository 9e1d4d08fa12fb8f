"""The best of several replies, and beam search, on an engine small enough to try everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from chatbot.decoding import (
    SCORES,
    Chosen,
    Floats,
    Sampler,
    SamplingConfig,
    log_probabilities,
    search,
    softmax,
)
from chatbot.decoding.loop import together
from chatbot.decoding.sampler import Choice
from chatbot.decoding.scores import Drawn
from chatbot.decoding.search import SamplerMaker, beam, best_of, deterministic
from chatbot.engines.base import Step
from chatbot.errors import ConfigError

V, END = 5, 0
FREE = SamplingConfig(no_repeat=0, guidance=0, top_k=0, top_p=1, temperature=1, seed=3)


@dataclass
class Chain:
    """What comes next depends on the last token, and on how long the prompt is."""

    tables: dict[int, Floats]  # by the prompt's length: logits (V + 1, V), the last row for the first token
    steps: int = 0
    rows: list[int] = field(default_factory=list)  # of every step

    def start(self, prompts: Sequence[Sequence[int]]) -> Step:
        return self._predict([(len(prompt), V) for prompt in prompts])

    def step(self, tokens: Sequence[int], state: Any) -> Step:
        self.steps += 1
        return self._predict([(length, token) for (length, _), token in zip(state, tokens, strict=True)])

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        return [state[row] for row in rows]

    def _predict(self, state: list[tuple[int, int]]) -> Step:
        self.rows.append(len(state))
        logits = np.stack([self.tables[length][last] for length, last in state])
        longest = max(length for length, _ in state)
        attention = np.zeros((len(state), longest), np.float32)
        for row, (length, last) in enumerate(state):
            attention[row, (last + 1) % length] = 1
        return Step(logits, attention, state)


def chain(seed: int) -> Chain:
    random = np.random.default_rng(seed)
    return Chain({n: random.normal(0, 1.5, (V + 1, V)).astype(np.float32) for n in (2, 3)})


LOOKED = np.ones(1, np.float32)
PROMPT, SILENCE = [7, 8, 9], [7, 8]


def probability(engine: Chain, tokens: Sequence[int], prompt: int = 3) -> float:
    """The log probability of a whole reply."""
    lasts = [V, *tokens[:-1]]
    table = engine.tables[prompt]
    return sum(math.log(softmax(table[a])[b]) for a, b in zip(lasts, tokens, strict=True))


def normalised(total: float, length: int, penalty: float) -> float:
    return float(total / ((5 + length) / 6) ** penalty)


def everything(limit: int) -> list[tuple[int, ...]]:
    """All replies: those that end, and those that are as long as they may be."""
    ended = [(*words, END) for n in range(limit) for words in itertools.product(range(1, V), repeat=n)]
    return [*ended, *itertools.product(range(1, V), repeat=limit)]


def tokens(found: Sequence[Chosen]) -> list[int]:
    return [chosen.choice.token for chosen in found]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_best_of_all_replies(seed: int, penalty: float) -> None:
    engine, limit = chain(seed), 4
    found = tokens(list(beam(engine, PROMPT, Sampler(FREE), limit, END, 400, penalty)))
    scores = {
        reply: normalised(probability(engine, reply), len(reply), penalty) for reply in everything(limit)
    }
    assert tuple(found) == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_takes_the_most_probable_token_each_time(seed: int) -> None:
    engine = chain(seed)
    found: list[int] = []
    last = V
    while len(found) < 6 and (not found or found[-1] != END):
        last = int(engine.tables[3][last].argmax())
        found.append(last)
    # The runner-up that ends may still win by its score: with a penalty of 10 the longest does.
    assert tokens(list(beam(engine, PROMPT, Sampler(FREE), 6, END, 1, 10.0)))[: len(found) - 1] == found[:-1]


def test_a_beam_yields_what_its_hypotheses_agree_on_at_once() -> None:
    table = np.full((V + 1, V), -4, np.float32)
    table[V, 1] = table[2, 4] = table[3, 4] = table[4, END] = 4
    table[1, 2:4] = 2.0, 1.8  # here they part
    engine = Chain({3: table})
    replies = beam(engine, PROMPT, Sampler(FREE), 12, END, 2, 0.0)
    came = [(chosen.choice.token, engine.steps) for chosen in replies]
    assert [token for token, _ in came] == [1, 2, 4, END]
    assert came[0][1] < came[1][1] == engine.steps


def test_a_beam_carries_attention_and_the_models_own_probabilities() -> None:
    engine = chain(2)
    found = list(beam(engine, PROMPT, Sampler(FREE), 4, END, 3, 0.6))
    lasts = [V, *tokens(found)[:-1]]
    for last, chosen in zip(lasts, found, strict=True):
        assert chosen.choice.probability == pytest.approx(
            softmax(engine.tables[3][last])[chosen.choice.token]
        )
        assert chosen.attention.tolist() == [float(i == (last + 1) % 3) for i in range(3)]


def test_a_guided_beam_compares_with_silence_in_the_same_batch() -> None:
    engine = chain(4)
    guided = deterministic(SamplingConfig(guidance=2))
    found = list(beam(engine, PROMPT, Sampler(guided), 4, END, 3, 0.6, SILENCE))
    assert all(rows % 2 == 0 for rows in engine.rows)
    lasts = [V, *tokens(found)[:-1]]
    for last, chosen in zip(lasts, found, strict=True):
        silent = softmax(engine.tables[2][last])[chosen.choice.token]
        assert chosen.choice.unprompted == pytest.approx(silent)


def test_rules_that_forbid_hold_in_a_beam() -> None:
    engine = chain(1)
    config = SamplingConfig(guidance=0, no_repeat=1, min_tokens=4)
    found = tokens(list(beam(engine, PROMPT, Sampler(deterministic(config), end=END), 6, END, 3, 0.6)))
    assert len(found) == len(set(found)) == 5
    assert found[-1] == END


@pytest.mark.parametrize("score", SCORES)
def test_the_best_of_several_is_the_best_by_its_score(score: Any) -> None:
    config = replace(FREE, max_tokens=4, score=score, candidates=12)

    def numbered(first: int) -> SamplerMaker:
        return lambda config, i: Sampler(config, number=first + i)

    (found,) = best_of(chain(5), [PROMPT], numbered(0), [config], END, [SILENCE], recalled)
    alone = replace(config, candidates=1)
    each = [best_of(chain(5), [PROMPT], numbered(i), [alone], END, [SILENCE])[0] for i in range(12)]
    assert len({tuple(tokens(reply)) for reply in each}) > 3
    worth = SCORES[score](Drawn(PROMPT, [found, *each], recalled))
    assert worth[0] == pytest.approx(max(worth))


def recalled(prompt: Sequence[int], replies: Sequence[Sequence[int]]) -> list[float]:
    """A second model's opinion, made up: it likes large tokens at the beginning."""
    return [-len(prompt) - 1 / (1 + 6 * (len(ids) > 1)) for ids in replies]


def test_the_best_for_many_prompts_are_those_for_each() -> None:
    prompts, silent = [PROMPT, SILENCE, PROMPT], [SILENCE, SILENCE, SILENCE]
    configs = [replace(FREE, max_tokens=4, seed=seed, candidates=n) for seed, n in ((1, 3), (2, 1), (3, 4))]

    def sampler(config: SamplingConfig, i: int) -> Sampler:
        return Sampler(config, number=i)

    together = best_of(chain(5), prompts, sampler, configs, END, silent)
    for row, found in enumerate(together):
        (alone,) = best_of(chain(5), [prompts[row]], sampler, [configs[row]], END, [silent[row]])
        assert tokens(found) == tokens(alone)


@pytest.mark.parametrize(
    ("guidance", "score", "rows"), [(0, "likelihood", 3), (1, "likelihood", 6), (0, "fit", 6)]
)
def test_what_silence_would_say_is_asked_only_where_it_counts(guidance: float, score: Any, rows: int) -> None:
    engine = chain(5)
    config = replace(FREE, max_tokens=2, guidance=guidance, score=score, candidates=3)
    best_of(engine, [PROMPT], lambda c, i: Sampler(c, number=i), [config], END, [SILENCE])
    assert engine.rows[0] == rows // 3, "the prompt is read once, for all candidates"
    assert engine.rows[0] <= engine.rows[1] <= rows, "those that say the same are one"


def test_who_has_lost_by_total_is_not_asked_further_and_the_best_is_the_same() -> None:
    config = replace(FREE, max_tokens=30, candidates=8, score="total")

    def sampler(config: SamplingConfig, i: int) -> Sampler:
        return Sampler(config, number=i)

    asked = []
    for seed in range(20):
        engine, whole = chain(seed), chain(seed)
        (found,) = best_of(engine, [PROMPT], sampler, [config], END)
        replies = together(whole, [PROMPT] * 8, [sampler(config, i) for i in range(8)], 30, END)
        totals = SCORES["total"](Drawn(PROMPT, replies))
        assert tokens(found) == tokens(replies[totals.index(max(totals))])
        asked.append(sum(engine.rows) < sum(whole.rows))
    assert sum(asked) > 10


def test_scores_by_hand() -> None:
    reply = [Chosen(Choice(1, 0.5, 0.25), LOOKED), Chosen(Choice(0, 0.2, 0.4), LOOKED)]
    own, silent = (math.log(0.5) + math.log(0.2)) / 2, (math.log(0.25) + math.log(0.4)) / 2
    drawn = Drawn(PROMPT, [reply, [Chosen(Choice(1, 0.5), LOOKED)]], recalled)
    assert SCORES["likelihood"](drawn) == pytest.approx([own, math.log(0.5)])
    lengths = [len(reply) for reply in drawn.replies]
    assert SCORES["total"](drawn) == pytest.approx([own * lengths[0], math.log(0.5) * lengths[1]])
    assert SCORES["fit"](drawn) == pytest.approx([own - silent, math.log(0.5)])
    assert SCORES["balance"](drawn) == pytest.approx([own - silent / 2, math.log(0.5)])
    assert SCORES["backward"](drawn) == pytest.approx([-3 - 1 / 7, -3 - 1])
    assert SCORES["bidi"](drawn) == pytest.approx([(own - 3 - 1 / 7) / 2, (math.log(0.5) - 4) / 2])


@pytest.mark.parametrize("score", ["bidi", "backward"])
def test_scores_that_need_a_second_bot_say_so(score: Any) -> None:
    config = replace(FREE, score=score, candidates=2)
    with pytest.raises(ConfigError, match="needs a second bot"):
        best_of(chain(5), [PROMPT], lambda c, i: Sampler(c, number=i), [config], END)


def test_log_probabilities_are_those_of_each_token_after_the_others() -> None:
    engine = chain(5)
    found = log_probabilities(engine, [PROMPT, SILENCE], [1, 3, END])
    expected = [probability(engine, [1, 3, END], len(prompt)) / 3 for prompt in (PROMPT, SILENCE)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("changes", [{}, {"candidates": 5}, {"beams": 3}])
def test_the_same_settings_find_the_same_reply(changes: dict[str, Any]) -> None:
    config = SamplingConfig(**{"temperature": 1.5, "seed": 11, "max_tokens": 4, **changes})

    def found() -> list[int]:
        return tokens(list(search(chain(3), PROMPT, lambda c, i: Sampler(c, number=i), config, END, SILENCE)))

    assert found() == found()
    assert 0 < len(found()) <= 4


@pytest.mark.parametrize("name", ["candidates", "beams"])
def test_impossible_searches_are_refused(name: str) -> None:
    for value in (0, 65):
        with pytest.raises(ConfigError, match=f"{name} must be from 1 to 64, not {value}"):
            SamplingConfig(**{name: value})  # type: ignore[arg-type]
