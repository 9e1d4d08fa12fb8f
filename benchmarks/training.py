"""Tokens learned per second, ours beside others of the same size, on the same conversations.

    python -m benchmarks.training corpora/cornell --nanogpt CLONE

Each contender is a process of its own that trains as it does, and waits while the others have their turn,
so that all meet the machine in the same moods. A figure is the median over the rounds; a ratio is the
median of the rounds' ratios to the first of its group. Tokens are targets that are learned: padding, and
what is only read, is not counted. Nothing else should run meanwhile.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click
import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from benchmarks.speedrun.material import Material
from benchmarks.speedrun.streams import stream
from chatbot.preparation import Encoded, ExamplesConfig, exchanges
from chatbot.tokenizer import Tokenizer

TURN = 4.0  # seconds that a contender trains in a round
PAIRS = ExamplesConfig(context=1, prompt_limit=32, reply_limit=32)


@dataclass(frozen=True)
class Data:
    """What all contenders learn from, in pieces."""

    train: Encoded
    validation: Encoded
    tokenizer: Tokenizer
    nanogpt: Path | None


Contender = Callable[[Data], Iterator[int]]  # the targets learned in each step


def tutorial(data: Data) -> Iterator[int]:
    """PyTorch's chatbot tutorial as written: GRU 500, 2 layers, batches of 64, float32."""
    from benchmarks.speedrun.tutorial import BATCH, Batch, Model, Tutorial

    examples, random = exchanges(data.train, PAIRS), np.random.default_rng(0)
    recipe = Tutorial.__new__(Tutorial)  # its step, on pieces instead of words
    recipe.model = Model(len(data.tokenizer))
    optimizers = recipe.optimizers()
    while True:
        some = [examples[i] for i in random.integers(len(examples), size=BATCH)]
        prompts, replies = ([torch.tensor(getattr(e, side)) for e in some] for side in ("prompt", "reply"))
        batch = Batch(pad_sequence(prompts), torch.tensor([len(p) for p in prompts]), pad_sequence(replies))
        recipe.learn(batch, optimizers)
        yield sum(len(reply) for reply in replies)


def ours(
    family: str, examples: ExamplesConfig, optimizer: Literal["adamw", "muon"] = "adamw", **sizes: Any
) -> Contender:  # Any: a model's settings
    """This program's training of a model of these sizes; with AdamW, as the others' are."""

    def train(data: Data) -> Iterator[int]:
        from chatbot.checkpoint import FORMAT, BotConfig, Checkpoint
        from chatbot.decoding import SamplingConfig
        from chatbot.engines.torch import build
        from chatbot.training import StepDone, Trainer, TrainingConfig

        model = {"vocabulary": len(data.tokenizer), **sizes}
        config = BotConfig(format=FORMAT, family=family, model=model)
        # Compiled, as a training of ten minutes or more is.
        length = TrainingConfig(
            minutes=0, steps=1_000_000, evaluations=1, validation=100, compile="on", optimizer=optimizer
        )
        with TemporaryDirectory() as folder:
            bot = build(family, model, 0), Checkpoint.create(Path(folder) / "bot", config, data.tokenizer)
            trainer = Trainer(*bot, data.train, data.validation, length, examples, SamplingConfig())
            before = 0
            for event in trainer.run():
                if isinstance(event, StepDone):
                    yield trainer.at.tokens - before
                    before = trainer.at.tokens

    return train


def nanogpt(compiled: bool, precision: torch.dtype, kept: bool, **sizes: float) -> Contender:
    """nanoGPT's model, optimizer and blocks; batches of 12."""

    def train(data: Data) -> Iterator[int]:
        from benchmarks.speedrun.nanogpt import build
        from chatbot.training.memory import keep_freed

        if kept:
            keep_freed()
        assert data.nanogpt is not None
        block = int(sizes["block_size"])
        plain = build(data.nanogpt / "model.py", {**sizes, "vocab_size": len(data.tokenizer), "bias": False})
        optimizer = plain.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")  # type: ignore[operator]
        model: Any = torch.compile(plain) if compiled else plain
        tokens, random = torch.from_numpy(stream(data.train).astype(np.int64)), np.random.default_rng(0)
        while True:
            starts = random.integers(len(tokens) - block - 1, size=12).tolist()
            x, y = (torch.stack([tokens[i + by : i + by + block] for i in starts]) for by in (0, 1))
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                loss = model(x, y)[1]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield x.numel()

    return train


