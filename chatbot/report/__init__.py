"""A bot's report: one page to open in a browser, and the card that stands in its folder as README.md.

Both are filled from the bot's own folder: settings, metrics.jsonl, the last evaluation, and a few replies
that are made on the spot. Templates escape everything: texts come from corpora and models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np

from chatbot.bot import Bot
from chatbot.checkpoint import NOTES
from chatbot.corpus.download import SOURCES
from chatbot.errors import ChatbotError
from chatbot.evaluation import METRICS
from chatbot.terminal.attention import WordAttention, words
from chatbot.terminal.figures import shown, title
from chatbot.terminal.text import printable
from chatbot.training import PROMPTS

# Corpora that come along.
OURS = dict.fromkeys(("smalltalk", "plaintalk"), "MIT, as the program")
UNKNOWN = "whoever gave you the corpus decides"
WIDTH, HEIGHT = 640, 240  # of the chart, in pixels

Record = dict[str, Any]  # Any: JSON values
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of the table, as text; missed: it does not beat the floors."""

    text: str
    interval: str = ""
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """The training's curves, in nats per token: points in pixels, and what the axes' ends stand for.

    training: the mean loss since the validation before; empty where it was not kept.
    """

    validation: Points
    training: Points
    minutes: float
    highest: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Report:
    """page: HTML that needs nothing beside it; card: Markdown."""

    page: str
    card: str


def report(bot: Bot) -> Report:
    """Both, of the same replies. Files that hold something else than they should are a ChatbotError."""
    environment = _environment()
    try:
        facts = _facts(bot)
        page, card = (environment.get_template(name).render(**facts) for name in ("page.html", "card.md"))
        return Report(page, card)
    except (jinja2.UndefinedError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ChatbotError(
            f"the files of {bot.name} are damaged: {error}", "measure it again: chatbot eval"
        ) from None


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chatbot", "report"),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = markdown
    environment.filters["line"] = printable
    return environment


def markdown(text: object) -> str:
    """Text that Markdown shows as it is, on one line, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", printable(str(text)))


def _facts(bot: Bot) -> Record:
    config, weights = bot.checkpoint.config, bot.checkpoint.weights()
    header = weights.header
    evaluation = bot.checkpoint.evaluation()
    replies = [(prompt, bot.reply(prompt, seed=0)) for prompt in PROMPTS]
    name = str(config.corpus.get("name"))
    source = SOURCES.get(name)
    notes = "\n".join(printable(line) for line in bot.checkpoint.text(NOTES).splitlines())
    return {
        "name": bot.name,
        "config": config,
        "parameters": sum(array.size for array in weights.tensors.values()),
        "trained": str(header.get("trained", ""))[:10],
        "step": header.get("step"),
        "judged": judged if isinstance(judged := header.get("judged"), int) else None,
        "figures": header.get("figures") or {},
        "chart": chart(bot.checkpoint.metrics()),
        "replies": [(prompt, reply.text) for prompt, reply in replies],
        "maps": [(prompt, map) for prompt, reply in replies if (map := words(reply)).rows],
        "shades": shades,
        "table": table(evaluation) if evaluation else None,
        "evaluation": evaluation,
        "stale": stale(evaluation, bot.name, header.get("step")) if evaluation else "",
        "licence": source.licence if source else OURS.get(name, UNKNOWN if not notes else "see below"),
        "url": source.url if source else "",
        "notes": notes,
        "sections": ("model", "tokenizer", "training", "sampling", "examples"),
    }


def stale(evaluation: Record, name: str, step: object) -> str:
    """A warning where the bot has been trained on since, or renamed, nothing where not."""
    if name not in evaluation["steps"]:
        return "Measured under another name: measure it again with chatbot eval."
    measured = evaluation["steps"][name]
    if measured == step:
        return ""
    return f"Measured at step {measured}, the bot is that of step {step}: measure it again with chatbot eval."


def chart(metrics: Sequence[Record]) -> Chart | None:
    """The curves over the minutes of training; None for fewer than two validations."""
    validation, training = (_points(metrics, name) for name in ("nats_per_token", "loss"))
    if len(validation) < 2:
        return None
    both = np.array([*validation, *training])
    last, low, high = both[:, 0].max() or 1.0, both[:, 1].min(), both[:, 1].max()
    scale = np.array([WIDTH / last, -HEIGHT / ((high - low) or 1.0)])

    def drawn(points: Points) -> Points:
        return tuple((round(x, 1), round(y, 1)) for x, y in (np.array(points) - [0, high]) * scale)

    return Chart(drawn(validation), drawn(training) if training else (), last, high, low)


def _points(metrics: Sequence[Record], name: str) -> Points:
    """Minutes and that figure; damaged lines are left out."""
    found = []
    for line in metrics:
        try:
            minutes, nats = float(line["seconds"]) / 60, float(line[name])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if 0 <= minutes < 1e6 and 0 <= nats < 1e6:  # nor NaN
            found.append((minutes, nats))
    return tuple(found)


def table(evaluation: Record) -> Record:
    """The evaluation's lines as columns: names, kinds, and a row of cells for each metric."""
    try:
        lines = evaluation["lines"]
        rows = [
            (title(metric), [cell(line, name) for line in lines])
            for name, metric in METRICS.items()
            if any(name in line["figures"] for line in lines)
        ]
        return {"names": [(line["name"], line["kind"]) for line in lines], "rows": rows}
    except (KeyError, TypeError, ValueError) as error:
        raise ChatbotError(f"the evaluation is damaged: {error!r}", "make it again: chatbot eval") from None


def cell(line: Record, name: str) -> Cell:
    """A figure of a line of an evaluation; empty where the line has none."""
    if name not in line["figures"]:
        return Cell("")
    found, metric = line["figures"][name], METRICS[name]
    half = (float(found["high"]) - float(found["low"])) / 2
    interval = shown(metric, half) if half else ""
    return Cell(shown(metric, float(found["value"])), interval, name in line["missed"])


def shades(attention: WordAttention) -> list[tuple[str, list[tuple[str, float]]]]:
    """Each word of the reply, with the share of its look that fell on each word of the prompt."""
    columns = [word.text for word in attention.columns]
    return [(row.text, list(zip(columns, row.weights, strict=True))) for row in attention.rows]
