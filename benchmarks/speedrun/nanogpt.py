"""nanoGPT's own train.py, run from a clone of it: github.com/karpathy/nanoGPT.

It has no clock, so that its steps are counted from the time of its first ones.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speedrun import Options, Recipe, State
from benchmarks.speedrun.material import Material
from benchmarks.speedrun.streams import stream, stream_nats
from chatbot.errors import ConfigError

PARTS = ("train.py", "model.py", "configurator.py", "config")
LOOKS = 10
CPU = ("--device=cpu", "--compile=False", "--eval_iters=20", "--dataset=dialogues")


class Laptop(Recipe):
    """What nanoGPT's README gives for a computer without GPU."""

    settings: ClassVar[dict[str, float]] = {
        "block_size": 64,
        "batch_size": 12,
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 128,
        "dropout": 0.0,
    }

    def __init__(self, material: Material, options: Options) -> None:
        if options.nanogpt is None:
            raise ConfigError("nanoGPT is run from a clone of it", "say where with --nanogpt")
        self.material, self.clone = material, options.nanogpt.resolve()

    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """Its own evaluations count: it makes ten of them."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            self._prepare(folder)
            steps = int(60 * minutes / self._step_seconds(folder))
            every = max(1, steps // LOOKS)
            length = {"max_iters": LOOKS * every, "lr_decay_iters": LOOKS * every, "eval_interval": every}
            with self._running(folder, length) as lines:
                yield from self._looks(folder, lines)

    def nats(self) -> NDArray[np.float64]:
        """Of each judged reply."""
        self.model.eval()
        block: int = self.model.config.block_size  # type: ignore[assignment, union-attr]  # a module of theirs
        return stream_nats(self._logits, block, list(self.material.examples))

    def _prepare(self, folder: Path) -> None:
        for part in PARTS:
            (folder / part).symlink_to(self.clone / part)
        data = folder / "data" / "dialogues"
        data.mkdir(parents=True)
        stream(self.material.train).tofile(data / "train.bin")
        stream(self.material.validation).tofile(data / "val.bin")
        (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(self.material.tokenizer)}))

    @contextmanager
    def _running(self, folder: Path, length: dict[str, int]) -> Iterator[Iterator[str]]:
        """Its lines, as they come."""
        settings = [f"--{name}={value}" for name, value in {**self.settings, **length}.items()]
        command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *CPU, "--log_interval=1"]
        command += ["--always_save_checkpoint=True", "--out_dir=out", *settings]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            yield iter(process.stdout)
        if process.returncode:
            raise RuntimeError("nanoGPT's train.py failed")

    def _step_seconds(self, folder: Path) -> float:
        with self._running(folder, {"max_iters": 20, "lr_decay_iters": 1000, "eval_interval": 1000}) as lines:
            times = [float(found[1]) for line in lines if (found := re.search(r"time ([\d.]+)ms", line))]
        return float(np.median(times[3:])) / 1000

    def _looks(self, folder: Path, lines: Iterator[str]) -> Iterator[tuple[float, State]]:
        began, due = 0.0, False
        for line in lines:
            self.steps += line.startswith("iter")
            if line.startswith("iter") and not began:
                began = time.monotonic()
            elif line.startswith("iter") and due:  # only now is the file written whole
                due = False
                yield (time.monotonic() - began) / 60, self._saved(folder)
            due = due or line.startswith("saving")

    def _saved(self, folder: Path) -> State:
        saved = torch.load(folder / "out" / "ckpt.pt", weights_only=True)
        if not hasattr(self, "model"):
            self.model = build(self.clone / "model.py", saved["model_args"])
        state: State = saved["model"]
        return state

    def _logits(self, tokens: Tensor, targets: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens, targets)[0]  # without targets it gives the last ones alone
        return logits


class Baby(Laptop):
    """Its smallest configuration, meant for a GPU: 6 layers of 384."""

    settings: ClassVar[dict[str, float]] = {}


def build(path: Path, arguments: dict[str, Any]) -> torch.nn.Module:
    """Its model, from its own file."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    model: torch.nn.Module = module.GPT(module.GPTConfig(**arguments))
    return model
