"""Figures with intervals, against theory and by hand."""

import math

import numpy as np
import pytest

from chatbot.evaluation.statistics import Statistic, difference, figure, weights


def test_a_ratio_is_a_sum_over_a_sum_and_a_mean_is_a_mean() -> None:
    assert figure(Statistic.ratio([1, 2, 3], [4, 4, 4]), 100, 0).value == 0.5
    assert figure(Statistic.mean([1, 2, 6]), 100, 0).value == 3
    assert figure(Statistic.mean([0, math.log(4)]).then(math.exp), 100, 0).value == pytest.approx(2)
    assert figure(Statistic.ratio([0, 0], [0, 0]), 100, 0).value == 0  # no replies have any bigram


def test_the_interval_of_a_mean_is_the_one_theory_gives() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=400)
    found = figure(Statistic.mean(values), 2000, 0)
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.12)
    assert found.value - found.low == pytest.approx(half, rel=0.12)


def test_an_interval_holds_the_truth_about_nineteen_times_in_twenty() -> None:
    random, held = np.random.default_rng(2), 0
    for seed in range(200):
        found = figure(Statistic.mean(random.exponential(3, size=100)), 200, seed)
        held += found.low <= 3 <= found.high
    assert 178 <= held <= 198


def test_resamples_are_as_large_as_what_they_are_drawn_from() -> None:
    drawn = weights(7, 50, 0)
    assert drawn.shape == (50, 7)
    assert (drawn.sum(1) == 7).all()
    assert (drawn == weights.__wrapped__(7, 50, 0)).all()  # drawn anew
    assert (drawn != weights(7, 50, 1)).any()


def test_bots_that_say_the_same_do_not_differ() -> None:
    one = Statistic.mean([1.0, 4.0, 2.0, 8.0])
    found = difference(one, one, 500, 0)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_small_difference_on_every_reply_is_seen_though_replies_differ_more() -> None:
    values = np.random.default_rng(3).normal(5, 2, size=200)
    one, other = Statistic.mean(values + 0.1), Statistic.mean(values)
    found = difference(one, other, 999, 0)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.p == 2 / 1000
    assert figure(one, 999, 0).low < figure(other, 999, 0).high  # unpaired, it would be lost


@pytest.mark.parametrize("count", [2, 4, 12])
def test_of_few_units_the_interval_is_students(count: int) -> None:
    random, held, found = np.random.default_rng(5), 0, 0
    for _ in range(1000):
        one, other = (Statistic.mean(random.normal(1, 1, size=count)) for _ in range(2))
        interval = figure(one, 100, 0)
        held += interval.low <= 1 <= interval.high
        found += difference(one, other, 100, 0).p < 0.05
    assert 928 <= held <= 972
    assert 28 <= found <= 72


def test_one_unit_has_no_interval() -> None:
    found = figure(Statistic.mean([0.25]), 100, 0)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_a_difference_of_noise_is_not_one() -> None:
    random = np.random.default_rng(4)
    one, other = Statistic.mean(random.normal(size=200)), Statistic.mean(random.normal(size=200))
    found = difference(one, other, 999, 0)
    assert found.low < 0 < found.high
    assert found.p > 0.05


@pytest.mark.parametrize("count", [8, 20, 29])
def test_of_few_units_interval_and_p_agree_also_where_the_figure_is_not_linear(count: int) -> None:
    random = np.random.default_rng(count)
    for shift in np.linspace(0, 1, 21):
        one, other = (Statistic.mean(random.normal(by, 1, count)).then(np.exp) for by in (shift, 0))
        found = difference(one, other, 100, 0)
        assert (found.low <= 0 <= found.high) == (found.p >= 0.05)
