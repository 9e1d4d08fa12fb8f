"""The one decoding loop, for a reply and for many.

S prompt length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chatbot.decoding.rule import Floats, Seen, softmax
from chatbot.decoding.sampler import Choice, Sampler
from chatbot.engines.base import Engine, Step


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
        choice = sampler(step.logits[0], Seen(so_far, step.logits[1] if guided else None, prompt))
        yield Chosen(choice, step.attention[0, : len(prompt)])
        so_far.append(choice.token)
        if i + 1 < limit:
            step = engine.step([choice.token] * len(step.logits), step.state)


def log_probabilities(engine: Engine, prompts: Sequence[Sequence[int]], reply: Sequence[int]) -> list[float]:
    """After each prompt, the mean log p (nats) of the tokens of this reply."""
    step, total = engine.start(prompts), np.zeros(len(prompts))
    for i, token in enumerate(reply):
        total += [math.log(max(softmax(logits)[token], 1e-30)) for logits in step.logits]
        if i + 1 < len(reply):
            step = engine.step([token] * len(prompts), step.state)
    found: list[float] = (total / len(reply)).tolist()
    return found


def _read(engine: Engine, prompts: Sequence[Sequence[int]]) -> Step:
    """`engine.start`, but each prompt is read once, however many rows have it."""
    distinct = {tuple(prompt): row for row, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    step = engine.start(list(distinct))
    if len(distinct) == len(prompts):
        return step
    rows = [distinct[tuple(prompt)] for prompt in prompts]
    return Step(step.logits[rows], step.attention[rows], engine.select(step.state, rows))


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
    found = together(engine, prompts, samplers, limit, end, silence if guided else ())
    return [[chosen.choice.token for chosen in reply] for reply in found]


def together(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    samplers: Sequence[Sampler],
    limit: int,
    end: int,
    silence: Sequence[Sequence[int]] = (),
) -> list[list[Chosen]]:
    """As `generate_all`, with where the model looked.

    silence: none, or one for each prompt, whether a sampler guides or not.
    """
    rows = list(range(len(prompts)))  # whose reply each row of the batch is
    going = list(range(len(prompts)))  # the rows that have not ended
    step = _read(engine, [*prompts, *silence])
    replies: list[list[Chosen]] = [[] for _ in prompts]
    said: list[list[int]] = [[] for _ in prompts]
    for i in range(limit):
        for at in going:
            row = rows[at]
            other = step.logits[len(rows) + at] if silence else None
            choice = samplers[row](step.logits[at], Seen(said[row], other, prompts[row]))
            replies[row].append(Chosen(choice, step.attention[at, : len(prompts[row])]))
            said[row].append(choice.token)
        going = [at for at in going if said[rows[at]][-1] != end]
        if not going or i + 1 == limit:
            break
        state = step.state
        if len(going) <= SPARSE * len(rows):
            both = [*going, *(len(rows) + at for at in going)] if silence else going
            state, rows = engine.select(state, both), [rows[at] for at in going]
            going = list(range(len(rows)))
        step = engine.step([said[row][-1] for row in rows] * (1 + bool(silence)), state)
    return replies
