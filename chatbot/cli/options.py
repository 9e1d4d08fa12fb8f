"""Options of commands, made from the dataclass whose settings they change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from chatbot import checkpoint
from chatbot.config import help_of, override
from chatbot.decoding import OTHER_NAMES
from chatbot.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])  # Any: click's commands
# Other names of fields.
SHORT = {"temperature": ("-t",), "top_k": ("-k",), "max_tokens": ("-n",)}


def options_for(config: type[Any], without: Sequence[str] = ()) -> Callable[[F], F]:
    """An option for each field, None where it was not given; a wrong value is refused as wrong usage.

    without: fields that get no option.
    """

    def check(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
        if value is not None and option.name:
            try:
                override(config(), {option.name: value})
            except ConfigError as error:
                raise click.BadParameter(error.what.removeprefix(f"{config.__name__}.")) from None
        return value

    def decorate(command: F) -> F:
        for field in reversed([field for field in dataclasses.fields(config) if field.name not in without]):
            known = [field.name, *(other for other, ours in OTHER_NAMES.items() if ours == field.name)]
            names = [f"--{name.replace('_', '-')}" for name in known] + [*SHORT.get(field.name, ())]
            text = help_of(config, field.name)
            command = click.option(*names, field.name, metavar="VALUE", callback=check, help=text)(command)
        return command

    return decorate


def bots(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """For the shell's completion: the bots whose names begin so."""
    return [bot.name for bot in checkpoint.available() if bot.name.startswith(typed)]


def given(
    config: type[Any], settings: Mapping[str, str | None], without: Sequence[str] = ()
) -> dict[str, str]:
    """Those of the command's options that are this config's and were given."""
    fields = {field.name for field in dataclasses.fields(config)}.difference(without)
    return {name: value for name, value in settings.items() if name in fields and value is not None}
