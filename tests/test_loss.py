"""The output layer's loss in pieces is the loss in one piece."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chatbot.batches import IGNORE
from chatbot.models.loss import PIECE, output_loss

V, D = 11, 8


def layer(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    features, weight, bias = torch.randn(rows, D), torch.randn(V, D), torch.randn(V)
    targets = torch.randint(0, V, (rows,))
    targets[1] = IGNORE
    return features.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), targets


@pytest.mark.parametrize("rows", [3, PIECE, 2 * PIECE + 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [True, False])
def test_value_and_gradients_are_those_of_one_piece(rows: int, smoothing: float, biased: bool) -> None:
    features, weight, bias, targets = layer(rows)
    learned = [features, weight, bias] if biased else [features, weight]
    logits = F.linear(features, weight, bias if biased else None)
    whole = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing, ignore_index=IGNORE)
    pieces = output_loss(features, weight, bias if biased else None, targets, smoothing)
    assert torch.allclose(pieces, whole, rtol=1e-5)
    expected = torch.autograd.grad(whole / 3, learned)
    found = torch.autograd.grad(pieces / 3, learned)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_without_gradients_the_value_is_the_same() -> None:
    features, weight, bias, targets = layer(5)
    learned = output_loss(features, weight, bias, targets, 0.0)
    with torch.no_grad():
        assert torch.equal(output_loss(features, weight, bias, targets, 0.0), learned)


def test_products_in_bfloat16_stay_close_and_sums_stay_exact() -> None:
    features, weight, bias, targets = layer(2 * PIECE)
    exact = output_loss(features, weight, bias, targets, 0.0)
    rough = output_loss(features.bfloat16(), weight, bias, targets, 0.0)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, rtol=1e-2)
    assert not torch.equal(rough, exact)
