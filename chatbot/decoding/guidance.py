"""Guidance: replies that have to do with their prompt."""

from __future__ import annotations

import numpy as np

from chatbot.decoding.rule import NEVER, Floats, Seen, softmax

GUIDED = 10  # tokens of a reply over which guidance fades: by then it is its own prompt
PLAUSIBLE = 0.1  # of the likeliest token's probability: what guidance may choose from


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
    return np.where(own >= own.max() + np.log(PLAUSIBLE), guided, NEVER).astype(np.float32)
