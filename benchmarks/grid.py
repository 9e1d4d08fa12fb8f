"""Both families, two sizes, on Cornell by both splits and on DailyDialog with and without its overlap.

    python -m benchmarks.grid corpora --steps 1500 --out grid

CORPORA is a folder with cornell/ and dailydialog/. Bots are trained by `chatbot train` in a folder under
--out, each for the same steps, so that the figures do not depend on how busy the machine is, and measured by
`chatbot eval`. What is there, of that many steps, is not made again: --run makes only the ones named, so two
processes can share the work. The table has what there is so far, half a 95 % interval behind each figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from chatbot.evaluation import METRICS
from chatbot.models import FAMILIES
from chatbot.report import cell
from chatbot.terminal.figures import title

SHOWN = (
    *("nats_per_word", "bits_per_byte", "token_accuracy", "hits_1", "hits_5", "f1", "chrf"),
    *("distinct_2", "commonest", "length", "verbatim"),
)
Record = dict[str, Any]  # Any: JSON values


@dataclass(frozen=True)
class Run:
    """A training of all families, and the ways in which it is measured."""

    corpus: str
    split: str
    size: str
    seed: int = 0
    changes: tuple[str, ...] = ()
    ways: tuple[tuple[str, ...], ...] = ((),)

    @property
    def name(self) -> str:
        """Of its bots, but for the family."""
        return f"{self.corpus}-{self.split}-{self.size}" + (f"-{self.seed}" if self.seed else "")


SIZES = ("micro", "small")
OVERLAP = ("--set", "cleaning.repeats=on")
RUNS = (
    *(Run("cornell", split, size) for size in SIZES for split in ("source", "parlai")),
    # The published folds share dialogues: all are learned from, and judged on with and without.
    *(Run("dailydialog", "published", size, 0, OVERLAP, ((), ("--unseen", "off"))) for size in SIZES),
    Run("cornell", "source", "micro", seed=1),  # do two runs agree?
)


@click.command(help=__doc__)
@click.argument("corpora", type=click.Path(exists=True, path_type=Path))
@click.option("--steps", default=1500, show_default=True)
@click.option("--run", "names", multiple=True, type=click.Choice([run.name for run in RUNS]))
@click.option("--out", type=click.Path(path_type=Path), default=Path("grid"), show_default=True)
def main(corpora: Path, steps: int, names: tuple[str, ...], out: Path) -> None:
    """Make what is missing, then show everything."""
    out = out / f"{steps}-steps"
    out.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        if not names or run.name in names:
            _train(run, corpora.resolve(), steps, out)
            for way in run.ways:
                _measure(run, way, corpora.resolve(), out)
    click.echo("\n".join(table(out)))


def _train(run: Run, corpora: Path, steps: int, out: Path) -> None:
    settings = ["--name", run.name, "--split", run.split, "--size", run.size, "--seed", str(run.seed)]
    length = ["--steps", str(steps), "--resume"]
    _chatbot(out, "train", str(corpora / run.corpus), *settings, *length, *run.changes)


def _measure(run: Run, way: tuple[str, ...], corpora: Path, out: Path) -> None:
    file = _file(run, way, out)
    if not file.exists():
        bots = [f"{run.name}-{family}" for family in FAMILIES]
        file.write_text(_chatbot(out, "eval", *bots, str(corpora / run.corpus), "--json", *way))


def _file(run: Run, way: tuple[str, ...], out: Path) -> Path:
    return out / f"{run.name}{'-'.join(way)}.json"


def _chatbot(out: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "chatbot", *arguments]
    return subprocess.run(command, cwd=out, check=True, stdout=subprocess.PIPE, text=True).stdout


def table(out: Path) -> Iterator[str]:
    """Markdown: the bots of all runs, and of each corpus, split and way the humans and floors once."""
    yield "| corpus | split | | " + " | ".join(title(METRICS[name]) for name in SHOWN) + " |"
    yield "|---" * (3 + len(SHOWN)) + "|"
    seen = set[tuple[str, ...]]()
    for run in RUNS:
        for way in run.ways:
            if not _file(run, way, out).exists():
                continue
            found = json.loads(_file(run, way, out).read_text())
            split = run.split + (f", {found['seen']:,} seen dialogues kept" if way else "")
            for line in found["lines"]:
                row = (run.corpus, split, _named(line, run))
                if row not in seen:
                    seen.add(row)
                    yield f"| {' | '.join(row)} | {_cells(line)} |"


def _named(line: Record, run: Run) -> str:
    """Of a bot its family and size; the unigram model counts the pieces of that size's tokenizer."""
    if line["name"] == "unigram":
        return f"unigram, pieces of {run.size}"
    family = next((family for family in FAMILIES if line["name"] == f"{run.name}-{family}"), None)
    seed = f", seed {run.seed}" if run.seed else ""
    return f"{family} {run.size}{seed}" if family else str(line["name"])


def _cells(line: Record) -> str:
    return " | ".join(_cell(line, name) for name in SHOWN)


def _cell(line: Record, name: str) -> str:
    found = cell(line, name)
    interval = f" ±{found.interval}" if found.interval else ""
    return f"{found.text}{interval}{'!' if found.missed else ''}"


if __name__ == "__main__":
    main()
