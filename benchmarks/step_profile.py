"""Where the time of a training step goes, against what this machine can do.

    python -m benchmarks.step_profile

Of each family, at the default size, a step of 2,048 tokens: every part is run by itself, forward and
backward, on random values of the step's shapes; "the rest" is what the whole step takes beside them. The
speed of a part is that of its matrix products. Medians; nothing else should run meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import click
import numpy as np
import torch
from torch import Tensor, nn

from chatbot.batches import Batches, PairBatch, StreamBatch
from chatbot.config import to_dict
from chatbot.engines.base import Precision
from chatbot.engines.torch import AnyModel, build, choose_precision, products
from chatbot.models import FAMILIES
from chatbot.models.blocks import rotation
from chatbot.models.gpt import GPT
from chatbot.models.loss import output_loss
from chatbot.models.seq2seq import Seq2Seq
from chatbot.preparation import Encoded, ExamplesConfig, dialogues, exchanges
from chatbot.sizes import DEFAULT_SIZE, SIZES
from chatbot.tokenizer import TokenizerConfig
from chatbot.training import TrainingConfig
from chatbot.training.memory import keep_freed
from chatbot.training.optimization import optimizer

CPU = torch.device("cpu")
TURN, TURNS = 14, 3.7  # tokens of a turn, turns of a dialogue, as in the Cornell corpus


@dataclass(frozen=True)
class Part:
    """work: what is timed; flops: of its products, forward and backward."""

    name: str
    work: Callable[[], object]
    flops: float = 0.0


def corpus(vocabulary: int) -> Encoded:
    """Random dialogues of about the Cornell corpus's lengths."""
    random = np.random.default_rng(0)
    turns = 1 + random.geometric(1 / (TURNS - 1), 2000)
    lengths = 1 + random.geometric(1 / (TURN - 1), int(turns.sum()))
    ones = np.ones(len(lengths), np.int32)
    return Encoded(
        tokens=random.integers(5, vocabulary, int(lengths.sum())).astype(np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        first=np.concatenate([[0], np.cumsum(turns)]),
        speaker=np.concatenate([np.arange(n) % 2 for n in turns]).astype(np.int32),
        words=ones,
        size=ones,
    )


def through(
    layer: Callable[..., Tensor], *shapes: tuple[int, ...], precision: Precision
) -> Callable[[], None]:
    """Forward and backward of a layer on random values, the gradient of its input included."""
    inputs = [torch.randn(shape, requires_grad=True) for shape in shapes]

    def work() -> None:
        with products(precision, CPU):
            y = layer(*inputs)
        y.float().sum().backward()  # type: ignore[no-untyped-call]

    return work


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.dim() == 2)


def gpt_parts(model: GPT, batch: StreamBatch, precision: Precision) -> Iterator[Part]:
    """Of all blocks: norm, attention and feed-forward."""
    (rows, length), config = batch.tokens.shape, model.config
    shape, tokens = (rows, length, config.width), rows * length
    turn = rotation(torch.arange(length)[None], model.size, config.rotary_base)
    block = model.blocks[0]
    layers = config.layers

    def attention(x: Tensor) -> Tensor:
        y: Tensor = block.attention(block.attention_norm(x), turn)  # type: ignore[operator]
        return y

    def feed(x: Tensor) -> Tensor:
        y: Tensor = block.feed(block.feed_norm(x))  # type: ignore[operator]
        return y

    scores = 2 * 6 * tokens * length * config.width / 2  # causal: half of them
    for name, layer, part, more in (
        ("attention", attention, block.attention, scores),
        ("feed-forward", feed, block.feed, 0.0),
    ):
        one = through(layer, shape, precision=precision)
        count = weights(part)  # type: ignore[arg-type]
        yield Part(name, repeated(one, layers), layers * (6 * count * tokens + more))


