"""Ways of replying by name: settings that go together, chosen by what they measured (docs/sampling.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatbot.config import from_dict, quoted, to_dict
from chatbot.decoding.config import SamplingConfig
from chatbot.errors import ConfigError, suggestion

# Any: settings are of several types. All styles have the same ones, so that of two the last one counts.
_USUAL: Mapping[str, Any] = {
    "min_tokens": 0,
    "top_k": 40,
    "temperature": 0.5,
    "top_p": 0.9,
    "candidates": 1,
    "score": "balance",
    "beams": 1,
}
Styles = Mapping[str, Mapping[str, Any]]
USUAL = "usual"  # a bot's own settings, by this name among its styles
STYLES: Styles = {
    "careful": {**_USUAL, "temperature": 0.3, "candidates": 8},
    "lively": {**_USUAL, "temperature": 0.8, "candidates": 4},
    "wild": {**_USUAL, "temperature": 1.2, "top_k": 0, "top_p": 0.95},
    "diverse": {**_USUAL, "temperature": 1.0, "candidates": 4, "min_tokens": 5},
}


def style_of(sampling: SamplingConfig, styles: Styles) -> str:
    """The style whose settings these are; nothing where they are none's."""
    now = to_dict(sampling)
    return next((name for name, style in styles.items() if all(now[key] == style[key] for key in style)), "")


def styled(sampling: SamplingConfig, name: str, styles: Styles = STYLES) -> SamplingConfig:
    """The same settings but for those that a style has.

    A ConfigError if there is no such style, or if it is not made of settings: a bot has styles of its own.
    """
    if name not in styles:
        raise ConfigError(f"there is no style '{name}'", suggestion(name, styles))
    if not isinstance(styles[name], Mapping):
        raise ConfigError(f"styles.{name} must be an object, not {quoted(styles[name])}")
    return from_dict(SamplingConfig, {**to_dict(sampling), **styles[name]}, f"styles.{name}")
