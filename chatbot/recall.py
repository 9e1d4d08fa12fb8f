"""What a reply was to: a bot that learned conversations backwards, for the scores that ask one."""

from __future__ import annotations

from collections.abc import Sequence

from chatbot.decoding import log_probabilities
from chatbot.engines.base import Engine
from chatbot.preparation import ExamplesConfig
from chatbot.tokenizer import USER, Tokenizer, shortened


class Recall:
    """Tells how well a turn can be told from each of several replies to it.

    engine, tokenizer, examples: of a bot that was trained with `examples.backward`. Its tokenizer may be
    another than that of the bot that replies, since all goes by text.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, examples: ExamplesConfig) -> None:
        self.engine, self.tokenizer, self.examples = engine, tokenizer, examples

    def __call__(self, turn: str, replies: Sequence[str]) -> list[float]:
        """Of each reply the mean log p (nats) of the turn's tokens, its end mark's included."""
        told = [self.tokenizer.turn(USER, reply) for reply in replies]
        heard = [shortened(ids, self.examples.prompt_limit) for ids in told]
        asked = [*self.tokenizer.encode(turn), self.tokenizer.end][: self.examples.reply_limit]
        return log_probabilities(self.engine, heard, asked)
