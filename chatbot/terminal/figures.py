"""An evaluation as a table: a column for each bot, for humans and for each floor."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chatbot.evaluation import METRICS, Evaluation, Figure, Line, Metric
from chatbot.terminal.text import printable

MISSED = "!"  # behind a figure that does not beat the floors
SAMPLES = 5


def table(evaluation: Evaluation) -> RenderableType:
    """Everything that was measured, to print."""
    return Group(*_parts(evaluation))


def _parts(evaluation: Evaluation) -> Iterator[RenderableType]:
    yield Text(printable(evaluation.described))
    yield _figures(evaluation)
    yield Text(f"± half of a 95 % interval.  {MISSED} no better than the best floor.", style="dim")
    for name, line in evaluation.dullness.items():
        yield Text(f"{printable(name)} is {line}")
    for comparison in evaluation.comparisons:
        yield Text()
        yield Text(f"{printable(comparison.one)} less {printable(comparison.other)}", style="bold")
        for name, found in comparison.differences.items():
            metric = METRICS[name]
            interval = f"{shown(metric, found.low)} to {shown(metric, found.high)}"
            yield Text(f"  {title(metric)}: {shown(metric, found.value)} ({interval}), p = {found.p:.3f}")
    yield Text()
    for sample in evaluation.samples[:SAMPLES]:
        yield Text(printable(sample.prompt), style="bold")
        yield Text(f"  humans: {printable(sample.human)}", style="dim")
        for name, reply in sample.replies.items():
            yield Text(f"  {printable(name)}: {printable(reply) or '(no words)'}")


def _figures(evaluation: Evaluation) -> Table:
    drawn = Table(box=None, pad_edge=False, padding=(0, 1))
    drawn.add_column("", no_wrap=True)
    for line in evaluation.lines:
        drawn.add_column(
            Text(printable(line.name)), justify="right", style="dim" if line.kind == "floor" else ""
        )
    for name, metric in METRICS.items():
        cells = [_cell(line, name, metric) for line in evaluation.lines]
        if any(cells):
            drawn.add_row(title(metric), *cells)
    return drawn


def _cell(line: Line, name: str, metric: Metric) -> str:
    if name not in line.figures:
        return ""
    found = line.figures[name]
    wide = f" ±{shown(metric, half(found))}" if line.kind != "floor" and half(found) else ""
    return f"{shown(metric, found.value)}{wide}{MISSED if name in line.missed else ''}"


def half(found: Figure) -> float:
    """Half the interval's width."""
    return (found.high - found.low) / 2


def shown(metric: Metric, value: float) -> str:
    """A value in the metric's unit, without the unit."""
    return f"{value * (100 if metric.percent else 1):,.{metric.decimals}f}"


def title(metric: Metric) -> str:
    """The metric's name, and what it is counted in where that is not a plain number."""
    return f"{metric.title}, %" if metric.percent else metric.title
