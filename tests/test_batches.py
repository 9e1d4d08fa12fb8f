"""Batches: what is in them, that nothing is left out, and that an order can be gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chatbot.batches import IGNORE as X
from chatbot.batches import Batches, PairBatch, StreamBatch, in_order, padded
from chatbot.preparation import Encoded, Example, Examples, ExamplesConfig, exchanges
from chatbot.tokenizer import BOT, END, PAD, USER

KINDS = [PairBatch, StreamBatch]
Kind = type[PairBatch | StreamBatch]
LENGTHS = st.lists(st.tuples(st.integers(2, 40), st.integers(1, 30)), min_size=1, max_size=60)


def examples_of(lengths: Sequence[tuple[int, int]]) -> Examples:
    """Examples with these lengths of prompt and reply. The prompt's second token tells which one it is."""
    turns = [
        part
        for i, (p, r) in enumerate(lengths)
        for part in ([100 + i, *[7] * (p - 2)], [*[8] * (r - 1), END])
    ]
    return exchanges(
        Encoded(
            tokens=np.array([token for turn in turns for token in turn], np.int32),
            starts=np.cumsum([0, *map(len, turns)]),
            first=np.arange(0, len(turns) + 1, 2),
            speaker=np.array([0, 1] * len(lengths), np.int32),
            words=np.ones(len(turns), np.int32),
            size=np.ones(len(turns), np.int32),
        ),
        ExamplesConfig(),
    )


def many(count: int, seed: int = 3) -> Examples:
    """As long as real ones: most are short, some fill the limits."""
    random = np.random.default_rng(seed)
    prompts = random.geometric(0.05, count).clip(2, 96)
    replies = random.geometric(0.08, count).clip(1, 64)
    return examples_of(list(zip(prompts.tolist(), replies.tolist(), strict=True)))


def which(batch: PairBatch | StreamBatch) -> list[int]:
    """The numbers of the examples in a batch."""
    first = batch.prompt if isinstance(batch, PairBatch) else batch.tokens
    return [token - 100 for token in first[:, 1].tolist()]


def shape(batch: PairBatch | StreamBatch) -> tuple[tuple[int, ...], ...]:
    if isinstance(batch, PairBatch):
        return tuple(batch.prompt.shape), tuple(batch.reply.shape)
    return tuple(batch.tokens.shape), tuple(batch.targets.shape)


def same(one: PairBatch | StreamBatch, two: PairBatch | StreamBatch) -> bool:
    return type(one) is type(two) and all(
        torch.equal(getattr(one, name), getattr(two, name)) for name in vars(one)
    )


def epoch(batches: Batches) -> list[PairBatch | StreamBatch]:
    """The batches until the epoch ends."""
    walk, start = iter(batches), batches.epoch
    found = [next(walk)]
    while batches.epoch == start:
        found.append(next(walk))
    return found


# What is in a batch


def test_a_pair_batch_is_prompts_and_replies_side_by_side() -> None:
    batch = PairBatch.collate(
        [Example([USER, 7, END], [8, 9, 10, 6, END]), Example([USER, *[5] * 16], [END])]
    )
    assert batch.prompt.tolist() == [[USER, 7, END, *[PAD] * 21], [USER, *[5] * 16, *[PAD] * 7]]
    assert batch.reply.tolist() == [[BOT, 8, 9, 10, 6, END, PAD, PAD, PAD], [BOT, END, *[PAD] * 7]]
    assert batch.prompt.dtype == batch.reply.dtype == torch.int64


def test_a_reply_of_four_needs_no_further_step() -> None:
    batch = PairBatch.collate([Example([USER, 7, END], [8, 9, 10, END])])
    assert batch.reply.tolist() == [[BOT, 8, 9, 10, END]]
    assert batch.prompt.shape == (1, 8)