def seq2seq_parts(model: Seq2Seq, batch: PairBatch, precision: Precision) -> Iterator[Part]:
    """Encoder, decoder, attention."""
    width = model.config.width
    (rows, read), said = batch.prompt.shape, batch.reply.size(1) - 1
    mask = torch.ones(rows, read, dtype=torch.bool)
    encoder = through(lambda x: model.encoder(x, mask)[0], (rows, read, width), precision=precision)
    yield Part("encoder", encoder, 6 * weights(model.encoder) * rows * read)
    for layer in model.decoder:
        one = through(layer, (rows, said, width), (rows, width), precision=precision)
        yield Part("decoder", one, 6 * weights(layer) * rows * said)

    def look(query: Tensor, memory: Tensor) -> Tensor:
        y: Tensor = model.attention(query, model.attention.keys(memory), memory, mask)[0]
        return y

    shapes = (rows, said, width), (rows, read, width)
    yield Part(
        "attention", through(look, *shapes, precision=precision), 6 * weights(model.attention) * rows * said
    )


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def parts(
    model: AnyModel, batches: Batches, batch: PairBatch | StreamBatch, precision: Precision
) -> Iterator[Part]:
    """The whole step first, then what it is made of."""
    config = TrainingConfig(learning_rate=1e-3)
    follow = optimizer(model, config)

    def learn() -> None:
        with products(precision, CPU):
            loss = model.loss(batch)
        follow.zero_grad()
        (loss.total / loss.tokens).backward()  # type: ignore[no-untyped-call]
        update()

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        follow.step(1e-3)

    yield Part("the whole step", learn)
    walk = cycle(iter(batches))
    yield Part("input", lambda: next(walk))
    if isinstance(model, GPT) and isinstance(batch, StreamBatch):
        yield from gpt_parts(model, batch, precision)
    elif isinstance(model, Seq2Seq) and isinstance(batch, PairBatch):
        yield from seq2seq_parts(model, batch, precision)
    with torch.no_grad():
        targets = model.predict(batch)[1].flatten()
    targets = targets[targets >= 0]
    weight, bias = model.output_layer()
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    features = torch.randn(len(targets), weight.size(1), dtype=kind, requires_grad=True)

    def output() -> None:
        output_loss(features, weight, bias, targets).backward()  # type: ignore[no-untyped-call]

    yield Part("output layer and loss", output, 6 * weight.numel() * len(targets))
    yield Part("clipping and optimizer", update)


def seconds(work: Callable[[], object], runs: int = 9) -> float:
    """The median of some calls, after two that are not counted."""
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def peaks() -> Iterator[tuple[str, float]]:
    """Of products of 1,024 x 1,024 in GFLOP/s, of copying 256 MB in GB/s."""
    for kind in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(1024, 1024).to(kind) for _ in range(2))
        yield f"{kind}".removeprefix("torch."), 2 * 1024**3 / seconds(lambda a=a, b=b: a @ b) / 1e9  # type: ignore[misc]
    block = torch.zeros(1 << 26)
    target = torch.empty_like(block)
    yield "copy", 2 * 4 * block.numel() / seconds(lambda: target.copy_(block)) / 1e9


@click.command(help=__doc__)
@click.option("--size", type=click.Choice(list(SIZES)), default=DEFAULT_SIZE, show_default=True)
@click.option("--tokens", default=2048, show_default=True)
def main(size: str, tokens: int) -> None:
    """Print a table for each family."""
    keep_freed()
    found, precision = dict(peaks()), choose_precision("auto", CPU)
    machine = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {precision}"
    speeds = f"{found['float32']:.0f} GFLOP/s in float32, {found['bfloat16']:.0f} in bfloat16"
    click.echo(f"{machine}; products {speeds}; memory {found['copy']:.1f} GB/s")
    for family in FAMILIES:
        config = FAMILIES.load(family).Config.sized(SIZES[size], TokenizerConfig().vocabulary)
        model = build(family, to_dict(config), seed=0).train()
        data = corpus(config.vocabulary)
        examples = (dialogues if model.learns_prompt else exchanges)(data, ExamplesConfig())
        batches = Batches(examples, model.batch, tokens, seed=0)
        batch = sorted((next(iter(batches)) for _ in range(31)), key=_cells)[15]  # the one in the middle
        show(family, list(parts(model, batches, batch, precision)), found[precision])


def _cells(batch: PairBatch | StreamBatch) -> int:
    return batch.reply.numel() if isinstance(batch, PairBatch) else batch.tokens.size(1)


def show(family: str, found: list[Part], peak: float) -> None:
    times = [seconds(part.work) for part in found]
    whole = times[0]
    click.echo(f"\n| {family} | ms | share | GFLOP/s | of the peak |\n|---|---|---|---|---|")
    for part, took in zip(found, times, strict=True):
        speed = part.flops / took / 1e9
        shown = f"{speed:.0f} | {speed / peak:.0%}" if part.flops else " | "
        click.echo(f"| {part.name} | {1000 * took:.1f} | {took / whole:.0%} | {shown} |")
    rest = 2 * whole - sum(times)
    click.echo(f"| the rest | {1000 * rest:.1f} | {rest / whole:.0%} | | |")
    speed = sum(part.flops for part in found) / whole / 1e9
    click.echo(f"products: {speed / peak:.0%} of the peak over the whole step")


if __name__ == "__main__":
    main()
