"""A GRU layer over a whole sequence as one autograd function.

One product for all input projections, a lean loop over time, and one product after it for the weight's
gradient, all in bfloat16 where products are. That is for processors with AMX; on AVX-512 alone it is no
faster than torch's nn.GRU, 0.7 to 1.0 times (benchmarks/training_parts.py). The results are nn.GRU's.

T time, B batch, H hidden size. Gates are ordered r, z, n as in torch. Equations: Cho et al. 2014 in
torch's form, h' = (1 - z) * n + z * h with n = tanh(W x + r * (U h + b)).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Recurrence(torch.autograd.Function):
    """The recurrent half of a GRU, from input projections that are computed already.

    The products run in the dtype of `inputs`. The hidden state stays float32: with z near 1 a bfloat16
    state would lose every small update.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, first: Tensor) -> Tensor:
        """inputs (T, B, 3H), weight (3H, H), bias (H) of the n gate, first (B, H) float32 -> (T, B, H)."""
        steps, rows, size = inputs.size(0), inputs.size(1), weight.size(1)
        hidden = first.new_empty(steps + 1, rows, size)
        gates = first.new_empty(steps, rows, 2 * size)  # r and z
        new, recurrent = first.new_empty(2, steps, rows, size)  # n, and U h + b inside it
        hidden[0] = first
        across = weight.to(inputs.dtype).t()
        if steps > 1:  # one copy pays over many steps, not over one
            across = across.contiguous()
        for t in range(steps):
            product = hidden[t].to(inputs.dtype) @ across  # (B, 3H)
            rz = torch.add(product[:, : 2 * size], inputs[t, :, : 2 * size], out=gates[t]).sigmoid_()
            inner = torch.add(product[:, 2 * size :], bias, out=recurrent[t])
            n = _tanh(torch.addcmul(inputs[t, :, 2 * size :].float(), rz[:, :size], inner, out=new[t]))
            torch.lerp(n, hidden[t], rz[:, size:], out=hidden[t + 1])
        ctx.save_for_backward(weight, hidden, gates, new, recurrent)
        ctx.product_type = inputs.dtype
        return hidden[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Back through time; the weight's gradient is one product over all steps."""
        weight, hidden, gates, new, recurrent = ctx.saved_tensors
        (above,) = gradients
        steps, rows, size = new.shape
        weight = weight.to(ctx.product_type)
        r, z = gates[..., :size], gates[..., size:]
        to_z = (hidden[:-1] - new) * z * (1 - z)
        to_n = (1 - z) * (1 - new * new)
        to_r = recurrent * r * (1 - r)
        before = torch.empty(steps, rows, 3 * size, dtype=ctx.product_type, device=new.device)
        new_gate = torch.empty_like(new)
        down = torch.zeros_like(hidden[0])
        for t in reversed(range(steps)):
            down = down + above[t]
            n = torch.mul(down, to_n[t], out=new_gate[t])
            torch.mul(n, to_r[t], out=before[t, :, :size])
            torch.mul(down, to_z[t], out=before[t, :, size : 2 * size])
            torch.mul(n, r[t], out=before[t, :, 2 * size :])
            down = torch.addcmul((before[t] @ weight).float(), down, z[t])
        flat = before.flatten(0, 1)
        weight_gradient = flat.t() @ hidden[:-1].flatten(0, 1).to(flat.dtype)
        to_inputs = torch.cat([before[..., : 2 * size], new_gate.to(before.dtype)], -1)
        bias_gradient = before[..., 2 * size :].float().sum((0, 1))
        return to_inputs, weight_gradient.float(), bias_gradient, down


def _tanh(x: Tensor) -> Tensor:
    """In place: 2 sigmoid(2x) - 1, since torch's tanh takes four times as long (AVX-512)."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


class GRULayer(nn.Module):
    """One direction of one GRU layer, batch first; parameters as nn.GRU names and initialises them."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight_ih = nn.Parameter(torch.empty(3 * size, inputs))
        self.weight_hh = nn.Parameter(torch.empty(3 * size, size))
        self.bias_ih = nn.Parameter(torch.empty(3 * size))
        self.bias_hh = nn.Parameter(torch.empty(3 * size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(size), 1 / math.sqrt(size))

    def forward(self, x: Tensor, first: Tensor | None = None) -> Tensor:
        """(B, T, inputs), and the state before it (B, H), zero if None -> every state (B, T, H)."""
        size = self.size
        if x.device.type == "cuda":
            return self.by_torch(x, first)
        bias = torch.cat([self.bias_ih[: 2 * size] + self.bias_hh[: 2 * size], self.bias_ih[2 * size :]])
        inputs = F.linear(x.transpose(0, 1), self.weight_ih, bias)  # (T, B, 3H)
        if first is None:
            first = x.new_zeros(x.size(0), size)
        rest = self.weight_hh, self.bias_hh[2 * size :], first.float()
        states: Tensor = Recurrence.apply(inputs, *rest)  # type: ignore[no-untyped-call]
        return states.transpose(0, 1)

    def by_torch(self, x: Tensor, first: Tensor | None = None) -> Tensor:
        """The same by torch's own layer: on a GPU that is one kernel of cuDNN for the whole sequence."""
        first = x.new_zeros(x.size(0), self.size) if first is None else first.to(x.dtype)
        layer: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        states, _ = torch.gru(x, first[None], layer, True, 1, 0.0, self.training, False, True)
        return states
