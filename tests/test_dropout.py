"""Our dropout against its definition."""

from __future__ import annotations

import pytest
import torch

from chatbot.models.dropout import LEVELS, dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(301, 77, 13, requires_grad=True)  # no multiple of eight
    y = dropout(x, share, True)
    dropped = round(share * LEVELS) / LEVELS
    assert (y == 0).float().mean().item() == pytest.approx(dropped, abs=0.005)
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    kept = y[y != 0]
    assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - dropped)))
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_places_are_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(40_000, 16), 0.5, True) != 0).float()
    off = torch.corrcoef(kept.T) - torch.eye(16)
    assert off.abs().max().item() < 0.03


def test_it_follows_the_seed_and_spares_what_is_not_trained() -> None:
    x = torch.ones(50)
    torch.manual_seed(1)
    first, second = dropout(x, 0.5, True), dropout(x, 0.5, True)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.5, True), first)
    assert not torch.equal(first, second)
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x
    assert dropout(x.bfloat16(), 0.001, True).dtype == torch.bfloat16
