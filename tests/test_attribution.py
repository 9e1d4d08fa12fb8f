"""Methods that put a reply down to its prompt: every family and method, and small cases by hand.

S 6, T 4, L 10: a prompt of two turns, and a reply with its end mark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chatbot.attribution import ABOUT, DEFAULTS, METHODS, checked, default_for, methods_for, title_of
from chatbot.attribution import methods as all_methods
from chatbot.attribution.lens import Lens
from chatbot.attribution.methods import Floats, every_head, gradient, norms, rollout, shares, slopes, weights
from chatbot.batches import BOT, END, PAD, USER, padded
from chatbot.bot import Bot
from chatbot.checkpoint import BotConfig, Checkpoint
from chatbot.engines.torch import AnyModel, TorchEngine, build
from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.models.base import Trace
from chatbot.models.blocks import SelfAttention
from chatbot.replying import Reply
from chatbot.tokenizer import Tokenizer
from tests.test_models import EXAMPLES, SMALL, VARIANTS, name_of, prompts

PROMPT = [USER, 5, 6, END, BOT, 7]
REPLY = [8, 9, 10, END]
CASES = [(variant, name) for variant in VARIANTS for name in methods_for(variant[0])]


def made(family: str, **config: Any) -> AnyModel:  # Any: a config's values
    torch.manual_seed(0)
    model = build(family, {**SMALL, **config}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def stepped(model: AnyModel, prompt: list[int], reply: list[int]) -> Floats:
    """What the engine says while it replies: (T, S)."""
    engine = TorchEngine(model)
    step = engine.start([prompt])
    looked = [step.attention[0]]
    for token in reply[:-1]:
        step = engine.step([token], step.state)
        looked.append(step.attention[0])
    return np.stack(looked)


@pytest.mark.parametrize(("variant", "name"), CASES, ids=lambda x: x if isinstance(x, str) else name_of(x))
def test_every_row_is_shares_of_the_prompt(variant: tuple[str, dict[str, Any]], name: str) -> None:
    model = made(variant[0], **variant[1])
    found = METHODS.load(name)(model, PROMPT, REPLY)
    assert found.shape == (4, 6)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert found.sum(1) == pytest.approx(1)
    may = stepped(model, PROMPT, REPLY) > 0
    assert (found[~may] == 0).all(), "where the model may not look"
    assert (found[may] > 0).all()


@pytest.mark.parametrize(("variant", "name"), CASES, ids=lambda x: x if isinstance(x, str) else name_of(x))
def test_padding_gets_nothing_and_changes_nothing(variant: tuple[str, dict[str, Any]], name: str) -> None:
    model, method = made(variant[0], **variant[1]), METHODS.load(name)
    wide = method(model, [*PROMPT, PAD, PAD], REPLY)
    assert wide.shape == (4, 8)
    assert (wide[:, 6:] == 0).all()
    assert np.array_equal(wide[:, :6], method(model, PROMPT, REPLY))


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_weights_are_what_the_engine_said_while_it_replied(variant: tuple[str, dict[str, Any]]) -> None:
    model = made(variant[0], **variant[1])
    assert weights(model, PROMPT, REPLY) == pytest.approx(stepped(model, PROMPT, REPLY), abs=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_a_trace_of_a_batch_is_that_of_each_row_alone(variant: tuple[str, dict[str, Any]]) -> None:
    model = made(variant[0], **variant[1])
    prompt = prompts(EXAMPLES)
    trace = model.trace(prompt, padded([example.reply for example in EXAMPLES], 1, PAD))
    sums = trace.weights.sum(-1)
    assert torch.allclose(sums, torch.ones_like(sums))
    for row, example in enumerate(EXAMPLES):
        alone = model.trace(torch.tensor([example.prompt]), torch.tensor([example.reply]))
        size, count = len(example.prompt), len(example.reply)
        begins = trace.weights.size(-2) - 6  # the longest reply has 6 tokens
        looked = trace.weights[row, :, :, begins : begins + count, :size]
        assert torch.allclose(looked, alone.weights[0, :, :, -count:, :size], atol=1e-5)
        assert torch.allclose(trace.carried[row, :, :, :size], alone.carried[0, :, :, :size], atol=1e-5)
        assert (trace.weights[row, ..., begins : begins + count, size : prompt.size(1)] == 0).all()
        assert trace.mask[row].tolist()[:size] == alone.mask[0].tolist()


@torch.inference_mode()
@pytest.mark.parametrize(("heads", "groups"), [(2, 2), (4, 2), (2, 1)])
def test_weights_times_what_is_carried_is_all_that_attention_brings(heads: int, groups: int) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(8, heads, groups)
    x, turn = torch.randn(1, 3, 8), (torch.ones(1, 1, 3, 8 // heads), torch.zeros(1, 1, 3, 8 // heads))
    query, key, value = layer.project(x, turn)
    brought, looked = layer.look(query, key, value, torch.ones(1, 1, 3, 3, dtype=torch.bool))
    carried = layer.carried(value)
    assert carried.shape == (1, heads, 3, 8)
    assert torch.allclose(torch.einsum("bhlm,bhmd->bld", looked, carried), brought, atol=1e-6)


class Scripted:
    """In a model's place: two places of a prompt, and a token to predict from a third."""

    def __init__(self, weights: Tensor, carried: Tensor) -> None:
        self.given = Trace(weights[None], carried[None], torch.tensor([[True, True]]))

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def trace(self, prompt: Tensor, reply: Tensor) -> Trace:
        assert (prompt.tolist(), reply.tolist()) == ([[5, 6]], [[7]])
        return self.given


