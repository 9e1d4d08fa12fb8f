"""How replies are drawn: the rules in their order, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chatbot.config import Overrides, override, setting
from chatbot.decoding.guidance import guidance
from chatbot.decoding.penalties import frequency_penalty, presence_penalty, repetition_penalty
from chatbot.decoding.repeats import again, no_echo, no_repeat
from chatbot.decoding.rule import Apply, Rule
from chatbot.decoding.truncation import min_p, temperature, top_k, top_p, typical
from chatbot.decoding.wording import are_words, bad_words, manners, min_tokens
from chatbot.errors import ConfigError

Score = Literal["likelihood", "total", "fit", "balance", "bidi", "backward"]
# What other programs call settings.
OTHER_NAMES = {
    "temp": "temperature",
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "window",
    "num_predict": "max_tokens",
    "typical_p": "typical",
}
MOST = 64  # replies or hypotheses at once
LONGEST = 10_000  # tokens of a reply


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How a reply is drawn. The rules are applied in the order of the fields."""

    no_repeat: int = setting(5, "so many tokens in a row stand in a reply once at the most; 0 for no rule")
    no_echo: int = setting(0, "so many tokens in a row are never those of the conversation; 0 for no rule")
    manners: bool = setting(True, "no slurs and none of the worst words (chatbot/manners.txt)")
    bad_words: str = setting("", "words that no reply contains, with commas between them; or none")
    min_tokens: int = setting(0, "the shortest reply, in tokens")
    guidance: float = setting(
        1.0, "how much a reply has to do with its prompt; 0 takes the model's probabilities as they are"
    )
    repetition_penalty: float = setting(
        1.0, "over 1, what the reply has said already is less probable, by a factor"
    )
    presence_penalty: float = setting(
        0.0, "over 0, likewise, by this from its logit, however often it was said"
    )
    frequency_penalty: float = setting(0.0, "over 0, likewise, by this each time that it was said")
    again: float = setting(
        0.0, "over 0, to go on as an earlier reply that began alike is less probable, by this from its logit"
    )
    top_k: int = setting(40, "keep the k most probable tokens; 0 keeps all")
    temperature: float = setting(0.5, "below 1 safer, above 1 wilder; 0 always takes the most probable token")
    top_p: float = setting(0.9, "keep the most probable tokens that together reach p; 1 keeps all")
    min_p: float = setting(
        0.0, "keep tokens at least so many times as probable as the most probable; 0 keeps all"
    )
    typical: float = setting(1.0, "keep the least surprising tokens that together reach this; 1 keeps all")
    window: int = setting(0, "of the reply's tokens, how many of the last ones penalties look at; 0 for all")
    candidates: int = setting(1, "draw so many replies and give the best of them")
    score: Score = setting(
        "balance",
        "which is best: by likelihood, of a token or in total, by fit to the prompt, or by the balance of "
        "likelihood and fit; with a second bot that learned backwards, by what it makes of them: backward, "
        "or bidi, half of it and of likelihood",
    )
    beams: int = setting(1, "over 1: no drawing, but the best reply of a beam search so wide")
    length_penalty: float = setting(
        0.6, "of a beam search: 0 likes short replies, 1 does not mind the length"
    )
    max_tokens: int = setting(60, "the longest reply, in tokens")
    seed: int | None = setting(None, "the same seed gives the same reply; none draws a new one each time")

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            if not rule.valid(getattr(self, name)):
                raise ConfigError(f"{name} must be {rule.domain}, not {getattr(self, name)}")
        for name in ("candidates", "beams"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ConfigError(f"{name} must be from 1 to {MOST}, not {getattr(self, name)}")
        if not 0 <= self.length_penalty <= 10:
            raise ConfigError(f"length_penalty must be from 0 to 10, not {self.length_penalty}")
        if not 1 <= self.max_tokens <= LONGEST:
            raise ConfigError(f"max_tokens must be from 1 to {LONGEST:,}, not {self.max_tokens}")
        if self.beams > 1 and self.candidates > 1:
            what = f"beams ({self.beams}) and candidates ({self.candidates}) exclude each other"
            raise ConfigError(what, "set one of them to 1; styles have candidates")
        if self.window < 0:
            raise ConfigError(f"window must not be negative, not {self.window}")
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"seed must not be negative, not {self.seed}")


