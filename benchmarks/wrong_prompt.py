"""What bots take from a prompt: held-out replies after their own prompt, and after that of another.

    python benchmarks/wrong_prompt.py corpora/cornell cornell-seq2seq cornell-gpt

4,000 whole replies, evenly spread over the test fold that the bots were trained with. Nats per word; less is
better, and what the wrong prompt costs is what the right one was worth.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from chatbot.bot import Bot
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import Folds, split
from chatbot.evaluation.likelihood import scores
from chatbot.evaluation.statistics import Statistic, difference
from chatbot.preparation import UNCUT, Example, encode, exchanges

REPLIES, FURTHER = 4000, 33  # the wrong prompt is of the reply so many places further
RESAMPLES = 2000


def main() -> None:
    """A Markdown table, a line a bot."""
    corpus, *names = sys.argv[1:]
    print("| | right prompt | wrong prompt | the right one is worth |\n|---|---|---|---|")
    for name in names:
        bot = Bot.load(name, engine="torch")
        print(_line(bot, _folds(Path(corpus), bot)), flush=True)


def _line(bot: Bot, folds: Folds) -> str:
    limits = dataclasses.replace(bot.responder.examples, reply_limit=UNCUT)
    replies = exchanges(encode(folds.test, bot.checkpoint.tokenizer), limits).some(REPLIES)
    right = list(replies)
    wrong = [Example(right[(i + FURTHER) % len(right)].prompt, e.reply) for i, e in enumerate(right)]
    words = replies.data.words[replies.spans[:, 1]]
    own, other = (Statistic.ratio(scores(bot.responder.engine, some)[0], words) for some in (right, wrong))
    worth = difference(other, own, RESAMPLES, seed=0)
    half = (worth.high - worth.low) / 2
    return f"| {bot.name} | {own.total:.3f} | {other.total:.3f} | {worth.value:.3f} ± {half:.3f} |"


def _folds(corpus: Path, bot: Bot) -> Folds:
    """Divided as the bot's corpus was."""
    facts, opened = bot.checkpoint.config.corpus, open_corpus(corpus)
    cleaning = from_dict(CleaningConfig, facts["cleaning"])
    return split(clean(opened, cleaning, opened.report), facts["split"])


if __name__ == "__main__":
    main()
