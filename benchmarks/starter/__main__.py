"""What a bot says to newcomers, in a long conversation and to the hostile, as Markdown, to be read.

    python -m benchmarks.starter starter-gpt > replies.md

A conversation's prompts stand on lines below each other, and the bot sees its own earlier replies. What
somebody thought of the replies to newcomers stands in verdicts/BOT.txt, and of the other fifties in
verdicts/BOT-newcomer2.txt and so on: the digest of the replies that were read, and then a letter for each:
s sensible, f fits but no more than that, d dull, w wrong. The table has no verdicts where the bot says
something else by now.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from chatbot.bot import Bot
from chatbot.dialogue import Dialogue, Turn
from chatbot.manners import offends
from chatbot.report import markdown

HERE = Path(__file__).parent
NEWCOMERS = (
    ("Newcomers", "newcomer.txt", ""),
    ("More newcomers", "newcomer2.txt", "-newcomer2"),
    ("Newcomers again", "newcomer3.txt", "-newcomer3"),
    ("Fresh newcomers", "newcomer4.txt", "-newcomer4"),
    ("The newest newcomers", "newcomer5.txt", "-newcomer5"),
    ("A sixth newcomer", "newcomer6.txt", "-newcomer6"),
    ("A seventh newcomer", "newcomer7.txt", "-newcomer7"),
    ("An eighth newcomer", "newcomer8.txt", "-newcomer8"),
    ("A ninth newcomer", "newcomer9.txt", "-newcomer9"),
    ("A tenth newcomer", "newcomer10.txt", "-newcomer10"),
    ("An eleventh newcomer", "newcomer11.txt", "-newcomer11"),
    ("A twelfth newcomer", "newcomer12.txt", "-newcomer12"),
    ("A thirteenth newcomer", "newcomer13.txt", "-newcomer13"),
    ("A fourteenth newcomer", "newcomer14.txt", "-newcomer14"),
    ("A fifteenth newcomer", "newcomer15.txt", "-newcomer15"),
    ("A sixteenth newcomer", "newcomer16.txt", "-newcomer16"),
    ("A seventeenth newcomer", "newcomer17.txt", "-newcomer17"),
    ("An eighteenth newcomer", "newcomer18.txt", "-newcomer18"),
    ("A nineteenth newcomer", "newcomer19.txt", "-newcomer19"),
    ("A twentieth newcomer", "newcomer20.txt", "-newcomer20"),
    ("A twenty-first newcomer", "newcomer21.txt", "-newcomer21"),
    ("A twenty-second newcomer", "newcomer22.txt", "-newcomer22"),
    ("A twenty-third newcomer", "newcomer23.txt", "-newcomer23"),
    ("A twenty-fourth newcomer", "newcomer24.txt", "-newcomer24"),
    ("A twenty-fifth newcomer", "newcomer25.txt", "-newcomer25"),
    ("A twenty-sixth newcomer", "newcomer26.txt", "-newcomer26"),
    ("A twenty-seventh newcomer", "newcomer27.txt", "-newcomer27"),
    ("A twenty-eighth newcomer", "newcomer28.txt", "-newcomer28"),
    ("A twenty-ninth newcomer", "newcomer29.txt", "-newcomer29"),
    ("A thirtieth newcomer", "newcomer30.txt", "-newcomer30"),
    ("A thirty-first newcomer", "newcomer31.txt", "-newcomer31"),
    ("A thirty-second newcomer", "newcomer32.txt", "-newcomer32"),
    ("A thirty-third newcomer", "newcomer33.txt", "-newcomer33"),
)
VERDICTS = {"s": "sensible", "f": "fits", "d": "dull", "w": "wrong"}
Exchange = tuple[str, str]


@click.command(help=__doc__)
@click.argument("name")
@click.option("--seed", default=0, show_default=True, help="Of every reply.")
def main(name: str, seed: int) -> None:
    """All of them, one after the other."""
    bot = Bot.load(name)
    for title, file, verdicts in NEWCOMERS:
        told = [list(talk(bot, prompts, seed)) for prompts in conversations(file)]
        click.echo(f"## {title}: {bot.name}\n\n{judged(bot.name + verdicts, told)}")
    (conversation,) = (list(talk(bot, prompts, seed)) for prompts in conversations("conversation.txt"))
    click.echo(f"## A conversation: {bot.name}\n\n{table([conversation])}")
    hostile = [list(talk(bot, [prompt], seed)) for (prompt,) in conversations("hostile.txt", apart=True)]
    said = sum(offends(reply) for exchanges in hostile for _, reply in exchanges)
    click.echo(
        f"## Hostile prompts: {bot.name}\n\n{said} of {len(hostile)} replies hold a word of manners.txt.\n"
    )
    click.echo(table(hostile))


def conversations(file: str, apart: bool = False) -> list[list[str]]:
    """The prompts of a file, those of a conversation together; apart: every line is one by itself."""
    text = (HERE / file).read_text(encoding="utf-8").strip()
    parts = text.split("\n" if apart else "\n\n")
    return [part.split("\n") for part in parts]


def talk(bot: Bot, prompts: list[str], seed: int) -> Iterator[Exchange]:
    """Each prompt and its reply, given all that was said before."""
    turns: tuple[Turn, ...] = ()
    for prompt in prompts:
        turns += (Turn("user", prompt),)
        reply = bot.reply(Dialogue(turns), seed=seed).text
        turns += (Turn("bot", reply),)
        yield prompt, reply


def judged(verdicts: str, told: list[list[Exchange]]) -> str:
    """The table with the verdicts of that name, and their sums; without them, the digest to judge by."""
    replies = [reply for exchanges in told for _, reply in exchanges]
    digest = hashlib.sha256("\n".join(replies).encode()).hexdigest()[:12]
    file = HERE / "verdicts" / f"{verdicts}.txt"
    read, *letters = file.read_text(encoding="utf-8").split() if file.is_file() else [""]
    if read != digest or len(letters) != len(replies):
        return f"Not judged yet; digest {digest}.\n\n{table(told)}"
    counts = Counter(letters)
    summed = ", ".join(f"{counts[letter]} {verdict}" for letter, verdict in VERDICTS.items())
    return f"{len(replies)} replies: {summed}.\n\n{table(told, [VERDICTS[letter] for letter in letters])}"


def table(told: list[list[Exchange]], verdicts: list[str] | None = None) -> str:
    """Numbered; what goes on from the line before it is marked."""
    rows = [(i > 0, *exchange) for exchanges in told for i, exchange in enumerate(exchanges)]
    lines = ["| | prompt | reply |" + " |" * bool(verdicts), "|---|---|---|" + "---|" * bool(verdicts)]
    for number, (goes_on, prompt, reply) in enumerate(rows, 1):
        verdict = f" {verdicts[number - 1]} |" if verdicts else ""
        lines.append(f"| {number} | {'... ' * goes_on}{markdown(prompt)} | {markdown(reply)} |{verdict}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
