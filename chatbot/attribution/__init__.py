"""What each word of a reply is put down to: methods that share it out over the words of the prompt.

A method is a function of a model, a prompt's ids and a reply's ids; it gives for each token of the reply
shares of the prompt's tokens, (T, S), that are not negative and sum to 1. docs/attention.md says what each
is, and which tells the truth. Importing this imports no torch; using a method does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chatbot.errors import ConfigError
from chatbot.registry import Registry

METHODS = Registry(
    "attention method",
    {
        "weights": "chatbot.attribution.methods:weights",
        "rollout": "chatbot.attribution.methods:rollout",
        "norms": "chatbot.attribution.methods:norms",
        "gradient": "chatbot.attribution.methods:gradient",
    },
)


@dataclass(frozen=True, slots=True)
class About:
    """What a display says of a method, and the families that it is for; for all where none is named."""

    title: str
    source: str
    families: tuple[str, ...] = ()


ABOUT: Mapping[str, About] = {
    "weights": About("the model's own weights", "Luong et al. 2015, eq. 7; Vaswani et al. 2017, eq. 1"),
    "rollout": About("weights rolled out through all layers", "Abnar & Zuidema 2020, eq. 1", ("gpt",)),
    "norms": About("weights times value norms", "Kobayashi et al. 2020, section 3"),
    "gradient": About("gradient times input", "Shrikumar et al. 2016"),
}
# By benchmarks/faithfulness.py (docs/attention.md); of gpt the gradient is as good, and costs a pass back.
DEFAULTS: Mapping[str, str] = {"gpt": "weights", "seq2seq": "gradient"}


def methods_for(family: str) -> list[str]:
    """The methods that there are for a family of models."""
    return [name for name in METHODS if not ABOUT[name].families or family in ABOUT[name].families]


def default_for(family: str) -> str:
    """The method that told most of the truth about the family; its weights where none was measured."""
    return DEFAULTS.get(family, "weights")


def checked(method: str | None, family: str) -> str:
    """The method, or the family's default for None. One that it has not is a ConfigError."""
    if method is None:
        return default_for(family)
    if method not in METHODS:
        METHODS.load(method)  # says what is near
    if method not in methods_for(family):
        raise ConfigError(f"{family} has no {method}", f"it has {', '.join(methods_for(family))}")
    return method


def title_of(method: str) -> str:
    """How a display names the method."""
    return ABOUT[method].title
