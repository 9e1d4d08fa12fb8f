"""What rules, searches and styles do to replies: fit, fluency, overlap and variety, side by side.

    python -m benchmarks.sampling corpora/cornell cornell-gpt cornell-seq2seq
    python -m benchmarks.sampling corpora/cornell cornell-gpt cornell-seq2seq --grid  # guidance x temperature
    python -m benchmarks.sampling corpora/cornell cornell-gpt cornell-seq2seq --hits  # who ranks well
    python -m benchmarks.sampling corpora/cornell cornell-gpt cornell-seq2seq --read  # replies to our prompts

The first bot replies to validation prompts; the second, which must have the same tokenizer, judges. fit: by
how many nats the last turn's words make the reply more probable, in the judge's eyes (pointwise mutual
information); nats: a token's, given the prompt, in the judge's eyes. The humans' replies come last.
--hits: how often the human's reply is the best of 20 (the others are those to other prompts) when the bot
ranks them as it ranks its own candidates, by each score.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.prompts import MORE, PROMPTS
from chatbot.bot import Bot
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import split
from chatbot.decoding import alone
from chatbot.decoding.styles import STYLES
from chatbot.evaluation import texts
from chatbot.evaluation.likelihood import candidate_scores, scores
from chatbot.preparation import Example, encode, exchanges
from chatbot.tokenizer import silenced

GRID = {
    f"guidance {guidance}, temperature {temperature}": {"guidance": guidance, "temperature": temperature}
    for guidance, temperature in itertools.product((0.0, 0.5, 1.0, 2.0), (0.5, 0.7, 1.0))
}
WIDE = {"top_k": 0, "top_p": 1.0, "temperature": 1.0}  # what a truncation is tried on
Settings = Mapping[str, Any]  # Any: settings are of several types
RULES: Mapping[str, Settings] = {
    "as it is": {},
    "the model's own probabilities": {**WIDE, "guidance": 0.0},
    "greedy": {"temperature": 0.0},
    "temperature 0.7": {"temperature": 0.7},
    "temperature 1": {"temperature": 1.0},
    "no guidance": {"guidance": 0.0},
    "guidance 2": {"guidance": 2.0},
    "top-k 40 alone": {**WIDE, "top_k": 40},
    "top-p 0.9 alone": {**WIDE, "top_p": 0.9},
    "min-p 0.1 alone": {**WIDE, "min_p": 0.1},
    "typical 0.9 alone": {**WIDE, "typical": 0.9},
    "repetition penalty 1.2": {"repetition_penalty": 1.2},
    "presence penalty 0.5": {"presence_penalty": 0.5},
    "frequency penalty 0.5": {"frequency_penalty": 0.5},
    "again 4": {"again": 4.0},
    "repeats as they come": {"no_repeat": 0},
    "no repeat of 3": {"no_repeat": 3},
    "no repeat of 5": {"no_repeat": 5},
    "no echo of 3": {"no_echo": 3},
    "at least 6 tokens": {"min_tokens": 6},
    "beams 5": {"beams": 5},
    "beams 5, no guidance": {"beams": 5, "guidance": 0.0},
    "8 candidates, likelihood": {"candidates": 8, "score": "likelihood"},
    "8 candidates, fit": {"candidates": 8, "score": "fit"},
    "8 candidates, balance": {"candidates": 8, "score": "balance"},
    "8 candidates, balance, temperature 1": {"candidates": 8, "temperature": 1.0, "score": "balance"},
    "8 candidates, likelihood, temperature 1": {"candidates": 8, "temperature": 1.0, "score": "likelihood"},
}
SECOND: Mapping[str, Settings] = {  # for which a bot that learned backwards is needed
    "8 candidates, bidi": {"candidates": 8, "score": "bidi"},
    "8 candidates, backward": {"candidates": 8, "score": "backward"},
    "8 candidates, bidi, temperature 1": {"candidates": 8, "temperature": 1.0, "score": "bidi"},
    "8 candidates, backward, temperature 1": {"candidates": 8, "temperature": 1.0, "score": "backward"},
}
TEN = (*PROMPTS, *MORE)
AMONG = 20  # replies, one of which is the human's
HEADS = {
    False: "| | fit | nats | F1 | chrF | distinct-2 | 20 commonest | words |",
    True: "| | " + " | ".join(TEN) + " |",
}
CHOICES: Mapping[str, Settings] = {**RULES, **{f"style {name}": style for name, style in STYLES.items()}}


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("name")
@click.argument("judge_name")
@click.option("--prompts", "count", default=500, show_default=True)
@click.option("--grid", is_flag=True, help="Guidance and temperature instead.")
@click.option("--backward", help="A bot that learned backwards, for the scores that ask one.")
@click.option("--choice", "chosen", multiple=True, help="[default: all]")
@click.option("--hits", is_flag=True, help="How candidates are ranked instead.")
@click.option("--read", is_flag=True, help="Replies to ten prompts of ours instead.")
def main(
    corpus: Path,
    name: str,
    judge_name: str,
    count: int,
    grid: bool,
    backward: str | None,
    chosen: tuple[str, ...],
    hits: bool,
    read: bool,
) -> None:
    """A Markdown table, a line for each setting."""
    bot, judge = Bot.load(name, engine="torch"), Bot.load(judge_name, engine="torch")
    prompts, humans = asked(bot, corpus, count)
    if hits:
        click.echo("\n".join(ranked(bot, prompts, humans)))
        return
    if backward:
        bot = bot.with_backward(Bot.load(backward, engine="torch"))
    known = GRID if grid else {**CHOICES, **(SECOND if backward else {})}
    unknown = [title for title in chosen if title not in known]
    if unknown:
        raise click.UsageError(f"no choice is called {unknown[0]}; there are: {', '.join(known)}")
    click.echo(HEADS[read] + "\n" + "|---" * (HEADS[read].count("|") - 1) + "|")
    for title in chosen or known:
        sampling = dataclasses.replace(bot.sampling, **{"seed": 0, **alone(known[title]), **known[title]})
        if read:
            own = bot.with_sampling(sampling)
            said = [own.reply(prompt).text for prompt in TEN]
            click.echo(f"| {title} | " + " | ".join(text.replace("|", "/") for text in said) + " |")
        else:
            said = bot.responder.with_sampling(sampling).reply_all(prompts)
            click.echo(_line(title, said, humans, prompts, judge))
    if not read:
        click.echo(_line("humans", humans, humans, prompts, judge))


def ranked(bot: Bot, prompts: Sequence[list[int]], humans: Sequence[str]) -> Iterator[str]:
    """Markdown: hits@1 of 20, a line for each score; the mean log probability of a token is one."""
    tokenizer, count = bot.checkpoint.tokenizer, len(prompts)
    ids = [[*tokenizer.encode(reply), tokenizer.end] for reply in humans]
    others = np.random.default_rng(0).integers(1, count, (count, AMONG - 1))
    rows = (np.arange(count)[:, None] + np.concatenate([np.zeros((count, 1), int), others], 1)) % count
    replies = [[ids[j] for j in row] for row in rows]
    means = []
    for read in (prompts, [silenced(prompt) for prompt in prompts]):
        nats, tokens, _ = candidate_scores(bot.responder.engine, read, replies)
        means.append(-(nats / tokens).reshape(rows.shape))
    likelihood, fit = means[0], means[0] - means[1]
    yield f"| score | hits@1 of {AMONG} |\n|---|---|"
    for name, found in {"likelihood": likelihood, "fit": fit, "balance": (likelihood + fit) / 2}.items():
        hit = found.argmax(1) == 0
        yield f"| {name} | {hit.mean():.1%} ±{1.96 * hit.std() / math.sqrt(count):.1%} |"


def asked(bot: Bot, corpus: Path, count: int) -> tuple[list[list[int]], list[str]]:
    """Prompts of the validation part, and what humans replied."""
    facts, opened = bot.checkpoint.config.corpus, open_corpus(corpus)
    cleaned = clean(opened, from_dict(CleaningConfig, facts["cleaning"]), opened.report)
    data = encode(split(cleaned, facts["split"]).validation, bot.checkpoint.tokenizer)
    examples = list(exchanges(data, bot.responder.examples).some(count))
    humans = [bot.checkpoint.tokenizer.decode(example.reply) for example in examples]
    return [example.prompt for example in examples], humans


def _line(
    start: str, replies: Sequence[str], humans: Sequence[str], prompts: Sequence[list[int]], judge: Bot
) -> str:
    fit, nats = judged(replies, prompts, judge)
    overlap = f"{texts.f1(replies, humans).total:.3f} | {texts.chrf(replies, humans).total:.1f}"
    variety = f"{texts.distinct_2(replies).total:.2f} | {texts.commonest_share(replies).total:.0%}"
    return f"| {start} | {fit:.2f} | {nats:.2f} | {overlap} | {variety} | {texts.length(replies).total:.1f} |"


def judged(replies: Sequence[str], prompts: Sequence[list[int]], judge: Bot) -> tuple[float, float]:
    """In the judge's eyes, the mean fit of the replies to their prompts and nats a token, ends included."""
    tokenizer, engine = judge.checkpoint.tokenizer, judge.responder.engine
    ids = [[*tokenizer.encode(reply), tokenizer.end] for reply in replies]
    prompted = scores(engine, [Example(*pair) for pair in zip(prompts, ids, strict=True)])
    silent = scores(engine, [Example(silenced(p), reply) for p, reply in zip(prompts, ids, strict=True)])
    return float(np.mean(silent[0] - prompted[0])), float(prompted[0].sum() / prompted[1].sum())


if __name__ == "__main__":
    main()
