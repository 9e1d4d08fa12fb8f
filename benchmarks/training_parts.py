"""What the choices inside the training step are worth: each timed beside its alternative, in one run.

    python benchmarks/training_parts.py

Medians of repeated runs and their ratio; the machine's noise is in both. Nothing else should run meanwhile.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from chatbot.models.blocks import causal
from chatbot.models.gru import GRULayer
from chatbot.models.loss import output_loss

T, B, D, V = 16, 128, 256, 8192


def median(work: Callable[[], object], runs: int = 15) -> float:
    """Milliseconds of one call, after one that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def recurrent() -> tuple[float, float]:
    """Forward and backward of one GRU layer over (B, T, D): nn.GRU, ours."""
    own, torchs = GRULayer(D, D), nn.GRU(D, D, batch_first=True)
    x = torch.randn(B, T, D, requires_grad=True)

    def run_own() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            y = own(x)
        y.sum().backward()

    def run_torch() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = torchs(x)
        y.float().sum().backward()

    return median(run_torch), median(run_own)


def output() -> tuple[float, float]:
    """Forward and backward of the output layer and the loss, 2,048 tokens: in one piece, in pieces."""
    features = torch.randn(2048, D, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(V, D, requires_grad=True)
    targets = torch.randint(0, V, (2048,))

    def whole() -> None:
        logits = features @ weight.to(torch.bfloat16).T
        F.cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]

    def pieces() -> None:
        output_loss(features, weight, None, targets, 0.0).backward()  # type: ignore[no-untyped-call]

    return median(whole), median(pieces)


def attention(length: int) -> tuple[float, float]:
    """Forward and backward over 2,048 tokens in rows of `length`, heads of 64: torch's kernel, ours."""
    shape = 2048 // length, D // 64, length, 64
    q, k, v = (torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))

    def run_torch() -> None:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.float().sum().backward()  # type: ignore[no-untyped-call]

    def run_own() -> None:
        causal(q, k, v).float().sum().backward()  # type: ignore[no-untyped-call]

    return median(run_torch), median(run_own)


def update(fused: bool) -> float:
    """One AdamW step of five million parameters."""
    weights = [nn.Parameter(torch.randn(1024, 512)) for _ in range(10)]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    return median(torch.optim.AdamW(weights, fused=fused, foreach=False if not fused else None).step)


def main() -> None:
    """Print the table."""
    rows: list[tuple[str, float, float]] = [
        ("a GRU layer, bfloat16: nn.GRU / GRULayer", *recurrent()),
        ("output layer and loss: in one piece / in pieces", *output()),
        *((f"attention, {n} tokens a row: torch's kernel / ours", *attention(n)) for n in (32, 64, 128, 256)),
        ("AdamW: plain / fused", update(fused=False), update(fused=True)),
    ]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds, medians")
    for name, before, after in rows:
        print(f"{name:<50} {before:7.1f} {after:7.1f}   {before / after:.2f} x")


if __name__ == "__main__":
    main()
