"""Which size `--time` takes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.preparation import Encoded, ExamplesConfig
from chatbot.sizes import SIZES
from chatbot.training import TrainingConfig, choice, optimization
from chatbot.training.choice import Kind, Plan, choose, chooses
from chatbot.training.pace import Pace, measure
from tests.test_training import counting

CPU = torch.device("cpu")
BY_TIME = TrainingConfig(minutes=1.0, batch_tokens=256, precision="float32")


def kind(family: str, settings: Mapping[str, str] | None = None, **changes: float) -> Kind:
    return Kind(
        family=family,
        vocabulary=64,
        settings=settings or {},
        training=TrainingConfig(**{"batch_tokens": 256, "precision": "float32", **changes}),  # type: ignore[arg-type]
        examples=ExamplesConfig(),
        device=CPU,
    )


@pytest.fixture
def corpus() -> Encoded:
    return counting(0, 60)


@pytest.fixture
def paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a step takes a microsecond a parameter, and learns a thousand targets."""

    def instead(model: torch.nn.Module, *_: object) -> Pace:
        return Pace(1e-6 * sum(p.numel() for p in model.parameters()), 1000.0)

    monkeypatch.setattr(choice, "measure", instead)
    monkeypatch.setattr(choice, "HURRY", 1e9)
    monkeypatch.setattr(choice, "LEARNT", 1e9)


def chosen(one: Kind, corpus: Encoded) -> list[Plan]:
    return choose(one, one.batches(corpus), lambda done, total: None)


def sizes(plans: list[Plan]) -> list[str]:
    return [plan.size for plan in plans]


@pytest.mark.usefixtures("paces")
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_longer_the_time_the_larger_the_model(family: str, corpus: Encoded) -> None:
    order, taken = list(SIZES), list[int]()
    for minutes in (0.05, 1.0, 30.0, 10_000.0):
        plans = chosen(kind(family, minutes=minutes), corpus)
        figures = [plan.nats for plan in plans if plan.nats is not None]
        assert figures == sorted(figures)
        taken.append(order.index(plans[0].size))
    assert taken == sorted(taken)
    assert taken[0] < taken[-1]


@pytest.mark.usefixtures("paces")
def test_a_plan_is_what_fits_into_the_time(corpus: Encoded) -> None:
    one = kind("gpt", minutes=2.0, epochs=0)
    model, batches = one.model("nano"), one.batches(corpus)
    count = sum(p.numel() for p in model.parameters())
    plan = one.plan("nano", model, batches)
    assert plan.parameters == count
    assert plan.steps == pytest.approx(choice.LEARNING * 120 / (1e-6 * count))
    assert plan.epochs == pytest.approx(plan.steps / len(batches.plan()))
    assert plan.seconds == pytest.approx(120)


@pytest.mark.usefixtures("paces")
def test_a_plan_goes_through_a_small_corpus_so_often_and_no_more(corpus: Encoded) -> None:
    one = kind("gpt", minutes=2.0, epochs=1.5)
    plan = one.plan("nano", one.model("nano"), one.batches(corpus))
    assert plan.epochs == pytest.approx(1.5)
    assert plan.seconds < 60


@pytest.mark.usefixtures("paces")
@pytest.mark.parametrize("many", [True, False])
def test_more_often_through_a_large_corpus_it_goes_with_dropout(
    many: bool, corpus: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "MANY", len(corpus.tokens) + (not many))
    monkeypatch.setattr(optimization, "MANY", len(corpus.tokens) + (not many))
    first = chosen(kind("gpt", minutes=10_000.0), corpus)[0]
    assert first.settings == ({"dropout": "0.1"} if many else {})
    assert first.epochs == pytest.approx(6 if many else 3)
    assert first.is_cut
    told = kind("gpt", {"dropout": "0.3"}, minutes=10_000.0)
    assert chosen(told, corpus)[0].settings == {"dropout": "0.3"}
    assert not chosen(kind("gpt", minutes=0.001), corpus)[0].settings
    assert not chosen(kind("seq2seq", minutes=10_000.0), corpus)[0].settings


@pytest.mark.usefixtures("paces")
def test_a_plan_by_steps_has_those_steps(corpus: Encoded) -> None:
    one = kind("gpt", minutes=0.0, steps=7)
    plan = one.plan("nano", one.model("nano"), one.batches(corpus))
    assert plan.steps == 7


@pytest.mark.usefixtures("paces")
def test_what_does_not_fit_into_memory_is_not_chosen(
    corpus: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = kind("gpt", minutes=10_000.0)
    monkeypatch.setattr(
        choice, "available", lambda device: one.memory(one.model("small"), one.batches(corpus)) + 1
    )
    assert set(sizes(chosen(one, corpus))) == {"nano", "micro", "small"}


@pytest.mark.usefixtures("paces")
def test_a_small_corpus_gets_no_model_that_knows_it_by_heart(
    corpus: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = kind("gpt", minutes=10_000.0)
    unique = 1000.0 * len(one.batches(corpus).plan())  # as the machine above learns
    micro, small = (sum(p.numel() for p in one.model(size).parameters()) for size in ("micro", "small"))
    monkeypatch.setattr(choice, "LEARNT", (micro + small) / 2 / unique)
    assert set(sizes(chosen(one, corpus))) == {"nano", "micro"}
    monkeypatch.setattr(choice, "LEARNT", 1 / unique)  # the smallest is always looked at
    assert sizes(chosen(one, corpus)) == ["nano"]


@pytest.mark.usefixtures("paces")
def test_the_search_ends_when_it_takes_too_long(corpus: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "HURRY", 0.0)
    assert sizes(chosen(kind("gpt", minutes=1.0), corpus)) == ["nano"]


@pytest.mark.usefixtures("paces")
def test_sizes_that_a_setting_does_not_suit_are_left_out(corpus: Encoded) -> None:
    # Heads are 2, 2, 4, 6 and 8.
    found = sizes(chosen(kind("gpt", {"groups": "4"}, minutes=10_000.0), corpus))
    assert set(found) == {"small", "base"}
    with pytest.raises(ConfigError, match="no size of gpt"):
        chosen(kind("gpt", {"groups": "5"}, minutes=1.0), corpus)


@pytest.mark.parametrize(
    ("training", "settings", "expected"),
    [
        ({"minutes": 5.0}, {}, True),
        ({"minutes": 5.0}, {"dropout": "0.1"}, True),
        ({"minutes": 5.0}, {"width": "96"}, False),
        ({"minutes": 5.0, "steps": 9}, {}, False),
        ({"minutes": 0.0, "steps": 9}, {}, False),
    ],
)
def test_there_is_a_choice_by_time_alone(
    training: dict[str, float], settings: dict[str, str], expected: bool
) -> None:
    assert chooses("gpt", TrainingConfig(**training), settings) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_pace_is_measured_and_leaves_the_weights_alone(family: str, corpus: Encoded) -> None:
    one = kind(family, minutes=1.0)
    model, batches = one.model("nano"), one.batches(corpus)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    pace = measure(model, batches, BY_TIME, "float32", 0.05)
    assert 0 < pace.seconds < 10
    assert 0 < pace.targets <= 256
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
