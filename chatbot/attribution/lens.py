"""Replies, looked at again: the same reply, its attention by another method, layer or head."""

from __future__ import annotations

from dataclasses import replace

from chatbot.attribution import METHODS, checked
from chatbot.attribution.methods import Floats, Method, every_head
from chatbot.bot import Bot
from chatbot.engines.torch import AnyModel, TorchEngine
from chatbot.errors import ConfigError
from chatbot.replying import Reply


class Lens:
    """One bot's model, to ask about the bot's replies."""

    def __init__(self, model: AnyModel, family: str) -> None:
        self.model = model
        self.family = family

    @classmethod
    def of(cls, bot: Bot) -> Lens:
        """The bot's own model if torch runs it; else it is loaded again, with torch: keep what you get."""
        engine = bot.responder.engine
        if not isinstance(engine, TorchEngine):
            config = bot.checkpoint.config
            weights = bot.checkpoint.weights()
            engine = TorchEngine.load(config.family, config.model, weights.tensors, "cpu")
        return cls(engine.model, bot.family)

    def look(self, reply: Reply, method: str | None = None) -> Reply:
        """The reply, its tokens' attention by that method, or the family's default.

        A method that there is not, or not for this family, is a ConfigError.
        """
        function: Method = METHODS.load(checked(method, self.family))
        return _with(reply, function(self.model, *_ids(reply))) if reply.tokens else reply

    def layers(self, reply: Reply) -> list[Reply]:
        """The reply as each layer looked, from the lowest: the mean over its heads, as shares of the prompt.

        A family whose attention has no layers is a ConfigError.
        """
        return [_with(reply, layer.mean(0)) for layer in self._every_head(reply)]

    def heads(self, reply: Reply, layer: int = -1) -> list[Reply]:
        """The reply as each head of a layer looked; layers count from 0, the last is -1.

        A family whose attention has no heads, or a layer that there is not, is a ConfigError.
        """
        every = self._every_head(reply)
        if not -len(every) <= layer < len(every):
            raise ConfigError(f"there is no layer {layer}", f"there are {len(every)}, from 0")
        return [_with(reply, head) for head in every[layer]]

    def _every_head(self, reply: Reply) -> Floats:
        if not reply.tokens:
            raise ConfigError("there is no reply to look at", "say something first")
        found = every_head(self.model, *_ids(reply))
        if found.shape[:2] == (1, 1):
            raise ConfigError(f"{self.family} looks once, with one head", "/attention shows all of it")
        return found


def _ids(reply: Reply) -> tuple[list[int], list[int]]:
    """The prompt's and the reply's tokens."""
    return [piece.token for piece in reply.prompt], [token.token for token in reply.tokens]


def _with(reply: Reply, looked: Floats) -> Reply:
    """The reply with that attention (T, S)."""
    rows = [tuple(row) for row in looked.tolist()]
    tokens = (replace(token, attention=row) for token, row in zip(reply.tokens, rows, strict=True))
    return replace(reply, tokens=tuple(tokens))
