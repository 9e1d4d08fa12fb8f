"""What rounding costs: likelihood of held-out replies, and how many greedy replies change.

    python -m benchmarks.rounding checkpoints/cornell-gpt corpora/cornell
    python -m benchmarks.rounding talk-gpt corpora/smalltalk --packed starter-gpt

Engines, and the same bot packed into half precision, are compared to the light one, on the same exchanges of
the validation part, token by token as in a chat.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import numpy as np
from scipy.special import log_softmax

from benchmarks.decoding import engines
from chatbot.bot import Bot
from chatbot.checkpoint import find
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import split
from chatbot.decoding import SamplingConfig
from chatbot.engines.base import Engine
from chatbot.preparation import UNCUT, Example, Examples, Figures, encode, exchanges


@click.command(help=__doc__)
@click.argument("name")
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=1000, show_default=True, help="Exchanges.")
@click.option("--packed", help="The same bot, packed.")
def main(name: str, corpus: Path, count: int, packed: str | None) -> None:
    """A table."""
    bot = Bot.load(name)
    here = [name for name in engines(bot) if name != "torch"]
    kinds = [(engine, bot.checkpoint.folder, engine) for engine in here]
    kinds += [("light, half precision", find(packed), "light")] if packed else []
    replies = held_out(bot, corpus, count)
    greedy = SamplingConfig(temperature=0, guidance=0)
    click.echo("| engine | nats a word | bits a byte | more | the same greedy reply |\n|---|---|---|---|---|")
    first: Figures | None = None
    said: list[str] = []
    for kind, folder, engine in kinds:
        responder = Bot.load(folder, "cpu", engine).with_sampling(greedy).responder
        nats = sum(spent(responder.engine, example) for example in replies)
        tokens = sum(len(example.reply) for example in replies)
        figures = Figures.of(nats, tokens, replies)
        answers = responder.reply_all([example.prompt for example in replies])
        first, said = first or figures, said or answers
        more = figures.bits_per_byte / first.bits_per_byte - 1
        alike = np.mean([a == b for a, b in zip(said, answers, strict=True)])
        likely = f"{figures.nats_per_word:.4f} | {figures.bits_per_byte:.4f} | {more:+.3%}"
        click.echo(f"| {kind} | {likely} | {alike:.1%} |")


def held_out(bot: Bot, corpus: Path, count: int) -> Examples:
    """Exchanges of the validation part, evenly spread."""
    opened = open_corpus(corpus)
    facts = bot.checkpoint.config.corpus
    cleaned = clean(opened, from_dict(CleaningConfig, facts["cleaning"]), opened.report)
    part = split(cleaned, facts["split"]).validation
    spoken = {turn.speaker for dialogue in part for turn in dialogue.turns}
    speaker = bot.responder.examples.speaker
    uncut = dataclasses.replace(
        bot.responder.examples, reply_limit=UNCUT, speaker=speaker if speaker in spoken else ""
    )
    return exchanges(encode(part, bot.checkpoint.tokenizer), uncut).some(count)


def spent(engine: Engine, example: Example) -> float:
    """Nats of a reply, its end mark's included."""
    step, nats = engine.start([example.prompt]), 0.0
    for i, token in enumerate(example.reply):
        nats -= float(log_softmax(step.logits[0].astype(np.float64))[token])
        if i + 1 < len(example.reply):
            step = engine.step([token], step.state)
    return nats


if __name__ == "__main__":
    main()