def scripted(weights: list[Any], carried: list[Any]) -> Any:  # Any: nested lists of numbers
    return Scripted(torch.tensor(weights), torch.tensor(carried))


NOTHING = [[[[0.0]] * 3], [[[0.0]] * 3]]


def test_rollout_by_hand() -> None:
    first = [[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.2, 0.2, 0.6]]
    second = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.2, 0.2]]
    model = scripted([[first], [second]], NOTHING)
    # Half of each is the residual connection: rows (0.2, 0.8, 0) and (0.1, 0.1, 0.8), then (0.3, 0.1, 0.6):
    # on the first place 0.3 * 1 + 0.1 * 0.2 + 0.6 * 0.1 = 0.38, on the second 0.1 * 0.8 + 0.6 * 0.1 = 0.14
    assert rollout(model, [5, 6], [7])[0] == pytest.approx([0.38 / 0.52, 0.14 / 0.52])


def test_rollout_is_over_the_mean_of_the_heads() -> None:
    one = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.8, 0.0, 0.2]]
    other = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.2, 0.8]]
    model = scripted([[one, other]], [[[[0.0]] * 3] * 2])
    assert rollout(model, [5, 6], [7])[0] == pytest.approx([0.8, 0.2])


def test_norms_by_hand() -> None:
    looked = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.6, 0.2]]
    # 0.2 * ||(3, 4)|| = 1 and 0.6 * ||(0.5, 0)|| = 0.3: the place that got less weight brought more
    model = scripted([[looked]], [[[[3.0, 4.0], [0.5, 0.0], [9.0, 9.0]]]])
    assert norms(model, [5, 6], [7])[0] == pytest.approx([1 / 1.3, 0.3 / 1.3])


def test_norms_are_of_the_sum_over_heads() -> None:
    one = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]
    other = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.2, 0.3]]
    # On the first place the two heads bring 0.5 (2, 0) and 0.5 (-2, 2): together (0, 1).
    # On the second 0.5 (0, 4) and 0.2 (0, 5): (0, 3).
    carried = [[[2.0, 0.0], [0.0, 4.0], [0.0, 0.0]], [[-2.0, 2.0], [0.0, 5.0], [0.0, 0.0]]]
    model = scripted([[one, other]], [carried])
    assert norms(model, [5, 6], [7])[0] == pytest.approx([0.25, 0.75])


def test_weights_by_hand_are_the_last_layers_mean_as_shares() -> None:
    below = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.9, 0.1, 0.0]]
    one = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]]
    other = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.3, 0.7]]
    model = scripted([[below, below], [one, other]], [[[[0.0]] * 3] * 2] * 2)
    assert weights(model, [5, 6], [7])[0] == pytest.approx([0.25, 0.75])


def test_what_falls_nowhere_is_shared_evenly() -> None:
    mask = torch.tensor([True, False, True])
    assert shares(torch.tensor([[0.0, 5.0, 0.0], [1.0, 5.0, 3.0]]), mask).tolist() == [
        [0.5, 0, 0.5],
        [0.25, 0, 0.75],
    ]


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_the_gradient_is_that_of_finite_differences(variant: tuple[str, dict[str, Any]]) -> None:
    model = made(variant[0], **variant[1])
    step, rel, off = 1e-2, 2e-2, 1e-3
    if variant[0] != "seq2seq":  # whose states are float32, whatever comes in
        model, step, rel, off = model.double(), 1e-4, 1e-5, 1e-8
    found = slopes(model, PROMPT, REPLY)  # (T, S, D)
    for at in range(len(PROMPT)):
        # Along the embedding itself: (f(x + h x) - f(x - h x)) / 2h = x . gradient
        up, down = (logs_with(model, at, 1 + change) for change in (step, -step))
        slope = (up - down) / (2 * step)
        assert found[:, at].sum(-1).numpy() == pytest.approx(slope.numpy(), rel=rel, abs=off)


def logs_with(model: AnyModel, at: int, factor: float) -> Tensor:
    """log p of each token of the reply, one embedding of the prompt scaled."""
    first = True

    def scaled(module: nn.Module, tokens: object, read: Tensor) -> Tensor:
        nonlocal first
        if first:
            first = False
            read = read.clone()
            read[:, at] *= factor
        return read

    handle = model.embed.register_forward_hook(scaled)
    try:
        with torch.no_grad():
            state = model.encode(torch.tensor([PROMPT]))
            features, _, _ = model.decode(torch.tensor([[BOT, *REPLY[:-1]]]), state)
            return model.output(features)[0].log_softmax(-1)[torch.arange(4), torch.tensor(REPLY)]
    finally:
        handle.remove()


