"""The contract that every family keeps. A new family is tested by standing in FAMILIES.

B 3, S 7, T 6, D 8, V 11: all different, so that a swapped axis cannot pass.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chatbot.batches import BOT, END, IGNORE, PAD, USER, Batch, padded
from chatbot.decoding import Sampler, SamplingConfig, generate
from chatbot.engines.torch import AnyModel, TorchEngine, build, fill
from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.models.base import ReplyModel
from chatbot.models.gpt import ROOM
from chatbot.models.seq2seq import Seq2Seq
from chatbot.preparation import Example
from chatbot.sizes import SIZES

VOCABULARY = 11
SMALL = {"vocabulary": VOCABULARY, "width": 8, "layers": 2, "dropout": 0.4}
VARIANTS: list[tuple[str, dict[str, Any]]] = [  # Any: a config's values
    *((family, {}) for family in FAMILIES),
    ("seq2seq", {"attention": "dot"}),
    ("seq2seq", {"attention": "concat"}),
    ("seq2seq", {"layers": 1}),
    ("seq2seq", {"layers": 3}),
    ("gpt", {"heads": 2, "layers": 3}),
    ("gpt", {"heads": 4, "groups": 2}),
    ("gpt", {"heads": 2, "groups": 1, "inner": 5}),
]
EXAMPLES = (
    Example([5, 6, 7, 8, 9, 10, 5], [6, 7, 8, END]),
    Example([8, 5, 9], [10, 9, 8, 7, 6, END]),
    Example([7], [5, END]),
)


def name_of(variant: tuple[str, dict[str, Any]]) -> str:
    return "-".join([variant[0], *(f"{key}={value}" for key, value in variant[1].items())])


@pytest.fixture(params=VARIANTS, ids=name_of)
def model(request: pytest.FixtureRequest) -> AnyModel:
    """A model ready to be used, its weights large enough for every part to matter."""
    family, config = request.param
    torch.manual_seed(0)
    model = build(family, {**SMALL, **config}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def prompts(examples: Sequence[Example]) -> Tensor:
    return padded([example.prompt for example in examples], 1, PAD)


def batch_of(model: AnyModel, examples: Sequence[Example]) -> Any:  # Any: each family has its own
    return model.batch.collate(examples)


def forced(model: AnyModel, examples: Sequence[Example]) -> list[Tensor]:
    """Teacher forcing's logits of each reply: (T, V) for each example."""
    features, targets = model.predict(batch_of(model, examples))
    return [model.output(row)[target != IGNORE] for row, target in zip(features, targets, strict=True)]


def stepped(model: AnyModel, examples: Sequence[Example]) -> list[Tensor]:
    """The same by stepping, all examples at once."""
    step = model.start(prompts(examples))
    logits = [step.logits]
    for t in range(max(len(example.reply) for example in examples) - 1):
        said = [example.reply[min(t, len(example.reply) - 1)] for example in examples]
        step = model.step(torch.tensor(said), step.state)
        logits.append(step.logits)
    return [torch.stack(logits, 1)[row, : len(e.reply)] for row, e in enumerate(examples)]


def close(a: Tensor, b: Tensor) -> bool:
    assert a.shape == b.shape, (a.shape, b.shape)
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_stepping_equals_teacher_forcing(model: AnyModel) -> None:
    pairs = zip(stepped(model, EXAMPLES), forced(model, EXAMPLES), strict=True)
    assert all(close(by_step, at_once) for by_step, at_once in pairs)


@torch.inference_mode()
def test_long_replies_outgrow_the_first_cache_correctly(model: AnyModel) -> None:
    random = np.random.default_rng(0)
    long = [random.integers(5, VOCABULARY, 2 * ROOM + 9).tolist(), [5, END]]
    examples = [Example([6, 7], long[0]), Example([7, 8, 9, 10, 5], long[1])]
    assert close(stepped(model, examples)[0], forced(model, examples)[0])


@torch.inference_mode()
def test_a_prompt_of_a_batch_gets_what_it_gets_alone(model: AnyModel) -> None:
    together = model.start(prompts(EXAMPLES))
    for row, example in enumerate(EXAMPLES):
        alone = model.start(prompts([example]))
        assert close(together.logits[row], alone.logits[0])
        assert close(together.attention[row, : len(example.prompt)], alone.attention[0])


@torch.inference_mode()
def test_extra_padding_of_a_prompt_changes_nothing(model: AnyModel) -> None:
    prompt = prompts(EXAMPLES)
    narrow, wide = model.start(prompt), model.start(F.pad(prompt, (0, 3), value=PAD))
    for _ in range(2):
        assert close(wide.logits, narrow.logits)
        assert close(wide.attention[:, :7], narrow.attention)
        token = torch.tensor([6, 7, 8])
        narrow, wide = model.step(token, narrow.state), model.step(token, wide.state)


