"""What each choice of the training is worth: validation against minutes, with and without it.

    python -m benchmarks.minutes corpora/cornell --minutes 2 --size micro --model gpt --out minutes
    python -m benchmarks.minutes corpora/cornell --tokens 1000 --size micro --model gpt --out minutes
    python -m benchmarks.minutes corpora/cornell --out minutes --draw docs/minutes.svg

Every choice is a `chatbot train` with those settings in a folder under --out, for the same minutes, or for as
many tokens (a step of 2,048 is half as many as one of 4,096). It runs on one thread, and its minutes are of
processor time, so that other work on the machine matters little; the seconds of it that the whole command
took stand beside the quality. What is there is not run again. --choice makes only the ones named, so
that two processes can share the work, one core each. The table has what there is so far: the validation's
nats per word at its best, its difference to the defaults, and that in units of how far the defaults' own runs
with other seeds are apart.
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import numpy as np
import torch

from chatbot.checkpoint import Checkpoint
from chatbot.models import FAMILIES
from chatbot.sizes import SIZES
from chatbot.training import TrainingConfig
from chatbot.training.config import STEP
from chatbot.training.optimization import peak_rate

DEFAULTS = "as it is"
# On one thread, processor time is what a quiet machine's clock would say.
TRAIN = "import time; time.monotonic = time.process_time; from chatbot.cli import main; main()"
ALONE = {"OMP_NUM_THREADS": "1"}
TICKS = (0.5, 1, 2, 5, 10, 20, 60)  # minutes
FEW = "--set", "training.evaluations=4"  # validations, where minutes do not matter
Settings = tuple[str, ...]
Curve = np.ndarray[tuple[int, int], np.dtype[np.float64]]  # a row for each validation
# Of both families, then of each.
CHOICES: Mapping[str, Settings] = {
    DEFAULTS: (),
    "another seed": ("training.seed=1",),
    "a third seed": ("training.seed=2",),
    "half the learning rate": ("training.learning_rate=0.5x",),
    "twice the learning rate": ("training.learning_rate=2x",),
    "a warm-up by share alone": ("training.warmup_steps=0",),
    "a stable schedule": ("training.schedule=stable",),
    "AdamW": ("training.optimizer=adamw",),
    "AdamW, steps of 2,048 tokens": ("training.optimizer=adamw", "training.batch_tokens=2048"),
    "steps of 1,024 tokens": ("training.batch_tokens=1024",),
    "steps of 2,048 tokens": ("training.batch_tokens=2048",),
    "steps of 8,192 tokens": ("training.batch_tokens=8192",),
    "4,096 pieces": ("tokenizer.vocabulary=4096",),
    "16,384 pieces": ("tokenizer.vocabulary=16384",),
    "BPE pieces": ("tokenizer.algorithm=bpe",),
    "one turn before the reply": ("examples.context=1",),
    "no weight decay": ("training.weight_decay=0",),
    "more weight decay": ("training.weight_decay=0.2",),
    "label smoothing": ("training.label_smoothing=0.1",),
    "float32": ("training.precision=float32",),
    "compiled": ("training.compile=on",),
}
OWN: Mapping[str, Mapping[str, Settings]] = {
    "gpt": {
        "dropout": ("gpt.dropout=0.1",),
        "no dropout": ("gpt.dropout=0",),
        "eight epochs at the most": ("training.epochs=8",),
        "half as deep": ("gpt.layers=2",),
        "half as deep, wider": ("gpt.layers=2", "gpt.width=192", "gpt.heads=3"),
        "twice as deep": ("gpt.layers=8",),
        "one key and value for all heads": ("gpt.groups=1",),
        "heads of 32": ("gpt.heads=4",),
    },
    "seq2seq": {
        "no dropout": ("seq2seq.dropout=0",),
        "two layers": ("seq2seq.layers=2",),
        "half as wide again": ("seq2seq.width=192",),
        "dot attention": ("seq2seq.attention=dot",),
        "concat attention": ("seq2seq.attention=concat",),
    },
}


def choices(family: str) -> dict[str, Settings]:
    """Those that a family has, by name."""
    return {**CHOICES, **OWN[family]}


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "family", type=click.Choice(list(FAMILIES)), default="gpt", show_default=True)
@click.option("--minutes", default=2.0, show_default=True)
@click.option("--size", default="micro", show_default=True)
@click.option("--choice", "names", multiple=True, help="[default: all]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("minutes"), show_default=True)
@click.option("--draw", "picture", type=click.Path(path_type=Path), help="Only draw all that is under --out.")
@click.option("--tokens", default=0, help="In thousands, padding included; instead of minutes.")
def main(
    corpus: Path,
    family: str,
    minutes: float,
    size: str,
    names: tuple[str, ...],
    out: Path,
    picture: Path | None,
    tokens: int,
) -> None:
    """Run what is missing, then show everything."""
    if picture:
        draw(all_finished(out), picture)
        return
    known = choices(family)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no choice is called {unknown[0]}; there are: {', '.join(known)}")
    folder = out / f"{family}-{size}-{f'{tokens}k' if tokens else f'{minutes:g}'}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or known:
        if not is_done(_metrics(folder, family, name).parent):
            changes = [part for setting in known[name] for part in ("--set", absolute(setting, family, size))]
            wanted = (
                ["--steps", str(steps(known[name], tokens)), *FEW] if tokens else ["--time", f"{minutes}m"]
            )
            given = ["--model", family, "--size", size, "--name", _named(name), "--resume", *wanted, *changes]
            before = spent()
            command = [sys.executable, "-c", TRAIN, "train", str(corpus.resolve()), *given]
            subprocess.run(command, cwd=folder, check=True, env=os.environ | ALONE)
            _spent(folder, family, name).write_text(f"{spent() - before:.1f}\n")
    found = finished(folder, family)
    files = {name: _spent(folder, family, name) for name in found}  # missing where this was killed just then
    cpu = {name: float(file.read_text()) if file.exists() else math.nan for name, file in files.items()}
    click.echo("\n".join(table(found, cpu)))
    draw({f"{family} {size}": found}, folder / "curves.svg")


def finished(folder: Path, family: str) -> dict[str, Curve]:
    """The curves of the choices whose training came to its end."""
    curves = {name: read(_metrics(folder, family, name)) for name in choices(family)}
    return {
        name: curve
        for name, curve in curves.items()
        if len(curve) and is_done(_metrics(folder, family, name).parent)
    }


def all_finished(out: Path) -> dict[str, dict[str, Curve]]:
    """Those of every family, size and length under a folder."""
    panels = {}
    for folder in sorted(out.glob("*-*-*"), key=_length):
        family, size, length = folder.name.split("-")
        if family in FAMILIES and (found := finished(folder, family)):
            panels[f"{family} {size}, {length} minutes"] = found
    return panels


def _length(folder: Path) -> tuple[float, str]:
    """Its minutes, or its thousands of tokens."""
    name, length = folder.name.rsplit("-", 1)
    return float(length.removesuffix("k")), name


def absolute(setting: str, family: str, size: str) -> str:
    """ "training.learning_rate=2x" -> twice the default of that size."""
    name, value = setting.split("=")
    if not value.endswith("x"):
        return setting
    kind = FAMILIES.load(family)
    with torch.device("meta"):
        model = kind(kind.Config.sized(SIZES[size], 8192))
    return f"{name}={float(value[:-1]) * peak_rate(model, TrainingConfig()):g}"


def steps(settings: Settings, tokens: int) -> int:
    """Of so many thousand tokens in all."""
    of_step = dict(setting.split("=") for setting in settings).get("training.batch_tokens")
    return round(1000 * tokens / int(of_step or STEP))


def spent() -> float:
    """Seconds of processor time of the commands that were run so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _spent(folder: Path, family: str, choice: str) -> Path:
    return _metrics(folder, family, choice).with_name("seconds.txt")


