"""The one interface that every model family has; the memory is in the open.

B batch, S prompt length, T reply length, V vocabulary, D width.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chatbot.batches import BOT, IGNORE, PairBatch, StreamBatch
from chatbot.models.config import ModelConfig
from chatbot.models.loss import output_loss

Tensors = Mapping[str, NDArray[Any]]  # weights by name, as a checkpoint has them
S = TypeVar("S", bound="State")
B = TypeVar("B", PairBatch, StreamBatch)


@dataclass(frozen=True)
class State:
    """What a model must remember between two tokens. Every tensor has the batch first."""

    def select(self: S, rows: Tensor) -> S:
        """A copy with these rows of the batch, in this order, repeats allowed."""

        def pick(value: Any) -> Any:  # Any: a field is a tensor, or a plain value shared by all rows
            return value.index_select(0, rows) if isinstance(value, Tensor) else value

        picked = {f.name: pick(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return dataclasses.replace(self, **picked)


@dataclass(frozen=True)
class Step(Generic[S]):
    """One prediction.

    logits     (B, V)
    attention  (B, S) over the prompt: rows sum to 1, 0 on padding
    state      to pass to the next `step`, which consumes it: `select` first to branch
    """

    logits: Tensor
    attention: Tensor
    state: S


@dataclass(frozen=True)
class Trace:
    """How a model looked while it predicted whole replies, all of them known: for those who ask afterwards.

    weights  (B, N, H, Q, M) of every layer and head: what each of Q places took from each of M
    carried  (B, N, H, M, D): what each place had to give, as the layer adds it to its output; weights times
             these, summed over heads and places, are all that attention brought
    mask     (B, S): where a look at the prompt may rest

    The prompt is the first S of the M places. The last T of the Q predict the reply's T tokens. In a stack of
    self-attention Q and M are the same places, prompt and reply in one.
    """

    weights: Tensor
    carried: Tensor
    mask: Tensor

    @property
    def stacked(self) -> bool:
        """Whether each layer looks at what the layer below it made of the same places."""
        return self.weights.size(-2) == self.weights.size(-1) > self.mask.size(1)


@dataclass(frozen=True)
class Loss:
    """total: nats of all targets together, with its gradient; tokens: how many targets that were.

    A sum and a count, so that averages over batches and processes are exact.
    """

    total: Tensor
    tokens: int


class ReplyModel(nn.Module, Generic[B, S]):
    """A model that learns replies to prompts, and says them token by token."""

    Config: ClassVar[type[ModelConfig]]
    config: ModelConfig
    embed: nn.Embedding  # through which every token is read, the prompt's first
    batch: ClassVar[type[PairBatch | StreamBatch]]
    # AdamW's highest at a width of 256, unless the training says otherwise: see `peak_rate`.
    learning_rate: ClassVar[float]
    learns_prompt: ClassVar[bool] = False  # whether one example can teach a whole dialogue
    # Settings that a bot which begins with another's weights may have for itself.
    changes_later: ClassVar[frozenset[str]] = frozenset({"dropout"})
    again: ClassVar[float] = (
        0.0  # dropout for a training that goes through a large corpus many times; 0: its own
    )

    def epochs(self, many: bool) -> float:
        """How often it goes through a corpus until it knows it by heart; many: one of two million tokens."""
        return 8.0 if many else 4.0

    def loss(self, batch: B, smoothing: float = 0.0) -> Loss:
        """Teacher-forced cross-entropy, in nats; `smoothing`: of labels (Szegedy et al. 2016, section 7)."""
        features, targets = self.predict(batch)
        rows = _learned(targets)
        features, targets = features.flatten(0, 1)[rows], targets.flatten()[rows]
        total = output_loss(self._product(features), *self.output_layer(), targets, smoothing)
        return Loss(total, int((targets != IGNORE).sum()))

    @property
    def stack(self) -> Iterable[nn.Module]:
        """Layers of one kind, in which most of a training step's time goes: worth compiling. None usually."""
        return ()

    @property
    def peak_rate(self) -> float:
        """AdamW's learning rate for the family at this width: the wider, the lower (Yang et al. 2022)."""
        return self.learning_rate * 256 / self.config.width

    @property
    def matrix_rate(self) -> float:
        """Muon's learning rate, for the matrices inside of the model; the same at every width."""
        return 2e-3

    @property
    def embedding_share(self) -> float:
        """Beside Muon: how many times the matrices' learning rate embeddings and vectors take."""
        return 8.0

    def forward(self, batch: B, smoothing: float = 0.0) -> Loss:
        """`loss`: what torch's wrappers around a model call."""
        return self.loss(batch, smoothing)

    @abstractmethod
    def predict(self, batch: B) -> tuple[Tensor, Tensor]:
        """What the output layer reads, (B, T, D), and the targets, (B, T), IGNORE where there is none."""

    def deepened(self, weights: Tensors) -> Tensors:
        """The weights of a bot of this family, for this one, which may have more layers if its family can."""
        return weights

    @abstractmethod
    def output_layer(self) -> tuple[Tensor, Tensor | None]:
        """Its weight (V, D) and its bias (V), if there is one."""

    def output(self, features: Tensor) -> Tensor:
        """Logits (..., V) from features (..., D)."""
        return F.linear(features, *self.output_layer())

    @staticmethod
    def _product(features: Tensor) -> Tensor:
        """In the dtype that autocast gives products; it does not see into our own functions."""
        device = features.device.type
        return (
            features.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else features
        )

    @abstractmethod
    def encode(self, prompt: Tensor) -> S:
        """Read the prompt (B, S), padded on the right."""

    @abstractmethod
    def decode(self, tokens: Tensor, state: S) -> tuple[Tensor, Tensor, S]:
        """Append the tokens (B, T) to each reply, all of them known; consumes the state, as `step` does.

        What the output layer reads (B, T, D), attention over the prompt (B, T, S), and the new state.
        """

    @abstractmethod
    def trace(self, prompt: Tensor, reply: Tensor) -> Trace:
        """How it looks while it predicts the replies (B, T) to the prompts (B, S), padded on the right.

        Slower than `predict`, and equal to stepping: the weights are those that `Step.attention` is made of.
        """

    def start(self, prompt: Tensor) -> Step[S]:
        """Read the prompt (B, S), padded on the right, and predict the first token of the reply."""
        return self.step(prompt.new_full((len(prompt),), BOT), self.encode(prompt))

    def step(self, token: Tensor, state: S) -> Step[S]:
        """Append the token (B,) to each reply and predict the next."""
        features, attention, state = self.decode(token[:, None], state)
        return Step(self.output(features[:, -1]), attention[:, -1], state)


def given(reply: Tensor) -> Tensor:
    """What is known when each token of the replies (B, T) is predicted: the bot mark and those before it."""
    return torch.cat([reply.new_full((len(reply), 1), BOT), reply[:, :-1]], 1)


def _learned(targets: Tensor) -> Tensor:
    """The flat positions that have a target, filled up to a multiple of 64 with positions that have none.

    The output layer is the dearest of a small model, so it runs on real positions only; it runs on
    rounded numbers of them because a bfloat16 kernel is prepared for each new shape.
    """
    flat = targets.flatten()
    real = (flat != IGNORE).nonzero().squeeze(1)
    rest = (flat == IGNORE).nonzero().squeeze(1)
    return torch.cat([real, rest[: -len(real) % 64]])
