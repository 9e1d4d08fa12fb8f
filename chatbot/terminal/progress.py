"""Shows a training: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
)

from chatbot.terminal.stages import EVERY, can_redraw, duration, print_lines, standard_error
from chatbot.training import (
    Evaluated,
    Event,
    Preferred,
    RolledBack,
    Sampled,
    Saved,
    Started,
    StepDone,
    Stopped,
)
from chatbot.training.choice import Plan

FEW = 50  # replies to validate on
LINE = "step {step}  {done}  loss {loss} nats/{unit}  rate {rate}  {speed}  {left} left"
NARROW, WIDE = 90, 130  # columns from which on there is room for more than the loss, and for everything
BARS = "▁▂▃▄▅▆▇█"
POINTS = 20  # of the curve
LONGEST_SAMPLE = 70  # characters


def show(events: Iterable[Event], console: Console | None = None) -> Stopped:
    """Show a training until it stops, and return how it did."""
    console = console or standard_error()
    return _bar(events, console) if can_redraw(console) else _lines(events, console)


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
            print_lines(console, describe(event))
    assert stopped, "a training that ends without Stopped"
    return stopped


def _lines(events: Iterable[Event], console: Console) -> Stopped:
    stopped, shown = None, -EVERY
    for event in events:
        if isinstance(event, StepDone) and event.seconds >= shown + EVERY:
            shown = event.seconds
            numbers = _numbers(event)
            print_lines(console, LINE.format(**numbers))
        elif isinstance(event, Stopped):
            stopped = event
        print_lines(console, describe(event))
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
        case Preferred():
            share = f"{event.right:,} of {event.held:,}"
            return (
                f"step {event.step}  {duration(event.seconds)}  a good reply is likeliest in {share} held out"
                if event.held
                else ""
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


def _numbers(event: StepDone) -> dict[str, str]:
    return {
        "step": str(event.step),
        "done": f"{event.progress:.0%}",
        "loss": f"{event.loss:.3f}",
        "rate": f"{event.learning_rate:.1e}",
        "unit": event.unit,
        "speed": f"{event.tokens_per_second:,.0f} {event.unit}s/s",
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
