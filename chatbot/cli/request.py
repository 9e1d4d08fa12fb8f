"""What the command line of `chatbot train` asks for, and the settings it comes to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chatbot.config import from_dict, override
from chatbot.errors import ConfigError, suggestion
from chatbot.models import FAMILIES
from chatbot.sizes import size_named

if TYPE_CHECKING:
    from chatbot.checkpoint import BotConfig, Checkpoint

# whose settings --set changes
OWNERS = ("training", "tokenizer", "examples", "cleaning", "sampling", *FAMILIES)
ORIGINAL = ("tokenizer", "examples", "sampling")  # sections that stay as they are in the bot one begins from
GENTLE = 0.25  # of the usual learning rate, for a bot that begins from another
UNITS = {"s": 1 / 60, "m": 1.0, "h": 60.0}

Settings = dict[str, dict[str, str]]


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """20m, 90s, 1.5h -> minutes; a bare number is minutes."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"'{value}' is not a time; write 90s, 20m or 1h", param, ctx)
        return float(found[1]) * UNITS[found[2] or "m"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asked for."""

    corpora: Sequence[Path]
    families: Sequence[str]
    size: str
    name: str | None
    split: str | None
    resume: bool
    device: str
    logs: Sequence[str]
    dry_run: bool
    settings: Settings
    asked_size: str | None = None
    chosen: str = ""  # the size that learns most in the time there is
    begun: BotConfig | None = None
    origin: Checkpoint | None = None  # the bot that the training begins from

    @property
    def corpus(self) -> str:
        """The corpora as a message names them."""
        return " and ".join(map(str, self.corpora))


def parsed(
    changes: Sequence[str], owners: Sequence[str] = OWNERS, example: str = "training.clip=0.5"
) -> Settings:
    """ "gpt.width=128" -> {"gpt": {"width": "128"}}"""
    settings: Settings = {owner: {} for owner in owners}
    for change in changes:
        found = re.fullmatch(r"([\w-]+)\.(\w+)=(.*)", change, re.DOTALL)
        if not found:
            raise ConfigError(f"--set '{change}' is not OWNER.NAME=VALUE", f"for example: --set {example}")
        if found[1] not in settings:
            raise ConfigError(f"--set knows no '{found[1]}'", suggestion(found[1], owners))
        settings[found[1]][found[2]] = found[3]
    return settings


def check_settings(request: Request) -> None:
    """Find a misspelt setting before the corpus is read, not after."""
    for owner, changes in request.settings.items():
        if owner in FAMILIES and "vocabulary" in changes:
            raise ConfigError(
                f"{owner} has as many pieces as the tokenizer", "use --set tokenizer.vocabulary=..."
            )
        if changes:
            override(defaults(owner, request.size), changes, owner)


def defaults(owner: str, size: str) -> Any:  # Any: each owner has its own dataclass
    from chatbot.corpus.cleaning import CleaningConfig
    from chatbot.decoding import SamplingConfig
    from chatbot.preparation import ExamplesConfig
    from chatbot.tokenizer import TokenizerConfig
    from chatbot.training import TrainingConfig

    if owner in FAMILIES:
        return FAMILIES.load(owner).Config.sized(size_named(size), TokenizerConfig().vocabulary)
    plain = {
        "training": TrainingConfig(),
        "tokenizer": TokenizerConfig(),
        "examples": ExamplesConfig(),
        "cleaning": CleaningConfig(),
        "sampling": SamplingConfig(),
    }
    return plain[owner]


def wanted(request: Request, owner: str) -> Any:  # Any: as above
    wanted = defaults(owner, request.size)
    saved = getattr(request.begun, owner, None)  # a section of the bot that is resumed
    if request.origin and not saved and owner in ORIGINAL:
        saved = getattr(request.origin.config, owner)
    if saved:
        wanted = from_dict(type(wanted), saved, owner)
    return override(wanted, request.settings[owner], owner)