def test_a_stream_batch_learns_the_reply_alone() -> None:
    batch = StreamBatch.collate([Example([USER, 7, END], [8, 9, END]), Example([USER, END], [6, END])])
    assert batch.tokens.tolist() == [
        [USER, 7, END, BOT, 8, 9, *[PAD] * 2],
        [USER, END, BOT, 6, *[PAD] * 4],
    ]
    assert batch.targets.tolist() == [[X, X, X, 8, 9, END, *[X] * 2], [X, X, 6, END, *[X] * 4]]
    assert batch.tokens.dtype == batch.targets.dtype == torch.int64


def test_a_whole_example_learns_every_turn_and_no_mark_of_a_speaker() -> None:
    prompt = [BOT, 7, END, USER, 8, 9, END]
    batch = StreamBatch.collate([Example(prompt, [5, END], whole=True), Example([USER, 6, END], [5, END])])
    assert batch.tokens[0].tolist() == [BOT, 7, END, USER, 8, 9, END, BOT, 5, *[PAD] * 7]
    assert batch.targets[0].tolist() == [7, END, X, 8, 9, END, X, 5, END, *[X] * 7]
    assert batch.targets[1].tolist() == [X, X, X, 5, END, *[X] * 11]


def test_a_whole_example_of_one_speaker_learns_nothing_that_the_other_says() -> None:
    prompt = [BOT, 7, END, USER, 8, 9, END]
    batch = StreamBatch.collate([Example(prompt, [5, END], whole=True, alone=True)])
    assert batch.targets[0].tolist() == [7, END, X, X, X, X, X, 5, END, *[X] * 7]


@given(LENGTHS, st.booleans())
def test_a_target_is_the_token_that_comes_next(lengths: list[tuple[int, int]], whole: bool) -> None:
    found = [Example(e.prompt, e.reply, whole) for e in examples_of(lengths)]
    batch = StreamBatch.collate(found)
    for tokens, targets, example in zip(batch.tokens.tolist(), batch.targets.tolist(), found, strict=True):
        following = [*tokens[1:], PAD][: len(example.prompt) + len(example.reply) - 1]
        learned = [(i, t) for i, t in enumerate(targets) if t != X]
        assert all(following[i] == t for i, t in learned[:-1])
        assert learned[-1] == (len(example.prompt) + len(example.reply) - 1, END)
        assert len(learned) == len(example.reply) + whole * (len(example.prompt) - 1)


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=LENGTHS)
def test_shapes_are_known_before_a_batch_is_made(kind: Kind, lengths: list[tuple[int, int]]) -> None:
    examples = examples_of(lengths)
    widest = kind.shapes(examples.lengths).max(0).tolist()
    batch = kind.collate(list(examples))
    rows = len(lengths)
    if kind is PairBatch:
        assert shape(batch) == ((rows, widest[1]), (rows, widest[0] + 1))
    else:
        assert shape(batch) == ((rows, widest[0]), (rows, widest[0]))


def test_padding_fills_up_to_the_step() -> None:
    assert padded([[5, 6], [7, 8, 9]], 4, -1).tolist() == [[5, 6, -1, -1], [7, 8, 9, -1]]
    assert padded([[]], 3, 0).tolist() == [[0, 0, 0]]
    assert padded([[5, 6, 7, 8]], 3, 0, extra=1).tolist() == [[5, 6, 7, 8]]
    assert padded([[5, 6, 7, 8, 9]], 3, 0, extra=1).tolist() == [[5, 6, 7, 8, 9, 0, 0]]


def test_a_batch_moves_to_a_device_whole() -> None:
    batch = StreamBatch.collate([Example([USER, 7, END], [8, END])])
    moved = batch.to(torch.device("meta"))
    assert moved.tokens.device.type == moved.targets.device.type == "meta"
    assert batch.tokens.device.type == "cpu"
    assert same(batch.to(torch.device("cpu")), batch)


