"""Trainings of several sizes and lengths on Cornell, and the law that `--time` chooses by, fitted to them.

    python -m benchmarks.expectations corpora/cornell --model gpt --out expectations
    python -m benchmarks.expectations corpora/cornell --out expectations --fit
    python -m benchmarks.expectations corpora/cornell --draw docs/sizes.svg

The first trains what is missing, one after the other, with as many threads as OMP_NUM_THREADS says (two
processes, one a family, share the machine well: lengths are in steps, so that nothing depends on its speed).
The second fits Hoffmann et al. 2022's law (section 3.3, with their Huber loss) to all that is there, and to
what else was trained into that folder, and writes chatbot/training/expected.json; trainings with dropout of a
family that has it only for many epochs have a law with their own E and A. The third times each size
here, as `--time` does, and draws what the law and the trainings come to in minutes of this machine; nothing
else should run meanwhile.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.minutes import is_done
from benchmarks.speedrun.material import Material
from chatbot.checkpoint import Checkpoint
from chatbot.engines.torch import choose_precision
from chatbot.models import FAMILIES
from chatbot.preparation import ExamplesConfig
from chatbot.sizes import SIZES
from chatbot.training import TrainingConfig
from chatbot.training.choice import LEARNING, Kind
from chatbot.training.expectation import AGAIN, FILE, Law, law, worth
from chatbot.training.pace import measure

# Short ones first: then a law can be fitted early.
LENGTHS: Mapping[str, Sequence[tuple[str, int]]] = {
    "gpt": (
        *(("nano", 800), ("micro", 400), ("small", 400)),
        *(("nano", 3200), ("micro", 1600), ("small", 1200)),
    ),
    "seq2seq": (
        *(("nano", 800), ("micro", 400), ("small", 400)),
        *(("nano", 3200), ("micro", 1600), ("small", 1600)),
    ),
}
MINUTES = (2, 5, 20, 60)
HUBER = 1e-3  # where a residual's logarithm counts linearly; theirs
# Targets of Cornell's training part. seq2seq's trainings were of two epochs and less, and count as they are.
UNIQUE = {"gpt": 6_930_000}
Row = tuple[str, int, int, int, float]  # size, steps, parameters, targets, nats a word
Points = NDArray[np.float64]  # a row for each training: parameters, targets, nats a word


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "families", multiple=True, type=click.Choice(list(FAMILIES)), help="[default: all]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("expectations"), show_default=True)
@click.option("--fit", is_flag=True, help="Only fit, and write.")
@click.option("--draw", "picture", type=click.Path(path_type=Path), help="Only draw what was fitted.")
def main(corpus: Path, families: tuple[str, ...], out: Path, fit: bool, picture: Path | None) -> None:
    """Train, fit, or draw."""
    if picture:
        draw(corpus, picture)
        return
    out.mkdir(parents=True, exist_ok=True)
    for family in families or LENGTHS:
        for size, steps in () if fit else LENGTHS[family]:
            if not is_done(bot(out, family, size, steps)):
                train(corpus, out, family, size, steps)
    found = {name: rows for family in LENGTHS for name, rows in trained(out, family).items()}
    laws = {f: fitted(points(f, rows)) for f, rows in found.items() if f in LENGTHS and len(rows) > 4}
    for family in list(laws):
        if name := f"{family}{AGAIN}" if found.get(f"{family}{AGAIN}") else "":
            laws[name] = moved(laws[family], points(family, found[name]))
    for family, one in laws.items():
        click.echo("\n".join(table(family, found[family], one)))
    if fit:
        told = {"laws": {family: asdict(one) for family, one in laws.items()}, "trained": found}
        FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def bot(out: Path, family: str, size: str, steps: int) -> Path:
    """The folder of a training."""
    return out / "checkpoints" / f"{size}-{steps}-{family}"


def train(corpus: Path, out: Path, family: str, size: str, steps: int) -> None:
    """One training, from wherever it stands."""
    length = ["--size", size, "--steps", str(steps), "--set", "training.evaluations=4"]
    name = ["--model", family, "--name", f"{size}-{steps}", "--resume"]
    command = [sys.executable, "-m", "chatbot", "train", str(corpus.resolve()), *name, *length]
    subprocess.run(command, cwd=out, check=True)


def trained(out: Path, family: str) -> dict[str, list[Row]]:
    """All finished trainings, at their best; those with dropout that others have not by themselves."""
    found: dict[str, list[Row]] = {family: [], f"{family}{AGAIN}": []}
    for folder in sorted((out / "checkpoints").glob(f"*-{family}")):
        if is_done(folder):
            bot = Checkpoint.load(folder)
            kept = bot.weights()
            best = next(line for line in bot.metrics() if line["step"] == kept.header["step"])
            parameters = sum(array.size for array in kept.tensors.values())
            nats = kept.header["figures"]["nats_per_word"]
            again = FAMILIES.load(family).again and bot.config.model["dropout"]
            row = bot.config.size, best["step"], parameters, best["targets"], nats
            found[f"{family}{AGAIN}" if again else family].append(row)
    return found


def points(family: str, rows: Sequence[Row]) -> Points:
    """What a law is fitted to: targets that came again count as so many fresh ones."""
    unique = UNIQUE.get(family, math.inf)
    return np.array([(count, worth(targets, unique), nats) for _, _, count, targets, nats in rows])


def fitted(points: Points) -> Law:
    """By the least Huber loss of log L from many beginnings, as there (eq. 3 and appendix D.2)."""
    sizes, targets, nats = np.log(points).T

    def distance(x: Any) -> float:  # Any: scipy's array
        a, b, e, alpha, beta = x
        parts = np.stack([a - alpha * sizes, b - beta * targets, np.full(len(nats), e)])
        off = np.abs(np.logaddexp.reduce(parts) - nats)
        return float(np.where(off < HUBER, off**2 / 2, HUBER * (off - HUBER / 2)).sum())

    starts = [(a, b, e, c, c) for a in (0, 4, 8) for b in (0, 4, 8) for e in (0.0, 1.0) for c in (0.2, 0.5)]
    tried = [minimize(distance, start, method="Nelder-Mead", options={"maxiter": 20_000}) for start in starts]
    a, b, e, alpha, beta = (float(value) for value in min(tried, key=lambda one: one.fun).x)
    return Law(least=math.exp(e), size=math.exp(a), alpha=alpha, data=math.exp(b), beta=beta)


def moved(law: Law, found: Points) -> Law:
    """The law with another E and A, by least squares: what else there is of it needs more trainings."""
    sizes, targets, nats = found.T
    parts = np.stack([np.ones(len(nats)), sizes**-law.alpha], 1)
    (least, size), *_ = np.linalg.lstsq(parts, nats - law.data * targets**-law.beta, rcond=None)
    return replace(law, least=float(least), size=float(size))


def table(family: str, rows: Sequence[Row], law: Law) -> Iterator[str]:
    """Markdown."""
    numbers = f"{law.least:.2f} + {law.size:.3g} / N^{law.alpha:.2f} + {law.data:.3g} / D^{law.beta:.2f}"
    yield f"\n{family}: {numbers}\n"
    yield "| size | parameters | steps | targets | nats a word | the law's |"
    yield "|---|---|---|---|---|---|"
    for size, steps, count, targets, nats in rows:
        said = law.nats(count, targets, UNIQUE.get(family.removesuffix(AGAIN), math.inf))
        yield f"| {size} | {count:,} | {steps:,} | {targets:,} | {nats:.3f} | {said:.3f} |"


def draw(corpus: Path, picture: Path) -> None:
    """Nats a word of each size against minutes of this machine; a table of some of them."""
    material = Material.read(corpus, "source", "written")
    found = {family: curves(material, family) for family in FAMILIES}
    for family, lines in found.items():
        click.echo("\n".join(by_minutes(family, lines)))
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "sizes"})
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(10, 4.5), sharey=True)
    minutes = np.geomspace(0.5, 120, 60)
    for panel, (family, lines) in zip(panels, found.items(), strict=True):
        for number, line in enumerate(lines):
            color = f"C{number}"
            panel.plot(minutes, [line.nats(m) for m in minutes], color=color, label=line.size)
            panel.plot(*line.trained.T, "o", color=color)
        panel.set(xscale="log", xlabel="minutes", title=family)
        panel.grid(alpha=0.3, which="both")
    panels[0].set(ylabel="nats per word, validation", ylim=(5.6, 8.0))
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


@dataclass(frozen=True)
class Line:
    """A size on this machine: targets a minute, and (minutes, nats a word) of its trainings (n, 2).

    most: epochs after which it would know the corpus by heart; again: its law and epochs with dropout.
    """

    size: str
    parameters: int
    speed: float
    unique: float
    law: Law
    most: float
    again: tuple[Law, float] | None
    trained: Points

    def nats(self, minutes: float) -> float:
        """What the laws say: of a training that ends in time, and with dropout where that comes to less."""
        targets = self.speed * minutes
        first = self.law.nats(self.parameters, min(targets, self.most * self.unique), self.unique)
        if not self.again or targets < self.most * self.unique:
            return first
        law, most = self.again
        return min(first, law.nats(self.parameters, min(targets, most * self.unique), self.unique))


def curves(material: Material, family: str) -> list[Line]:
    """The sizes that were trained, timed."""
    kind = Kind(
        family=family,
        vocabulary=len(material.tokenizer),
        settings={},
        training=TrainingConfig(minutes=1.0),
        examples=ExamplesConfig(),
        device=torch.device("cpu"),
    )
    batches, known = kind.batches(material.train), law(family)
    assert known is not None
    rows = json.loads(FILE.read_text(encoding="utf-8"))["trained"][family]
    lines = []
    for size in [size for size in SIZES if any(row[0] == size for row in rows)]:
        model = kind.model(size)
        pace = measure(model, batches, kind.training, choose_precision("auto", kind.device), 10.0)
        speed = LEARNING * 60 * pace.targets / pace.seconds
        trained = np.array([(row[3] / speed, row[4]) for row in rows if row[0] == size])
        count = sum(parameter.numel() for parameter in model.parameters())
        longer, other = kind.longer(model, batches), law(family, again=True)
        again = (other, longer.model(size).epochs(many=True)) if longer and other else None
        unique, most = pace.targets * len(batches.plan()), model.epochs(many=True)
        lines.append(Line(size, count, speed, unique, known, most, again, trained))
    return lines


def by_minutes(family: str, lines: Sequence[Line]) -> Iterator[str]:
    """Markdown: what each size comes to, by the law."""
    yield f"\n| {family} | targets/s | " + " | ".join(f"{m} min" for m in MINUTES) + " |"
    yield "|---|---|" + "---|" * len(MINUTES)
    for line in lines:
        figures = " | ".join(f"{line.nats(m):.2f}" for m in MINUTES)
        yield f"| {line.size} | {line.speed / 60 / LEARNING:,.0f} | {figures} |"


if __name__ == "__main__":
    main()
