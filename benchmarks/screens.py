"""What the chat looks like: text captures of a real terminal at three widths, and pictures of it in colour.

    python -m benchmarks.screens checkpoints/starter-gpt --out docs/screens.md

The program runs in a pseudo-terminal and draws on the screen of an emulator; the captures are that screen's
rows, and the pictures rich's export of its cells. They are put between the marks in the file; the rest of it
stays. The replies are the bot's, with seed 0.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from tests.terminals import Emulator, Screen

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # fetched from elsewhere; any monospace font will do
LINES = 160  # more than all of it, so that one screen holds it
WIDTHS, USUAL = (60, 100, 200), 100
TALK = ("I'm Nadia, and my cat is called Biscuit.", "what is my cat called?")
LOOKS = ("/attention", "/explain")
ASKED = b"\x1b[?2004l"  # the prompt is closed
DRAWN = b"\r\n\x1b[J"  # begins a drawing of the strip, and the taking away of one
THEMES: dict[str, TerminalTheme] = {"dark": SVG_EXPORT_THEME, "light": DEFAULT_TERMINAL_THEME}
NAMES = {"brown": "yellow"}  # what pyte calls otherwise than rich
Row = list[Any]  # pyte's cells


@click.command(help=__doc__)
@click.argument("bot", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", help="What the bot is called there, if not as its folder.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/screens.md"), show_default=True)
def main(bot: Path, name: str | None, out: Path) -> None:
    """Talk at each width, and write what stood on the screen."""
    with lodged(bot, name or bot.name) as place:
        told = [captured(place, bot.name, columns) for columns in WIDTHS]
        pictures = [one for columns in WIDTHS for one in coloured(place, columns, out)]
    put(out, "captures", "\n".join([*told, *pictures]))


def coloured(place: Path, columns: int, out: Path) -> Iterator[str]:
    """Pictures beside the file, and the Markdown that shows them."""
    yield f"## In colour, {columns} columns\n"
    with talking(place, columns) as screen:
        for theme in THEMES:
            width = "" if columns == USUAL else f"{columns}-"
            file = out.with_name(f"session-{width}{theme}.svg")
            picture(rows(screen), columns, file, theme)
            yield f"![{columns} columns, {theme}]({file.name})"
    yield ""


@contextmanager
def lodged(bot: Path, name: str) -> Iterator[Path]:
    """A folder with the bot alone in it, under this name, and all that a run leaves."""
    with TemporaryDirectory() as made:
        place = Path(made) / name
        shutil.copytree(bot, place, ignore=shutil.ignore_patterns("training*"))
        yield place


@contextmanager
def talking(place: Path, columns: int, *after: str, **more: str) -> Iterator[Screen]:
    """A screen with the conversation on it."""
    command = (sys.executable, "-m", "chatbot", "chat", str(place), "--seed", "0", "--attention")
    screen = Screen(place.parent / "home", command, columns=columns, lines=LINES, **more)
    try:
        screen.open()
        for line in (*TALK, *LOOKS, *after):
            screen.enter(line)
        yield screen
    finally:
        screen.kill()


def captured(place: Path, name: str, columns: int) -> str:
    """The conversation without colour, and a moment of it while the first reply came."""
    with talking(place, columns, "/help", NO_COLOR="1") as screen:
        whole, moment = text(rows(screen)), during(screen, columns)
    title = f"## {columns} columns, without colour\n"
    return "\n".join([title, "While a reply comes:\n", fenced(moment), "And after it:\n", fenced(whole)])


def during(screen: Screen, columns: int) -> str:
    """The rows as they stood in the middle of the first reply, with the strip below it."""
    emulator, moments = Emulator(columns, LINES, history=0), list[str]()
    emulator.answer = lambda text: None
    stream = pyte.ByteStream(emulator)
    asked = screen.raw.index(ASKED)
    stream.feed(screen.raw[:asked])
    for piece in screen.raw[asked : screen.raw.index(Screen.BRACKETED, asked)].split(DRAWN):
        stream.feed(piece)
        shown = [list(_cells(emulator, y)) for y in range(emulator.cursor.y + 2)]
        if text(shown[-1:]):
            moments.append(text(shown))
        stream.feed(DRAWN)
    return moments[len(moments) // 2]


def rows(screen: Screen) -> list[Row]:
    """Everything down to the prompt, and the status line, which stands at the bottom."""
    cursor = screen.emulator.cursor.y
    bottom = max(y for y, line in enumerate(screen.lines) if line)
    return [list(_cells(screen.emulator, y)) for y in (*range(cursor + 1), bottom)]


def _cells(emulator: Emulator, y: int) -> Iterator[Any]:
    return (emulator.buffer[y][x] for x in range(emulator.columns))


def text(found: Sequence[Row]) -> str:
    """The rows as text."""
    return "\n".join("".join(cell.data for cell in row).rstrip() for row in found)


def fenced(shown: str) -> str:
    """A code block."""
    return f"```text\n{shown}\n```\n"


def picture(found: Sequence[Row], columns: int, file: Path, theme: str) -> None:
    """The rows in colour, as a terminal with this theme shows them."""
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for row in found:
        line = Text(no_wrap=True, overflow="crop", end="\n")
        for style, run in groupby(row, key=_style):
            line.append("".join(cell.data for cell in run), style)
        line.rstrip()
        console.print(line, highlight=False)
    # The same identifiers each time, so that what did not change is no change.
    drawn = console.export_svg(title="chatbot chat", theme=THEMES[theme], unique_id=file.stem)
    lines = (line.rstrip() for line in FONTS.sub("", drawn).splitlines())
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _style(cell: Any) -> Style:
    """A cell that is dim blinks: see the emulator."""
    return Style(
        color=_colour(cell.fg),
        bgcolor=_colour(cell.bg),
        bold=cell.bold,
        dim=cell.blink,
        underline=cell.underscore,
        reverse=cell.reverse,
    )


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return NAMES.get(name, name.replace("bright", "bright_"))


def put(file: Path, mark: str, told: str) -> None:
    """Put this between the file's marks of that name."""
    between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    before = file.read_text(encoding="utf-8")
    if not between.search(before):
        raise click.ClickException(f"{file} has no marks <!-- {mark} --> and <!-- /{mark} -->")
    after = between.sub(lambda found: f"{found[1]}\n{told.strip()}\n\n{found[2]}", before)
    file.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
