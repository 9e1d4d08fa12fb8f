"""The mean of bots' weights, as a bot to go on from (model soups: Wortsman et al. 2022, arXiv:2203.05482).

    python -m benchmarks.starter.average eleventh-gpt twelfth-gpt mean-gpt

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


@click.command(help=__doc__)
@click.argument("bots", nargs=-1, required=True)
@click.option("--last", multiple=True, metavar="BOT", help="Of these, the last weights.")
def main(bots: tuple[str, ...], last: tuple[str, ...]) -> None:
    """Write it beside them, in checkpoints/."""
    *sources, made = (Path("checkpoints") / name for name in bots)
    if stray := set(last) - {source.name for source in sources}:
        raise click.ClickException(f"not among the bots: {', '.join(sorted(stray))}")
    weights = [
        last_weights(source) if source.name in last else load_file(source / MODEL) for source in sources
    ]
    if any(_shapes(each) != _shapes(weights[0]) for each in weights):
        raise click.ClickException("the weights of these bots are not the same in name and shape")
    mean = average(weights)
    shutil.copytree(sources[-1], made, ignore=shutil.ignore_patterns(TRAINING))
    with safe_open(sources[-1] / MODEL, "pt") as file:
        facts = json.loads(file.metadata()["chatbot"])
    facts["checksum"] = checksum({name: tensor.numpy() for name, tensor in mean.items()})
    save_file(mean, made / MODEL, {"chatbot": json.dumps(facts)})


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Those with which `--resume` would go on."""
    kept, mark = load_file(folder / TRAINING), "model."
    return {name.removeprefix(mark): kept[name] for name in kept if name.startswith(mark)}


def average(weights: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of each tensor, in float32."""
    return {
        name: torch.stack([each[name].float() for each in weights]).mean(dim=0).contiguous()
        for name in weights[0]
    }


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


if __name__ == "__main__":
    main()
