"""Search: of several replies, the one that scores best.

V vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chatbot.decoding.config import RULES, SamplingConfig
from chatbot.decoding.loop import Chosen, Lost, generate, none_lost, together
from chatbot.decoding.rule import NEVER, Floats, Seen, softmax
from chatbot.decoding.sampler import Sampler, Shaped
from chatbot.decoding.scores import HEARD, SCORES, Backward, Drawn, so_far
from chatbot.engines.base import Engine, Step

SamplerMaker = Callable[[SamplingConfig, int], Sampler]


def search(
    engine: Engine,
    prompt: Sequence[int],
    samplers: SamplerMaker,
    config: SamplingConfig,
    end: int,
    silence: Sequence[int] = (),
    backward: Backward | None = None,
) -> Iterator[Chosen]:
    """The tokens of a reply, found as the config says: drawn, the best of several, or by a beam.

    samplers(config, i): the sampler of the i-th reply. end, silence: as in `generate`. backward: what the
    scores of that name ask.
    """
    limit = config.max_tokens
    if config.beams > 1:
        plain, guide = deterministic(config), silence if config.guidance else ()
        return beam(
            engine, prompt, samplers(plain, 0), limit, end, config.beams, config.length_penalty, guide
        )
    if config.candidates > 1:
        silent = [silence] if silence else []
        return iter(best_of(engine, [prompt], samplers, [config], end, silent, backward)[0])
    return generate(engine, prompt, samplers(config, 0), limit, silence)


def best_of(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    samplers: SamplerMaker,
    configs: Sequence[SamplingConfig],
    end: int,
    silence: Sequence[Sequence[int]] = (),
    backward: Backward | None = None,
) -> list[list[Chosen]]:
    """For each prompt the best of as many replies as its config has candidates; of equals, the first.

    All are decoded together. What a reply's tokens would be worth after the prompt's `silence`, with nothing
    said in its last turn, is known to the score. configs: one for each prompt, with one limit for all.
    """
    owners = [row for row, config in enumerate(configs) for _ in range(config.candidates)]
    drawn = [samplers(config, i) for config in configs for i in range(config.candidates)]
    heard = any(config.guidance or config.score in HEARD for config in configs)
    silent = [silence[row] for row in owners] if silence and heard else []
    lost = _race(owners, end) if all(config.score == "total" for config in configs) else none_lost
    asked = [prompts[row] for row in owners]
    replies = together(engine, asked, drawn, configs[0].max_tokens, end, silent, lost)
    found: list[list[list[Chosen]]] = [[] for _ in prompts]
    for row, reply in zip(owners, replies, strict=True):
        found[row].append(reply)
    return [
        _best(Drawn(prompt, some, backward), config)
        for prompt, some, config in zip(prompts, found, configs, strict=True)
    ]


def _race(owners: Sequence[int], end: int) -> Lost:
    """A reply has lost when one to the same prompt has ended and is more probable in total already."""

    def lost(row: int, replies: Sequence[Sequence[Chosen]]) -> bool:
        rivals = (reply for owner, reply in zip(owners, replies, strict=True) if owner == owners[row])
        ended = [so_far(reply) for reply in rivals if reply[-1].choice.token == end]
        return bool(ended) and so_far(replies[row]) < max(ended)

    return lost


def _best(drawn: Drawn, config: SamplingConfig) -> list[Chosen]:
    worth = SCORES[config.score](drawn) if len(drawn.replies) > 1 else [0.0]
    return list(drawn.replies[max(range(len(worth)), key=worth.__getitem__)])


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A reply on its way: its tokens, and the log probability of all of them."""

    reply: tuple[Chosen, ...] = ()
    total: float = 0.0

    @property
    def tokens(self) -> list[int]:
        """Their ids."""
        return [chosen.choice.token for chosen in self.reply]

    def score(self, penalty: float, length: int = 0) -> float:
        """log p / lp, lp = ((5 + length) / 6) ** penalty (Wu et al. 2016, eq. 14); 0: its own length."""
        return self.total / math.pow((5 + (length or len(self.reply))) / 6, penalty)


