"""Train small dialogue models from conversations and talk to them in a terminal.

from chatbot import Bot
Bot.load("checkpoints/cornell-gpt").reply("hi").text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatbot.bot import Bot as Bot

__all__ = ["Bot", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Lazy, so that `import chatbot` costs nothing: not even NumPy.
    if name == "Bot":
        from chatbot.bot import Bot

        return Bot
    raise AttributeError(f"module 'chatbot' has no attribute '{name}'")
