"""What the rule `again` does over whole conversations: how often a bot repeats itself, and at what price.

    python -m benchmarks.again starter-gpt starter-seq2seq corpora/plaintalk

Of the validation part, conversations of four turns of the user and more: the bot answers each of them, with
its own earlier replies in its memory. repeated: of replies, how many it had given before in the conversation;
fit and nats: in the eyes of the second bot, as in benchmarks/sampling.py; then distinct-2, the share of the
20 commonest replies, and words in a reply. The humans' replies come last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.sampling import judged
from chatbot.bot import Bot
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import split
from chatbot.dialogue import Dialogue, Turn
from chatbot.evaluation import texts

VALUES = 0.0, 1.0, 2.0, 4.0
TURNS = 8  # four of the user's, and the replies to them
Replies = list[list[str]]  # of each conversation


@click.command(help=__doc__)
@click.argument("name")
@click.argument("judge_name")
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--count", default=200, show_default=True, help="Conversations.")
def main(name: str, judge_name: str, corpus: Path, count: int) -> None:
    """A Markdown table, a line for each value."""
    bot, judge = Bot.load(name), Bot.load(judge_name, engine="torch")
    heard = held_out(bot, corpus, count)
    click.echo("| | repeated | fit | nats | distinct-2 | 20 commonest | words |\n" + "|---" * 7 + "|")
    for value in VALUES:
        sampling = dataclasses.replace(bot.sampling, again=value, seed=0)
        told = [list(answered(bot.with_sampling(sampling), dialogue)) for dialogue in heard]
        click.echo(line(f"`--again {value:g}`", heard, told, judge))
    humans = [[turn.text for turn in dialogue.turns[1::2]] for dialogue in heard]
    click.echo(line("humans", heard, humans, judge))


def held_out(bot: Bot, corpus: Path, count: int) -> list[Dialogue]:
    """The first long conversations of the validation part that the user begins."""
    opened, facts = open_corpus(corpus), bot.checkpoint.config.corpus
    cleaned = clean(opened, from_dict(CleaningConfig, facts["cleaning"]), opened.report)
    long = [each for each in split(cleaned, facts["split"]).validation if len(each.turns) >= TURNS]
    return [dialogue for dialogue in long if dialogue.turns[0].speaker == "user"][:count]


def answered(bot: Bot, dialogue: Dialogue) -> Iterator[str]:
    """The bot's replies to what the user said, each in the light of those before."""
    turns: tuple[Turn, ...] = ()
    for heard in dialogue.turns[::2]:
        reply = bot.reply(Dialogue((*turns, heard))).text
        turns = (*turns, heard, Turn("bot", reply))
        yield reply


def line(title: str, heard: Sequence[Dialogue], told: Replies, judge: Bot) -> str:
    """A row of the table."""
    repeated = np.mean([reply in replies[:i] for replies in told for i, reply in enumerate(replies)])
    said = [reply for replies in told for reply in replies]
    fit, nats = judged(said, list(prompts(heard, told, judge)), judge)
    variety = f"{texts.distinct_2(said).total:.2f} | {texts.commonest_share(said).total:.0%}"
    return (
        f"| {title} | {repeated:.1%} | {fit:.2f} | {nats:.2f} | {variety} | {texts.length(said).total:.1f} |"
    )


def prompts(heard: Sequence[Dialogue], told: Replies, judge: Bot) -> Iterator[list[int]]:
    """What the judge reads before each reply."""
    responder, examples = judge.responder, judge.responder.examples
    for dialogue, replies in zip(heard, told, strict=True):
        turns: tuple[Turn, ...] = ()
        for turn, reply in zip(dialogue.turns[::2], replies, strict=True):
            seen = (*turns, turn)[-examples.context :]
            yield [piece.token for piece in responder.tokenizer.prompt(seen, examples.prompt_limit)]
            turns = (*turns, turn, Turn("bot", reply))


if __name__ == "__main__":
    main()