Grown = tuple[int, Hypothesis]  # from which row, and what it has become
PLAIN = {name: RULES[name].neutral for name in ("temperature", "top_k", "top_p", "min_p", "typical")}


def deterministic(config: SamplingConfig) -> SamplingConfig:
    """Without the rules that are about drawing: a beam keeps what is probable by itself."""
    return replace(config, **PLAIN)


def beam(
    engine: Engine,
    prompt: Sequence[int],
    sampler: Sampler,
    limit: int,
    end: int,
    width: int,
    penalty: float,
    silence: Sequence[int] = (),
) -> Iterator[Chosen]:
    """The best reply that a beam of so many hypotheses finds; nothing is drawn.

    What all hypotheses agree on is yielded as soon as they do. sampler: its rules shape every hypothesis's
    logits (see `deterministic`). silence: as in `generate`.
    """
    step = engine.start([prompt, silence] if silence else [prompt])
    live, best, shown = [Hypothesis()], list[Hypothesis](), 0
    for left in reversed(range(limit)):
        grown = _grown(live, step, sampler, prompt, bool(silence), 2 * width)
        ended = [one for _, one in grown if one.tokens[-1] == end]
        best = sorted([*best, *ended], key=lambda one: -one.score(penalty))[:1]
        kept = [(row, one) for row, one in grown if one.tokens[-1] != end][:width]
        parents, live = [row for row, _ in kept], [one for _, one in kept]
        if not left or not live or (best and _is_over(best[0], live, penalty, limit)):
            break
        agreed = _agreed([*live, *best])
        yield from agreed[shown:]
        shown = max(shown, len(agreed))
        rows = [*parents, *(len(step.logits) // 2 + row for row in parents)] if silence else parents
        state = engine.select(step.state, rows)
        step = engine.step([one.tokens[-1] for one in live] * (1 + bool(silence)), state)
    yield from max([*best, *live], key=lambda one: one.score(penalty)).reply[shown:]


def _grown(
    live: Sequence[Hypothesis],
    step: Step,
    sampler: Sampler,
    prompt: Sequence[int],
    guided: bool,
    count: int,
) -> list[Grown]:
    """The best hypotheses that are a token longer, the best first; of equals, those of earlier rows."""
    found: list[Grown] = []
    for row, one in enumerate(live):
        other = step.logits[len(live) + row] if guided else None
        shaped = sampler.shape(step.logits[row], Seen(one.tokens, other, prompt))
        looked = step.attention[row, : len(prompt)]
        found += [(row, longer) for longer in _longer(one, shaped, looked, count)]
    return sorted(found, key=lambda grown: -grown[1].total)[:count]


def _longer(one: Hypothesis, shaped: Shaped, looked: Floats, count: int) -> Iterator[Hypothesis]:
    """A hypothesis with each of its most probable next tokens."""
    logs = np.log(np.maximum(softmax(shaped.allowed), 1e-30))
    for token in np.argsort(-logs, kind="stable")[:count].tolist():
        if shaped.allowed[token] > NEVER:
            chosen = Chosen(shaped.choice(token), looked)
            yield Hypothesis((*one.reply, chosen), one.total + float(logs[token]))


def _is_over(best: Hypothesis, live: Sequence[Hypothesis], penalty: float, limit: int) -> bool:
    """Whether no hypothesis can become better any more: none gets more probable by growing."""
    return all(best.score(penalty) >= one.score(penalty, limit) for one in live)


def _agreed(hypotheses: Sequence[Hypothesis]) -> list[Chosen]:
    """The tokens that they all begin with."""
    alike = itertools.takewhile(
        lambda column: len({chosen.choice.token for chosen in column}) == 1,
        zip(*(one.reply for one in hypotheses), strict=False),
    )
    return [column[0] for column in alike]
