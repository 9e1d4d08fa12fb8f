"""Where bots, corpora and the history of what was typed live."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The user's data folder; CHATBOT_HOME overrides the system's convention."""
    override = os.environ.get("CHATBOT_HOME")
    usual = platformdirs.user_data_dir("chatbot", appauthor=False)
    return Path(os.path.expanduser(override) if override else usual)


def checkpoint_folders() -> list[Path]:
    """Where bots are looked for, nearest first: here, the user's own, those that come with the program."""
    return [Path("checkpoints"), home() / "checkpoints", starters()]


def starters() -> Path:
    """The bots that come with the program; CHATBOT_STARTERS overrides where they are."""
    override = os.environ.get("CHATBOT_STARTERS")
    installed = Path(__file__).parent / "starters"  # as pyproject.toml packages them
    # Path.is_dir() raises where we may not look.
    here = installed if os.path.isdir(installed) else Path(__file__).parents[1] / "checkpoints"
    return Path(override) if override else here


def history_file() -> Path:
    """What was typed at the prompt, for the arrow keys."""
    return home() / "history"
