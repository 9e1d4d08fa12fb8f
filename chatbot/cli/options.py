"""Options of commands, made from the dataclass whose settings they change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from chatbot.config import help_of, override
from chatbot.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])  # Any: click's commands


def options_for(config: type[Any], short: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """An option for each field, None where it was not given; a wrong value is refused as wrong usage.

    short: one-letter names of fields.
    """

    def check(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
        if value is not None and option.name:
            try:
                override(config(), {option.name: value})
            except ConfigError as error:
                raise click.BadParameter(error.what.removeprefix(f"{config.__name__}.")) from None
        return value

    def decorate(command: F) -> F:
        for field in reversed(dataclasses.fields(config)):
            names = [f"--{field.name.replace('_', '-')}", *filter(None, [(short or {}).get(field.name)])]
            text = help_of(config, field.name)
            command = click.option(*names, field.name, metavar="VALUE", callback=check, help=text)(command)
        return command

    return decorate
