"""Shows a training, and other work that takes a while: bars on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
)
from rich.text import Text

from chatbot.terminal.text import printable
from chatbot.training import Evaluated, Event, RolledBack, Sampled, Saved, Started, StepDone, Stopped
from chatbot.training.choice import Plan

FEW = 50  # replies to validate on
EVERY = 10.0  # seconds between the lines in a pipe
LINE = "step {step}  {done}  loss {loss} nats/token  rate {rate}  {speed}  {left} left"
NARROW, WIDE = 90, 130  # columns from which on there is room for more than the loss, and for everything
BARS = "▁▂▃▄▅▆▇█"
POINTS = 20  # of the curve
LONGEST_SAMPLE = 70  # characters

Advance = Callable[[int, int], None]  # (done, total); a total of 0 is not known
Begin = Callable[[str], Advance]


def show(events: Iterable[Event], console: Console | None = None) -> Stopped:
    """Show a training until it stops, and return how it did."""
    console = console or standard_error()
    return _bar(events, console) if _can_redraw(console) else _lines(events, console)


def _bar(events: Iterable[Event], console: Console) -> Stopped:
    stopped, curve = None, list[float]()
    with Progress(*_training_columns(console.width), console=console) as progress:
        task = progress.add_task(
            "training", total=1.0, loss="-", validation="-", curve="", rate="-", speed="", left="-"
        )
        for event in events:
            match event:
                case StepDone():
                    progress.tasks[0].fields.update(_numbers(event))
                    progress.update(task, completed=event.progress)
                case Evaluated():
                    curve.append(event.nats_per_word)
                    progress.update(task, validation=f"{curve[-1]:.3f}", curve=sparkline(curve))
                case Stopped():
                    stopped = event
                    progress.stop()  # the bar stays above what is said last
            _print(console, describe(event))
    assert stopped, "a training that ends without Stopped"
    return stopped


def _lines(events: Iterable[Event], console: Console) -> Stopped:
    stopped, shown = None, -EVERY
    for event in events:
        if isinstance(event, StepDone) and event.seconds >= shown + EVERY:
            shown = event.seconds
            numbers = _numbers(event)
            _print(console, LINE.format(**numbers))
        elif isinstance(event, Stopped):
            stopped = event
        _print(console, describe(event))
    assert stopped, "a training that ends without Stopped"
    return stopped


def describe(event: Event) -> str:
    """What stays on the screen of an event; nothing of a step."""
    match event:
        case Started():
            floor = f"{event.floor.nats_per_word:.3f} nats/word, {event.floor.bits_per_byte:.3f} bits/byte"
            begun = f"going on after step {event.step}\n" if event.step else ""
            slow = "\ncompiling its layers: the first step takes a while" if event.compiled else ""
            few = "\nso few replies tell little: a larger corpus would" if event.validation < FEW else ""
            return (
                f"{begun}{event.family}: {event.parameters:,} parameters, {event.examples:,} examples, "
                f"{event.precision} on {event.device}\n"
                f"validation on {event.validation:,} replies; "
                f"a unigram model's figures there: {floor}{few}{slow}"
            )
        case Evaluated():
            mark = "  (best so far)" if event.best else ""
            figures = f"{event.nats_per_word:.3f} nats/word, {event.bits_per_byte:.3f} bits/byte"
            return f"step {event.step}  {duration(event.seconds)}  validation {figures}{mark}"
        case Sampled():
            return "\n".join(
                f"    {prompt}  ->  {shorten(reply, LONGEST_SAMPLE, placeholder=' ...') or '(no words)'}"
                for prompt, reply in event.replies
            )
        case Saved():
            return f"saved {event.folder}" if event.best else ""
        case RolledBack():
            return f"{event.what}: going on after step {event.to} with half the learning rate"
        case Stopped():
            end, took = ENDS.get(event.reason, event.reason), duration(event.seconds)
            kept = f"{end} after {_steps(event.step)}, {took}; the bot is that of step {event.best_step}"
            return f"{kept}{SPIKES.format(event.skipped)}" if event.skipped else kept
        case _:
            return ""


def chosen(family: str, plans: Sequence[Plan]) -> str:
    """Which size a training by time takes, what the others would come to, and what to expect."""
    by_size = sorted(plans, key=lambda plan: plan.parameters)
    figures = ", ".join(f"{plan.size} {plan.nats:.2f}" for plan in by_size if plan.nats is not None)
    return (
        f"{family}: nats/word to expect of each size after {duration(plans[0].seconds)} "
        f"(on Cornell; other corpora differ): {figures}\n"
        f"taking size {plans[0].size}: {_extent(plans[0])}"
    )


def planned(folder: Path, family: str, plan: Plan) -> str:
    """What a training would be."""
    expected = f"; nats/word to expect (on Cornell): {plan.nats:.2f}" if plan.nats is not None else ""
    return f"{folder} would be a {family} of {plan.parameters:,} parameters: {_extent(plan)}{expected}"


def _extent(plan: Plan) -> str:
    return (
        f"about {_steps(round(plan.steps))} in {duration(plan.seconds)}, {plan.epochs:.1f} times through the "
        f"corpus{_set(plan.settings)}, {plan.memory / 1e9:.1f} GB of memory"
    )


def _set(settings: Mapping[str, str]) -> str:
    return "".join(f", {name} {value}" for name, value in settings.items())


def _steps(count: int) -> str:
    return f"{count:,} step{'s' if count != 1 else ''}"


SPIKES = "\n{:,} steps were skipped: their gradients were far longer than usual"
ENDS = {
    "finished": "finished",
    "early": "stopped early: no longer getting better",
    "interrupted": "interrupted",
}


def duration(seconds: float) -> str:
    """75 -> "1:15" """
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def stages(*, in_bytes: bool = False, console: Console | None = None) -> Iterator[Begin]:
    """Show work of several stages: the block calls what it gets with each stage's description."""
    console = console or standard_error()
    if _can_redraw(console):
        with Progress(*_work_columns(in_bytes), console=console, transient=True) as progress:
            yield lambda description: _as_bar(progress, printable(description))
    else:
        lines = _StageLines(console, in_bytes)
        yield lines.begin
        lines.end()


