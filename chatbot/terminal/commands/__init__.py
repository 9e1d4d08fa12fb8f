"""What can be typed after a slash: a command is a function in one of these files."""

from chatbot.terminal.commands import basics, bots, conversation, looking
from chatbot.terminal.commands.basics import KEYS, SETTINGS
from chatbot.terminal.commands.table import COMMANDS, completions, problem, run

__all__ = [
    "COMMANDS",
    "KEYS",
    "SETTINGS",
    "basics",
    "bots",
    "completions",
    "conversation",
    "looking",
    "problem",
    "run",
]
