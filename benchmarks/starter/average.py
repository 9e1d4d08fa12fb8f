"""The mean of bots' weights, as a bot to go on from (model soups: Wortsman et al. 2022, arXiv:2203.05482).

    python -m benchmarks.starter.average eleventh-gpt twelfth-gpt mean-gpt
    python -m benchmarks.starter.average --onto mean-gpt --share 0.9 kind-gpt safe-gpt both-gpt
    python -m benchmarks.starter.average --learned mean-gpt safe-gpt --share 0.2 kind-gpt both-gpt

The bots have to be of one training: each begun with another one's weights. The last name is the new bot's.
With --last, of that bot its last weights, not those that its validation chose: these come too early where it
began with a bot that had learned what it is validated on.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from chatbot.checkpoint import MODEL, TRAINING, checksum

Weights = dict[str, torch.Tensor]


@click.command(help=__doc__)
@click.argument("bots", nargs=-1, required=True)
@click.option("--last", multiple=True, metavar="BOT", help="Of these, the last weights.")
@click.option("--onto", metavar="BOT", help="The bot that they all began with.")
@click.option("--learned", nargs=2, metavar="OLD NEW", help="Add what NEW learned since OLD to the mean.")
@click.option("--share", default=1.0, show_default=True, help="Of what was learned, how much is added.")
def main(
    bots: tuple[str, ...],
    last: tuple[str, ...],
    onto: str | None,
    learned: tuple[str, str] | None,
    share: float,
) -> None:
    """Write it beside them, in checkpoints/."""
    *sources, made = (Path("checkpoints") / name for name in bots)
    if onto and learned:
        raise click.ClickException("--share is of --onto or of --learned: one at a time")
    if stray := set(last) - {source.name for source in sources}:
        raise click.ClickException(f"not among the bots: {', '.join(sorted(stray))}")
    weights = [
        last_weights(source) if source.name in last else load_file(source / MODEL) for source in sources
    ]
    origin = load_file(Path("checkpoints") / onto / MODEL) if onto else weights[0]
    if any(_shapes(each) != _shapes(origin) for each in weights):
        raise click.ClickException("the weights of these bots are not the same in name and shape")
    mean = added(origin, weights, share) if onto else average(weights)
    if learned:
        old, new = (load_file(Path("checkpoints") / name / MODEL) for name in learned)
        mean = changed(mean, old, new, share)
    shutil.copytree(sources[-1], made, ignore=shutil.ignore_patterns(TRAINING))
    with safe_open(sources[-1] / MODEL, "pt") as file:
        facts = json.loads(file.metadata()["chatbot"])
    facts["checksum"] = checksum({name: tensor.numpy() for name, tensor in mean.items()})
    save_file(mean, made / MODEL, {"chatbot": json.dumps(facts)})


def last_weights(folder: Path) -> Weights:
    """Those with which `--resume` would go on."""
    kept, mark = load_file(folder / TRAINING), "model."
    return {name.removeprefix(mark): kept[name] for name in kept if name.startswith(mark)}


def average(weights: list[Weights]) -> Weights:
    """The mean of each tensor, in float32."""
    return {
        name: torch.stack([each[name].float() for each in weights]).mean(dim=0).contiguous()
        for name in weights[0]
    }


def added(origin: Weights, weights: list[Weights], share: float) -> Weights:
    """The origin's tensors and a share of each difference from them, in float32."""
    return {
        name: (old.float() + share * sum(each[name].float() - old.float() for each in weights)).contiguous()
        for name, old in origin.items()
    }


def changed(mean: Weights, old: Weights, new: Weights, share: float) -> Weights:
    """A mean, and a share of what one bot learned since another (Ilharco et al. 2023), in float32."""
    if not _shapes(mean) == _shapes(old) == _shapes(new):
        raise click.ClickException("the weights of these bots are not the same in name and shape")
    return {name: mean[name] + share * (new[name].float() - old[name].float()) for name in mean}


def _shapes(weights: Weights) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


if __name__ == "__main__":
    main()
