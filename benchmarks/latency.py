"""How fast the chat answers: from Enter to the first character, the screen's own work, and the start.

    python -m benchmarks.latency checkpoints/starter-gpt checkpoints/starter-seq2seq --out docs/screens.md

In a real pseudo-terminal, medians. With --out, the table is put between the file's marks.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from benchmarks.screens import ASKED, put
from chatbot.terminal import replies
from chatbot.terminal.repl import writer
from chatbot.terminal.strip import LiveStrip
from chatbot.terminal.wrapping import Wrapped
from tests.fakes import scripted_bot
from tests.terminals import Screen

CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\s")  # what shows nothing
PROMPT = "Where are you going tonight?"
WORDS = [f"word{number}" for number in range(100)]
MILLISECOND = 1e-3


@click.command(help=__doc__)
@click.argument(
    "bots", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--rounds", default=20, show_default=True)
@click.option("--out", type=click.Path(exists=True, path_type=Path), help="Put the table into this file.")
def main(bots: tuple[Path, ...], rounds: int, out: Path | None) -> None:
    """Measure, and write a table."""
    of_bots = [row for bot in bots for row in answering(bot.resolve(), rounds)]
    busy = os.getloadavg()[0]
    table = [
        "| what | median | worst | target |",
        "|---|---|---|---|",
        *of_bots,
        _row("the screen's own work for a token, with the strip", own_work(rounds, True), "under 1 ms"),
        _row("the same without the strip", own_work(rounds, False), "under 1 ms"),
        _row("`chatbot --help`", [helped() for _ in range(rounds)], "under 0.3 s"),
        "",
        f"{rounds} rounds each; the machine has {os.cpu_count()} cores and a load of {busy:.1f}.",
    ]
    click.echo("\n".join(table))
    if out:
        put(out, "latency", "\n".join(table))


def answering(bot: Path, rounds: int) -> list[str]:
    """Rows of the table, of one bot."""
    first, ready = asked(bot, rounds), [opened(bot) for _ in range(rounds)]
    return [
        _row(f"{bot.name}: Enter to the first character of the reply", first, "under 50 ms"),
        _row(f"{bot.name}: start of `chatbot chat` to an open prompt", ready, "under 0.3 s"),
    ]


def asked(bot: Path, rounds: int) -> list[float]:
    """Seconds from Enter to the first character, each time in a conversation that is as long as before."""
    with TemporaryDirectory() as home:
        screen = Screen(Path(home), _command("chat", str(bot), "--seed", "0"))
        screen.open()
        found = []
        for _ in range(rounds):
            screen.press(PROMPT)
            screen.wait_for(f"> {PROMPT}")
            found.append(answered(screen))
            screen.enter("/clear")
        screen.kill()
    return found


def answered(screen: Screen) -> float:
    """Press Enter; the seconds until something is written after the prompt was closed."""
    begun, closed, opened = time.perf_counter(), screen.raw.count(ASKED), screen.prompts
    screen.press("\r")
    screen.wait(lambda: screen.raw.count(ASKED) > closed and CODES.sub(b"", screen.raw.rpartition(ASKED)[2]))
    seconds = screen.read_at - begun
    screen.open(opened + 1)
    return seconds


def opened(bot: Path) -> float:
    """Seconds until one can type."""
    with TemporaryDirectory() as home:
        begun = time.perf_counter()
        screen = Screen(Path(home), _command("chat", str(bot)))
        screen.wait(lambda: screen.prompts)
        seconds = screen.read_at - begun
        screen.open()
        screen.kill()
    return seconds


def helped() -> float:
    """Seconds that the help takes."""
    return _timed(lambda: subprocess.run(_command("--help"), check=True, stdout=subprocess.DEVNULL))


def own_work(rounds: int, with_strip: bool) -> list[float]:
    """Seconds a token that the screen takes, beside the model: a reply whose tokens are there already."""
    events = list(scripted_bot(" ".join(WORDS)).stream(PROMPT))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, width=80, force_terminal=True, color_system="256")

        def show() -> None:
            line = Wrapped(writer(nowhere), lambda: console.width)
            strip = LiveStrip(console, writer(nowhere), lambda: line.column)
            replies.show(strip.watched(iter(events)) if with_strip else iter(events), line.add)

        return [_timed(show) / len(WORDS) for _ in range(rounds)]


def _timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def _command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "chatbot", *arguments)


def _row(what: str, seconds: list[float], target: str) -> str:
    return f"| {what} | {_said(statistics.median(seconds))} | {_said(max(seconds))} | {target} |"


def _said(seconds: float) -> str:
    if seconds < MILLISECOND:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    main()
