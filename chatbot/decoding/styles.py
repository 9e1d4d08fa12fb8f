"""Ways of replying by name: settings that go together, chosen by what they measured (docs/sampling.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from chatbot.decoding.config import SamplingConfig
from chatbot.errors import ConfigError, suggestion

# Any: settings are of several types. All have the same ones, so that of two styles the last one counts.
STYLES: dict[str, Mapping[str, Any]] = {
    "careful": {"temperature": 0.3, "top_k": 40, "top_p": 0.9, "frequency_penalty": 0.0, "candidates": 8},
    "lively": {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "frequency_penalty": 0.0, "candidates": 4},
    "wild": {"temperature": 1.2, "top_k": 0, "top_p": 0.95, "frequency_penalty": 0.0, "candidates": 1},
    "diverse": {"temperature": 1.0, "top_k": 40, "top_p": 0.9, "frequency_penalty": 0.5, "candidates": 8},
}


def styled(sampling: SamplingConfig, name: str) -> SamplingConfig:
    """The same settings but for those that a style has; a ConfigError if there is no such style."""
    if name not in STYLES:
        raise ConfigError(f"there is no style '{name}'", suggestion(name, STYLES))
    return dataclasses.replace(sampling, **STYLES[name])
