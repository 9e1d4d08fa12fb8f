"""Compiled layers learn what the plain ones learn."""

from __future__ import annotations

import importlib.util
import shutil

import pytest
import torch
from torch import Tensor

from chatbot.engines.torch import AnyModel, build
from chatbot.models import FAMILIES
from chatbot.preparation import Example
from chatbot.training import TrainingConfig, compiling

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MODEL = {"vocabulary": 11, "width": 16, "layers": 2}


def config(minutes: float = 20.0, **changes: object) -> TrainingConfig:
    return TrainingConfig(minutes=minutes, **changes)  # type: ignore[arg-type]


@pytest.fixture
def compilers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those that are found."""
    there = ["clang++"]
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(compiling, "_works", lambda: True)
    return there


@pytest.mark.usefixtures("compilers")
def test_long_trainings_by_time_are_compiled() -> None:
    assert compiling.wanted(config(), CPU, 1)
    assert not compiling.wanted(config(minutes=2.0), CPU, 1)
    assert not compiling.wanted(config(steps=1000), CPU, 1), "the same steps have to give the same bot"
    assert not compiling.wanted(config(), CPU, 2)
    assert not compiling.wanted(config(), torch.device("mps"), 1)


def test_whoever_asks_for_it_gets_it(compilers: list[str]) -> None:
    compilers.clear()
    assert compiling.wanted(config(minutes=0.0, steps=5, compile="on"), CPU, 1)
    assert not compiling.wanted(config(compile="off"), CPU, 1)


def test_without_a_compiler_nothing_is_compiled(compilers: list[str]) -> None:
    compilers.clear()
    assert not compiling.wanted(config(), CPU, 1)


def test_on_a_gpu_it_takes_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ["triton"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in there else None)
    assert compiling.wanted(config(), GPU, 1)
    there.clear()
    assert not compiling.wanted(config(), GPU, 1)


@pytest.mark.usefixtures("compilers")
def test_a_compiler_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(torch, "compile", lambda function: lambda x: 1 / 0)
    assert not compiling.wanted(config(), CPU, 1)


def gradients(model: AnyModel, length: int) -> dict[str, Tensor]:
    batch = model.batch.collate(
        [Example([3, *[5 + i % 6 for i in range(length)], 2], [6, 7, 2], whole=True)] * 3
    )
    model.zero_grad()
    model.train()
    loss = model(batch)
    loss.total.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.total.detach(), **found}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what it does itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("family", list(FAMILIES))
def test_compiled_layers_have_the_plain_ones_loss_and_gradients(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = MODEL | {"heads": 2} if family == "gpt" else MODEL | {"dropout": 0.0}
    plain, compiled = (build(family, settings, seed=0) for _ in range(2))
    compiling.compile_layers(compiled)
    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", False)  # here, a failure is one
    for length in (5, 20, 33):  # another shape is no other program
        expected, found = gradients(plain, length), gradients(compiled, length)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-5), name
    with torch.no_grad(), compiling.plain(True):
        batch = plain.batch.collate([Example([3, 5, 2], [6, 2])])
        assert torch.equal(compiled.eval()(batch).total, plain.eval()(batch).total)
