"""Several processes that train one bot, started by torchrun as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatbot.batches import Batches, PairBatch
from chatbot.checkpoint import Checkpoint
from chatbot.dialogue import Dialogue
from chatbot.preparation import ExamplesConfig, encode, exchanges
from chatbot.tokenizer import Tokenizer
from tests.test_train_command import QUICK, write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="gloo on one machine")]

LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "1")
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """launch(2, "--steps", "6"): that command line under torchrun, or without it for one process."""
    write_corpus(tmp_path / "owls")

    def started(processes: int, *arguments: str) -> subprocess.Popen[str]:
        runner = (*LAUNCH, "--nproc-per-node", str(processes)) if processes > 1 else (sys.executable,)
        command = [*runner, "-m", "chatbot", "train", "owls", *QUICK, *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=pipe, stdout=pipe, text=True)

    return started


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    _, said = process.communicate(timeout=200)
    assert process.returncode == code, said
    return said


def metrics(folder: Path, bot: str) -> list[dict[str, Any]]:
    lines = (folder / "checkpoints" / bot / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


STILL = ("--set", "seq2seq.dropout=0", "--set", "training.evaluations=3")  # dropout differs by process


def test_two_processes_learn_what_one_does(launch: Launch, tmp_path: Path) -> None:
    one = ended(launch(1, "--steps", "9", "--name", "one", *STILL))
    two = ended(launch(2, "--steps", "9", "--name", "two", *STILL))
    for family in ("seq2seq", "gpt"):
        alone, together = metrics(tmp_path, f"one-{family}"), metrics(tmp_path, f"two-{family}")
        assert [line["step"] for line in alone] == [line["step"] for line in together] == [3, 6, 9]
        for key in ("nats_per_word", "loss"):
            expected = [line[key] for line in alone]
            assert [line[key] for line in together] == pytest.approx(expected, rel=1e-4)
    # One of them speaks: nothing is said twice.
    assert one.count("validation on") == two.count("validation on") == 2


def test_each_may_keep_a_part_of_the_weights(launch: Launch, tmp_path: Path) -> None:
    ended(launch(1, "--steps", "6", "--name", "one", *STILL))
    ended(launch(2, "--steps", "6", "--name", "two", *STILL, "--set", "training.shard=on"))
    for family in ("seq2seq", "gpt"):
        alone, together = metrics(tmp_path, f"one-{family}"), metrics(tmp_path, f"two-{family}")
        for key in ("step", "nats_per_word", "loss"):
            expected = [line[key] for line in alone]
            assert [line[key] for line in together] == pytest.approx(expected, rel=1e-4)
    more = ("--steps", "9", *STILL, "--resume")
    ended(launch(1, *more, "--name", "one"))
    ended(launch(2, *more, "--name", "two"))
    for family in ("seq2seq", "gpt"):
        ends = [metrics(tmp_path, f"{name}-{family}")[-1]["nats_per_word"] for name in ("one", "two")]
        assert ends[1] == pytest.approx(ends[0], rel=1e-4)


def test_a_training_goes_on_with_another_number_of_processes(launch: Launch, tmp_path: Path) -> None:
    common = ("--model", "gpt", "--set", "training.evaluations=3")
    ended(launch(1, "--steps", "9", "--name", "whole", *common))
    first = launch(2, "--steps", "9", "--name", "parts", *common)
    folder = tmp_path / "checkpoints" / "parts-gpt"
    while first.poll() is None and not (folder / "training.safetensors").exists():
        time.sleep(0.01)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=100)
    assert metrics(tmp_path, "parts-gpt")[-1]["step"] < 9
    ended(launch(1, "--steps", "9", "--name", "parts", "--resume", *common))
    whole, parts = metrics(tmp_path, "whole-gpt"), metrics(tmp_path, "parts-gpt")
    assert parts[-1]["step"] == 9
    assert parts[-1]["nats_per_word"] == pytest.approx(whole[-1]["nats_per_word"], rel=1e-3)


def test_a_killed_process_is_replaced_and_the_training_goes_on(launch: Launch, tmp_path: Path) -> None:
    training = launch(2, "--steps", "60", "--model", "gpt", "--set", "training.evaluations=30")
    folder = tmp_path / "checkpoints" / "owls-gpt"
    while training.poll() is None and not (folder / "training.safetensors").exists():
        time.sleep(0.01)
    os.kill(_children(training.pid)[-1], signal.SIGKILL)
    ended(training)
    assert [line["step"] for line in metrics(tmp_path, "owls-gpt")] == list(range(2, 62, 2))


def test_a_wrong_corpus_ends_all_of_them_with_a_line(launch: Launch) -> None:
    process = launch(2, "--steps", "2", "--set", "cleaning.longest_turn=1")
    _, said = process.communicate(timeout=200)
    assert process.returncode != 0
    assert said.count("owls holds no usable dialogue") == 2  # torchrun tried twice


def test_the_parts_of_a_batch_are_the_batch(small_dialogues: list[Dialogue], tokenizer: Tokenizer) -> None:
    examples = exchanges(encode(small_dialogues, tokenizer), ExamplesConfig())

    def walk(share: tuple[int, int]) -> list[PairBatch]:
        batches = Batches(examples, PairBatch, 120, seed=0)
        batches.share = share
        found = iter(batches)
        return [next(found) for _ in range(8)]  # type: ignore[misc]  # these are pairs

    whole = walk((0, 1))
    for batch, parts in zip(whole, zip(*(walk((i, 3)) for i in range(3)), strict=True), strict=True):
        rows = [row[row > 0].tolist() for part in parts for row in part.reply.numpy()]
        # A bot mark alone has no targets: it keeps busy whom no row is left for.
        assert sorted(row for row in rows if len(row) > 1) == sorted(
            row[row > 0].tolist() for row in batch.reply.numpy()
        )


def _children(process: int) -> list[int]:
    """Process numbers of the children that the kernel knows."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in found]


def test_every_process_has_its_own_random_state(launch: Launch, tmp_path: Path) -> None:
    ended(launch(2, "--steps", "2", "--model", "gpt"))
    saved = Checkpoint.load(tmp_path / "checkpoints" / "owls-gpt").training_state()
    assert saved is not None
    assert not np.array_equal(saved[0]["random.torch"], saved[0]["random.torch.1"])