def _named(choice: str) -> str:
    return choice.replace(" ", "-").replace(",", "")


def is_done(bot: Path) -> bool:
    """Whether a bot's training came to its end."""
    there = (bot / "metrics.jsonl").exists()
    saved = Checkpoint.load(bot).training_state() if there else None
    return saved is not None and bool(saved[1]["position"]["done"])


def _metrics(folder: Path, family: str, choice: str) -> Path:
    return folder / "checkpoints" / f"{_named(choice)}-{family}" / "metrics.jsonl"


def read(file: Path) -> Curve:
    """Minutes, nats per word and steps of each validation (n, 3)."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return np.array([(x["seconds"] / 60, x["nats_per_word"], x["step"]) for x in lines]).reshape(-1, 3)


def table(found: Mapping[str, Curve], cpu: Mapping[str, float]) -> Iterator[str]:
    """Markdown, the best first."""
    ends = {name: float(curve[:, 1].min()) for name, curve in found.items()}
    seeds = [ends[name] for name in (DEFAULTS, "another seed", "a third seed") if name in ends]
    usual = statistics.mean(seeds or ends.values())
    spread = statistics.stdev(seeds) if len(seeds) > 1 else 0.0
    yield "| | steps | CPU seconds | nats a word | difference | of the seeds' deviation |"
    yield "|---|---|---|---|---|---|"
    for name in sorted(ends, key=ends.__getitem__):
        by = ends[name] - usual
        share = f"{by / spread:+.1f}" if spread else ""
        steps = f"{found[name][-1, 2]:,.0f} | {cpu[name]:.0f}"
        yield f"| {name} | {steps} | {ends[name]:.3f} | {by:+.3f} | {share} |"


def draw(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Nats per word against minutes, a panel for each family, size and length; one colour a choice."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "minutes"})
    from matplotlib import pyplot as plt

    rows = -(-len(panels) // 2)
    columns = min(2, len(panels))
    figure, axes = plt.subplots(rows, columns, figsize=(5 * columns, 3.6 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(n for p in panels.values() for n in p))}
    for (title, found), axis in zip(panels.items(), axes.flat, strict=False):
        for name in sorted(found, key=lambda name: float(found[name][:, 1].min())):
            axis.plot(found[name][:, 0], found[name][:, 1], marker=".", color=colours[name], label=name)
        axis.set(title=title, xscale="log", xlabel="minutes of processor time", ylabel="nats per word")
        axis.xaxis.set_minor_formatter("")
        axis.set_xticks(TICKS, list(map(str, TICKS)))
        begin = (
            max(curve[-1, 0] for curve in found.values()) / 12
        )  # what is before would press all else together
        shown = [curve[curve[:, 0] >= begin] for curve in found.values()]
        axis.set_xlim(begin, 12.5 * begin)
        axis.set_ylim(top=max(curve[0, 1] for curve in shown) + 0.05)
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
