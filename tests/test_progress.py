"""A training on a terminal and in a pipe."""

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from chatbot.terminal import stages as work
from chatbot.terminal.progress import describe, show, sparkline
from chatbot.terminal.stages import ProgressConsole, duration, say, stages, track
from chatbot.training import Evaluated, Event, RolledBack, Sampled, Saved, StepDone, Stopped


def pipe() -> Console:
    return Console(file=StringIO(), width=60, color_system=None)


def screen(width: int = 100) -> Console:
    return Console(file=StringIO(), width=width, force_terminal=True, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def step(number: int, seconds: float) -> StepDone:
    return StepDone(number, number / 100, 0.5, 4.25, 0.001, 12345.6, seconds, 75.0)


def training() -> Iterator[Event]:
    for number in range(1, 26):  # a step takes a second
        yield step(number, float(number))
    yield Evaluated(25, 26.0, 3.5, 4.5, 1.625, best=True)
    yield Sampled(25, (("hello", "Hi [there].\x1b[31m"), ("you?", "")))
    yield Saved(25, Path("checkpoints/x"), best=True)
    yield Evaluated(30, 31.0, 3.6, 4.6, 1.7, best=False)
    yield Saved(30, Path("checkpoints/x"), best=False)
    yield Stopped("early", 30, 3700.0, 25, 4.5)


def test_in_a_pipe_there_are_plain_lines_and_not_too_many() -> None:
    console = pipe()
    assert show(training(), console) == Stopped("early", 30, 3700.0, 25, 4.5)
    assert printed(console).splitlines() == [
        "step 1  1%  loss 4.250 nats/token  rate 1.0e-03  12,346 tokens/s  1:15 left",
        "step 11  11%  loss 4.250 nats/token  rate 1.0e-03  12,346 tokens/s  1:15 left",
        "step 21  21%  loss 4.250 nats/token  rate 1.0e-03  12,346 tokens/s  1:15 left",
        "step 25  0:26  validation 4.500 nats/word, 1.625 bits/byte  (best so far)",
        "    hello  ->  Hi [there].[31m",
        "    you?  ->  (no words)",
        "saved checkpoints/x",
        "step 30  0:31  validation 4.600 nats/word, 1.700 bits/byte",
        "stopped early: no longer getting better after 30 steps, 1:01:40; the bot is that of step 25",
    ]


def test_on_a_terminal_there_is_a_bar_and_what_happens_stays_above_it() -> None:
    console = screen()
    assert show(training(), console) == Stopped("early", 30, 3700.0, 25, 4.5)
    text = printed(console)
    assert "loss 4.250" in text
    assert "validation 4.600" in text
    assert "\x1b[31m" not in text
    assert text.count("hello  ->  Hi [there].[31m") == 1
    assert text.rindex("stopped early") > text.rindex("training")


def test_a_wide_terminal_shows_the_learning_rate_and_a_curve() -> None:
    narrow, wide = screen(), screen(140)
    for console in (narrow, wide):
        show(training(), console)
    assert "rate 1.0e-03" in printed(wide)
    assert "4.600 ▁█" in printed(wide)
    assert "rate" not in printed(narrow)
    show(training(), narrowest := screen(44))
    assert "loss 4.250 1:15 left" in printed(narrowest)
    assert "…" not in printed(narrowest)


def test_a_curve_of_little_bars() -> None:
    assert sparkline([9.0, 5.5, 2.0]) == "█▅▁"  # halves round to even: 3.5 -> 4
    assert sparkline([3.0]) == "▁"
    assert len(sparkline(list(range(90)))) == 20


def test_what_is_said_of_a_training_that_diverged_and_of_spikes() -> None:
    assert describe(RolledBack(7, "the loss became nan at step 7", 4, 1e-3)) == (
        "the loss became nan at step 7: going on after step 4 with half the learning rate"
    )
    stopped = Stopped("finished", 9, 60.0, 9, 4.0, skipped=2)
    assert describe(stopped).splitlines()[1] == (
        "2 steps were skipped: their gradients were far longer than usual"
    )


def test_it_goes_on_when_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        os.close(reader)
        console = ProgressConsole(file=file)
        assert show(training(), console) == Stopped("early", 30, 3700.0, 25, 4.5)


def test_a_training_without_an_end_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="without Stopped"):
        show(iter([step(1, 1.0)]), pipe())


def test_stages_in_a_pipe_are_named_when_they_begin_and_counted_when_they_end() -> None:
    console = pipe()
    with stages(console=console) as begin:
        reading = begin("reading")
        reading(500, 0)
        reading(1500, 0)
        begin("learning")(0, 0)
        begin("encoding")(20, 20)
    assert printed(console).splitlines() == [
        "reading ...",
        "reading: 1,500, 0:00",
        "learning ...",
        "learning: 0:00",
        "encoding ...",
        "encoding: 20, 0:00",
    ]


def test_long_work_in_a_pipe_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    console, now = pipe(), 100.0
    monkeypatch.setattr(work, "monotonic", lambda: now)
    with track("downloading", in_bytes=True, console=console) as advance:
        for megabyte in range(1, 10):
            now += 4
            advance(megabyte * 1_000_000, 9_000_000)
    assert printed(console).splitlines() == [
        "downloading ...",
        "downloading: 3.0 of 9.0 MB",
        "downloading: 6.0 of 9.0 MB",
        "downloading: 9.0 MB",
        "downloading: 9.0 MB, 0:36",
    ]


@pytest.mark.parametrize("in_bytes", [False, True])
def test_stages_on_a_terminal_leave_nothing_behind(in_bytes: bool) -> None:
    console = screen()
    with track("[red]reading", in_bytes=in_bytes, console=console) as advance:
        advance(5, 0)
        advance(5, 10)
    assert "[red]reading" in printed(console)
    assert printed(console).endswith("\x1b[2K")  # the line is erased


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("a line")
    with track("reading"):
        pass
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["a line", "reading ...", "reading: 0:00"]


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 61, 3600, 86_399, -1)] == [
        "0:00", "1:00", "1:01", "1:00:00", "23:59:59", "0:00",
    ]  # fmt: skip
