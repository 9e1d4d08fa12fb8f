"""Shows what `explaining` found, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from chatbot.explaining import Candidate, Explanation, Stage
from chatbot.terminal.text import printable
from chatbot.terminal.wrapping import Listed

MOST = 5  # pieces that are shown of what it looked at
ATTENTION = {
    "seq2seq": (
        "softmax(score(h, e)) over the encoder's states e, h the decoder's",
        "Luong et al. 2015, eq. 7",
    ),
    "gpt": ("softmax(q k / sqrt(d)) of the last layer, mean over heads", "Vaswani et al. 2017, eq. 1"),
}


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
        formula, source = ATTENTION.get(self.family, ("the model's own weights", ""))
        yield _part("2. Where it looks", f"{formula}; {source}")
        yield self._looked()
        yield _part("3. What comes next", "by the model, then by each rule in its order")
        yield _stages(found.stages)
        piece, probability = found.chosen
        how = "Drawn" if found.beams == 1 else f"By a beam search, {found.beams} wide"
        told = f"{how}: {piece} with {_percent(probability)} (the model alone: {_percent(found.before)})"
        yield Text(printable(told), "bold")

    def _looked(self) -> Table:
        found = self.explanation
        table = Table.grid(padding=(0, 2))
        order = sorted(range(len(found.prompt)), key=lambda i: -found.attention[i])[:MOST]
        for i in order:
            energy = f"score {found.energies[i]:+.1f}"
            table.add_row(
                Text(printable(found.prompt[i])), Text(_percent(found.attention[i])), Text(energy, "dim")
            )
        return table


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
