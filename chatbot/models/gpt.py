"""A decoder-only Transformer (Radford et al. 2018) in the Llama layout.

Prompt and reply are one stream; a reply begins after its bot mark.

B batch, S prompt length, L stream length, M length of the cache, V vocabulary, D width, H heads, K
head width, N layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chatbot.batches import PAD, StreamBatch
from chatbot.models.base import ReplyModel, State, Tensors, Trace, given
from chatbot.models.blocks import Block, rotation
from chatbot.models.config import GPTConfig

WRITES = ("out.weight", "down.weight")  # the matrices by which a block writes into the residual stream
ROOM = 64  # positions by which a full cache grows


@dataclass(frozen=True)
class GPTState(State):
    """keys, values (B, N, groups, M, K) and mask (B, M), True at real tokens; written in place by `decode`.

    position (B,): where each row's next token stands. filled: columns in use. prompt: the first
    columns, S of them, are the prompt's.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    position: Tensor
    filled: int
    prompt: int


class GPT(ReplyModel[StreamBatch, GPTState]):
    """Pre-norm blocks, rotary positions, no biases, tied embeddings."""

    Config = GPTConfig
    config: GPTConfig
    learning_rate = 2e-3
    batch = StreamBatch
    learns_prompt = True
    changes_later = ReplyModel.changes_later | {"layers"}
    again = 0.1

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.size = config.width // config.heads
        self.groups = config.groups or config.heads
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, self.groups, config.feed, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.RMSNorm(config.width, eps=1e-5)
        self._initialise()

    def epochs(self, many: bool) -> float:
        return 6.0 if many and self.config.dropout else 3.0  # each reads every turn twice, from both sides

    @property
    def stack(self) -> Iterable[nn.Module]:
        return self.blocks

    def deepened(self, weights: Tensors) -> Tensors:
        """Behind each block come copies of it that add nothing yet (Wu et al. 2024, LLaMA Pro, section 3.2).

        So it begins with the very replies of the bot that has fewer blocks.
        """
        before = sum(name.endswith(".down.weight") for name in weights)
        deeper = {name: array for name, array in weights.items() if not name.startswith("blocks.")}
        last = -1
        for i in range(self.config.layers):
            source = i * before // self.config.layers
            for name in (name for name in weights if name.startswith(f"blocks.{source}.")):
                silent = source == last and name.endswith(WRITES)
                found = weights[name] * 0 if silent else weights[name]
                deeper[name.replace(str(source), str(i), 1)] = found
            last = source
        return deeper

    def predict(self, batch: StreamBatch) -> tuple[Tensor, Tensor]:
        positions = torch.arange(batch.tokens.size(1), device=batch.tokens.device)[None]
        turn = rotation(positions, self.size, self.config.rotary_base)
        x = F.dropout(self.embed(batch.tokens), self.config.dropout, self.training)
        for block in self.blocks:
            x = block(x, turn)
        return self.norm(x), batch.targets

    def output_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.embed.weight, None

    def encode(self, prompt: Tensor) -> GPTState:
        mask = prompt != PAD
        state, _, _ = self._advance(prompt, _positions(mask), self._empty(mask))
        return state

    def trace(self, prompt: Tensor, reply: Tensor) -> Trace:
        stream = torch.cat([prompt, given(reply)], 1)
        mask, layers = stream != PAD, list[Tensor]()
        state, _, _ = self._advance(stream, _positions(mask), self._empty(mask), layers)
        values = state.values[:, :, :, : stream.size(1)].unbind(1)
        blocks = cast("Sequence[Block]", self.blocks)
        carried = [block.attention.carried(value) for block, value in zip(blocks, values, strict=True)]
        return Trace(torch.stack(layers, 1), torch.stack(carried, 1), prompt != PAD)

    def decode(self, tokens: Tensor, state: GPTState) -> tuple[Tensor, Tensor, GPTState]:
        new = tokens.size(1)
        state = _with_room(state, new)
        state.mask[:, state.filled : state.filled + new] = True
        positions = state.position[:, None] + torch.arange(new, device=tokens.device)
        state, x, weights = self._advance(tokens, positions, state)
        state = replace(state, position=state.position + new)
        return self.norm(x), _over_prompt(weights, state.prompt), state

    def _empty(self, mask: Tensor) -> GPTState:
        """A cache with room for the prompt and a first stretch of the reply."""
        rows, prompt = mask.shape
        shape = (rows, self.config.layers, self.groups, prompt + ROOM, self.size)
        kind = self._product(self.embed.weight[:0]).dtype
        cache = torch.zeros(2, *shape, dtype=kind, device=mask.device)
        mask = F.pad(mask, (0, ROOM))
        return GPTState(cache[0], cache[1], mask, mask.sum(1), filled=0, prompt=prompt)

    def _advance(
        self, tokens: Tensor, positions: Tensor, state: GPTState, layers: list[Tensor] | None = None
    ) -> tuple[GPTState, Tensor, Tensor]:
        """Read tokens (B, L) into the cache: the new state, x (B, L, D), the last block's weights.

        layers: a list that shall get every block's weights (B, H, L, M).
        """
        new = tokens.size(1)
        end = state.filled + new
        seen = _causal(state.mask[:, :end], new)
        turn = rotation(positions, self.size, self.config.rotary_base)
        x = self.embed(tokens)
        weights = x.new_zeros(0)
        for i, block in enumerate(cast("Sequence[Block]", self.blocks)):
            query, key, value = block.attention.project(block.attention_norm(x), turn)
            state.keys[:, i, :, state.filled : end] = key
            state.values[:, i, :, state.filled : end] = value
            past = state.keys[:, i, :, :end], state.values[:, i, :, :end]
            attended, weights = block.attention.look(query, *past, seen)
            x = block.finish(x, attended)
            if layers is not None:
                layers.append(weights)
        return replace(state, filled=end), x, weights

    def _initialise(self) -> None:
        """Normal, std 0.02 (GPT-2); 1/sqrt(2N) of it where a block writes into the residual stream."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                inward = name.endswith(WRITES)
                scale = 1 / math.sqrt(2 * self.config.layers) if inward else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)


def _positions(mask: Tensor) -> Tensor:
    """Where tokens stand (B, L): real ones count from 0; padding is masked, so it may stand anywhere."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _causal(mask: Tensor, new: int) -> Tensor:
    """Who may see whom, (B, 1, new, M): earlier real tokens and oneself (so that no row is empty)."""
    end = mask.size(1)
    at = torch.arange(end, device=mask.device)
    own = torch.arange(end - new, end, device=mask.device)[:, None]
    return ((at <= own) & mask[:, None] | (at == own))[:, None]


def _with_room(state: GPTState, new: int) -> GPTState:
    """The state, with a longer cache if `new` more tokens would not fit."""
    if state.filled + new <= state.mask.size(1):
        return state
    room = -(-new // ROOM) * ROOM
    keys, values = (F.pad(x, (0, 0, 0, room)) for x in (state.keys, state.values))
    mask = F.pad(state.mask, (0, room))
    return GPTState(keys, values, mask, state.position, state.filled, state.prompt)


def _over_prompt(weights: Tensor, prompt: int) -> Tensor:
    """Attention over the prompt (B, L, S): the mean over heads, as shares of what fell on the prompt."""
    looked = weights[..., :prompt].float().mean(1)
    return looked / looked.sum(-1, keepdim=True).clamp(min=1e-9)