@contextmanager
def track(description: str, *, in_bytes: bool = False, console: Console | None = None) -> Iterator[Advance]:
    """Show work of one stage."""
    with stages(in_bytes=in_bytes, console=console) as begin:
        yield begin(description)


def say(line: str, console: Console | None = None) -> None:
    """A line between the bars, or after them."""
    _print(console or standard_error(), line)


class ProgressConsole(Console):
    """Goes on in silence when nobody reads any more: a training must not end because `head` did."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on. (rich's own way is to end the program.)"""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def standard_error() -> Console:
    """Where progress is shown: stdout is for answers."""
    return ProgressConsole(stderr=True, highlight=False)


def _as_bar(progress: Progress, description: str) -> Advance:
    task = progress.add_task(description, total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total or None)

    return advance


class _StageLines:
    """Stages in a pipe: a line when one begins, one when it ends, and now and then one between."""

    def __init__(self, console: Console, in_bytes: bool) -> None:
        self._console, self._in_bytes = console, in_bytes
        self._description = self._amount = ""
        self._begun = self._shown = 0.0

    def begin(self, description: str) -> Advance:
        self.end()
        self._description, self._amount = description, ""
        self._begun = self._shown = monotonic()
        _print(self._console, f"{description} ...")
        return self._advance

    def end(self) -> None:
        if self._description:
            amount = f"{self._amount}, " if self._amount else ""
            _print(self._console, f"{self._description}: {amount}{duration(monotonic() - self._begun)}")

    def _advance(self, done: int, total: int) -> None:
        self._amount = _amount(done, total, self._in_bytes) if done else ""
        if monotonic() - self._shown >= EVERY:
            self._shown = monotonic()
            _print(self._console, f"{self._description}: {self._amount}")


def _amount(done: int, total: int, in_bytes: bool) -> str:
    whole = total if done < total else 0
    if in_bytes:
        return f"{done / 1e6:.1f} of {whole / 1e6:.1f} MB" if whole else f"{done / 1e6:.1f} MB"
    return f"{done:,} of {whole:,}" if whole else f"{done:,}"


def _numbers(event: StepDone) -> dict[str, str]:
    return {
        "step": str(event.step),
        "done": f"{event.progress:.0%}",
        "loss": f"{event.loss:.3f}",
        "rate": f"{event.learning_rate:.1e}",
        "speed": f"{event.tokens_per_second:,.0f} tokens/s",
        "left": duration(event.seconds_left),
    }


def _training_columns(width: int) -> list[ProgressColumn]:
    """What finds room in so many columns."""
    loss, left = TextColumn("loss {task.fields[loss]}"), TextColumn("{task.fields[left]} left")
    if width < NARROW:
        return [BarColumn(bar_width=None), TaskProgressColumn(), loss, left]
    validation, speed = "validation {task.fields[validation]}", TextColumn("{task.fields[speed]}")
    begin = [TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(), loss]
    if width < WIDE:
        return [*begin, TextColumn(validation), speed, left]
    rate = TextColumn("rate {task.fields[rate]}")
    return [*begin, TextColumn(validation + " {task.fields[curve]}"), rate, speed, left]


def sparkline(values: Sequence[float]) -> str:
    """The last values as little bars, from the lowest of them to the highest."""
    shown = values[-POINTS:]
    low, span = min(shown), (max(shown) - min(shown)) or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in shown)


def _work_columns(in_bytes: bool) -> list[ProgressColumn]:
    amount: ProgressColumn = DownloadColumn() if in_bytes else MofNCompleteColumn()
    return [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), amount]


def _can_redraw(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


def _print(console: Console, lines: str) -> None:
    for line in lines.splitlines():
        # soft_wrap: a line in a log stays one line; on a screen it breaks between words
        console.print(Text(printable(line)), soft_wrap=not console.is_terminal)
