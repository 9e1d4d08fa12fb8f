"""Memory: what a training will need, and that it keeps what it had.

What it needs grows with the parameters (weights, gradient, two moments of AdamW, a copy while saving) and
with the tokens of a step, of which every layer keeps some values for the way back. Beside that, on a
processor, torch makes and keeps a kernel for each shape of batch, and freed memory is kept too.
"""

from __future__ import annotations

import ctypes
import gc
import math
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from chatbot.engines.torch import AnyModel
from chatbot.errors import TrainingError

COPIES = 4  # float32 values for each parameter, beside the weights, which are there already
KERNELS = 400_000_000  # bytes, blocks too small to be used again included: seen after hundreds of steps
LOGITS = 2048  # float32 values for each piece of the vocabulary: the loss takes 512 rows at a time
KEPT = 30  # float32 values for each token, layer and unit of width: measured, see tests/test_memory.py
CGROUP = Path("/sys/fs/cgroup")  # where containers and batch systems say how much they grant

# Of malloc.h: what an allocation must exceed to be mapped by itself, how much free memory at the end goes
# back to the system, how much more than asked is taken from it.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def needed(model: AnyModel, tokens: int) -> int:
    """Bytes that training takes beside the model itself, with so many tokens a step."""
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    values = COPIES * parameters + KEPT * tokens * config.layers * config.width
    return 4 * (values + LOGITS * config.vocabulary)


def training_memory(model: AnyModel, tokens: int) -> int:
    """Bytes of a process that trains a model on batches of at most so many tokens, beside what it has."""
    kernels = KERNELS if next(model.parameters()).device.type == "cpu" else 0
    return needed(model, tokens) + kernels


def available(device: torch.device) -> float:
    """Bytes that are free on a device, or can be: what a training before this one kept is given back."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, AttributeError):
        _libc().malloc_trim(0)
    return min(int(psutil.virtual_memory().available), _granted())


def _granted() -> float:
    """What a control group (version 2) leaves to this process; infinite where there is none."""
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return int(limit) - int(used) + int(stat["inactive_file"])  # a cache can be emptied
    except (OSError, ValueError, KeyError):  # also "max": no limit
        return math.inf


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL("libc.so.6")


def check(wanted: float, device: torch.device) -> None:
    """A TrainingError where there is less than that: the kernel would kill the training without a word."""
    free = available(device)
    if wanted > free:
        raise TrainingError(
            f"this training needs about {wanted / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
            "give a smaller --size, or a smaller --set training.batch_tokens",
        )


def keep_freed() -> None:
    """Tell glibc to keep what is freed; elsewhere, nothing.

    It would give large blocks back at once, and the kernel clears every page of the next one.
    """
    with suppress(OSError, AttributeError):  # another C library
        mallopt = _libc().mallopt
        # Older ones take no more than 32 MB, and without any the rest would make it worse.
        if mallopt(M_MMAP_THRESHOLD, 1 << 30) or mallopt(M_MMAP_THRESHOLD, 32 << 20):
            mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
            mallopt(M_TOP_PAD, 64 << 20)