def test_extra_padding_of_a_batch_changes_neither_loss_nor_gradients(model: AnyModel) -> None:
    narrow = batch_of(model, EXAMPLES)
    losses = [model.loss(narrow), model.loss(widened(narrow))]
    assert losses[0].tokens == losses[1].tokens
    assert close(losses[0].total, losses[1].total)
    parameters = list(model.parameters())
    for one, other in zip(*(torch.autograd.grad(loss.total, parameters) for loss in losses), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def widened(batch: Batch) -> Batch:
    """The batch with three more columns of padding."""
    wider = {
        f.name: F.pad(getattr(batch, f.name), (0, 3), value=IGNORE if f.name == "targets" else PAD)
        for f in dataclasses.fields(batch)
    }
    return dataclasses.replace(batch, **wider)


@torch.inference_mode()
def test_select_picks_rows_in_any_order_and_number(model: AnyModel) -> None:
    state = model.step(torch.tensor([6, 7, 8]), model.start(prompts(EXAMPLES)).state).state
    picked = model.step(torch.tensor([9, 9, 10, 9]), state.select(torch.tensor([2, 0, 0, 1])))
    whole = model.step(torch.tensor([9, 9, 9]), state)
    assert close(picked.logits[[0, 1, 3]], whole.logits[[2, 0, 1]])
    assert close(picked.attention[[0, 1, 3]], whole.attention[[2, 0, 1]])
    assert not close(picked.logits[1], picked.logits[2]), "one row, two tokens"


@torch.inference_mode()
def test_what_was_selected_is_a_copy_that_can_branch(model: AnyModel) -> None:
    first, second = torch.tensor([6, 7, 8]), torch.tensor([9, 10, 5])
    state = model.start(prompts(EXAMPLES)).state
    branch = state.select(torch.arange(3))
    expected = model.step(second, model.step(first, model.start(prompts(EXAMPLES)).state).state)
    on_branch = model.step(torch.tensor([10, 10, 10]), branch)
    model.step(first, on_branch.state)
    untouched = model.step(second, model.step(first, state).state)
    assert torch.equal(untouched.logits, expected.logits)
    assert torch.equal(untouched.attention, expected.attention)


@torch.inference_mode()
def test_luong_attention_rests_on_text_alone() -> None:
    torch.manual_seed(0)
    model = build("seq2seq", SMALL).eval()
    some = torch.tensor([[USER, 5, 6, END, USER, 7, END, PAD]])
    looked = model.start(some).attention[0]
    assert (looked[[0, 3, 4, 6, 7]] == 0).all()
    assert (looked[[1, 2, 5]] > 0).all()
    silent = model.start(torch.tensor([[USER, END, PAD]])).attention[0]  # nothing but marks to look at
    assert (silent[:2] > 0).all()
    assert close(silent.sum(), torch.tensor(1.0))


@torch.inference_mode()
def test_attention_sums_to_one_and_never_falls_on_padding(model: AnyModel) -> None:
    prompt = prompts(EXAMPLES)
    step = model.start(prompt)
    for _ in range(3):
        assert step.attention.shape == prompt.shape
        assert close(step.attention.sum(1), torch.ones(3))
        assert (step.attention[prompt == PAD] == 0).all()
        assert (step.attention >= 0).all()
        step = model.step(torch.tensor([6, 7, 8]), step.state)


def test_a_loss_is_a_sum_over_tokens_and_their_number(model: AnyModel) -> None:
    whole = model.loss(batch_of(model, EXAMPLES))
    parts = [model.loss(batch_of(model, [example])) for example in EXAMPLES]
    assert whole.tokens == sum(len(example.reply) for example in EXAMPLES) == 12
    assert whole.tokens == sum(part.tokens for part in parts)
    assert close(whole.total, torch.stack([part.total for part in parts]).sum())


@torch.inference_mode()
def test_a_loss_is_the_cross_entropy_of_the_replies(model: AnyModel) -> None:
    nats = 0.0
    for example, logits in zip(EXAMPLES, forced(model, EXAMPLES), strict=True):
        logs = logits.double() - logits.double().exp().sum(1, keepdim=True).log()
        nats -= sum(logs[t, token].item() for t, token in enumerate(example.reply))
    assert model.loss(batch_of(model, EXAMPLES)).total.item() == pytest.approx(nats, rel=1e-4)


@torch.inference_mode()
def test_label_smoothing_spreads_its_share_over_all_tokens(model: AnyModel) -> None:
    plain, smooth = (model.loss(batch_of(model, EXAMPLES), share) for share in (0.0, 0.25))
    everywhere = -torch.cat(forced(model, EXAMPLES)).log_softmax(1).mean(1).sum()
    assert close(smooth.total, 0.75 * plain.total + 0.25 * everywhere)
    assert smooth.tokens == plain.tokens


def test_dropout_is_for_training_alone(model: AnyModel) -> None:
    batch = batch_of(model, EXAMPLES)
    assert torch.equal(model.loss(batch).total, model.loss(batch).total)
    model.train()
    assert not torch.equal(model.loss(batch).total, model.loss(batch).total)


def test_every_parameter_learns(model: AnyModel) -> None:
    model.loss(batch_of(model, EXAMPLES)).total.backward()  # type: ignore[no-untyped-call]
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@torch.inference_mode()
def test_both_directions_of_every_encoder_layer_reach_the_decoder() -> None:
    torch.manual_seed(0)
    model = build("seq2seq", SMALL).eval()
    assert isinstance(model, Seq2Seq)
    prompt = torch.tensor([[5, 6, 7, 8]])
    x, hidden = model.embed(prompt) * math.sqrt(SMALL["width"]), model.encode(prompt).hidden
    for i in range(2):
        there, back = model.encoder.forwards[i](x), model.encoder.backwards[i](x.flip(1))
        end = torch.cat([there[:, -1], back[:, -1]], 1)
        assert close(hidden[:, i], torch.tanh(model.bridge[i](end)))
        x = x + torch.cat([there, back.flip(1)], 2)


HEART = (
    Example([5, 6, 7, 8, 9, 10, 5], [6, 7, 8, END]),
    Example([8, 5, 9], [10, 9, 8, 7, 6, END]),
    Example([7], [5, END]),
    Example([9, 9], [9, 5, 9, END]),
)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "config"), VARIANTS, ids=map(name_of, VARIANTS))
def test_four_pairs_are_learned_by_heart_and_the_one_loop_says_them(
    family: str, config: dict[str, Any]
) -> None:
    torch.manual_seed(1)
    model = build(family, {**SMALL, "width": 32, "dropout": 0.0, **config})
    learn(model, batch_of(model, HEART), steps=150)
    engine, sampler = TorchEngine(model.eval()), Sampler(SamplingConfig(temperature=0), (PAD, BOT))
    for example in HEART:
        said = [chosen.choice.token for chosen in generate(engine, example.prompt, sampler, 8)]
        assert said[: len(example.reply)] == example.reply


