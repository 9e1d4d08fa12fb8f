"""The one decoding loop, for a reply and for many.

S prompt length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chatbot.decoding.rule import Floats, Seen, softmax
from chatbot.decoding.sampler import Choice, Sampler
from chatbot.engines.base import Engine


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token of the reply, and where the model looked when it chose it: (S,) over the prompt."""

    choice: Choice
    attention: Floats


Lost = Callable[[int, Sequence[Sequence[Chosen]]], bool]  # of a reply, among all as far as they are


def none_lost(row: int, replies: Sequence[Sequence[Chosen]]) -> bool:
    """Every reply is wanted to its end."""
    return False


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
    lost: Lost = none_lost,
) -> list[list[Chosen]]:
    """As `generate_all`, with where the model looked.

    silence: none, or one for each prompt, whether a sampler guides or not. lost: which replies need not be
    ended, since nobody will want them.
    """
    batch = _Batch(engine, prompts, silence, end)
    going = list(range(len(prompts)))  # the replies that have not ended
    replies: list[list[Chosen]] = [[] for _ in prompts]
    said: list[list[int]] = [[] for _ in prompts]
    for i in range(limit):
        for row in going:
            logits, other, looked = batch.predicted(row)
            choice = samplers[row](logits, Seen(said[row], other, prompts[row]))
            replies[row].append(Chosen(choice, looked[: len(prompts[row])]))
            said[row].append(choice.token)
        going = [row for row in going if said[row][-1] != end]
        going = [row for row in going if not lost(row, replies)]
        if not going or i + 1 == limit:
            break
        batch.go_on({row: said[row][-1] for row in going})
    return replies


class _Batch:
    """Many replies' next tokens; those to one prompt that have said the same so far share a row.

    silence: none, or one for each prompt: the second half of the rows.
    """

    def __init__(
        self, engine: Engine, prompts: Sequence[Sequence[int]], silence: Sequence[Sequence[int]], end: int
    ) -> None:
        both = [(*map(tuple, pair),) for pair in zip(prompts, silence or [()] * len(prompts), strict=True)]
        distinct = list(dict.fromkeys(both))
        self.engine, self.end, self.halves = engine, end, 1 + bool(silence)
        self.rows = len(distinct)
        self.place = {reply: distinct.index(pair) for reply, pair in enumerate(both)}  # its row
        self.step = engine.start([pair[half] for half in range(self.halves) for pair in distinct])

    def predicted(self, reply: int) -> tuple[Floats, Floats | None, Floats]:
        """Its next token's logits, those after silence if that is asked for, and where it looked."""
        at, step = self.place[reply], self.step
        other = step.logits[self.rows + at] if self.halves > 1 else None
        return step.logits[at], other, step.attention[at]

    def go_on(self, tokens: Mapping[int, int]) -> None:
        """Each of these replies has said this token; the others are not asked for any more.

        To part rows, or to drop those of no reply, copies the state: a few of no reply stay.
        """
        said = {reply: (self.place[reply], token) for reply, token in tokens.items()}
        wanted = list(dict.fromkeys(said.values()))
        parents, state = [row for row, _ in wanted], self.step.state
        if len(set(parents)) == len(wanted) > SPARSE * self.rows:
            following = dict(wanted)
            spoken = [following.get(row, self.end) for row in range(self.rows)]
        else:
            halves = [half * self.rows + row for half in range(self.halves) for row in parents]
            state, spoken = self.engine.select(state, halves), [token for _, token in wanted]
            self.rows, places = len(wanted), {pair: at for at, pair in enumerate(wanted)}
            self.place = {reply: places[pair] for reply, pair in said.items()}
        self.step = self.engine.step(spoken * self.halves, state)
