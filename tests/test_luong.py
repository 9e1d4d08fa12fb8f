"""Luong attention against numbers worked out by hand: two vectors of two values, section 3.1 of the paper.

h_t = (1, 2)    h_1 = (3, 1)    h_2 = (0, 2)
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chatbot.models.attention import LuongAttention
from chatbot.models.config import Score

QUERY = torch.tensor([[[1.0, 2.0]]])
MEMORY = torch.tensor([[[3.0, 1.0], [0.0, 2.0]]])
SEEN = torch.tensor([[True, True]])


def attention(score: Score, **weights: list[list[float]]) -> LuongAttention:
    """The attention with these matrices; every other one is zero."""
    layer = LuongAttention(2, score)
    for name, parameter in layer.named_parameters():
        given = weights.get(name.removesuffix(".weight"))
        parameter.data = torch.zeros_like(parameter) if given is None else torch.tensor(given).float()
    return layer


def scores(layer: LuongAttention) -> list[float]:
    values: Tensor = layer.scores(QUERY, layer.keys(MEMORY))
    assert values.shape == (1, 1, 2)
    return values.flatten().tolist()


def test_dot_is_the_product_of_eq_8() -> None:
    # 1*3 + 2*1, 1*0 + 2*2
    assert scores(attention("dot")) == [5, 4]


def test_general_has_its_matrix_between_the_two_as_in_eq_8() -> None:
    # W h_1 = (1*3 + 2*1, 1) = (5, 1), W h_2 = (4, 2); h_t W h_s = 5 + 2*1, 4 + 2*2
    assert scores(attention("general", key=[[1, 2], [0, 1]])) == [7, 8]


def test_concat_is_the_small_network_of_eq_8() -> None:
    # W [h_t; h_1] = (1, -2) + (1, 3) = (2, 1), W [h_t; h_2] = (1, -2) + (2, 0) = (3, -2); v = (1, 2)
    layer = attention("concat", query=[[1, 0], [0, -1]], key=[[0, 1], [1, 0]], energy=[[1, 2]])
    by_hand = [math.tanh(2) + 2 * math.tanh(1), math.tanh(3) + 2 * math.tanh(-2)]
    assert by_hand == pytest.approx([2.4872159, -0.9330004])
    assert scores(layer) == pytest.approx(by_hand)


def test_weights_are_the_softmax_of_eq_7() -> None:
    layer = attention("dot")
    _, weights = layer(QUERY, layer.keys(MEMORY), MEMORY, SEEN)
    # Divided by the square root of the width, 2: 1 / (1 + e^(-1 / sqrt 2))
    assert weights.flatten().tolist() == pytest.approx([0.6697615, 0.3302385])


def test_concat_is_not_divided() -> None:
    layer = attention("concat", query=[[1, 0], [0, -1]], key=[[0, 1], [1, 0]], energy=[[1, 2]])
    _, weights = layer(QUERY, layer.keys(MEMORY), MEMORY, SEEN)
    assert weights[0, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-0.9330004 - 2.4872159)))


def test_the_attentional_vector_is_that_of_eq_5() -> None:
    # c = 0.6697615 (3, 1) + 0.3302385 (0, 2) = (2.0092846, 1.3302385); W [c; h_t], the context first
    layer = attention("dot", combine=[[0.1, 0, 0, 0], [0, 0.1, 0, 0.1]])
    vector, _ = layer(QUERY, layer.keys(MEMORY), MEMORY, SEEN)
    by_hand = [math.tanh(0.20092846), math.tanh(0.13302385 + 0.2)]
    assert vector.flatten().tolist() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("score", ["dot", "general", "concat"])
def test_padding_gets_no_weight_and_changes_nothing(score: Score) -> None:
    torch.manual_seed(0)
    layer = LuongAttention(2, score)
    padding = torch.tensor([[[900.0, 900.0]]])
    wide, mask = torch.cat([MEMORY, padding], 1), torch.tensor([[True, True, False]])
    vector, weights = layer(QUERY, layer.keys(wide), wide, mask)
    narrow_vector, narrow_weights = layer(QUERY, layer.keys(MEMORY), MEMORY, SEEN)
    assert weights[0, 0, 2] == 0
    assert torch.allclose(weights[..., :2], narrow_weights, atol=1e-6)
    assert torch.allclose(vector, narrow_vector, atol=1e-6)