def learn(model: AnyModel, batch: Any, steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(batch)
        (loss.total / loss.tokens).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_makes_a_valid_config(family: str) -> None:
    model = FAMILIES.load(family)
    assert issubclass(model, ReplyModel)
    for size in SIZES.values():
        config = model.Config.sized(size, 777)
        assert (config.vocabulary, config.width) == (777, size.width)


@pytest.mark.parametrize(
    ("family", "config", "what"),
    [
        ("seq2seq", {"width": 7}, "width must be even"),
        ("seq2seq", {"attention": "bahdanau"}, "seq2seq.attention must be one of dot, general, concat"),
        ("seq2seq", {"layers": 0}, "layers must be at least 1"),
        ("seq2seq", {"dropout": 1.0}, "dropout must be at least 0 and under 1"),
        ("seq2seq", {"vocabulary": 0}, "vocabulary must be at least 1"),
        ("gpt", {"width": 12, "heads": 4}, "width 12 must be a multiple of twice the heads"),
        ("gpt", {"heads": 0}, "must be a multiple"),
        ("gpt", {"heads": 4, "groups": 3}, "heads .4. must be a multiple of groups .3."),
        ("gpt", {"rotary_base": 1.0}, "rotary_base must be over 1"),
    ],
)
def test_an_impossible_config_is_refused(family: str, config: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        build(family, config)


@pytest.mark.parametrize("layers", [2, 3, 5, 6])
def test_a_deeper_gpt_begins_as_the_one_that_it_begins_with(layers: int) -> None:
    torch.manual_seed(0)
    shallow, deep = (build("gpt", {**SMALL, "layers": n}, seed=n).eval() for n in (2, layers))
    for parameter in shallow.parameters():
        nn.init.normal_(parameter, std=0.5)
    weights = {name: tensor.numpy() for name, tensor in shallow.state_dict().items()}
    fill(deep, deep.deepened(weights))
    prompt = torch.tensor([[5, 6, 7], [8, PAD, PAD]])
    torch.testing.assert_close(deep.start(prompt).logits, shallow.start(prompt).logits)
    queries = [tensor for name, tensor in deep.state_dict().items() if name.endswith("query.weight")]
    assert len(queries) == layers
    assert len({query.sum().item() for query in queries}) == 2  # copies of the two, that can learn


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("layers", [2, 4])
def test_a_deeper_seq2seq_begins_as_the_one_that_it_begins_with(before: int, layers: int) -> None:
    torch.manual_seed(0)
    shallow, deep = (build("seq2seq", {**SMALL, "layers": n}, seed=n).eval() for n in (before, layers))
    weights = {name: tensor.numpy() for name, tensor in shallow.state_dict().items()}
    fill(deep, deep.deepened(weights))
    prompt, reply = torch.tensor([[5, 6, 7], [8, PAD, PAD]]), torch.tensor([[BOT, 4, 5], [BOT, 6, PAD]])
    for here, there in zip(_said(deep, prompt, reply), _said(shallow, prompt, reply), strict=True):
        torch.testing.assert_close(here, there)
    logits, _ = _said(deep, prompt, reply)
    torch.autograd.backward(logits.square().sum())
    added = [p for name, p in deep.named_parameters() if f".{layers - 1}.weight_ih" in name]
    assert len(added) == 3
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in added)


def _said(model: Any, prompt: Tensor, reply: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of a reply, and what each of its pieces attended to."""
    features, weights, _ = model.decode(reply, model.encode(prompt))
    return model.output(features), weights
