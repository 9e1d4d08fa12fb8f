"""The public API: a bot, loaded from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from chatbot.checkpoint import BotConfig, Checkpoint, Tensors, find
from chatbot.config import from_dict, to_dict
from chatbot.decoding import STYLES, USUAL, SamplingConfig, Styles, alone, styled
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.base import ENGINES, LIGHT, Engine
from chatbot.errors import CheckpointError, ConfigError
from chatbot.preparation import ExamplesConfig
from chatbot.recall import Recall
from chatbot.replying import Event, Reply, Responder


class Bot:
    """A bot that can be talked to.

    bot = Bot.load("checkpoints/cornell-gpt")
    bot.reply("hi").text
    for event in bot.stream("hi", seed=0): ...
    """

    def __init__(
        self, checkpoint: Checkpoint, responder: Responder, header: Mapping[str, Any] | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.responder = responder
        self.header = header or {}  # of the weights, as they were when they were read
        self.name = checkpoint.name
        self.family = checkpoint.config.family

    @classmethod
    def load(cls, bot: str | Path | None = None, device: str = "auto", engine: str = "auto") -> Bot:
        """Load a bot by its folder or name; without one, the bot trained last.

        engine: light (NumPy, quick to load); half and bytes (Numba), or onnx, speculative and int8 (ONNX
        Runtime), the fastest for one reply at a time; torch (for many at once, or a GPU); or auto: light,
        unless a device is named that needs torch.
        """
        checkpoint = Checkpoint.load(find(str(bot) if bot is not None else None))
        config = checkpoint.config
        try:
            sampling = from_dict(SamplingConfig, config.sampling, "sampling")
            examples = from_dict(ExamplesConfig, config.examples, "examples")
            for style in config.styles:
                styled(sampling, style, config.styles)
        except ConfigError as error:
            raise CheckpointError(f"{checkpoint.folder} is damaged: {error.what}", error.hint) from None
        weights = checkpoint.weights()
        try:
            runner = _engine(engine, config, weights.tensors, device)
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint.folder} is damaged: {error.what}", error.hint) from None
        responder = Responder(runner, checkpoint.tokenizer, sampling, examples)
        return cls(checkpoint, responder, weights.header)

    @property
    def sampling(self) -> SamplingConfig:
        """How its replies are drawn unless a call says otherwise."""
        return self.responder.sampling

    @cached_property  # the status line asks at every key
    def usual(self) -> SamplingConfig:
        """How its replies are drawn where nobody changes anything: as it was saved."""
        return from_dict(SamplingConfig, self.checkpoint.config.sampling, "sampling")

    @property
    def styles(self) -> Styles:
        """Its ways of replying by name: its usual one, the program's, and those that were saved with it."""
        return {USUAL: to_dict(self.usual), **STYLES, **self.checkpoint.config.styles}

    def with_sampling(self, sampling: SamplingConfig) -> Bot:
        """The same bot with other sampling."""
        return Bot(self.checkpoint, self.responder.with_sampling(sampling), self.header)

    def with_backward(self, other: Bot) -> Bot:
        """The same bot, with one trained backwards to ask, for the scores `bidi` and `backward`."""
        if not other.responder.examples.backward:
            raise ConfigError(
                f"{other.name} did not learn conversations backwards",
                "train one that does: chatbot train CORPUS --set examples.backward=true --name NAME",
            )
        own, asked = self.responder, other.responder
        recall = Recall(asked.engine, asked.tokenizer, asked.examples)
        responder = Responder(own.engine, own.tokenizer, own.sampling, own.examples, recall)
        return Bot(self.checkpoint, responder, self.header)

    @property
    def context(self) -> int:
        """How many turns it sees."""
        return self.responder.examples.context

    def stream(self, prompt: str | Dialogue, **sampling: Any) -> Iterator[Event]:
        """Reply to a prompt, or to a dialogue's last turn, token by token.

        Keywords are SamplingConfig's: temperature=0, seed=1, ...
        """
        dialogue = prompt if isinstance(prompt, Dialogue) else Dialogue((Turn("user", prompt),))
        changed = from_dict(
            SamplingConfig, {**to_dict(self.sampling), **alone(sampling), **sampling}, "sampling"
        )
        return self.responder.with_sampling(changed).reply(dialogue)

    def reply(self, prompt: str | Dialogue, **sampling: Any) -> Reply:
        """The whole reply to a prompt, or to a dialogue's last turn."""
        return Reply.collect(self.stream(prompt, **sampling))


def _engine(name: str, config: BotConfig, tensors: Tensors, device: str) -> Engine:
    """A bot's model, ready to run."""
    if name == "auto":
        name = "light" if config.family in LIGHT and device in ("auto", "cpu") else "torch"
    engine: Engine = ENGINES.load(name).load(config.family, config.model, tensors, device)
    return engine
