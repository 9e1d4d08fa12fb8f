"""Which attention tells the truth: words leave prompts in its order, and replies are asked for again.

    python -m benchmarks.faithfulness corpora/cornell cornell-gpt cornell-seq2seq
    python -m benchmarks.faithfulness corpora/cornell cornell-gpt --humans  # of what humans replied

Comprehensiveness and sufficiency of DeYoung et al. 2020 (section 4), in nats per token of the reply instead
of a class's probability, and averaged over shares of the prompt's words (their AOPC, without the empty bin).
Comprehensiveness: how much less probable the reply is without the words of most weight; more is better.
Sufficiency: how much less probable it is given those words alone; less is better. Replies are the bot's own,
greedy: the map under a reply is a claim about how that reply came to be. A word's weight is the sum over its
tokens, the mean over the reply's. Words are those of all turns that the bot saw; marks stay. 95 % intervals
are bootstraps over replies; gains are paired: the better, the further above 0 both are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.sampling import asked
from chatbot.attribution import METHODS, methods_for
from chatbot.attribution.lens import Lens
from chatbot.bot import Bot
from chatbot.evaluation.likelihood import scores
from chatbot.evaluation.statistics import Statistic, difference, figure
from chatbot.preparation import Example
from chatbot.tokenizer import MARKS

BINS = (0.1, 0.2, 0.5)  # shares of a prompt's words
FEWEST = 5  # words of a prompt: of fewer, all orders take the same
DRAWS = 5  # random orders of each prompt
RESAMPLES = 2000
COLUMNS = (
    "",
    "comprehensiveness",
    "sufficiency",
    "gain on random",
    "gain on random (sufficiency)",
    "gain on weights",
    "gain on weights (sufficiency)",
)

Floats = NDArray[np.float64]
Order = Sequence[int]  # a prompt's words, that of most weight first


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.argument("names", nargs=-1, required=True)
@click.option("--replies", "count", default=300, show_default=True)
@click.option("--humans", is_flag=True, help="What humans replied, instead of what the bot says.")
def main(corpus: Path, names: tuple[str, ...], count: int, humans: bool) -> None:
    """A Markdown table for each bot."""
    for name in names:
        bot = Bot.load(name, engine="torch")
        examples = list(chosen(bot, corpus, count, humans))
        click.echo(f"\n{bot.name} ({bot.family}), {len(examples)} replies\n")
        click.echo(f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|")
        for line in lines(bot, examples):
            click.echo(line)


def chosen(bot: Bot, corpus: Path, count: int, humans: bool) -> Iterator[Example]:
    """Validation prompts that have enough words, and replies to them, the end mark included."""
    prompts, said = asked(bot, corpus, count)
    if not humans:
        greedy = dataclasses.replace(bot.sampling, temperature=0.0, seed=0)
        said = bot.responder.with_sampling(greedy).reply_all(prompts)
    tokenizer = bot.checkpoint.tokenizer
    for prompt, text in zip(prompts, said, strict=True):
        pieces = [tokenizer.piece(token) for token in prompt]
        if len(words(prompt, pieces)) >= FEWEST and tokenizer.encode(text):
            yield Example(prompt, [*tokenizer.encode(text), tokenizer.end])


def words(prompt: Sequence[int], pieces: Sequence[str]) -> list[list[int]]:
    """Where each word's tokens stand: a word begins at a space or after a mark, and marks are in none."""
    found: list[list[int]] = []
    after_mark = True
    for at, (token, piece) in enumerate(zip(prompt, pieces, strict=True)):
        if token not in MARKS and (after_mark or piece.startswith("▁")):
            found.append([])
        if token not in MARKS:
            found[-1].append(at)
        after_mark = token in MARKS
    return found


def lines(bot: Bot, examples: Sequence[Example]) -> Iterator[str]:
    """A line of the table for random order, and one for each method."""
    places = [words(e.prompt, [bot.checkpoint.tokenizer.piece(t) for t in e.prompt]) for e in examples]
    tokens = np.array([len(example.reply) for example in examples], np.float64)
    random = np.mean([measured(bot, examples, places, order) for order in shuffled(places)], axis=0)
    found = {
        method: measured(bot, examples, places, ordered(bot, method, examples, places))
        for method in methods_for(bot.family)
    }
    yield _line("random order", random, tokens, [])
    for method, own in found.items():
        rivals = [random] if own is found["weights"] else [random, found["weights"]]
        yield _line(method, own, tokens, rivals)


def shuffled(places: Sequence[Sequence[list[int]]]) -> Iterator[list[Order]]:
    """DRAWS random orders of each prompt's words."""
    generator = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield [generator.permutation(len(found)).tolist() for found in places]


def ordered(
    bot: Bot, method: str, examples: Sequence[Example], places: Sequence[Sequence[list[int]]]
) -> list[Order]:
    """Each prompt's words in the order of their weight."""
    function, model = METHODS.load(method), Lens.of(bot).model
    orders = []
    for example, found in zip(examples, places, strict=True):
        mean = function(model, example.prompt, example.reply).mean(0)
        weights = [-mean[group].sum() for group in found]
        orders.append(np.argsort(weights, kind="stable").tolist())
    return orders


def measured(
    bot: Bot,
    examples: Sequence[Example],
    places: Sequence[Sequence[list[int]]],
    orders: Sequence[Order],
) -> Floats:
    """Comprehensiveness and sufficiency of each reply, nats of all its tokens, the mean over bins: (2, N)."""
    changed = list(examples)
    for share in BINS:
        cut = [taken(found, order, share) for found, order in zip(places, orders, strict=True)]
        every = [{at for group in found for at in group} for found in places]
        changed += [without(e, gone) for e, gone in zip(examples, cut, strict=True)]
        changed += [without(e, all_ - gone) for e, gone, all_ in zip(examples, cut, every, strict=True)]
    nats = scores(bot.responder.engine, changed)[0].reshape(1 + 2 * len(BINS), len(examples))
    rises = nats[1:] - nats[0]
    return np.stack([rises[0::2].mean(0), rises[1::2].mean(0)])


def taken(found: Sequence[list[int]], order: Order, share: float) -> set[int]:
    """Where the tokens of the first words of an order stand: that share of the words, one at least."""
    return {at for word in order[: math.ceil(share * len(found))] for at in found[word]}


def without(example: Example, gone: set[int]) -> Example:
    """The example, these tokens of its prompt left out."""
    return Example([token for at, token in enumerate(example.prompt) if at not in gone], example.reply)


def _line(name: str, found: Floats, tokens: Floats, rivals: Sequence[Floats]) -> str:
    """Figures per token, and what is gained on each rival: more comprehensiveness, less sufficiency."""
    cells = []
    for part in found:
        value = figure(Statistic.ratio(part, tokens), RESAMPLES, 0)
        cells.append(f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})")
    for rival in rivals:
        pairs = [(found[0], rival[0]), (rival[1], found[1])]
        cells += [_gain(Statistic.ratio(a, tokens), Statistic.ratio(b, tokens)) for a, b in pairs]
    return f"| {name} | " + " | ".join([*cells, *[""] * (len(COLUMNS) - 1 - len(cells))]) + " |"


def _gain(one: Statistic, other: Statistic) -> str:
    gain = difference(one, other, RESAMPLES, 0)
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


if __name__ == "__main__":
    main()
