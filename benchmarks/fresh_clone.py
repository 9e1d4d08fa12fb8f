"""What a newcomer waits for: clone, the README's first command, and the first reply, in a terminal.

    python -m benchmarks.fresh_clone

Of what is committed here. Packages come from wherever pip gets them: that part says more about the network.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.latency import answered
from tests.terminals import Screen

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r"^(python3 -m venv .*) && (\S*chatbot chat)$", re.MULTILINE)
PROMPT = "hi"
LONGEST = 1800  # seconds for the packages


@click.command(help=__doc__)
def main() -> None:
    """A line for each wait."""
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "chatbot"
        begun = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        click.echo(f"clone: {time.perf_counter() - begun:.1f} s")
        found = COMMAND.search((clone / "README.md").read_text(encoding="utf-8"))
        if found is None:
            raise click.ClickException("the README has no such command")
        install, chat = found[1], found[2]
        begun = time.perf_counter()
        subprocess.run(install, shell=True, check=True, cwd=clone, stdout=subprocess.DEVNULL, timeout=LONGEST)
        click.echo(f"{install}: {time.perf_counter() - begun:.1f} s")
        for which in ("the first time", "again"):
            click.echo(f"{chat}, {which}: {_talked(clone, chat, Path(folder) / 'home')}")


def _talked(clone: Path, chat: str, home: Path) -> str:
    """Start, say something, and see how long the prompt and the reply's first character take."""
    os.chdir(clone)  # bots are looked for there
    begun = time.perf_counter()
    screen = Screen(home, chat.split(), columns=100, PYTHONPATH=str(clone))
    screen.wait(lambda: screen.prompts)
    ready = screen.read_at - begun
    screen.press(PROMPT)
    screen.wait_for(f"> {PROMPT}")
    first = answered(screen)
    said = screen.said[-1]
    screen.kill()
    return f"open prompt after {ready:.2f} s; first character {first * 1e3:.0f} ms after Enter; {said!r}"


if __name__ == "__main__":
    main()
