"""Options of commands, made from the dataclass whose settings they change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from chatbot.config import help_of, override
from chatbot.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])  # Any: click's commands
# Other names of fields.
SHORT = {"temperature": ("--temp", "-t"), "top_k": ("-k",), "max_tokens": ("-n",)}


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
            names = [f"--{field.name.replace('_', '-')}", *SHORT.get(field.name, ())]
            text = help_of(config, field.name)
            command = click.option(*names, field.name, metavar="VALUE", callback=check, help=text)(command)
        return command

    return decorate


def given(
    config: type[Any], settings: Mapping[str, str | None], without: Sequence[str] = ()
) -> dict[str, str]:
    """Those of the command's options that are this config's and were given."""
    fields = {field.name for field in dataclasses.fields(config)}.difference(without)
    return {name: value for name, value in settings.items() if name in fields and value is not None}
