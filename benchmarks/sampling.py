"""What guidance and temperature do to replies: fit, fluency, overlap and variety, side by side.

    python benchmarks/sampling.py corpora/cornell cornell-gpt cornell-seq2seq

The first bot replies to validation prompts; the second, which must have the same tokenizer, judges. fit: by
how many nats the last turn's words make the reply more probable, in the judge's eyes (pointwise mutual
information); nats: a token's, given the prompt, in the judge's eyes. The humans' replies come last.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chatbot.bot import Bot
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import split
from chatbot.evaluation import texts
from chatbot.evaluation.likelihood import scores
from chatbot.preparation import Example, encode, exchanges
from chatbot.tokenizer import silenced

PROMPTS = 250
GUIDANCE = (0.0, 0.5, 1.0, 2.0)
TEMPERATURE = (0.5, 0.7, 1.0)


def main() -> None:
    """A Markdown table, a line for each setting."""
    corpus, name, judge_name = sys.argv[1:]
    bot, judge = Bot.load(name, engine="torch"), Bot.load(judge_name, engine="torch")
    facts, opened = bot.checkpoint.config.corpus, open_corpus(Path(corpus))
    cleaned = clean(opened, from_dict(CleaningConfig, facts["cleaning"]), opened.report)
    data = encode(split(cleaned, facts["split"]).validation, bot.checkpoint.tokenizer)
    examples = list(exchanges(data, bot.responder.examples).some(PROMPTS))
    prompts = [example.prompt for example in examples]
    humans = [bot.checkpoint.tokenizer.decode(example.reply) for example in examples]
    print("| guidance | temperature | fit | nats | F1 | chrF | distinct-2 | 20 commonest | words |")
    print("|---" * 9 + "|")
    for guidance, temperature in itertools.product(GUIDANCE, TEMPERATURE):
        sampling = dataclasses.replace(bot.sampling, guidance=guidance, temperature=temperature, seed=0)
        replies = bot.responder.with_sampling(sampling).reply_all(prompts)
        print(_line(f"{guidance} | {temperature}", replies, humans, prompts, judge), flush=True)
    print(_line("humans | ", humans, humans, prompts, judge))


def _line(
    start: str, replies: Sequence[str], humans: Sequence[str], prompts: Sequence[list[int]], judge: Bot
) -> str:
    fit, nats = _judged(replies, prompts, judge)
    overlap = f"{texts.f1(replies, humans).total:.3f} | {texts.chrf(replies, humans).total:.1f}"
    variety = f"{texts.distinct_2(replies).total:.2f} | {texts.commonest_share(replies).total:.0%}"
    return f"| {start} | {fit:.2f} | {nats:.2f} | {overlap} | {variety} | {texts.length(replies).total:.1f} |"


def _judged(replies: Sequence[str], prompts: Sequence[list[int]], judge: Bot) -> tuple[float, float]:
    tokenizer, engine = judge.checkpoint.tokenizer, judge.responder.engine
    ids = [[*tokenizer.encode(reply), tokenizer.end] for reply in replies]
    prompted = scores(engine, [Example(*pair) for pair in zip(prompts, ids, strict=True)])
    silent = scores(engine, [Example(silenced(p), reply) for p, reply in zip(prompts, ids, strict=True)])
    return float(np.mean(silent[0] - prompted[0])), float(prompted[0].sum() / prompted[1].sum())


if __name__ == "__main__":
    main()
