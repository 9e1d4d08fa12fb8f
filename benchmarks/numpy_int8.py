"""Why the light engine has no int8: NumPy's products of a matrix and a vector of bytes, beside float32's.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.numpy_int8

8192 x 256, the output layer of a small bot; medians of rounds in which each is measured once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import numpy as np

ROWS, WIDTH = 8192, 256


@click.command(help=__doc__)
@click.option("--rounds", default=50, show_default=True)
def main(rounds: int) -> None:
    """A table."""
    ways = products()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, multiply in ways.items():
            began = time.perf_counter()
            multiply()
            times[name].append(time.perf_counter() - began)
    first = next(iter(times.values()))
    click.echo("| product | ms | times float32's |\n|---|---|---|")
    for name, each in times.items():
        ratio = statistics.median(b / a for a, b in zip(first, each, strict=True))
        click.echo(f"| {name} | {1000 * statistics.median(each):.3f} | {ratio:.1f} |")


def products() -> dict[str, Callable[[], object]]:
    """Ways to multiply, by name."""
    generator = np.random.default_rng(0)
    weight, x = (generator.normal(size=size).astype(np.float32) for size in ((ROWS, WIDTH), WIDTH))
    small, short = ((30 * array).clip(-128, 127).astype(np.int8) for array in (weight, x))
    return {
        "float32": lambda: weight @ x,
        "int8, sums of 8 bits (which overflow)": lambda: small @ short,
        "int8, sums of 32 bits": lambda: np.einsum("ij,j->i", small, short, dtype=np.int32),
        "int8, made float32 each time": lambda: small.astype(np.float32) @ x,
    }


if __name__ == "__main__":
    main()
