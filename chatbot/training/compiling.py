"""Compiling a model's layers: a step takes a tenth to a quarter less time, after half a minute of work.

On a processor that needs a C++ compiler, on a GPU Triton. Rounding differs from that of the plain layers, so
a training by steps, which has to give the same bot everywhere, is compiled only if that is asked for.
"""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import AbstractContextManager, nullcontext

import torch

from chatbot.engines.torch import AnyModel
from chatbot.training.config import TrainingConfig

ENOUGH = 10.0  # minutes from which on compiling pays
COMPILERS = ("g++", "clang++", "c++")  # those that torch looks for


def wanted(config: TrainingConfig, device: torch.device, processes: int) -> bool:
    """Whether to compile the layers of a model that is trained like that."""
    if config.compile != "auto":
        return config.compile == "on"
    long_enough = config.minutes >= ENOUGH and not config.steps
    return long_enough and processes == 1 and _possible(device)


def _possible(device: torch.device) -> bool:
    """Whether it works, seen by a trial: a compiler may be there and fail."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return device.type == "cpu" and any(map(shutil.which, COMPILERS)) and _works()


def _works() -> bool:
    try:
        torch.compile(lambda x: x.exp() + 1.0)(torch.ones(64))
    except Exception:  # whatever a compiler may do
        return False
    return True


def compile_layers(model: AnyModel) -> None:
    """Have them compiled when they are first called, for batches of any shape.

    What cannot be compiled after all runs as it is.
    """
    torch._dynamo.config.suppress_errors = True
    for layer in model.stack:
        layer.compile(dynamic=True)


def plain(compiled: bool) -> AbstractContextManager[object]:
    """Where compiled layers run as they are: without gradients they would be compiled once more."""
    if not compiled:  # the compiler need not even be imported
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
