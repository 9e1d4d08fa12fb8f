"""The law that says what a training should come to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks.expectations import fitted, moved
from chatbot.models import FAMILIES
from chatbot.training.expectation import FILE, REPEATED, Law, law, worth

LAW = Law(least=2.0, size=30.0, alpha=0.25, data=100.0, beta=0.5)


def test_a_law_is_the_equation() -> None:
    # 2 + 30 / 10,000^0.25 + 100 / 40,000^0.5 = 2 + 3 + 0.5
    assert LAW.nats(10_000, 40_000, unique=40_000) == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (50.0, 50.0),
        (100.0, 100.0),
        (200.0, 100 + 100 * REPEATED * (1 - np.exp(-1 / REPEATED))),
        (1e9, 100 + 100 * REPEATED),
    ],
)
def test_targets_that_come_again_are_worth_less_and_less(targets: float, expected: float) -> None:
    assert worth(targets, unique=100) == pytest.approx(expected)


def test_more_targets_and_parameters_never_make_it_worse() -> None:
    few, many = LAW.nats(1e5, 1e5, 1e6), LAW.nats(1e6, 1e5, 1e6)
    assert LAW.nats(1e6, 1e9, 1e6) < LAW.nats(1e6, 1e6, 1e6) < many < few


def test_a_law_is_found_again_from_trainings_that_obey_it() -> None:
    points = [(n, d, LAW.nats(n, d, d)) for n in (3e4, 1e5, 1e6) for d in (1e4, 1e5, 1e6)]
    found = fitted(np.array(points))
    for n, d in ((5e4, 5e4), (3e6, 5e6)):
        assert found.nats(n, d, d) == pytest.approx(LAW.nats(n, d, d), rel=0.01)


def test_a_law_is_moved_to_trainings_that_have_another_floor_and_capacity() -> None:
    other = replace(LAW, least=1.5, size=90.0)
    found = np.array([(n, d, other.nats(n, d, d)) for n, d in ((3e4, 1e5), (1e5, 1e6), (1e6, 1e6))])
    assert asdict(moved(LAW, found)) == pytest.approx(asdict(other))


def test_a_family_without_a_law_for_many_epochs_has_its_own() -> None:
    assert law("seq2seq", again=True) == law("seq2seq") != law("gpt", again=True) != law("gpt")
    assert law("owl", again=True) is None


def test_what_won_on_cornell_is_what_the_laws_say() -> None:
    # Of sizes and trainings in one core's time, docs/training.md: parameters, targets of 20 and 60 minutes.
    first, again = law("gpt"), law("gpt", again=True)
    assert first
    assert again
    micro, small, unique = 1.9e6, 5.3e6, 6.93e6
    assert first.nats(micro, 20.2e6, unique) < again.nats(micro, 14.2e6, unique)
    assert first.nats(micro, 20.2e6, unique) < first.nats(small, 6.9e6, unique)
    assert again.nats(small, 20.7e6, unique) < again.nats(micro, 41.6e6, unique) - 0.1
    assert again.nats(small, 20.7e6, unique) < first.nats(small, 20.8e6, unique)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_laws_that_are_shipped_are_near_the_trainings_they_were_fitted_to(family: str) -> None:
    found = law(family)
    assert found is not None
    trained = json.loads(FILE.read_text(encoding="utf-8"))["trained"][family]
    assert len(trained) >= 7
    off = [found.nats(count, targets, targets) - nats for _, _, count, targets, nats in trained]
    assert np.median(np.abs(off)) < 0.03
    assert np.abs(off).max() < 0.2  # of the shortest ones