LAPTOP = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "dropout": 0.0}
BABY = {"n_layer": 6, "n_head": 6, "n_embd": 384, "block_size": 256, "dropout": 0.0}
BF16 = torch.bfloat16
GROUPS: dict[str, dict[str, Contender]] = {
    "GRU 500 x 2, Luong attention": {
        "PyTorch's chatbot tutorial": tutorial,
        "chatbot seq2seq, as wide": ours("seq2seq", PAIRS, width=500, layers=2),
        "chatbot seq2seq, as wide, Muon": ours("seq2seq", PAIRS, "muon", width=500, layers=2),
        "chatbot seq2seq, as many parameters": ours("seq2seq", PAIRS, width=740, layers=2),
    },
    "Transformer 4 x 128": {
        "nanoGPT, its README's settings for a laptop": nanogpt(False, torch.float32, False, **LAPTOP),
        "the same, bfloat16": nanogpt(False, BF16, False, **LAPTOP),
        "the same, bfloat16, compiled, freed memory kept": nanogpt(True, BF16, True, **LAPTOP),
        "chatbot gpt": ours("gpt", ExamplesConfig(), width=128, layers=4, heads=4),
        "chatbot gpt, Muon": ours("gpt", ExamplesConfig(), "muon", width=128, layers=4, heads=4),
    },
    "Transformer 6 x 384": {
        "nanoGPT, float32": nanogpt(False, torch.float32, False, **BABY),
        "the same, bfloat16": nanogpt(False, BF16, False, **BABY),
        "the same, bfloat16, compiled, freed memory kept": nanogpt(True, BF16, True, **BABY),
        "chatbot gpt": ours("gpt", ExamplesConfig(), width=384, layers=6, heads=6),
        "chatbot gpt, Muon": ours("gpt", ExamplesConfig(), "muon", width=384, layers=6, heads=6),
    },
}


def work(group: str, name: str, data: Data, pipe: Connection) -> None:
    """Train so many steps whenever asked, and answer with (tokens, seconds)."""
    steps = GROUPS[group][name](data)
    while count := pipe.recv():
        began = time.perf_counter()
        tokens = sum(next(steps) for _ in range(count))
        pipe.send((tokens, time.perf_counter() - began))


def race(group: str, data: Data, rounds: int) -> dict[str, list[float]]:
    """Tokens per second of each contender in each round."""
    context = multiprocessing.get_context("spawn")
    pipes, counts = {}, {}
    for name in GROUPS[group]:
        pipes[name], theirs = context.Pipe()
        context.Process(target=work, args=(group, name, data, theirs), daemon=True).start()
        theirs.close()  # so that one which dies is noticed
        _ask(pipes[name], 5)  # memory, kernels and code are made
        counts[name] = max(2, round(TURN / (_ask(pipes[name], 5)[1] / 5)))
    found: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            tokens, seconds = _ask(pipe, counts[name])
            found[name].append(tokens / seconds)
    for pipe in pipes.values():
        pipe.send(0)
    return found


def _ask(pipe: Connection, count: int) -> tuple[int, float]:
    pipe.send(count)
    answer: tuple[int, float] = pipe.recv()
    return answer


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--nanogpt", type=click.Path(exists=True, path_type=Path), help="A clone of nanoGPT.")
@click.option("--group", "groups", multiple=True, type=click.Choice(list(GROUPS)), help="[default: all]")
@click.option("--rounds", default=9, show_default=True)
def main(corpus: Path, nanogpt: Path | None, groups: tuple[str, ...], rounds: int) -> None:
    """Race, and print the tables."""
    if nanogpt is None and any(group.startswith("Transformer") for group in groups or GROUPS):
        raise click.UsageError("nanoGPT is run from a clone of it: say where with --nanogpt")
    material = Material.read(corpus, "source", "written")
    data = Data(material.train, material.validation, material.tokenizer, nanogpt)
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {rounds} rounds")
    for group in groups or GROUPS:
        found = race(group, data, rounds)
        base = next(iter(found.values()))
        click.echo(f"\n| {group} | tokens/s | ratio |\n|---|---|---|")
        for name, speeds in found.items():
            ratio = statistics.median(a / b for a, b in zip(speeds, base, strict=True))
            click.echo(f"| {name} | {statistics.median(speeds):,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
