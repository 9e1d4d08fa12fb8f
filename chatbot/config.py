"""Dataclasses to and from JSON values, with errors that name the setting.

This module knows no setting: a default lives once, in the dataclass that owns it.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

from chatbot.errors import ConfigError, suggestion

T = TypeVar("T")
Overrides = Mapping[str, str]
LONGEST_QUOTED = 80  # characters


def quoted(value: Any) -> str:  # Any: whatever a file may hold
    """A value as an error quotes it: whoever is to find it in a file needs no more than its beginning."""
    text = str(value)
    return f"'{text}'" if len(text) <= LONGEST_QUOTED else f"'{text[:LONGEST_QUOTED]}...'"


def setting(default: T, help: str) -> T:
    """A dataclass field with its help text, from which the command line's help is made."""
    return dataclasses.field(default=default, metadata={"help": help})


def help_of(config: type[Any], name: str) -> str:
    """The help text of one field, its default included."""
    field = {f.name: f for f in dataclasses.fields(config)}[name]
    default = ("off", "on")[field.default] if isinstance(field.default, bool) else field.default
    default = "none" if default in (None, "") else default
    return f"{field.metadata['help']}  [default: {default}]"


def to_dict(config: Any) -> dict[str, Any]:  # Any: every dataclass is welcome
    """The dataclass as JSON values."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_dict(config: type[T], values: Mapping[str, Any], owner: str = "") -> T:
    """Build a dataclass from JSON values; an unknown or ill-typed setting is a ConfigError."""
    owner = owner or config.__name__
    if not isinstance(values, Mapping):
        raise ConfigError(f"{owner} must be an object, not {quoted(values)}")
    hints = typing.get_type_hints(config)
    fields = [f.name for f in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise ConfigError(f"{owner} has no setting {quoted(name)}", suggestion(name, fields))
    checked = {name: _checked(value, hints[name], f"{owner}.{name}") for name, value in values.items()}
    try:
        return config(**checked)
    except TypeError as error:  # a setting without a default is missing
        raise ConfigError(f"{owner} is incomplete: {error}") from None


def override(config: T, changes: Overrides, owner: str = "") -> T:
    """A copy with some settings changed, given as text ("width" -> "256")."""
    owner = owner or type(config).__name__
    hints = typing.get_type_hints(type(config))
    parsed = {}
    for name, text in changes.items():
        if name not in hints:
            raise ConfigError(f"{owner} has no setting {quoted(name)}", suggestion(name, to_dict(config)))
        parsed[name] = parse(text, hints[name], f"{owner}.{name}")
    return dataclasses.replace(config, **parsed)  # type: ignore[type-var]


def parse(text: str, kind: Any, name: str) -> Any:
    """Read a setting's text as its type."""
    kind, optional = _unwrap(kind)
    if optional and text.lower() in ("none", "off", ""):
        return None
    if kind is bool:
        words = {"on": True, "true": True, "yes": True, "1": True}
        words |= {"off": False, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ConfigError(f"{name} must be on or off, not {quoted(text)}")
        return words[text.lower()]
    try:
        value: Any = kind(text) if kind in (int, float) else text
    except ValueError:
        raise ConfigError(f"{name} must be {_describe(kind)}, not {quoted(text)}") from None
    return _checked(value, kind, name)


def choices(config: type[Any], name: str) -> tuple[str, ...]:
    """What a setting can be, where that can be listed."""
    kind, optional = _unwrap(typing.get_type_hints(config).get(name))
    found = ("on", "off") if kind is bool else typing.get_args(kind) if is_literal(kind) else ()
    return (*found, *(["none"] if optional else []))


def is_literal(kind: Any) -> bool:
    """Whether it is one of several words."""
    return typing.get_origin(kind) is Literal


def _unwrap(kind: Any) -> tuple[Any, bool]:
    """`X | None` -> (X, True)."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        rest = [a for a in typing.get_args(kind) if a is not type(None)]
        return rest[0], True
    return kind, False


def _checked(value: Any, kind: Any, name: str) -> Any:
    kind, optional = _unwrap(kind)
    if kind is Any or (optional and value is None):
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{name} must be one of {', '.join(map(str, arguments))}, not {quoted(value)}")
        return value
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_checked(item, arguments[0], name) for item in value)
    if origin is dict and isinstance(value, dict):
        return {str(k): _checked(v, arguments[1], name) for k, v in value.items()}
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and whole and abs(value) <= sys.float_info.max:
        return float(value)
    if not isinstance(kind, type) or not isinstance(value, kind) or (kind is int and not whole):
        raise ConfigError(f"{name} must be {_describe(kind)}, not {quoted(value)}")
    return value


def _describe(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "a list" if typing.get_origin(kind) is tuple else "an object")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
