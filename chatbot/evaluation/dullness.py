"""The dullness meter: how varied a bot's replies are beside humans', and which setting would help."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from chatbot.bot import Bot
from chatbot.decoding import SamplingConfig
from chatbot.evaluation import texts
from chatbot.preparation import Encoded, exchanges

PROMPTS = texts.BLOCK  # enough for a first look
ENOUGH = 100  # replies; of fewer, none is common
FEW = 20  # of so many tokens to choose from, or more, the last ones hardly matter
DULL, WILD = 0.85, 1.05  # shares of the humans' distinct-2 (docs/evaluation.md)
STOCK = 2.0  # times the humans' share of the 20 commonest


@dataclasses.dataclass(frozen=True, slots=True)
class Variety:
    """Of replies: distinct-2, the share of the 20 commonest, and how many they are."""

    distinct_2: float
    commonest: float
    replies: int = PROMPTS

    @classmethod
    def of(cls, replies: Sequence[str]) -> Variety:
        """Of these replies."""
        return cls(texts.distinct_2(replies).total, texts.commonest_share(replies).total, len(replies))


def dullness(bot: Variety, humans: Variety, sampling: SamplingConfig) -> str:
    """One plain line."""
    if bot.replies < ENOUGH:
        return f"not judged: of so few replies ({bot.replies}) none is common; {ENOUGH} would do"
    figures = (
        f"{bot.commonest:.0%} of its replies are among its 20 commonest (humans: {humans.commonest:.0%}), "
        f"distinct-2 is {bot.distinct_2:.2f} ({humans.distinct_2:.2f})"
    )
    if bot.distinct_2 < DULL * humans.distinct_2 or bot.commonest > STOCK * humans.commonest:
        return f"dull: {figures}; {_livelier(sampling)}"
    if bot.distinct_2 > WILD * humans.distinct_2:
        return f"wild: {figures}; try a lower --temperature than {sampling.temperature:g}"
    return f"as varied as humans: {figures}"


def first_look(bot: Bot, validation: Encoded, progress: Callable[[int, int], None] | None = None) -> str:
    """The line for a bot just trained, from a few hundred replies to validation prompts."""
    examples = exchanges(validation, bot.responder.examples).some(PROMPTS)
    sampling = dataclasses.replace(bot.sampling, seed=0)
    said = bot.responder.with_sampling(sampling).reply_all([e.prompt for e in examples], progress)
    decode = bot.checkpoint.tokenizer.decode
    humans = [decode(example.reply) for example in examples]
    return dullness(Variety.of(said), Variety.of(humans), bot.sampling)


def _livelier(sampling: SamplingConfig) -> str:
    """The setting to raise next: temperature first, then what cuts the tail off."""
    if sampling.temperature < 1:
        return f"try a higher --temperature than {sampling.temperature:g}, up to 1 (less sensible too)"
    if 0 < sampling.top_k < FEW:
        return f"try a higher --top-k than {sampling.top_k}, or 0 for all"
    if sampling.top_p < 0.95:
        return f"try a higher --top-p than {sampling.top_p:g}"
    return "train it longer, or on more conversations"
