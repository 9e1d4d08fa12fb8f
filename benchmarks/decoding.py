"""How fast replies come: tokens a second, one reply at a time, beside others with the same weights.

    python -m benchmarks.decoding checkpoints/cornell-gpt checkpoints/cornell-seq2seq
    python -m benchmarks.decoding checkpoints/cornell-gpt --llama-bench llama.cpp/build/bin/llama-bench

Greedy, a prompt of 64 tokens and 128 new ones, every decoder once a round, the medians of the rounds and of
their ratios. Beside a gpt stands a Llama of transformers with its very weights (and the largest difference
of a logit) and, where its program to measure itself is named, llama.cpp with the same weights in GGUF; beside
a seq2seq the decoder of PyTorch's chatbot tutorial, at the tutorial's size. The limit is reading the weights
once a token, at the pace at which NumPy's product of a matrix and a vector reads a large one. Then what one
prompt takes from Enter to exit, and its memory; how long the first token takes after prompts of
several lengths; and tokens a second of several replies at once. Nothing else should run meanwhile; with
OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1 all have one core.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import click
import numpy as np
import psutil
import torch

from benchmarks import gguf_file
from benchmarks.speedrun import tutorial
from chatbot.bot import Bot
from chatbot.engines.base import LIGHT, LOOPS, ONNX, Engine
from chatbot.engines.onnx.graph import BLOCK
from chatbot.tokenizer import BOT

PROMPT, NEW = 64, 128
LENGTHS = 8, 32, 96, 256  # tokens of a prompt
SIZES = 1, 4, 16, 64  # replies at once
GGUF = ("f32", "f16", "q8_0")  # the kinds of weights that llama.cpp is tried with
INT8 = 4 / (1 + 4 / BLOCK)  # times smaller than float32: a byte each, and a scale for so many
Decoder = Callable[[list[int]], float | None]  # the seconds it took, if it knows better than the clock


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--llama-bench", type=click.Path(exists=True, path_type=Path), help="llama.cpp's program.")
def main(names: tuple[str, ...], rounds: int, llama_bench: Path | None) -> None:
    """A table for each bot."""
    pace = reading()
    for name in names:
        bot = Bot.load(name)
        tensors = bot.checkpoint.weights().tensors
        read = sum(array.size for key, array in tensors.items() if not key.startswith("encoder")) * 4
        click.echo(f"\n{bot.name}, {sum(array.size for array in tensors.values()):,} parameters\n")
        with TemporaryDirectory() as folder:
            found = decoders(bot, llama_bench, Path(folder))
            click.echo("\n".join(table(measured(found, rounds), pace / read)))
        click.echo("\n| `chatbot chat -p hi`, engine | seconds | memory, MB |\n|---|---|---|")
        for engine in engines(bot):
            seconds, memory = one_shot(name, engine, rounds)
            click.echo(f"| {engine} | {seconds:.2f} | {memory:.0f} |")
        loaded = {engine: Bot.load(name, "cpu", engine).responder.engine for engine in engines(bot)}
        click.echo(
            "\n".join(grid("first token, ms, prompt of", LENGTHS, loaded, partial(first, rounds=rounds)))
        )
        click.echo("\n".join(grid("tokens/s, replies at once", SIZES, loaded, partial(many, rounds=rounds))))


def grid(
    title: str, columns: Sequence[int], loaded: Mapping[str, Engine], measure: Callable[[Engine, int], float]
) -> Iterator[str]:
    """Markdown, a row for each engine."""
    yield f"\n| {title} | " + " | ".join(map(str, columns)) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, engine in loaded.items():
        yield f"| {name} | " + " | ".join(f"{measure(engine, column):,.1f}" for column in columns) + " |"


def first(engine: Engine, length: int, rounds: int) -> float:
    """Milliseconds until the first token can be chosen, the median."""
    prompt, times = [10 + i for i in range(length)], []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        engine.start([prompt])
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[1:])


def many(engine: Engine, size: int, rounds: int) -> float:
    """Tokens a second of so many replies at once, 32 tokens each, the median."""
    prompts, times = [[10 + i for i in range(PROMPT)]] * size, []
    for _ in range(min(rounds, 3) + 1):
        step = engine.start(prompts)
        began = time.perf_counter()
        for _ in range(32):
            step = engine.step(step.logits.argmax(-1).tolist(), step.state)
        times.append(time.perf_counter() - began)
    return 32 * size / statistics.median(times[1:])


def engines(bot: Bot) -> list[str]:
    """Those that have the bot's family."""
    light = ["light"] if bot.family in LIGHT else []
    graphs = ["onnx", "int8"] if bot.family in ONNX else []
    loops = ["half", "bytes"] if bot.family in LOOPS else []
    return ["torch", *light, *graphs, *(["speculative"] if bot.family == "gpt" else []), *loops]


