"""What a bot answers to lines of people, several times each: to be judged, and learned from by `prefer`.

    python -m benchmarks.starter.draw starter-gpt lines.txt drawn.jsonl

lines.txt has conversations, a blank line between two, of what the user types. The bot's usual reply goes on
the conversation; beside it others are drawn freely. A line of drawn.jsonl: {"turns": [...], "replies":
{reply: how often}}, where the usual one counts for some more. Who judges turns that into {"turns", "good",
"bad"}, each reply so many times.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from chatbot.bot import Bot
from chatbot.corpus.cleaning import clean_text
from chatbot.dialogue import Turn
from chatbot.terminal.stages import track

USUAL = 3  # what the usual reply counts for


@click.command(help=__doc__)
@click.argument("name")
@click.argument("lines", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=5, show_default=True, help="Replies drawn beside the usual one.")
@click.option("--temperature", default=0.9, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(name: str, lines: Path, out: Path, count: int, temperature: float, seed: int) -> None:
    """Write them, turn by turn."""
    bot = Bot.load(name, engine="torch")
    text = lines.read_text(encoding="utf-8").strip()
    told = [[clean_text(line) for line in part.split("\n")] for part in text.split("\n\n")]
    with out.open("w", encoding="utf-8") as file:
        for turns, replies in drawn(bot, told, count, temperature, seed):
            said = [{"speaker": turn.speaker, "text": turn.text} for turn in turns]
            file.write(json.dumps({"turns": said, "replies": replies}, ensure_ascii=False) + "\n")


def drawn(
    bot: Bot, told: Sequence[Sequence[str]], count: int, temperature: float, seed: int
) -> Iterator[tuple[Sequence[Turn], Counter[str]]]:
    """Every line with what was said before it, and the replies to it."""
    turns: list[tuple[Turn, ...]] = [() for _ in told]
    for place in range(max(map(len, told))):
        going = [i for i, lines in enumerate(told) if len(lines) > place]
        for i in going:
            turns[i] += (Turn("user", told[i][place]),)
        asked = [turns[i] for i in going]
        usual = replies(bot, asked, "usual", seed=seed)
        others = [
            replies(bot, asked, f"drawn {n + 1}", seed=seed + 1000 * (n + 1), temperature=temperature)
            for n in range(count)
        ]
        for i, first, *rest in zip(going, usual, *others, strict=True):
            yield turns[i], Counter({first: USUAL}) + Counter(rest)
            turns[i] += (Turn("bot", first),)


def replies(
    bot: Bot, asked: Sequence[Sequence[Turn]], what: str, seed: int, temperature: float | None = None
) -> list[str]:
    """A reply to each conversation: the usual one, or with a temperature one that is drawn by itself."""
    own = bot.responder
    changed = replace(own.sampling, seed=seed)
    if temperature is not None:
        changed = replace(changed, temperature=temperature, candidates=1, beams=1)
    prompts = [
        [
            piece.token
            for piece in own.tokenizer.prompt(turns[-own.examples.context :], own.examples.prompt_limit)
        ]
        for turns in asked
    ]
    with track(what) as progress:
        return own.with_sampling(changed).reply_all(prompts, progress)


if __name__ == "__main__":
    main()
