"""What a token costs: one row times a matrix, by every product that the engines could be made of.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.one_row

Decoding one reply is bound by how fast weights are read, so a product of half-precision weights should take
half of float32's time, one of bytes a quarter. 24 matrices of 1536 x 384, 57 MB in float32, so that no cache
holds all of them; medians of rounds in which each product is made four times in a row, as it is for the
tokens of a reply, the first untimed. It needs torch, ONNX Runtime and Numba.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
import numpy as np
import torch
from numba import njit
from onnx import helper

from chatbot.engines.base import Floats
from chatbot.engines.loops import kernels
from chatbot.engines.loops.rounding import halved, in_bytes
from chatbot.engines.onnx.graph import Graph

ROWS, WIDTH, MATRICES = 1536, 384, 24
TOKENS = 3
Product = Callable[[], object]


@click.command(help=__doc__)
@click.option("--rounds", default=50, show_default=True)
def main(rounds: int) -> None:
    """A table."""
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=(ROWS, WIDTH)).astype(np.float32) for _ in range(MATRICES)]
    x = generator.normal(size=WIDTH).astype(np.float32)
    ways = {
        **of_numpy(weights, x),
        **of_torch(weights, x),
        **by_torch(weights, x),
        **of_onnx(weights, x),
        **by_numba(weights, x),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, multiply in ways.items():
            multiply()  # the weights before were another's
            began = time.perf_counter()
            for _ in range(TOKENS):
                multiply()
            times[name].append((time.perf_counter() - began) / TOKENS)
    first = next(iter(times.values()))
    click.echo("| product | ms | times NumPy's float32 |\n|---|---|---|")
    for name, each in times.items():
        ratio = statistics.median(b / a for a, b in zip(first, each, strict=True))
        click.echo(f"| {name} | {1000 * statistics.median(each):.2f} | {ratio:.2f} |")


def of_numpy(weights: Sequence[Floats], x: Floats) -> dict[str, Product]:
    """NumPy has no product of half precision that is one pass over the weights, nor of bytes."""
    halves = [weight.astype(np.float16) for weight in weights]
    small = [(30 * weight).clip(-128, 127).astype(np.int8) for weight in weights]
    short = (30 * x).clip(-128, 127).astype(np.int8)
    return {
        "NumPy, float32": lambda: [weight @ x for weight in weights],
        "NumPy, float16, made float32 each time": lambda: [half.astype(np.float32) @ x for half in halves],
        "NumPy, int8, sums of 32 bits": lambda: [
            np.einsum("ij,j->i", each, short, dtype=np.int32) for each in small
        ],
        "NumPy, int8, made float32 each time": lambda: [each.astype(np.float32) @ x for each in small],
    }


def of_torch(weights: Sequence[Floats], x: Floats) -> dict[str, Product]:
    """As it multiplies by itself, with weights laid out for oneDNN before, and by its packed bytes."""
    found: dict[str, Product] = {}
    linear = torch.nn.functional.linear
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        row, matrices = torch.from_numpy(x)[None].to(dtype), [torch.from_numpy(w).to(dtype) for w in weights]
        name = str(dtype).removeprefix("torch.")
        found[f"torch, {name}"] = _each(matrices, partial(linear, row))
        try:
            packed = [torch.ops.mkldnn._reorder_linear_weight(matrix, 1) for matrix in matrices]
        except RuntimeError:  # this processor has no such product
            continue
        found[f"torch, {name}, laid out before"] = _each(packed, partial(_laid_out, row))
    row, scales = torch.from_numpy(x)[None].bfloat16(), torch.ones(ROWS, dtype=torch.bfloat16)
    small = [torch.from_numpy((30 * weight).clip(-128, 127).astype(np.int8)) for weight in weights]
    found["torch, int8 weights, bfloat16 row"] = _each(small, partial(_of_bytes, row, scales))
    return found


def by_torch(weights: Sequence[Floats], x: Floats) -> dict[str, Product]:
    """A loop that reads half precision and adds in float32, written by torch's compiler."""
    row, found = torch.from_numpy(x), dict[str, Product]()
    for dtype in (torch.bfloat16, torch.float16):
        halves = [torch.from_numpy(weight).to(dtype) for weight in weights]
        loop: Any = torch.compile(_in_a_loop)
        name = str(dtype).removeprefix("torch.")
        found[f"torch.compile, {name}, added in float32"] = partial(loop, row, halves)
    return found


def of_onnx(weights: Sequence[Floats], x: Floats) -> dict[str, Product]:
    """A graph of all the products, in float32, in float16 and as our int8 engine has them."""
    found: dict[str, Product] = {}
    for name, int8, dtype in (
        ("float32", False, np.float32),
        ("float16", False, np.float16),
        ("int8", True, np.float32),
    ):
        graph, kind = Graph(int8), helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        last = [graph.product(f"p{i}", weight.astype(dtype), "x") for i, weight in enumerate(weights)]
        ends = [helper.make_tensor_value_info(edge, kind, (1, ROWS)) for edge in last]
        session = graph.session([helper.make_tensor_value_info("x", kind, (1, WIDTH))], ends)
        found[f"ONNX Runtime, {name}"] = partial(session.run, None, {"x": x[None].astype(dtype)})
    return found


def by_numba(weights: Sequence[Floats], x: Floats) -> dict[str, Product]:
    """Loops as the engines `half` and `bytes` have them, and the plainest such loops."""
    y, found = np.empty(ROWS, np.float32), dict[str, Product]()
    for name, rounding in (("float16", halved), ("int8", in_bytes)):
        rounded = [rounding(weight) for weight in weights]
        matrices, scales = (np.stack([each[i] for each in rounded]) for i in range(2))
        for way, multiply in ((", row by row", _row_by_row), (", asked ahead", kernels.product)):
            found[f"Numba, {name}, added in float32{way}"] = partial(
                _times_all, multiply, matrices, scales, x, y
            )
    return found


@kernels.compiled
def _row_by_row(weight: Any, scale: Any, x: Any, y: Any) -> None:
    for row in range(len(weight)):
        added = np.float32(0)
        for i in range(len(x)):
            added += kernels.widened(weight[row, i]) * x[i]
        y[row] = added * scale[row]


@njit
def _times_all(multiply: Any, matrices: Any, scales: Any, x: Any, y: Any) -> None:
    for i in range(len(matrices)):
        multiply(matrices[i], scales[i], x, y)


def _in_a_loop(row: torch.Tensor, halves: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [(half.float() * row).sum(-1) for half in halves]


def _laid_out(row: torch.Tensor, matrix: torch.Tensor) -> object:
    return torch.ops.mkldnn._linear_pointwise(row, matrix, None, "none", [], "")


def _of_bytes(row: torch.Tensor, scales: torch.Tensor, matrix: torch.Tensor) -> object:
    return torch._weight_int8pack_mm(row, matrix, scales)


def _each(matrices: Sequence[Any], multiply: Callable[[Any], object]) -> Product:
    return lambda: [multiply(matrix) for matrix in matrices]


if __name__ == "__main__":
    main()
