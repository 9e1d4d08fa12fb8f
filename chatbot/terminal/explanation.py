"""Shows what `explaining` found, as lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from chatbot.explaining import Candidate, Explanation, Stage
from chatbot.terminal.text import printable
from chatbot.terminal.wrapping import Listed

MOST = 5  # pieces that are shown of what it looked at


@dataclass(frozen=True)
class Taught:
    """Of a family: how weights and what is made of them come about, each with its source.

    scored: whether the weights are one softmax's, so that their logarithms are its scores but for a constant.
    """

    weights: str
    source: str
    context: str
    after: str
    scored: bool = False


FAMILIES = {
    "seq2seq": Taught(
        "softmax(score(h, e)) over the encoder's states e, h the decoder's",
        "Luong et al. 2015, eq. 7",
        "c = sum of weight times e",
        "h~ = tanh(W [c; h]); Luong et al. 2015, eq. 5",
        scored=True,
    ),
    "gpt": Taught(
        "softmax(q k / sqrt(d)) of the last layer, mean over its heads",
        "Vaswani et al. 2017, eq. 1",
        "each head: c = sum of its weight times v",
        "x + W [c1; c2; ...], then the feed-forward block; Vaswani et al. 2017, 3.2.2 and 3.3",
    ),
}
UNKNOWN = Taught("the model's own weights", "", "sum of weight times what stands there", "")


class Explained:
    """An explanation, on a screen of any width."""

    def __init__(self, explanation: Explanation, family: str) -> None:
        self.explanation, self.family = explanation, family

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What it read and had said, where it looked, what each rule left, what was said."""
        found = self.explanation
        yield _part("1. What the model reads", "SentencePiece, Kudo & Richardson 2018")
        yield Text(printable(" ".join(found.prompt)))
        yield Text(printable("said before: " + (" ".join(found.said) or "nothing")), "dim")
        taught = FAMILIES.get(self.family, UNKNOWN)
        yield _part("2. Where it looks", "; ".join(filter(None, (taught.weights, taught.source))))
        yield self._looked(taught.scored)
        yield _part("3. What it makes of it", taught.context)
        yield self._context()
        yield Text(taught.after, "dim")
        yield _part("4. What comes next", "by the model, then by each rule in its order")
        yield _stages(found.stages)
        piece, probability = found.chosen
        how = "Drawn" if found.beams == 1 else f"By a beam search, {found.beams} wide"
        told = f"{how}: {piece} with {_percent(probability)} (the model alone: {_percent(found.before)})"
        yield Text(printable(told), "bold")

    def _most(self) -> list[int]:
        """The places that are looked at most, but none that is not looked at."""
        shares = self.explanation.attention
        order = sorted(range(len(shares)), key=lambda i: -shares[i])[:MOST]
        return [i for i in order if shares[i]]

    def _looked(self, scored: bool) -> Table:
        """Pieces, weights and, where there is such a thing, scores: less the highest one."""
        found, order = self.explanation, self._most()
        table = Table.grid(padding=(0, 2))
        for i in order:
            score = math.log(found.attention[i] / found.attention[order[0]]) if scored else 0.0
            told = f"score {score:+.1f} (of the highest)" if scored else ""
            table.add_row(
                Text(printable(found.prompt[i])), Text(_percent(found.attention[i])), Text(told, "dim")
            )
        return table

    def _context(self) -> Text:
        found, order = self.explanation, self._most()
        parts = [f"{found.attention[i]:.2f} {found.prompt[i]}" for i in order]
        more = " + ..." if len(order) < sum(map(bool, found.attention)) else ""
        return Text(printable("c = " + " + ".join(parts) + more))


def _part(title: str, told: str) -> Text:
    return Text.assemble((title, "bold"), (f"  {told}", "dim"))


def _stages(stages: Sequence[Stage]) -> Table:
    table = Table.grid(padding=(0, 2))
    for stage in stages:
        name = f"{stage.rule} {stage.setting}" if stage.rule else "model"
        table.add_row(Text(name), Listed([*_listed(stage.best), Text(f"of {stage.possible:,}", "dim")]))
        told = f"{stage.formula} ({stage.source})" if stage.source else stage.formula
        table.add_row(Text(""), Text(told, "dim"))
    return table


def _listed(candidates: Sequence[Candidate]) -> Iterator[Text]:
    for piece, probability in candidates:
        yield Text(f"{printable(piece)} {_percent(probability)}")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else "<0.1%"
