"""The speedrun: how well recipes predict held-out replies after the same minutes on this machine.

    python -m benchmarks.cornell corpora/cornell --minutes 20 --nanogpt NANOGPT_CLONE --out speedrun

Each recipe runs in a process of its own, one after the other, with as many threads as OMP_NUM_THREADS
says; its result is a file in --out, and what is there is not run again: give other minutes, or other
recipes, and the same folder, and they join the rest. Then come a table of each text and curves.svg. All
learn from the same training part and are judged on the same 2,000 test replies, in nats per word. It needs
`pip install -e '.[bench]'`.

The tutorial is at its end after 4,000 iterations, however many minutes it may have.

In the text of the tutorial only the replies that it can represent are judged; the others learn from whole
dialogues in that text and may read three turns, as they would of any other.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.speedrun import RECIPES, Options, Recipe
from benchmarks.speedrun.material import Material, Text
from chatbot.corpus.splits import SPLITS
from chatbot.evaluation.statistics import Statistic, figure

TEXTS: tuple[Text, ...] = ("tutorial", "written")
RESAMPLES = 2000


@dataclass(frozen=True)
class Result:
    """A recipe's curve, as (minutes, nats per word), and the interval of its last point."""

    recipe: str
    text: Text
    split: str
    minutes: float
    threads: int
    parameters: int
    judged: int
    representable: float  # share of all test pairs
    floor: float  # a unigram model's nats per word
    curve: list[tuple[float, float]]
    low: float
    high: float
    steps: int
    precision: str

    def reached(self, wanted: float) -> float | None:
        """Minutes until it is as good as `wanted`, read off the curve; None if it never is.

        Before the first look nothing is known: what that one reaches is said to take as long.
        """
        before = self.curve[0]
        for point in self.curve:
            if point[1] <= wanted:
                share = (before[1] - wanted) / (before[1] - point[1]) if before[1] > point[1] else 1.0
                return before[0] + share * (point[0] - before[0])
            before = point
        return None


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", default=20.0, show_default=True)
@click.option("--recipe", "recipes", multiple=True, type=click.Choice(list(RECIPES)), help="[default: all]")
@click.option("--text", "texts", multiple=True, type=click.Choice(TEXTS), help="[default: both]")
@click.option("--split", "split_by", default="parlai", type=click.Choice(list(SPLITS)), show_default=True)
@click.option("--nanogpt", type=click.Path(exists=True, path_type=Path), help="A clone of nanoGPT.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("speedrun"), show_default=True)
@click.option("--here", is_flag=True, hidden=True, help="In this process: one recipe on one text.")
def main(
    corpus: Path,
    minutes: float,
    recipes: tuple[str, ...],
    texts: tuple[Text, ...],
    split_by: str,
    nanogpt: Path | None,
    out: Path,
    here: bool,
) -> None:
    """Run what is missing, then show everything."""
    _check(recipes or tuple(RECIPES), nanogpt)
    out.mkdir(parents=True, exist_ok=True)
    wanted = [(text, name) for text in texts or TEXTS for name in recipes or RECIPES]
    for text, name in wanted:
        file = out / f"{text}-{split_by}-{name}-{minutes:g}.json"
        if file.exists() or (name, text) == ("tutorial", "written"):
            continue
        if here:
            found = run(name, Material.read(corpus, split_by, text), split_by, minutes, Options(nanogpt))
            file.write_text(json.dumps(dataclasses.asdict(found)) + "\n")
        else:
            only = ["--recipe", name, "--text", text, "--minutes", str(minutes), "--split", split_by]
            only += ["--out", str(out), "--here", *(["--nanogpt", str(nanogpt)] if nanogpt else [])]
            subprocess.run([sys.executable, "-m", "benchmarks.cornell", str(corpus), *only], check=True)
    if not here:
        files = sorted(out.glob(f"*-{split_by}-*.json"))
        results = [Result(**json.loads(file.read_text())) for file in files]
        shown = [text for text in TEXTS if any(r.text == text for r in results)]
        click.echo("\n\n".join("\n".join(table(results, text)) for text in shown))
        draw(results, out / "curves.svg")


def _check(recipes: Sequence[str], nanogpt: Path | None) -> None:
    """What is missing is said before the first minute, not after the last."""
    packages = ["matplotlib", *(["transformers"] if "gpt2" in recipes else [])]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise click.UsageError(f"{' and '.join(missing)} is not installed: pip install -e '.[bench]'")
    if nanogpt is None and any(name.startswith("nanogpt") for name in recipes):
        raise click.UsageError("nanoGPT is run from a clone of it: say where with --nanogpt")


def run(name: str, material: Material, split_by: str, minutes: float, options: Options) -> Result:
    """Train; judge every look when the clock has stopped."""
    click.echo(f"{name}, {material.text} text: {minutes:g} minutes", err=True)
    recipe: Recipe = RECIPES.load(name)(material, options)
    curve, last = [], None
    for spent, state in list(recipe.train(minutes)):
        recipe.model.load_state_dict(state)
        last = Statistic.ratio(recipe.nats(), material.words)
        curve.append((round(spent, 3), last.total))
        click.echo(f"{name}: {spent:.1f} minutes, {last.total:.3f} nats a word", err=True)
    assert last is not None
    interval = figure(last, RESAMPLES, seed=0)
    return Result(
        recipe=name,
        text=material.text,
        split=split_by,
        minutes=minutes,
        threads=torch.get_num_threads(),
        parameters=sum(p.numel() for p in recipe.model.parameters()),
        judged=len(material.judged),
        representable=len(material.representable) / len(material.pairs),
        floor=material.floor(),
        curve=curve,
        low=interval.low,
        high=interval.high,
        steps=recipe.steps,
        precision=recipe.precision,
    )


def table(results: Sequence[Result], text: Text) -> Iterator[str]:
    """Markdown, the best first; the aim is what the tutorial's longest run ended with."""
    found = sorted((r for r in results if r.text == text), key=lambda r: r.curve[-1][1])
    tutorials = [r.curve[-1] for r in found if r.recipe == "tutorial"]
    goal = max(tutorials)[1] if tutorials else None
    yield f"Text as {'people wrote it' if text == 'written' else 'the tutorial normalises it'}:"
    yield ""
    heads = "parameters", "minutes", "steps", "products", "can represent", "nats a word"
    yield f"| | {' | '.join(heads)} | minutes to the tutorial's |"
    yield "|---" * (len(heads) + 2) + "|"
    for r in found:
        share = r.representable if r.recipe == "tutorial" else 1.0
        half, minutes = (r.high - r.low) / 2, r.reached(goal) if goal is not None else None
        spent, size = f"{r.curve[-1][0]:.1f} | {r.steps:,} | {r.precision}", f"{r.parameters / 1e6:.1f} M"
        reached = "" if minutes is None else f"{minutes:.1f}"
        nats = f"{r.curve[-1][1]:.3f} ± {half:.3f}"
        yield f"| {r.recipe} | {size} | {spent} | {share:.0%} | {nats} | {reached} |"
    yield f"| unigram model | | | | | 100% | {found[0].floor:.3f} | |"


def draw(results: Sequence[Result], path: Path) -> None:
    """Quality against minutes, a panel for each text."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "speedrun"})
    from matplotlib import pyplot as plt

    shown = [text for text in TEXTS if any(r.text == text for r in results)]
    figure, panels = plt.subplots(1, len(shown), figsize=(6 * len(shown), 4.5), squeeze=False)
    for panel, text in zip(panels[0], shown, strict=True):
        for r in (r for r in results if r.text == text):
            panel.plot(*np.array(r.curve).T, marker=".", label=f"{r.recipe}, {r.curve[-1][0]:.0f} minutes")
        panel.set(xscale="log", xlabel="minutes of training", ylabel="nats per word, test replies")
        panel.set_title("text as written" if text == "written" else "text of the tutorial")
        panel.set_ylim(top=max(r.floor for r in results if r.text == text))  # a unigram model's
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3, which="both")
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