def adjusted(sampling: SamplingConfig, settings: Overrides) -> SamplingConfig:
    """A copy with these settings, given as text.

    Candidates and beams exclude each other: see `alone`.
    """
    return override(sampling, {**dict.fromkeys(alone(settings), "1"), **settings}, "sampling")


def alone(settings: Mapping[str, object]) -> dict[str, int]:
    """Who asks for beams does not want the candidates that were set before, nor the other way round."""
    pairs = (("beams", "candidates"), ("candidates", "beams"))
    return {other: 1 for asked, other in pairs if str(settings.get(asked, 1)) != "1"}


def _count(apply: Apply, formula: str, source: str = "", reorders: bool = True) -> Rule:
    """A rule whose setting counts something."""
    return Rule(apply, lambda v: v >= 0, "0 or more", 0, reorders, formula, source)


def _penalty(apply: Apply, formula: str) -> Rule:
    return Rule(apply, lambda v: -100 <= v <= 100, "from -100 to 100", 0, True, formula, "OpenAI's API")


def _share(apply: Apply, formula: str, source: str, reorders: bool = False) -> Rule:
    return Rule(apply, lambda v: 0 < v <= 1, "over 0 and at most 1", 1, reorders, formula, source)


RULES: dict[str, Rule] = {
    # What is forbidden comes first: guidance then chooses from what is left.
    "no_repeat": _count(no_repeat, "p = 0 for the end of n tokens that the reply has", "Paulus et al. 2018"),
    "no_echo": _count(no_echo, "p = 0 for the end of n tokens that the prompt has", "Roller et al. 2021"),
    "manners": Rule(
        manners, lambda v: isinstance(v, bool), "on or off", False, True, "p = 0 for what spells one listed"
    ),
    "bad_words": Rule(
        bad_words, are_words, "words of letters with commas between", "", True, "p = 0 for what spells one"
    ),
    "min_tokens": _count(min_tokens, "p(end) = 0 before so many tokens"),
    "guidance": Rule(
        guidance,
        lambda v: 0 <= v <= 10,
        "from 0 to 10",
        0,
        True,
        "log p + g (log p - log p without the last turn's words), where p >= max p / 10",
        "Li et al. 2016, MMI-antiLM; Sanchez et al. 2023",
    ),
    "repetition_penalty": Rule(
        repetition_penalty,
        lambda v: 0.1 <= v <= 10,
        "from 0.1 to 10",
        1,
        True,
        "logit / r, or logit * r where it is negative, for tokens that the reply has",
        "Keskar et al. 2019",
    ),
    "presence_penalty": _penalty(presence_penalty, "logit - a for tokens that the reply has"),
    "frequency_penalty": _penalty(frequency_penalty, "logit - a c for tokens that the reply has c times"),
    "again": Rule(
        again,
        lambda v: -100 <= v <= 100,
        "from -100 to 100",
        0,
        True,
        "logit - a for what follows in an earlier reply that begins alike, unless the user said it",
    ),
    "top_k": _count(top_k, "p = 0 but for the k largest", "Fan et al. 2018", reorders=False),
    "temperature": Rule(
        temperature,
        lambda v: 0 <= v <= 100,
        "from 0 to 100",
        1,
        False,
        "softmax(logits / T); 0: the largest",
        "Ackley et al. 1985",
    ),
    "top_p": _share(top_p, "the smallest set of largest p with sum >= P", "Holtzman et al. 2020"),
    "min_p": Rule(
        min_p, lambda v: 0 <= v <= 1, "from 0 to 1", 0, False, "p >= m max p", "Nguyen et al. 2024"
    ),
    "typical": _share(
        typical, "least |-log p - H| first, until sum p >= mass", "Meister et al. 2023", reorders=True
    ),
}
