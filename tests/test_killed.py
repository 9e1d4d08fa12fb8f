"""A training is killed at twenty random moments, and goes on as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatbot.checkpoint import BotConfig, Checkpoint
from chatbot.decoding import SamplingConfig
from chatbot.models import FAMILIES
from chatbot.preparation import ExamplesConfig
from chatbot.tokenizer import Tokenizer
from chatbot.training import Trainer, TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="there are no such signals")]

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MODEL = {"width": 16, "layers": 2, "dropout": 0.1}


def train(folder: Path, family: str, serialized: bytes, operation: int | None) -> None:
    """Begin or go on, to the end. operation: the file operation in the midst of which to kill oneself."""
    import torch

    from chatbot.cli.train import interrupting
    from chatbot.engines.torch import build
    from chatbot.preparation import encode
    from tests.test_training import conversations

    torch.set_num_threads(1)
    tokenizer = Tokenizer(serialized)
    model = MODEL | {"vocabulary": len(tokenizer)}
    if folder.exists():
        checkpoint = Checkpoint.load(folder)
    else:
        bot = BotConfig(format=1, family=family, model=model)
        checkpoint = Checkpoint.create(folder, bot, tokenizer)
    config = TrainingConfig(
        minutes=0, steps=60, batch_tokens=160, evaluations=12, patience=0, precision="float32"
    )
    data = encode(conversations(0, 16), tokenizer), encode(conversations(1, 5), tokenizer)
    examples, sampling = ExamplesConfig(context=2), SamplingConfig(max_tokens=3)
    trainer = Trainer(build(family, model, 0), checkpoint, *data, config, examples, sampling)
    if operation is not None:
        _kill_at(operation, folder)
    with interrupting(trainer):
        for _ in trainer.run():
            pass


def _kill_at(operation: int, folder: Path) -> None:
    """Die at the n-th time that a file of the folder is opened, moved or removed."""
    left = operation

    def hook(event: str, arguments: tuple[Any, ...]) -> None:  # Any: whatever an event has
        nonlocal left
        if event in ("open", "os.rename", "os.remove", "os.chmod") and str(folder) in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def trained(folder: Path, *arguments: Any, after: float = 0.0, by: int = 0) -> int:
    """Train in a process of its own, killed after so many seconds; its exit code."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["chatbot.training", "chatbot.engines.torch"])
    process = server.Process(target=train, args=(folder, *arguments))
    process.start()
    if by:
        while process.is_alive() and not folder.exists():
            time.sleep(0.001)
        time.sleep(after)
        if process.is_alive() and process.pid:
            os.kill(process.pid, by)
    process.join(100)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


@pytest.mark.parametrize("family", list(FAMILIES))
def test_killed_ten_times_it_gives_the_same_bot(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    moments = random.Random(family)
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert trained(whole, family, tokenizer.serialized, None) == 0
    took = time.monotonic() - began
    folder = tmp_path / "0"
    for death in range(10):
        while _is_over(folder, *_killed(death, moments, took), family, tokenizer):
            assert_same(whole, folder)
            folder = tmp_path / str(int(folder.name) + 1)
    assert trained(folder, family, tokenizer.serialized, None) == 0
    assert_same(whole, folder)


def _killed(death: int, moments: random.Random, took: float) -> tuple[int | None, float, int]:
    """Every second time in the midst of a file's writing, else at any time, by any signal."""
    if death % 2:
        return moments.randrange(1, 40), 0.0, 0
    return None, moments.uniform(0, took / 4), moments.choice(SIGNALS)


def _is_over(
    folder: Path, operation: int | None, after: float, by: int, family: str, tokenizer: Tokenizer
) -> bool:
    """Train until killed; whether the training ended before."""
    trained(folder, family, tokenizer.serialized, operation, after=after, by=by)
    saved = Checkpoint.load(folder).training_state() if folder.exists() else None
    return saved is not None and bool(saved[1]["position"]["done"])


def assert_same(*folders: Path) -> None:
    """The same weights, optimizer, random state and validations."""
    whole, killed = (Checkpoint.load(folder) for folder in folders)
    states = (checkpoint.training_state() for checkpoint in (whole, killed))
    kept, found = (saved[0] for saved in states if saved)
    for one, other in ((whole.weights().tensors, killed.weights().tensors), (kept, found)):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    due = list(range(5, 65, 5))
    # Whoever interrupts it before there is a bot gets one: that validation is another.
    steps = [[line["step"] for line in each.metrics() if line["step"] in due] for each in (whole, killed)]
    assert steps == [due, due]
