"""An evaluation as a table: a column for each bot, for humans and for each floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from chatbot.evaluation import METRICS, Difference, Evaluation, Figure, Line, Metric
from chatbot.terminal.text import printable

MISSED = "!"  # behind a figure that does not beat the floors
SAMPLES = 5
GAP = 2  # columns between two figures


def table(evaluation: Evaluation) -> RenderableType:
    """Everything that was measured, to print."""
    return Group(*_parts(evaluation))


def _parts(evaluation: Evaluation) -> Iterator[RenderableType]:
    yield Text(printable(evaluation.described))
    yield Columns(evaluation.lines)
    yield Text(f"± half of a 95 % interval.  {MISSED} no better than the best floor.", style="dim")
    for name, line in evaluation.dullness.items():
        yield Text(f"{printable(name)} is {line}")
    for comparison in evaluation.comparisons:
        yield Text()
        yield Text(f"{printable(comparison.one)} less {printable(comparison.other)}", style="bold")
        for name, found in comparison.differences.items():
            metric = METRICS[name]
            interval = f"{shown(metric, found.low)} to {shown(metric, found.high)}"
            p = _probability(found, evaluation.config.resamples)
            yield Text(f"  {title(metric)}: {shown(metric, found.value)} ({interval}), {p}")
    yield Text()
    for sample in evaluation.samples[:SAMPLES]:
        yield Text(printable(sample.prompt), style="bold")
        yield Text(f"  humans: {printable(sample.human)}", style="dim")
        for name, reply in sample.replies.items():
            yield Text(f"  {printable(name)}: {printable(reply) or '(no words)'}")


def _probability(found: Difference, resamples: int) -> str:
    """Resampling shows no smaller one than that of a single resample on the other side."""
    sign = "≤" if abs(found.p - 2 / (resamples + 1)) < 1e-12 else "="
    return f"p {sign} {found.p:.3f}"


class Columns:
    """The figures, a column for each line; those that do not fit side by side come below, none is cut."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.metrics = [name for name in METRICS if any(name in line.figures for line in lines)]
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many tables as the width needs."""
        room = options.max_width - max(cell_len(title(METRICS[name])) for name in self.metrics)
        for number, lines in enumerate(self._fitting(room)):
            if number:
                yield ""
            yield self._drawn(lines)

    def _fitting(self, room: int) -> Iterator[list[Line]]:
        some, used = list[Line](), 0
        for line in self.lines:
            width = GAP + max(cell_len(text) for text in (printable(line.name), *self._cells(line)))
            if some and used + width > room:
                yield some
                some, used = [], 0
            some, used = [*some, line], used + width
        yield some

    def _drawn(self, lines: Sequence[Line]) -> Table:
        drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
        drawn.add_column("", no_wrap=True)
        for line in lines:
            style = "dim" if line.kind == "floor" else ""
            drawn.add_column(Text(printable(line.name)), justify="right", style=style, overflow="fold")
        columns = [self._cells(line) for line in lines]
        for row, name in enumerate(self.metrics):
            if any(column[row] for column in columns):
                drawn.add_row(title(METRICS[name]), *(column[row] for column in columns))
        return drawn

    def _cells(self, line: Line) -> list[str]:
        return [_cell(line, name, METRICS[name]) for name in self.metrics]


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
