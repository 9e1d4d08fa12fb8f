"""The methods themselves. `METHODS` names them; docs/attention.md compares them.

S prompt length, T reply length, L = S + T, N layers, H heads, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chatbot.batches import IGNORE, PAD
from chatbot.engines.torch import AnyModel
from chatbot.errors import ConfigError
from chatbot.models.base import Trace
from chatbot.preparation import Example

Floats = NDArray[np.float32]
Ids = Sequence[int]
Method = Callable[[AnyModel, Ids, Ids], Floats]


def _unpadded(method: Callable[[AnyModel, Ids, Ids], Tensor]) -> Method:
    """A method that sees no padding: that gets 0. The shares are over the last axis, all others are kept."""

    @wraps(method)
    def over_all(model: AnyModel, prompt: Ids, reply: Ids) -> Floats:
        real = [i for i, token in enumerate(prompt) if token != PAD]
        found = method(model, [prompt[i] for i in real], reply).detach().float().cpu().numpy()
        placed = np.zeros((*found.shape[:-1], len(prompt)), np.float32)
        placed[..., real] = found
        return placed

    return over_all


@_unpadded
def weights(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """The model's own weights (T, S), those of `Step.attention`: the last layer's, the mean over its heads.

    Luong et al. 2015, eq. 7; Vaswani et al. 2017, eq. 1.
    """
    trace = traced(model, prompt, reply)
    return shares(over_prompt(trace, trace.weights[0, -1], reply).mean(0), trace.mask[0])


@_unpadded
def rollout(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """Attention rollout (T, S): the product over layers of 0.5 A + 0.5 I (Abnar & Zuidema 2020, eq. 1 and
    section 3), A the mean over heads. A model that is no stack of self-attention is a ConfigError."""
    trace = traced(model, prompt, reply)
    if not trace.stacked:
        raise ConfigError("rollout is for models whose attention has layers", "take another method")
    own = torch.eye(trace.weights.size(-1), device=trace.weights.device)
    seen = own
    for layer in trace.weights[0].float().mean(1):  # (L, L)
        seen = (0.5 * layer + 0.5 * own) @ seen
    return shares(over_prompt(trace, seen, reply), trace.mask[0])


@_unpadded
def norms(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """Of the last layer, the length of what each place adds to the output (T, S): ||sum over heads of
    alpha f(x)||, f the value through the output projection (Kobayashi et al. 2020, section 3)."""
    trace = traced(model, prompt, reply)
    looked = over_prompt(trace, trace.weights[0, -1], reply)  # (H, T, S)
    carried = trace.carried[0, -1, :, : len(prompt)]  # (H, S, D)
    moved = torch.einsum("hts,hsd->tsd", looked.float(), carried.float())
    return shares(moved.norm(dim=-1), trace.mask[0])


@_unpadded
def gradient(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """Gradient times input (T, S): |x . d log p(token) / dx| for the embedding x of each token of the prompt
    (Shrikumar et al. 2016; its absolute value, since a share has no sign)."""
    looked = slopes(model, prompt, reply).sum(-1).abs()
    return shares(looked, traced(model, prompt, reply).mask[0])


@_unpadded
def every_head(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """Each layer's and each head's own weights, as shares over the prompt: (N, H, T, S)."""
    trace = traced(model, prompt, reply)
    return shares(over_prompt(trace, trace.weights[0], reply), trace.mask[0])


@torch.no_grad()
def traced(model: AnyModel, prompt: Ids, reply: Ids) -> Trace:
    """How the model looks while it says the reply; a batch of one."""
    device = next(model.parameters()).device
    return model.trace(torch.tensor([prompt], device=device), torch.tensor([reply], device=device))


def over_prompt(trace: Trace, looked: Tensor, reply: Ids) -> Tensor:
    """Of looks (..., Q, M), those that predict the reply, at the prompt: (..., T, S)."""
    return looked[..., -len(reply) :, : trace.mask.size(1)]


def shares(looked: Tensor, mask: Tensor) -> Tensor:
    """Rows (..., S), not negative, as shares of what falls on the mask (S); even ones if nothing does."""
    looked = torch.where(mask, looked.float(), 0.0)
    total = looked.sum(-1, keepdim=True)
    even = mask / mask.sum()
    return torch.where(total > 0, looked / total.clamp(min=1e-30), even)


def slopes(model: AnyModel, prompt: Ids, reply: Ids) -> Tensor:
    """x * d log p(token) / dx (T, S, D) for each token of the reply and each embedding x of the prompt.

    Every token has a row of its own in a batch of T times the same example, so that one pass back is enough.
    """
    device = next(model.parameters()).device
    batch = model.batch.collate([Example(list(prompt), list(reply))] * len(reply)).to(device)
    rows = torch.arange(len(reply), device=device)
    with torch.enable_grad(), _read(model) as read:
        features, targets = model.predict(batch)
        places = (targets[0] != IGNORE).nonzero().squeeze(1)  # (T)
        logs = model.output(features[rows, places]).log_softmax(-1)  # (T, V)
        said = logs[rows, torch.tensor(list(reply), device=device)].sum()
    (slope,) = torch.autograd.grad(said, read[:1])
    return (read[0].detach() * slope)[:, : len(prompt)]


@contextmanager
def _read(model: AnyModel) -> Iterator[list[Tensor]]:
    """The embeddings that the model reads meanwhile, in their order: the first begin with the prompt's."""
    read: list[Tensor] = []

    def keep(module: nn.Module, tokens: object, embedded: Tensor) -> Tensor:
        read.append(embedded.detach().requires_grad_())
        return read[-1]

    handle = model.embed.register_forward_hook(keep)
    try:
        yield read
    finally:
        handle.remove()