# The walk


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=LENGTHS, tokens=st.integers(1, 900), seed=st.integers(0, 5))
def test_every_example_comes_once_an_epoch(
    kind: Kind, lengths: list[tuple[int, int]], tokens: int, seed: int
) -> None:
    batches = Batches(examples_of(lengths), kind, tokens, seed)
    for number in range(2):
        assert (batches.epoch, batches.index) == (number, 0)
        assert sorted(i for batch in epoch(batches) for i in which(batch)) == list(range(len(lengths)))


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=LENGTHS, tokens=st.integers(1, 900))
def test_no_batch_costs_more_than_it_may(kind: Kind, lengths: list[tuple[int, int]], tokens: int) -> None:
    for batch in epoch(Batches(examples_of(lengths), kind, tokens, seed=1)):
        if isinstance(batch, PairBatch):
            rows, cost = len(batch.prompt), batch.reply[:, 1:].numel() + batch.prompt.numel() / 4
        else:
            rows, cost = len(batch.tokens), batch.tokens.numel()
        assert cost <= tokens or rows == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_order_and_another_seed_another(kind: Kind) -> None:
    def order(seed: int) -> list[list[int]]:
        return [which(batch) for batch in islice(Batches(many(200), kind, 400, seed), 60)]

    assert order(5) == order(5)
    assert order(5) != order(6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_epoch_has_an_order_of_its_own(kind: Kind) -> None:
    batches = Batches(many(200), kind, 400, seed=2)
    first, second = ([which(batch) for batch in epoch(batches)] for _ in range(2))
    assert first != second
    mates = [{frozenset(rows) for rows in walked if len(rows) > 1} for walked in (first, second)]
    assert not mates[0] <= mates[1], "examples must not always have the same company"
    widths = [shape(batch)[-1][-1] for batch in epoch(batches)]
    assert widths != sorted(widths), "short examples must not come first"


@pytest.mark.parametrize("kind", KINDS)
@given(walked=st.integers(0, 40))
def test_a_position_is_all_that_is_needed_to_go_on(kind: Kind, walked: int) -> None:
    examples = many(60)
    one, two = (Batches(examples, kind, 300, seed=4) for _ in range(2))
    list(islice(one, walked))
    two.epoch, two.index = one.epoch, one.index
    assert one.progress == two.progress
    for ahead, resumed in islice(zip(one, two, strict=True), 12):
        assert same(ahead, resumed)


def test_a_walk_is_gone_on_with_by_a_second_iterator() -> None:
    batches, other = (Batches(many(60), StreamBatch, 300, seed=4) for _ in range(2))
    pieces = [*islice(batches, 3), *islice(batches, 4)]
    assert all(same(a, b) for a, b in zip(pieces, other, strict=False))


def test_progress_is_in_epochs() -> None:
    batches = Batches(examples_of([(10, 6)] * 5), StreamBatch, tokens=32, seed=0)  # 2, 2 and 1 rows
    seen = [0.0, *(batches.progress for _ in islice(batches, 4))]
    assert seen == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3])


@pytest.mark.parametrize(("kind", "most", "padding"), [(PairBatch, 90, 1.4), (StreamBatch, 22, 1.2)])
def test_shapes_are_few_and_padding_is_little(kind: Kind, most: int, padding: float) -> None:
    batches = Batches(many(4000), kind, 1024, seed=0)
    walked = [batch for _ in range(3) for batch in epoch(batches)]
    assert len(walked) > 3 * most
    assert len({shape(batch) for batch in walked}) <= most
    copies = 2 if kind is StreamBatch else 1  # tokens and targets are of one length
    full = sum(tensor.numel() for batch in walked for tensor in vars(batch).values()) / copies
    assert full / 3 / batches.examples.lengths.sum() < padding


@pytest.mark.parametrize("kind", KINDS)
def test_measuring_takes_every_example_once_and_always_alike(kind: Kind) -> None:
    examples = many(150)
    one, two = (list(in_order(examples, kind, 500)) for _ in range(2))
    assert sorted(i for batch in one for i in which(batch)) == list(range(150))
    assert len(one) > 5
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_a_gpu_copies_from_pinned_memory_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        done.append("pinned")
        return tensor

    def move(tensor: torch.Tensor, device: torch.device, non_blocking: bool) -> torch.Tensor:
        done.append((device.type, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", move)
    batch = PairBatch.collate([Example([USER, 7, END], [8, END])])
    assert same(batch.to(torch.device("cuda")), batch)
    assert done == ["pinned", "pinned", ("cuda", True), ("cuda", True)]
