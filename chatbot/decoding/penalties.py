"""Rules that make less probable what the reply has said already."""

from __future__ import annotations

import numpy as np

from chatbot.decoding.rule import Floats, Seen


def repetition_penalty(logits: Floats, seen: Seen, value: float) -> Floats:
    """Divide the logits of tokens that were said, multiply negative ones (Keskar et al. 2019, section 4.1).

    As transformers does it, which the paper leaves open: so that a penalty is one at either sign.
    """
    if value == 1 or not seen.recent:
        return logits
    said = np.unique(np.asarray(seen.recent, np.int64))
    penalised = logits.copy()
    penalised[said] = np.where(logits[said] > 0, logits[said] / value, logits[said] * value)
    return penalised


def presence_penalty(logits: Floats, seen: Seen, value: float) -> Floats:
    """Take this from the logit of every token that was said, as OpenAI's API does."""
    if value == 0 or not seen.recent:
        return logits
    penalised = logits.copy()
    penalised[np.asarray(seen.recent, np.int64)] -= np.float32(value)  # once, however often it is listed
    return penalised


def frequency_penalty(logits: Floats, seen: Seen, value: float) -> Floats:
    """Take this from a token's logit each time that it was said, as OpenAI's API does."""
    if value == 0 or not seen.recent:
        return logits
    penalised = logits.copy()
    np.subtract.at(penalised, np.asarray(seen.recent, np.int64), np.float32(value))
    return penalised
