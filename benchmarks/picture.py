"""The README's picture: a conversation and what its replies looked at, as a terminal shows them.

    python benchmarks/picture.py cornell-seq2seq docs/chat.svg "Where are you going?" "Why?"

The replies are the bot's, with seed 0; the drawing is rich's own export.
"""

from __future__ import annotations

import io
import re
import sys

from rich.console import Console
from rich.text import Text

from chatbot import Bot
from chatbot.dialogue import Dialogue, Turn
from chatbot.terminal.attention import AttentionMap

WIDTH = 84
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # fetched from elsewhere; any monospace font will do


def main() -> None:
    """Talk, and draw."""
    name, file, *prompts = sys.argv[1:]
    bot = Bot.load(name)
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="256", highlight=False
    )
    turns: tuple[Turn, ...] = ()
    for prompt in prompts:
        asked = Turn("user", prompt)
        reply = bot.reply(Dialogue((*turns, asked)), seed=0)
        turns = (*turns, asked, Turn("bot", reply.text))
        console.print(Text(f"> {prompt}", style="bold"))
        console.print(Text(reply.text))
        console.print(AttentionMap(reply))
        console.print()
    drawn = FONTS.sub("", console.export_svg(title=f"chatbot chat {bot.name} --attention"))
    with open(file, "w", encoding="utf-8") as out:
        out.write("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")


if __name__ == "__main__":
    main()
