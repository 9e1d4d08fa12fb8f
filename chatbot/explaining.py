"""One token of a reply, taken apart: what the model saw, where it looked, what the rules made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chatbot.decoding import RULES, Floats, Seen, deterministic, softmax
from chatbot.engines.base import Step
from chatbot.replying import Reply, Responder
from chatbot.tokenizer import silenced

MODEL = "softmax(E h + b), E the embeddings of all pieces", "Press & Wolf 2017"
Candidate = tuple[str, float]  # a piece, and its probability


@dataclass(frozen=True)
class Stage:
    """What a rule left: the likeliest pieces, and how many are possible at all."""

    rule: str  # "" for the model's own probabilities
    setting: str
    formula: str
    source: str
    best: tuple[Candidate, ...]
    possible: int


@dataclass(frozen=True)
class Explanation:
    """How the token at `position` of a reply came about.

    prompt     the pieces that the model read
    attention  the share of each (they sum to 1)
    said       the reply's pieces before it
    stages     the model's own choice, then each rule that is not at its neutral value, in their order
    chosen     the piece that was said, with the probability that it had in the end; before: with the model's
    beams      how wide the beam search was that chose it; 1: it was drawn
    """

    position: int
    prompt: tuple[str, ...]
    attention: tuple[float, ...]
    said: tuple[str, ...]
    stages: tuple[Stage, ...]
    chosen: Candidate
    before: float
    beams: int = 1


def explain(responder: Responder, reply: Reply, position: int, count: int = 5) -> Explanation:
    """Take apart the reply's token at `position` (from 0), with so many candidates for each stage.

    The model reads the same prompt and says the same tokens again; what was drawn from is then what the rules
    leave. Of a beam or the best of several it is the one that won; a beam has only the rules that reorder.
    """
    beams = responder.sampling.beams
    if beams > 1:
        responder = responder.with_sampling(deterministic(responder.sampling))
    ids = [piece.token for piece in reply.prompt]
    tokens = [token.token for token in reply.tokens]
    step = _replayed(responder, ids, tokens[:position])
    seen = Seen(tokens[:position], step.logits[1] if len(step.logits) > 1 else None, ids)
    stages, last = _stages(responder, step.logits[0], seen, count)
    looked = step.attention[0, : len(ids)]
    piece = responder.tokenizer.piece
    return Explanation(
        position,
        tuple(one.piece for one in reply.prompt),
        tuple(looked.tolist()),
        tuple(map(piece, tokens[:position])),
        stages,
        (piece(tokens[position]), float(last[tokens[position]])),
        reply.tokens[position].probability,
        beams,
    )


def _replayed(responder: Responder, prompt: Sequence[int], said: Sequence[int]) -> Step:
    """The model's prediction after these tokens; beside it, where guidance asks, what silence would get."""
    silence = [silenced(prompt)] if responder.sampling.guidance else []
    step = responder.engine.start([prompt, *silence])
    for token in said:
        step = responder.engine.step([token] * len(step.logits), step.state)
    return step


def _stages(
    responder: Responder, logits: Floats, seen: Seen, count: int
) -> tuple[tuple[Stage, ...], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The stages, and the probabilities (V,) of the last one."""
    sampler = responder.sampler(responder.sampling)
    allowed = sampler.permitted(logits)
    stages = [_stage(responder, "", allowed, count)]
    for name, shaped in sampler.rules(allowed, seen):
        allowed = shaped
        if getattr(responder.sampling, name) != RULES[name].neutral:
            stages.append(_stage(responder, name, allowed, count))
    return tuple(stages), softmax(allowed)


def _stage(responder: Responder, name: str, logits: Floats, count: int) -> Stage:
    probabilities = softmax(logits)
    best = np.argsort(-probabilities, kind="stable")[:count].tolist()
    found = tuple(
        (responder.tokenizer.piece(token), float(probabilities[token]))
        for token in best
        if probabilities[token] > 0
    )
    rule = RULES.get(name)
    setting = str(getattr(responder.sampling, name)) if name else ""
    formula, source = (rule.formula, rule.source) if rule else MODEL
    return Stage(name, setting, formula, source, found, int(np.isfinite(logits).sum()))