def decoders(bot: Bot, llama_bench: Path | None, folder: Path) -> dict[str, Decoder]:
    """By name; ratios are to the first. folder: for files that others read."""
    others = {"gpt": llama, "seq2seq": greedy_tutorial}[bot.family](bot)
    if llama_bench and bot.family == "gpt":
        for kind in GGUF:
            file = gguf_file.write(bot.checkpoint, kind, folder / f"{kind}.gguf")
            others[f"llama.cpp, {kind}"] = llama_cpp(llama_bench, file)
    loaded = {name: Bot.load(bot.checkpoint.folder, "cpu", name).responder.engine for name in engines(bot)}
    return {**others, **{f"chatbot, {name}": ours(engine) for name, engine in loaded.items()}}


def llama_cpp(program: Path, file: Path) -> Decoder:
    """llama.cpp's own measurement of the same work, on as many threads as torch has here."""
    work = ["-p", "0", "-n", "0", "-pg", f"{PROMPT},{NEW}", "-r", "1", "-t", str(torch.get_num_threads())]

    def decode(prompt: list[int]) -> float:
        said = subprocess.run(
            [program, "-m", file, *work, "-o", "json"], check=True, capture_output=True, text=True
        )
        seconds: float = (PROMPT + NEW) / json.loads(said.stdout)[0]["avg_ts"]
        return seconds

    return decode


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
            told = decode(prompt)
            if number:
                seconds[name].append(time.perf_counter() - began if told is None else told)
    return seconds


def table(seconds: Mapping[str, list[float]], limit: float) -> list[str]:
    """Markdown; limit: tokens a second."""
    first = next(iter(seconds.values()))
    lines = ["| decoder | tokens/s | ratio | of the float32 limit |", "|---|---|---|---|"]
    for name, times in seconds.items():
        speed = NEW / statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(first, times, strict=True))
        lines.append(f"| {name} | {speed:,.0f} | {ratio:.2f} | {speed / limit:.0%} |")
    limits = {"float32": limit, "int8": limit * INT8}
    return [
        *lines,
        *(f"| reading {kind} weights once a token | {at:,.0f} | | |" for kind, at in limits.items()),
    ]


def reading() -> float:
    """Bytes a second."""
    matrix, vector = np.ones((16384, 1024), np.float32), np.ones(1024, np.float32)
    times = []
    for _ in range(9):
        began = time.perf_counter()
        matrix @ vector
        times.append(time.perf_counter() - began)
    return matrix.nbytes / statistics.median(times)


def one_shot(name: str, engine: str, rounds: int) -> tuple[float, float]:
    """Seconds from Enter to exit, the median, and the most memory that was taken, in millions of bytes."""
    program = str(Path(sys.executable).with_name("chatbot"))
    command = [program, "chat", name, "--engine", engine, "--seed", "1", "-p", "hi"]
    times, memory = [], 0
    for number in range(rounds + 1):
        began = time.perf_counter()
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not number and running.poll() is None:  # the first is looked at, the others are timed
            memory = max(memory, resident(running.pid))
            time.sleep(0.002)
        if running.wait():
            raise click.ClickException(f"this failed: {' '.join(command)}")
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]), memory / 1e6


def resident(process: int) -> int:
    """Bytes of memory that a process has; 0 if it has ended."""
    with suppress(psutil.Error):
        taken: int = psutil.Process(process).memory_info().rss
        return taken
    return 0


if __name__ == "__main__":
    main()
