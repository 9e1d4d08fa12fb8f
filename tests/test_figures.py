"""An evaluation, printed."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from chatbot.decoding import SamplingConfig
from chatbot.evaluation import Comparison, Difference, Evaluation, EvaluationConfig, Figure, Line, Sample
from chatbot.terminal.figures import table

EVIL = "\x1b[31mred"
WORD, HITS = Figure(5.9, 5.8, 6.0), Figure(0.04, 0.03, 0.06)
LOW = {"nats_per_word": Figure(9.8, 9.7, 9.9), "hits_1": Figure(0.05, 0.04, 0.06)}
FOUND = Evaluation(
    corpus="owls",
    split="source",
    fold="test",
    described=f"owls, test part of the split by source: 12,941 replies {EVIL}",
    date="2026-11-21",
    steps={"wise": 100},
    sampling={"wise": SamplingConfig()},
    counts={"replies in the fold": 12_941, "likelihood": 12_941, "ranked": 1000, "generated": 1000},
    seen=0,
    unseen=True,
    precision="float32",
    config=EvaluationConfig(resamples=999),
    lines=[
        Line("wise", "bot", {"nats_per_word": WORD, "hits_1": HITS}, ("hits_1",)),
        Line("humans", "human", {"length": Figure(10.4, 9.4, 11.6)}),
        Line("unigram", "floor", LOW),
    ],
    comparisons=[Comparison("wise", "old", {"nats_per_word": Difference(-0.25, -0.5, -0.125, 0.002)})],
    samples=[Sample(f"Hello {EVIL}?", "Hi.", {"wise": "", "old": EVIL})],
)


def printed(width: int) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(table(FOUND))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_figures_stand_beside_their_intervals_and_floors() -> None:
    rows = [line.split() for line in printed(100).splitlines()]
    assert ["nats", "per", "word", "5.900", "±0.100", "9.800"] in rows
    assert ["hits@1", "of", "20,", "%", "4.0", "±1.5!", "5.0"] in rows
    assert ["words", "in", "a", "reply", "10.4", "±1.1"] in rows
    assert not any("MRR" in row for row in rows)  # nobody has it


def test_what_it_was_measured_on_differences_and_samples_are_there() -> None:
    shown = printed(200)
    assert "test part of the split by source: 12,941 replies" in shown
    assert "nats per word: -0.250 (-0.500 to -0.125), p ≤ 0.002" in shown
    assert "  wise: (no words)" in shown


@pytest.mark.parametrize("width", [34, 44, 80])
def test_no_figure_is_cut_however_narrow_the_window(width: int) -> None:
    shown = printed(width)
    for text in ("wise", "humans", "unigram", "5.900 ±0.100", "4.0 ±1.5!", "10.4 ±1.1", "9.800"):
        assert text in shown
    assert "…" not in shown
    assert all(cell_len(line.rstrip()) <= width for line in shown.splitlines())


def test_what_does_not_fit_comes_below() -> None:
    assert printed(44).index("unigram") > printed(44).rindex("±1.5!") > printed(100).index("unigram")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_that_a_terminal_obeys_is_printed(width: int) -> None:
    assert "\x1b[31m" not in printed(width)
