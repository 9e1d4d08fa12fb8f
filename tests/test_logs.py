"""A training written down elsewhere on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatbot.errors import ConfigError
from chatbot.logs import LOGS, logged
from chatbot.logs.tensorboard import TensorBoard
from chatbot.preparation import Figures
from chatbot.training import Evaluated, Event, RolledBack, Sampled, Started, StepDone, Stopped


def training() -> Iterator[Event]:
    yield Started(0, "gpt", 9, 9, 9, "float32", "cpu", Figures(1.0, 1.0, 1.0))
    for step in (1, 2, 3):
        yield StepDone(step, step / 4, 0.5, 5.0 - step, 1e-3, 900.0, float(step), 1.0)
    yield RolledBack(4, "the loss became nan at step 4", 1, 5e-4)
    yield StepDone(2, 0.5, 0.5, 3.5, 5e-4, 900.0, 2.0, 1.0)
    yield Evaluated(2, 2.0, 3.0, 4.5, 1.5, best=True)
    yield Sampled(2, (("Hello.", "Good evening."),))
    yield Stopped("finished", 2, 2.0, 2, 4.5)


def test_a_training_in_tensorboards_format(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = list(logged(training(), [LOGS.load("tensorboard")], tmp_path))
    assert events == list(training())
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    losses = [(scalar.step, scalar.value) for scalar in found.Scalars("training/loss")]
    assert losses == [(1, 4.0), (2, 3.5)]  # what was rolled back is not shown
    assert [scalar.value for scalar in found.Scalars("validation/nats_per_word")] == [4.5]
    assert [tag for tag in found.Tags()["tensors"] if tag.startswith("Hello.")]


def test_without_the_package_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as error:
        TensorBoard.require()
    assert "pip install tensorboard" in error.value.hint
