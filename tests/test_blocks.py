"""The parts of the Transformer. B 2, L 5, D 8, H 4, K 2."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chatbot.models.blocks import Block, SelfAttention, SwiGLU, causal, rotate, rotation

ROWS, LENGTH, WIDTH, HEADS = 2, 5, 8, 4
Turn = tuple[Tensor, Tensor]


def turn_at(position: float, size: int, base: float = 100.0) -> Turn:
    return rotation(torch.tensor([[position]]), size, base)


def turns(length: int, size: int) -> Turn:
    return rotation(torch.arange(length)[None], size, 100.0)


def turned(values: list[float], position: float) -> list[float]:
    """A vector rotated as if it stood at this position."""
    x = torch.tensor(values).float()[None, None, None]
    return rotate(x, turn_at(position, len(values))).flatten().tolist()


def test_rotation_pairs_the_halves_as_the_llama_weights_do() -> None:
    # Of 4 values, 0 and 2 turn by the position, 1 and 3 by position / 100^(1/2).
    assert turned([1, 0, 0, 0], 3) == pytest.approx([math.cos(3), 0, math.sin(3), 0], abs=1e-6)
    assert turned([0, 1, 0, 0], 3) == pytest.approx([0, math.cos(0.3), 0, math.sin(0.3)], abs=1e-6)
    assert turned([0, 0, 1, 0], 3) == pytest.approx([-math.sin(3), 0, math.cos(3), 0], abs=1e-6)


def test_position_zero_is_not_turned() -> None:
    assert turned([1, 2, 3, 4], 0) == [1, 2, 3, 4]


@pytest.mark.parametrize("shift", [1, 7, 100])
def test_the_product_of_two_turned_vectors_depends_on_their_distance_alone(shift: int) -> None:
    query, key = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)).tolist()

    def product(query_at: int, key_at: int) -> float:
        return sum(a * b for a, b in zip(turned(query, query_at), turned(key, key_at), strict=True))

    assert product(9 + shift, 4 + shift) == pytest.approx(product(9, 4), abs=1e-4)
    assert product(9, 5) != pytest.approx(product(9, 4), abs=1e-2)


def test_rms_norm_divides_by_the_root_of_the_mean_square() -> None:
    norm = Block(2, 1, 1, 3, 0.0).attention_norm
    norm.weight.data = torch.tensor([1.0, 10.0])
    # (3, 4): the mean square is 12.5
    by_hand = [3 / 12.5**0.5, 10 * 4 / 12.5**0.5]
    assert norm(torch.tensor([3.0, 4.0])).tolist() == pytest.approx(by_hand, rel=1e-5)


def test_swiglu_is_eq_6_of_its_paper() -> None:
    layer = SwiGLU(2, 1)
    layer.gate.weight.data = torch.tensor([[1.0, 0.5]])
    layer.up.weight.data = torch.tensor([[3.0, 0.0]])
    layer.down.weight.data = torch.tensor([[0.5], [-1.0]])
    # x = (1, 2): the gate is silu(1 + 1) = 2 / (1 + e^-2) = 1.7615942, times 3 is 5.2847825
    assert layer(torch.tensor([1.0, 2.0])).tolist() == pytest.approx([2.6423912, -5.2847825], rel=1e-6)


def attention(groups: int) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(WIDTH, HEADS, groups)


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("groups", [1, 2])
def test_grouped_attention_is_ordinary_attention_with_repeated_heads(groups: int) -> None:
    grouped, whole = attention(groups), attention(HEADS)
    for name in ("query", "out"):
        getattr(whole, name).weight.data = getattr(grouped, name).weight.data
    for name in ("key", "value"):
        heads = getattr(grouped, name).weight.data.unflatten(0, (groups, -1))
        getattr(whole, name).weight.data = heads.repeat_interleave(HEADS // groups, 0).flatten(0, 1)
    x, turn = some(ROWS, LENGTH, WIDTH), turns(LENGTH, WIDTH // HEADS)
    assert torch.allclose(grouped(x, turn), whole(x, turn), atol=1e-6)
    assert not torch.allclose(grouped(x, turn), attention(HEADS)(x, turn), atol=1e-2)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_looking_with_weights_equals_the_fused_attention(groups: int) -> None:
    layer, turn = attention(groups), turns(LENGTH, WIDTH // HEADS)
    x = some(ROWS, LENGTH, WIDTH)
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    y, weights = layer.look(*layer.project(x, turn), mask)
    assert torch.allclose(y, layer(x, turn), atol=1e-6)
    assert weights.shape == (ROWS, HEADS, LENGTH, LENGTH)
    assert torch.allclose(weights.sum(-1), torch.ones(ROWS, HEADS, LENGTH))
    assert (weights[..., ~mask] == 0).all()


def test_a_block_never_sees_what_comes_later() -> None:
    torch.manual_seed(0)
    block, turn = Block(WIDTH, HEADS, 2, 7, 0.0), turns(LENGTH, WIDTH // HEADS)
    x = some(ROWS, LENGTH, WIDTH)
    changed = x.clone()
    changed[:, 3] += 1
    before, after = block(x, turn), block(changed, turn)
    assert torch.equal(before[:, :3], after[:, :3])
    assert all(not torch.allclose(before[:, t], after[:, t], atol=1e-4) for t in (3, 4))


def test_a_block_adds_to_what_came_in() -> None:
    block = Block(WIDTH, HEADS, HEADS, 7, 0.0)
    block.attention.out.weight.data.zero_()
    block.feed.down.weight.data.zero_()
    x = some(ROWS, LENGTH, WIDTH)
    assert torch.equal(block(x, turns(LENGTH, WIDTH // HEADS)), x)


def test_causal_attention_and_its_gradients_are_torchs() -> None:
    torch.manual_seed(0)
    ours = [torch.randn(2, 3, 7, 8, requires_grad=True) for _ in range(3)]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    y = causal(*ours)
    q, k, v = theirs
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(y, expected)
    for found in (y, expected):
        (found * torch.arange(8)).sum().backward()  # type: ignore[no-untyped-call]
    for x, z in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x.grad, z.grad)
