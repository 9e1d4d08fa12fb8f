"""The hand-written GRU against torch's own. T 5, B 3, H 6, inputs 4."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from chatbot.models.gru import GRULayer

ROWS, STEPS, INPUTS, SIZE = 3, 5, 4, 6
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

Run = Callable[[Tensor, Tensor], Tensor]


def twins() -> tuple[GRULayer, nn.GRU]:
    """Our layer and torch's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = GRULayer(INPUTS, SIZE), nn.GRU(INPUTS, SIZE, batch_first=True)
    for name in PARAMETERS:
        getattr(theirs, f"{name}_l0").data.copy_(getattr(ours, name).data)
    return ours, theirs


def both(steps: int = STEPS) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs and every gradient, of ours and of torch's."""
    ours, theirs = twins()

    def reference(x: Tensor, first: Tensor) -> Tensor:
        states: Tensor = theirs(x, first[None])[0]
        return states

    named = {name: getattr(theirs, f"{name}_l0") for name in PARAMETERS}
    return results(ours, dict(ours.named_parameters()), steps), results(reference, named, steps)


def results(run: Run, parameters: Mapping[str, Tensor], steps: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, steps, INPUTS, generator=random, requires_grad=True)
    first = torch.randn(ROWS, SIZE, generator=random, requires_grad=True)
    weights = torch.randn(ROWS, steps, SIZE, generator=random)  # so that no two outputs count alike
    states = run(x, first)
    (states * weights).sum().backward()  # type: ignore[no-untyped-call]
    leaves = {"x": x, "first": first, **parameters}
    gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    assert len(gradients) == 2 + len(PARAMETERS), sorted(gradients)
    return {"states": states.detach(), **gradients}


def test_a_gpu_runs_the_same_layer_by_torchs_kernel() -> None:
    ours, _ = twins()
    named = dict(ours.named_parameters())
    here = results(ours, named, STEPS)
    for parameter in ours.parameters():
        parameter.grad = None
    there = results(ours.by_torch, named, STEPS)
    for name, value in there.items():
        assert torch.allclose(here[name], value, rtol=1e-5, atol=1e-5), name


@pytest.mark.parametrize("steps", [1, 2, STEPS])
def test_outputs_and_all_gradients_are_those_of_torch(steps: int) -> None:
    ours, theirs = both(steps)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].shape == value.shape, name
        assert torch.allclose(ours[name], value, rtol=1e-5, atol=1e-5), name


def test_without_a_first_state_it_starts_from_zero() -> None:
    ours, theirs = twins()
    x = torch.randn(ROWS, STEPS, INPUTS)
    assert torch.allclose(ours(x), theirs(x)[0], atol=1e-6)


def test_a_step_at_a_time_comes_to_the_same() -> None:
    ours, _ = twins()
    x, state, states = torch.randn(ROWS, STEPS, INPUTS), torch.randn(ROWS, SIZE), []
    whole = ours(x, state)
    for t in range(STEPS):
        state = ours(x[:, t : t + 1], state)[:, -1]
        states.append(state)
    assert torch.allclose(torch.stack(states, 1), whole, atol=1e-6)


def test_bfloat16_products_stay_close_and_the_state_stays_float32() -> None:
    ours, _ = twins()
    parameters = dict(ours.named_parameters())
    exact = results(ours, parameters, STEPS)
    ours.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rough = results(ours, parameters, STEPS)
    for name, value in exact.items():
        assert rough[name].dtype == torch.float32, name
        error = (rough[name] - value).norm() / value.norm()
        assert 0 < error < 0.02, (name, error)


def test_it_is_initialised_as_torch_does() -> None:
    torch.manual_seed(3)
    ours = GRULayer(INPUTS, SIZE)
    assert {name: tuple(p.shape) for name, p in ours.named_parameters()} == {
        "weight_ih": (18, 4),
        "weight_hh": (18, 6),
        "bias_ih": (18,),
        "bias_hh": (18,),
    }
    largest = max(p.abs().max().item() for p in ours.parameters())
    assert 0.9 * SIZE**-0.5 < largest <= SIZE**-0.5
