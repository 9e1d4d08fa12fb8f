"""Muon: what it makes of a matrix, and that it is the same as torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from chatbot.models import FAMILIES
from chatbot.sizes import SIZES
from chatbot.training import TrainingConfig
from chatbot.training.muon import LENGTH, Muon, orthogonal
from chatbot.training.optimization import optimizer


def _matrices(*shapes: tuple[int, int]) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


@pytest.mark.parametrize("shape", [(24, 24), (48, 16), (16, 48)])
def test_singular_values_come_near_1_and_directions_stay(shape: tuple[int, int]) -> None:
    u, _, vt = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    given = (u * torch.logspace(2, 0.5, min(shape))) @ vt
    found = orthogonal(given[None])[0]
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.25
    # In the given's own directions it is diagonal: nothing was turned.
    inside = u.T @ found @ vt.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)


def test_a_scaled_identity_stays_one() -> None:
    # By hand: 5 iterations of 3.4445 s - 4.775 s^3 + 2.0315 s^5 from s = 1 / sqrt(2), for both values.
    s = 2**-0.5
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonal(7 * torch.eye(2)[None])[0], s * torch.eye(2))


def test_matrices_taken_together_are_as_taken_alone() -> None:
    given = torch.randn(3, 8, 24)
    alone = torch.cat([orthogonal(one[None]) for one in given])
    torch.testing.assert_close(orthogonal(given), alone)


def test_zero_stays_zero() -> None:
    assert orthogonal(torch.zeros(1, 4, 4)).abs().max() == 0


def test_products_are_in_autocasts_dtype() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert orthogonal(torch.randn(1, 4, 8)).dtype == torch.bfloat16
    assert orthogonal(torch.randn(1, 4, 8)).dtype == torch.float32


def test_a_first_step_is_as_long_as_adamws() -> None:
    (matrix,) = _matrices((32, 96))
    before = matrix.detach().clone()
    matrix.grad = torch.randn_like(matrix)
    Muon([matrix], 0.01, weight_decay=0.0).step()
    length = (matrix - before).square().mean().sqrt().item()
    assert length == pytest.approx(LENGTH * 0.01, rel=0.2)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has one since 2.9")
def test_steps_are_those_of_torch() -> None:
    ours = _matrices((24, 24), (24, 24), (64, 24), (24, 64))
    theirs = copy.deepcopy(ours)
    other = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    mine = Muon(ours, 0.01, weight_decay=0.1)
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        other.step()  # type: ignore[no-untyped-call]
        with torch.autocast("cpu", torch.bfloat16):  # torch's takes it always
            mine.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", ["gpt", "seq2seq"])
def test_every_parameter_belongs_to_one_optimizer(family: str) -> None:
    kind = FAMILIES.load(family)
    model = kind(kind.Config.sized(SIZES["nano"], 300))
    found = optimizer(model, TrainingConfig(optimizer="muon", learning_rate=0.01))
    kept = [p for group in found.groups for p in group["params"]]
    assert {id(p) for p in kept} == {id(p) for p in model.parameters()}
    assert len(kept) == len({id(p) for p in kept})
    (muon,) = [part for part in found.parts if isinstance(part, Muon)]
    names = {id(p): name for name, p in model.named_parameters()}
    moved = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    assert moved
    assert not any(name.startswith("embed") for name in moved)
    assert [group["lr"] for group in muon.param_groups] == [0.01]
    found.step(0.02)
    rates = {group["lr"] for part in found.parts for group in part.param_groups}
    assert rates == {0.02, 0.02 * model.embedding_share}
