"""From logits to tokens: sampling rules, the sampler, and the one decoding loop.

V vocabulary. Everything here is NumPy, so that it serves every engine and needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatbot.config import setting
from chatbot.engines.base import Engine
from chatbot.errors import ChatbotError, ConfigError

Floats = NDArray[np.float32]
GUIDED = 10  # tokens of a reply over which guidance fades: by then it is its own prompt
PLAUSIBLE = 0.1  # of the likeliest token's probability: what guidance may choose from


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How a reply is drawn. The rules are applied in the order of the fields."""

    guidance: float = setting(
        1.0, "how much a reply has to do with its prompt; 0 takes the model's probabilities as they are"
    )
    top_k: int = setting(40, "keep the k most probable tokens; 0 keeps all")
    temperature: float = setting(0.5, "below 1 safer, above 1 wilder; 0 always takes the most probable token")
    top_p: float = setting(0.9, "keep the most probable tokens that together reach p; 1 keeps all")
    max_tokens: int = setting(60, "the longest reply, in tokens")
    seed: int | None = setting(None, "the same seed gives the same reply; none draws a new one each time")

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            if not rule.valid(getattr(self, name)):
                raise ConfigError(f"{name} must be {rule.domain}, not {getattr(self, name)}")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be at least 1, not {self.max_tokens}")
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"seed must not be negative, not {self.seed}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule may look at besides the logits.

    so_far      the reply's tokens
    unprompted  the logits (V,) of the same reply if the last turn had said nothing, where they are known
    """

    so_far: Sequence[int] = ()
    unprompted: Floats | None = None


def guidance(logits: Floats, seen: Seen, value: float) -> Floats:
    """Move away from what would be said anyway: log p + g (log p - log p without the last turn's words).

    This is MMI-antiLM (Li et al. 2016; lambda = g / (1 + g)), token by token, also known as classifier-free
    guidance (Sanchez et al. 2023; gamma = 1 + g). Only tokens that are plausible by themselves stay, as in
    contrastive decoding (X. L. Li et al. 2023): without that, what is rare everywhere would win. It fades
    over the first tokens, which MMI-antiLM also weighs alone: later it would repeat the prompt's words.
    """
    value *= max(0.0, 1 - len(seen.so_far) / GUIDED)
    if value == 0 or seen.unprompted is None:
        return logits
    own, other = (np.log(np.maximum(softmax(x), 1e-30)) for x in (logits, seen.unprompted))
    guided = own + value * (own - other)
    return np.where(own >= own.max() + np.log(PLAUSIBLE), guided, -np.inf).astype(np.float32)


def top_k(logits: Floats, seen: Seen, value: float) -> Floats:
    """Keep the k largest logits (Fan et al. 2018, section 5.4); ties with the k-th stay."""
    k, left = int(value), logits[logits > -np.inf]
    if k == 0 or k >= left.size:
        return logits
    threshold = np.partition(left, -k)[-k]
    return np.where(logits >= threshold, logits, np.float32(-np.inf))


def temperature(logits: Floats, seen: Seen, value: float) -> Floats:
    """Divide the logits by T (Ackley et al. 1985); T = 0 keeps the first of the largest alone."""
    if value == 0:
        greedy = np.full_like(logits, -np.inf)
        greedy[logits.argmax()] = 0.0
        return greedy
    # Shifted first: with a tiny T all but the largest overflow to minus infinity, which is right.
    with np.errstate(over="ignore"):
        divided: Floats = ((logits.astype(np.float64) - logits.max()) / value).astype(np.float32)
    return divided


def top_p(logits: Floats, seen: Seen, value: float) -> Floats:
    """Keep the smallest set of tokens that together reach p (Holtzman et al. 2020, eq. 2)."""
    if value >= 1:
        return logits
    left = np.flatnonzero(logits > -np.inf)  # few, after other rules
    order = left[np.argsort(-logits[left], kind="stable")]
    share = softmax(logits)[order]
    before = np.cumsum(share) - share
    kept = logits.copy()
    kept[order[1:][before[1:] >= value]] = -np.inf
    return kept


@dataclass(frozen=True)
class Rule:
    """A sampling rule: what it does to the logits, and which values it takes."""

    apply: Callable[[Floats, Seen, float], Floats]
    valid: Callable[[float], bool]
    domain: str
    neutral: float


RULES: dict[str, Rule] = {
    "guidance": Rule(guidance, lambda v: 0 <= v <= 10, "from 0 to 10", neutral=0),
    "top_k": Rule(top_k, lambda v: v >= 0, "0 or more", neutral=0),
    "temperature": Rule(temperature, lambda v: 0 <= v <= 100, "from 0 to 100", neutral=1),
    "top_p": Rule(top_p, lambda v: 0 < v <= 1, "over 0 and at most 1", neutral=1),
}


def softmax(logits: Floats) -> NDArray[np.float64]:
    """Probabilities of logits (V,), in float64 so that they sum to 1 also over large vocabularies."""
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(raised / raised.sum())


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, and how probable the model found it before any rule changed that."""

    token: int
    probability: float


class Sampler:
    """Draws tokens by a SamplingConfig; the same seed and logits give the same tokens.

    forbidden: ids that no reply may contain (padding, speaker marks).
    """

    def __init__(self, config: SamplingConfig, forbidden: Sequence[int] = ()) -> None:
        self.config = config
        self._forbidden = list(forbidden)
        self._random = np.random.default_rng(config.seed)

    def __call__(self, logits: Floats, seen: Seen) -> Choice:
        """Choose the next token from logits (V,)."""
        allowed = logits.astype(np.float32)  # a copy
        allowed[self._forbidden] = -np.inf
        if not np.isfinite(allowed.max()):
            raise ChatbotError("the bot's weights give no numbers to choose by", "train it again")
        original = softmax(allowed)
        for name, rule in RULES.items():
            allowed = rule.apply(allowed, seen, getattr(self.config, name))
        # The inverse of the cumulative distribution: one uniform number a token, on every engine.
        cumulative = np.cumsum(softmax(allowed))
        token = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        return Choice(token, float(original[token]))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token of the reply, and where the model looked when it chose it: (S,) over the prompt."""

    choice: Choice
    attention: Floats


def generate(
    engine: Engine, prompt: Sequence[int], sampler: Sampler, limit: int, silence: Sequence[int] = ()
) -> Iterator[Chosen]:
    """Yield up to `limit` tokens of a reply. Who stops at the end mark pays for no further step.

    silence: the prompt with nothing said in its last turn. Guidance compares with the same reply to it, in
    the same batch.
    """
    guided = bool(sampler.config.guidance and silence)
    step = engine.start([prompt, silence] if guided else [prompt])
    so_far: list[int] = []
    for i in range(limit):
        choice = sampler(step.logits[0], Seen(so_far, step.logits[1] if guided else None))
        yield Chosen(choice, step.attention[0, : len(prompt)])
        so_far.append(choice.token)
        if i + 1 < limit:
            step = engine.step([choice.token] * len(step.logits), step.state)


SPARSE = 0.75  # the share of rows still going below which the ended ones are dropped: dropping copies


def generate_all(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    samplers: Sequence[Sampler],
    limit: int,
    end: int,
    silence: Sequence[Sequence[int]] = (),
) -> list[list[int]]:
    """The tokens of many replies, decoded together; those that have ended leave the batch now and then.

    Each reply ends with the end mark `end`, or has `limit` tokens. silence: as in `generate`, one for each
    prompt. Where one sampler guides, all do.
    """
    guided = bool(silence and any(sampler.config.guidance for sampler in samplers))
    rows = list(range(len(prompts)))  # whose reply each row of the batch is
    going = list(range(len(prompts)))  # the rows that have not ended
    step = engine.start([*prompts, *(silence if guided else [])])
    replies: list[list[int]] = [[] for _ in prompts]
    for i in range(limit):
        for at in going:
            row = rows[at]
            seen = Seen(replies[row], step.logits[len(rows) + at] if guided else None)
            replies[row].append(samplers[row](step.logits[at], seen).token)
        going = [at for at in going if replies[rows[at]][-1] != end]
        if not going or i + 1 == limit:
            break
        state = step.state
        if len(going) <= SPARSE * len(rows):
            both = [*going, *(len(rows) + at for at in going)] if guided else going
            state, rows = engine.select(state, both), [rows[at] for at in going]
            going = list(range(len(rows)))
        step = engine.step([replies[row][-1] for row in rows] * (1 + guided), state)
    return replies
