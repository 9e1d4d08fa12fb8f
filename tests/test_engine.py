"""The torch engine: ids in, NumPy out, whatever the family."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chatbot.engines.base import Step
from chatbot.engines.torch import TorchEngine, build, choose_device
from chatbot.errors import ChatbotError, CheckpointError, ConfigError
from chatbot.models import FAMILIES

CONFIG: dict[str, Any] = {"vocabulary": 11, "width": 8, "layers": 2}  # Any: a config's values
PROMPTS = ([5, 6, 7, 8], [9], [10, 5])

Arrays = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(family: str) -> TorchEngine:
    torch.manual_seed(0)
    model = build(family, CONFIG).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return TorchEngine(model)


def arrays(engine: TorchEngine) -> Arrays:
    return {name: tensor.numpy().copy() for name, tensor in engine.model.state_dict().items()}


def check(step: Step, rows: int, prompt: int) -> None:
    for array, shape in ((step.logits, (rows, 11)), (step.attention, (rows, prompt))):
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float32
        assert array.shape == shape
    assert step.attention.sum(1) == pytest.approx(np.ones(rows), abs=1e-5)


def test_it_gives_float32_arrays_with_the_batch_first(engine: TorchEngine) -> None:
    step = engine.start(PROMPTS)
    check(step, rows=3, prompt=4)
    check(engine.step([6, 7, 8], step.state), rows=3, prompt=4)


def test_prompts_of_different_lengths_get_what_each_gets_alone(engine: TorchEngine) -> None:
    tokens = [6, 7, 8]
    together = engine.start(PROMPTS)
    later = engine.step(tokens, together.state)
    for row, prompt in enumerate(PROMPTS):
        alone = engine.start([prompt])
        assert np.allclose(together.logits[row], alone.logits[0], atol=1e-5)
        assert np.allclose(together.attention[row, : len(prompt)], alone.attention[0], atol=1e-5)
        assert not together.attention[row, len(prompt) :].any()
        alone = engine.step([tokens[row]], alone.state)
        assert np.allclose(later.logits[row], alone.logits[0], atol=1e-5)


def test_a_selected_state_is_independent(engine: TorchEngine) -> None:
    state = engine.start(PROMPTS).state
    branch = engine.select(state, [2, 2])
    both = engine.step([6, 7], branch)
    whole = engine.step([9, 9, 6], state)
    assert np.allclose(both.logits[0], whole.logits[2], atol=1e-5)
    assert not np.allclose(both.logits[1], whole.logits[2], atol=1e-3)


def test_weights_that_were_loaded_predict_the_same(engine: TorchEngine, family: str) -> None:
    loaded = TorchEngine.load(family, CONFIG, arrays(engine), "cpu")
    assert not loaded.model.training
    assert np.array_equal(loaded.start(PROMPTS).logits, engine.start(PROMPTS).logits)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_weights_of_another_precision_run_as_float32(engine: TorchEngine, family: str, kind: type) -> None:
    tensors: Arrays = {name: array.astype(kind) for name, array in arrays(engine).items()}
    step = TorchEngine.load(family, CONFIG, tensors, "cpu").start(PROMPTS)
    check(step, rows=3, prompt=4)
    assert np.allclose(step.logits, engine.start(PROMPTS).logits, atol=0.1)


def refused(family: str, config: dict[str, Any], tensors: Arrays, what: str) -> None:
    with pytest.raises(CheckpointError, match=what):
        TorchEngine.load(family, config, tensors, "cpu")


def test_a_missing_tensor_is_refused_by_name(engine: TorchEngine, family: str) -> None:
    tensors = arrays(engine)
    del tensors["embed.weight"]
    refused(family, CONFIG, tensors, "do not fit its config: Missing key.*embed.weight")


def test_a_tensor_too_many_is_refused_by_name(engine: TorchEngine, family: str) -> None:
    tensors = arrays(engine) | {"virus": np.zeros(3, np.float32)}
    refused(family, CONFIG, tensors, "do not fit its config: Unexpected key.*virus")


def test_a_tensor_of_another_shape_is_refused(engine: TorchEngine, family: str) -> None:
    tensors = arrays(engine)
    tensors["embed.weight"] = tensors["embed.weight"][:, :-1]
    refused(family, CONFIG, tensors, "do not fit its config: size mismatch for embed.weight")


def test_a_config_of_another_size_is_refused(engine: TorchEngine, family: str) -> None:
    refused(family, CONFIG | {"width": 16}, arrays(engine), "do not fit its config: size mismatch")


def test_a_config_of_a_giant_is_refused_at_once(engine: TorchEngine, family: str) -> None:
    began = time.monotonic()
    refused(family, CONFIG | {"layers": 10**9}, arrays(engine), "1000000000 layers are too many")
    refused(family, CONFIG | {"width": 2**40}, arrays(engine), "does not fit into memory|do not fit")
    refused(family, CONFIG | {"vocabulary": 2**40}, arrays(engine), "does not fit into memory|do not fit")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"widht": 8}, "its config is wrong: .* has no setting 'widht'"),
        ({"width": "8"}, "its config is wrong: .*width must be a whole number"),
        ({"layers": -1}, "its config is wrong: layers must be at least 1"),
        ({"layers": None}, "its config is wrong: .*layers must be a whole number"),
    ],
)
def test_a_wrong_config_is_a_damaged_bot(
    engine: TorchEngine, family: str, changes: dict[str, Any], what: str
) -> None:
    refused(family, CONFIG | changes, arrays(engine), what)


def test_an_unknown_family_is_refused_with_what_there_is(engine: TorchEngine) -> None:
    with pytest.raises(CheckpointError, match="its config is wrong: there is no model family 'gtp'") as error:
        TorchEngine.load("gtp", CONFIG, arrays(engine), "cpu")
    assert error.value.hint == "did you mean 'gpt'?"


def test_a_family_is_a_name_and_never_a_module_to_import() -> None:
    with pytest.raises(ConfigError, match="there is no model family"):
        build("os:system", CONFIG)


def test_a_device_that_is_not_here_is_an_error_of_the_user() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(ChatbotError, match="there is no device 'abacus' here"):
        choose_device("abacus")