def test_a_method_leaves_the_model_as_it_was() -> None:
    model = made("gpt")
    gradient(model, PROMPT, REPLY)
    assert not model.embed._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_every_head_of_every_layer_has_shares_of_its_own() -> None:
    model = made("gpt", heads=2, layers=3)
    found = every_head(model, PROMPT, REPLY)
    assert found.shape == (3, 2, 4, 6)
    assert found.sum(-1) == pytest.approx(1)
    # The mean of the last layer's raw weights, not of its shares, is what `weights` shares out.
    raw = all_methods.traced(model, PROMPT, REPLY).weights[0, 2, :, -4:, :6]
    assert found[2] == pytest.approx((raw / raw.sum(-1, keepdim=True)).numpy(), abs=1e-6)


def test_every_method_is_described_and_every_default_offered() -> None:
    assert set(ABOUT) == set(METHODS)
    assert set(DEFAULTS) == set(FAMILIES)
    for family in FAMILIES:
        assert default_for(family) in methods_for(family)
    assert default_for("of the future") == "weights"
    assert title_of("weights") == "the model's own weights"


def test_methods_say_which_families_they_are_for() -> None:
    assert methods_for("seq2seq") == ["weights", "norms", "gradient"]
    assert methods_for("gpt") == list(METHODS)
    with pytest.raises(ConfigError, match="seq2seq has no rollout"):
        checked("rollout", "seq2seq")
    with pytest.raises(ConfigError, match="there is no attention method 'wieghts'") as error:
        checked("wieghts", "gpt")
    assert "weights" in error.value.hint
    with pytest.raises(ConfigError, match="layers"):
        rollout(made("seq2seq"), PROMPT, REPLY)


def saved_bot(tokenizer: Tokenizer, folder: Path, family: str, engine: str = "light", **config: Any) -> Bot:
    """A bot with random weights, from its folder."""
    settings = {**SMALL, "vocabulary": len(tokenizer), "dropout": 0.0, **config}
    saved = Checkpoint.create(folder, BotConfig(format=1, family=family, model=settings), tokenizer)
    tensors = {name: value.numpy() for name, value in build(family, settings, 0).state_dict().items()}
    saved.save_weights(tensors, step=1, figures={})
    return Bot.load(folder, engine=engine)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", ["light", "torch"])
def test_a_lens_shows_a_reply_as_the_engine_made_it(
    family: str, engine: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", family, engine)
    reply = bot.reply("Hello, how are you?", seed=0, max_tokens=5)
    lens = Lens.of(bot)
    seen = lens.look(reply, "weights")
    assert (seen.text, seen.prompt, seen.reason) == (reply.text, reply.prompt, reply.reason)
    for one, other in zip(seen.tokens, reply.tokens, strict=True):
        assert one.attention == pytest.approx(other.attention, abs=1e-5)
        assert (one.token, one.probability) == (other.token, other.probability)
    by_default = lens.look(reply)
    assert by_default == lens.look(reply, default_for(family))


def test_a_lens_shows_layers_and_heads(tokenizer: Tokenizer, tmp_path: Path) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "gpt", heads=2, layers=3)
    lens, reply = Lens.of(bot), bot.reply("Hello there.", seed=0, max_tokens=5)
    layers, heads = lens.layers(reply), lens.heads(reply)
    assert (len(layers), len(heads)) == (3, 2)
    assert heads != lens.heads(reply, 0)
    assert heads == lens.heads(reply, 2)
    for seen in (*layers, *heads):
        assert seen.text == reply.text
        for token in seen.tokens:
            assert sum(token.attention) == pytest.approx(1)
    with pytest.raises(ConfigError, match="there is no layer 3"):
        lens.heads(reply, 3)


def test_one_head_has_no_layers_to_show(tokenizer: Tokenizer, tmp_path: Path) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "seq2seq")
    lens, reply = Lens.of(bot), bot.reply("Hello there.", seed=0, max_tokens=5)
    for ask in (lens.layers, lens.heads):
        with pytest.raises(ConfigError, match="seq2seq looks once"):
            ask(reply)


def test_a_reply_without_tokens_has_nothing_to_look_at(tokenizer: Tokenizer, tmp_path: Path) -> None:
    nothing = Reply("", (), (), "interrupted")
    lens = Lens(made("gpt"), "gpt")
    assert lens.look(nothing) == nothing
    with pytest.raises(ConfigError, match="no reply"):
        lens.layers(nothing)


def test_a_bot_that_torch_runs_is_not_loaded_twice(tokenizer: Tokenizer, tmp_path: Path) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "gpt", "torch")
    engine = bot.responder.engine
    assert isinstance(engine, TorchEngine)
    assert Lens.of(bot).model is engine.model
