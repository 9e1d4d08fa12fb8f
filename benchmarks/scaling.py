"""How much faster several processes train, and whether they learn the same.

    python -m benchmarks.scaling corpora/cornell --steps 300

A training of the same steps by one process of one thread, by one of two threads, and by two and four
processes of one thread each (on fewer cores than processes the last ones share them). Seconds are of the
steps between the first validation and the last, so that reading the corpus is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from chatbot.models import FAMILIES

RUNS = ((1, 1), (1, 2), (2, 1), (4, 1))  # processes, threads of each


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "family", type=click.Choice(list(FAMILIES)), default="gpt", show_default=True)
@click.option("--size", default="small", show_default=True)
@click.option("--steps", default=300, show_default=True)
def main(corpus: Path, family: str, size: str, steps: int) -> None:
    """Train, and print the table."""
    length = ("--model", family, "--size", size, "--steps", str(steps), "--set", "training.evaluations=3")
    click.echo("\n".join(table([(p, t, train(corpus, p, t, length)) for p, t in RUNS])))


def train(corpus: Path, processes: int, threads: int, length: tuple[str, ...]) -> list[dict[str, Any]]:
    """The validations of a training by so many processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    runner = [*launcher, "--nproc-per-node", str(processes)] if processes > 1 else [sys.executable]
    with TemporaryDirectory() as folder:
        command = [*runner, "-m", "chatbot", "train", str(corpus.resolve()), "--name", "bot", *length]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        (file,) = Path(folder).glob("checkpoints/*/metrics.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]


def table(runs: list[tuple[int, int, list[dict[str, Any]]]]) -> Iterator[str]:
    """Markdown."""
    yield "| processes | threads of each | steps/s | as fast as one | nats a word |"
    yield "|---|---|---|---|---|"
    base = None
    for processes, threads, lines in runs:
        first, last = lines[0], lines[-1]
        speed = (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])
        base = base or speed
        yield f"| {processes} | {threads} | {speed:.2f} | {speed / base:.2f} | {last['nats_per_word']:.4f} |"


if __name__ == "__main__":
    main()
