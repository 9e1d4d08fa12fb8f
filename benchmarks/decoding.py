"""How fast replies come: tokens a second, one reply at a time, beside others with the same weights.

    python -m benchmarks.decoding checkpoints/cornell-gpt checkpoints/cornell-seq2seq

Greedy, a prompt of 64 tokens and 128 new ones, every decoder once a round, the medians of the rounds and of
their ratios. Beside a gpt stands a Llama of transformers with its very weights (and the largest difference of
a logit), beside a seq2seq the decoder of PyTorch's chatbot tutorial, at the tutorial's size. The limit is
reading the weights once a token, at the pace at which NumPy's product of a matrix and a vector reads a large
one. Then what a reply to a pipe takes from Enter to exit. Nothing else should run meanwhile; with
OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1 all have one core.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import torch

from benchmarks.speedrun import tutorial
from chatbot.bot import Bot
from chatbot.engines.base import Engine
from chatbot.tokenizer import BOT

PROMPT, NEW = 64, 128
Decoder = Callable[[list[int]], None]


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@click.option("--rounds", default=7, show_default=True)
def main(names: tuple[str, ...], rounds: int) -> None:
    """A table for each bot."""
    pace = reading()
    for name in names:
        bot = Bot.load(name)
        tensors = bot.checkpoint.weights().tensors
        read = sum(array.size for key, array in tensors.items() if not key.startswith("encoder")) * 4
        click.echo(f"\n{bot.name}, {sum(array.size for array in tensors.values()):,} parameters\n")
        click.echo("\n".join(table(measured(decoders(bot), rounds), pace / read)))
        for engine in ("light", "torch"):
            click.echo(f"echo hi | chatbot chat --engine {engine}: {one_shot(name, engine, rounds):.2f} s")


def decoders(bot: Bot) -> dict[str, Decoder]:
    """By name; ratios are to the first."""
    light, heavy = (
        Bot.load(bot.checkpoint.folder, "cpu", engine).responder.engine for engine in ("light", "torch")
    )
    others = {"gpt": llama, "seq2seq": greedy_tutorial}[bot.family](bot)
    return {**others, "chatbot, torch": ours(heavy), "chatbot, light": ours(light)}


def ours(engine: Engine) -> Decoder:
    """The engine, greedy."""

    def decode(prompt: list[int]) -> None:
        step = engine.start([prompt])
        for _ in range(NEW - 1):
            step = engine.step([int(step.logits[0].argmax())], step.state)

    return decode


def llama(bot: Bot) -> dict[str, Decoder]:
    """transformers' Llama with the weights of a gpt."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from chatbot.models.config import GPTConfig

    config = GPTConfig(**bot.checkpoint.config.model)
    theirs = cast(Any, LlamaForCausalLM)(  # Any: only some of its versions have types
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.feed,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.groups or config.heads,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
            tie_word_embeddings=True,
        )
    )
    theirs.eval()
    tensors = {
        key: torch.from_numpy(np.array(array)) for key, array in bot.checkpoint.weights().tensors.items()
    }
    theirs.load_state_dict({_renamed(key): tensor.float() for key, tensor in tensors.items()}, strict=False)
    theirs.tie_weights()
    check(theirs, bot)

    def decode(prompt: list[int]) -> None:
        theirs.generate(
            torch.tensor([prompt]), max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, pad_token_id=0
        )

    return {"transformers, Llama, generate": decode}


def check(theirs: Any, bot: Bot) -> None:  # Any: transformers has no types
    """Say how far its logits are from ours."""
    prompt = list(range(10, 10 + PROMPT))
    with torch.inference_mode():
        other = theirs(torch.tensor([[*prompt, BOT]])).logits[0, -1].numpy()
    distance = np.abs(bot.responder.engine.start([prompt]).logits[0] - other).max()
    click.echo(f"largest difference to transformers' logits: {distance:.1e}\n")


RENAMED = {
    "attention_norm": "input_layernorm",
    "feed_norm": "post_attention_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "feed.gate": "mlp.gate_proj",
    "feed.up": "mlp.up_proj",
    "feed.down": "mlp.down_proj",
}


def _renamed(key: str) -> str:
    """A tensor's name in a Llama of transformers."""
    if not key.startswith("blocks."):
        return {"embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight"}[key]
    _, layer, rest = key.split(".", 2)
    return f"model.layers.{layer}.{RENAMED[rest.removesuffix('.weight')]}.weight"


def greedy_tutorial(bot: Bot) -> dict[str, Decoder]:
    """The tutorial's loop over tokens, with a new model of its size and this vocabulary."""
    model = tutorial.Model(len(bot.checkpoint.tokenizer)).eval()

    def decode(prompt: list[int]) -> None:
        with torch.no_grad():
            ids = torch.tensor(prompt)[:, None]
            reply = torch.ones(NEW, 1, dtype=torch.int64)  # as long; what it says does not matter
            for scores in model(ids, torch.tensor([len(prompt)]), reply):
                scores.argmax(-1)

    return {"PyTorch's chatbot tutorial, greedy": decode}


def measured(found: Mapping[str, Decoder], rounds: int) -> dict[str, list[float]]:
    """Seconds of each decoder in each round, after one that is not counted."""
    prompt = list(range(10, 10 + PROMPT))
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 1):
        for name, decode in found.items():
            began = time.perf_counter()
            decode(prompt)
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def table(seconds: Mapping[str, list[float]], limit: float) -> list[str]:
    """Markdown; limit: tokens a second."""
    first = next(iter(seconds.values()))
    lines = ["| decoder | tokens/s | ratio | of the limit |", "|---|---|---|---|"]
    for name, times in seconds.items():
        speed = NEW / statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(first, times, strict=True))
        lines.append(f"| {name} | {speed:,.0f} | {ratio:.2f} | {speed / limit:.0%} |")
    return [*lines, f"| reading float32 weights once a token | {limit:,.0f} | | |"]


def reading() -> float:
    """Bytes a second."""
    matrix, vector = np.ones((16384, 1024), np.float32), np.ones(1024, np.float32)
    times = []
    for _ in range(9):
        began = time.perf_counter()
        matrix @ vector
        times.append(time.perf_counter() - began)
    return matrix.nbytes / statistics.median(times)


def one_shot(name: str, engine: str, rounds: int) -> float:
    """Seconds from Enter to exit, the median."""
    command = [
        str(Path(sys.executable).with_name("chatbot")),
        "chat",
        name,
        "--engine",
        engine,
        "--seed",
        "1",
    ]
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, input=b"hi\n", stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
