"""From logits to tokens: sampling rules, the sampler, the one decoding loop, and search.

Everything here is NumPy, so that it serves every engine and needs no torch. A rule is a function in one of
these files, a line of RULES, and a setting of SamplingConfig: `--name`, `/set name` and its tests follow.
"""

from chatbot.decoding.config import OTHER_NAMES, RULES, SamplingConfig, adjusted, alone
from chatbot.decoding.loop import Chosen, generate, generate_all, log_probabilities
from chatbot.decoding.rule import Floats, Rule, Seen, softmax
from chatbot.decoding.sampler import Choice, Sampler
from chatbot.decoding.scores import SCORES, Backward
from chatbot.decoding.search import best_of, deterministic, search
from chatbot.decoding.spelling import Spelling
from chatbot.decoding.styles import STYLES, USUAL, Styles, style_of, styled

__all__ = [
    "OTHER_NAMES",
    "RULES",
    "SCORES",
    "STYLES",
    "USUAL",
    "Backward",
    "Choice",
    "Chosen",
    "Floats",
    "Rule",
    "Sampler",
    "SamplingConfig",
    "Seen",
    "Spelling",
    "Styles",
    "adjusted",
    "alone",
    "best_of",
    "deterministic",
    "generate",
    "generate_all",
    "log_probabilities",
    "search",
    "softmax",
    "style_of",
    "styled",
]
