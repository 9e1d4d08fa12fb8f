"""How much memory a training is said to need, beside what it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chatbot.errors import TrainingError
from chatbot.models import FAMILIES
from chatbot.training import memory
from chatbot.training.memory import available, check, keep_freed

CPU = torch.device("cpu")
# In a process of its own, as the highest mark of the memory never falls.
TRAIN = """
import sys, torch
from chatbot.config import to_dict
from chatbot.engines.torch import build
from chatbot.models import FAMILIES
from chatbot.sizes import SIZES
from chatbot.batches import PairBatch, StreamBatch
from chatbot.preparation import Example
from chatbot.training import TrainingConfig
from chatbot.training.memory import needed
from chatbot.training.optimization import optimizer

torch.set_num_threads(1)
family, size, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = FAMILIES.load(family).Config.sized(SIZES[size], 8192)
model = build(family, to_dict(config), 0).train()
follow = optimizer(model, TrainingConfig(learning_rate=1e-3))
example = Example(list(range(5, 37)), list(range(5, 37)), whole=model.learns_prompt)

def learn(count):
    loss = model.loss(model.batch.collate([example] * count))
    follow.zero_grad()
    loss.total.backward()

def peak():  # of this program: getrusage would count the one that started it too
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

learn(1)  # what torch itself needs is there
follow.zero_grad()
before = peak()
learn(rows)
follow.step(1e-3)
copy = [p.detach().clone() for p in model.parameters()]
print(peak() - before, needed(model, rows * 64))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is only there")
@pytest.mark.parametrize("size", ["micro", "medium"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_what_is_said_is_enough_and_not_far_too_much(family: str, size: str) -> None:
    command = [sys.executable, "-c", TRAIN, family, size, "32"]
    taken, said = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert taken < said < 4 * taken


def test_too_little_memory_is_said_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    check(1e6, CPU)
    monkeypatch.setattr(memory, "available", lambda device: 2e9)
    with pytest.raises(TrainingError, match=r"about 3.0 GB of memory, and 2.0 GB are free") as error:
        check(3e9, CPU)
    assert "--size" in error.value.hint


def test_what_a_container_grants_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    whole = available(CPU)
    for name, text in (("memory.max", "5000\n"), ("memory.current", "3000\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500\n")
    assert available(CPU) == 2500 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert available(CPU) > 2500


def test_keeping_what_was_freed_harms_nothing() -> None:
    keep_freed()
    assert torch.ones(1000).sum() == 1000
