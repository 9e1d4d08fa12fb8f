"""Bots measured on held-out replies, beside humans and floors: everything on the same exchanges.

The unit is a human's reply in the held-out fold, so bots with other tokenizers, contexts and families
stand in one table. docs/evaluation.md explains the figures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chatbot.bot import Bot
from chatbot.config import from_dict, setting, to_dict
from chatbot.corpus import Corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import DEFAULT_SPLIT, Folds, split
from chatbot.decoding import SamplingConfig
from chatbot.dialogue import Dialogue, said
from chatbot.engines.base import Precision
from chatbot.errors import ConfigError, CorpusError
from chatbot.evaluation import floors, metrics
from chatbot.evaluation.dullness import Variety, dullness
from chatbot.evaluation.metrics import METRICS, Metric, Statistics
from chatbot.evaluation.novelty import TrainingReplies
from chatbot.evaluation.statistics import Difference, Figure, difference, figure
from chatbot.evaluation.texts import words
from chatbot.preparation import UNCUT, Examples, counted, encode, exchanges

__all__ = ["METRICS", "Difference", "Evaluation", "EvaluationConfig", "Figure", "Line", "Metric", "evaluate"]

Fold = Literal["validation", "test"]
Kind = Literal["bot", "human", "floor"]
Progress = Callable[[int, int], None]
Begin = Callable[[str], Progress]
MOST_RESAMPLES = 10_000  # each takes 8 bytes for every reply
SIGNS = {"less": -1, "more": 1, "human": 0}


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What bots are measured on. Counts are of replies, evenly spread over the fold; 0 for all of them."""

    fold: Fold = setting("test", "the part of the corpus to measure on: test or validation")
    unseen: bool = setting(True, "leave out what stands in the training part too, word for word")
    likelihood: int = setting(0, "replies whose likelihood is measured; 0 for all")
    ranked: int = setting(1000, "replies to be found among 19 others; 0 for all")
    generated: int = setting(1000, "prompts to reply to; 0 for all")
    resamples: int = setting(1000, "of the bootstrap")
    seed: int = setting(0, "of candidates, replies and resamples")
    precision: Precision = setting(
        "auto", "of the products behind likelihoods: auto takes bfloat16 where it is faster"
    )

    def __post_init__(self) -> None:
        for name in ("likelihood", "ranked", "generated", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
        if not 100 <= self.resamples <= MOST_RESAMPLES:
            raise ConfigError(f"resamples must be 100 to {MOST_RESAMPLES:,}, not {self.resamples}")


CANDIDATES = 20
CHANCE = 4  # words of a reply: exchanges with shorter ones ("What?" "Nothing.") repeat by chance


@dataclass(frozen=True)
class HeldOut:
    """The exchanges to measure on, as text, and the training part. All replies of the fold, in order.

    seen: dialogues of the fold that stand in the training part too. speaker: whose replies alone they are, if
    that is what the bots learned.
    """

    dialogues: Sequence[Dialogue]
    prompts: Sequence[str]  # the turn before each reply
    replies: Sequence[str]
    train: Sequence[Dialogue]
    train_prompts: Sequence[str]
    train_replies: Sequence[str]
    seen: int
    speaker: str = ""

    @property
    def rankable(self) -> bool:
        """Whether there are enough different replies to find a true one among."""
        return len(set(self.normalised)) >= CANDIDATES

    @cached_property
    def normalised(self) -> list[str]:
        """The replies as words alone."""
        return [" ".join(words(reply)) for reply in self.replies]

    def rows(self, count: int) -> NDArray[np.int64]:
        """Evenly spread replies, `count` at the most."""
        total = len(self.replies)
        return np.linspace(0, total - 1, min(count or total, total)).astype(np.int64)


@dataclass(frozen=True)
class Line:
    """A line of the table. missed: the figures of a bot that do not beat the best floor's."""

    name: str
    kind: Kind
    figures: dict[str, Figure]
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two bots, figure by figure: the first's less the second's."""

    one: str
    other: str
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Sample:
    """A held-out prompt, what the human replied, and what each bot does."""

    prompt: str
    human: str
    replies: dict[str, str]


@dataclass(frozen=True)
class Evaluation:
    """All that was measured, and on what: `described` says it in a line.

    counts: replies behind each group of figures. steps: of the weights that were measured.
    """

    corpus: str
    split: str
    fold: str
    described: str
    date: str
    steps: dict[str, int]
    sampling: dict[str, SamplingConfig]  # how each bot's replies were drawn, but for the seed
    counts: dict[str, int]
    seen: int  # dialogues of the fold that stand in the training part too
    unseen: bool  # whether they were left out
    precision: str  # of the products behind likelihoods
    config: EvaluationConfig
    lines: list[Line]
    comparisons: list[Comparison] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    dullness: dict[str, str] = field(default_factory=dict)  # a plain line for each bot


@dataclass(frozen=True)
class _Measured:
    """What was found for one line, before intervals."""

    name: str
    kind: Kind
    statistics: Statistics
    replies: Sequence[str] = ()
    pieces: bytes = b""  # the tokenizer, where figures depend on it


def evaluate(bots: Sequence[Bot], corpus: Corpus, config: EvaluationConfig, begin: Begin) -> Evaluation:
    """Measure bots on a corpus; `begin` is called with each stage and gives what shows its progress."""
    _check_names(bots)
    cleaning = _shared_cleaning(bots)
    cleaned = clean(counted(corpus, begin("reading")), cleaning, corpus.report)
    # The corpus is read through before the split is known: whose corpus it is shows in its counts.
    dialogues = list(cleaned)
    divided_by = _shared_split(bots, corpus)
    config = _with_precision(config, bots[0])
    held_out = _held_out(split(dialogues, divided_by), config, corpus, _shared_speaker(bots, dialogues))
    training = TrainingReplies(held_out.train_replies)
    measured = [_bot(bot, held_out, training, config, begin) for bot in bots]
    begin("floors and the human replies")
    human = _human(held_out, training, config)
    floor = list(_floors(bots, held_out, training, config))
    begin("intervals")
    return Evaluation(
        corpus=corpus.name,
        split=divided_by,
        fold=config.fold,
        described=_described(bots, corpus, divided_by, held_out, config),
        date=datetime.now(timezone.utc).date().isoformat(),
        steps={bot.name: _step(bot) for bot in bots},
        sampling={bot.name: bot.sampling for bot in bots},
        counts=_counts(held_out, config),
        seen=held_out.seen,
        unseen=config.unseen,
        precision=config.precision,
        config=config,
        lines=_lines([*measured, human, *floor], config),
        comparisons=_comparisons(measured, config),
        samples=_samples(measured, held_out, config),
        dullness={
            bot.name: dullness(Variety.of(found.replies), Variety.of(human.replies), bot.sampling)
            for bot, found in zip(bots, measured, strict=True)
        },
    )


# What is measured on


def _with_precision(config: EvaluationConfig, bot: Bot) -> EvaluationConfig:
    """Chosen once, so that every bot is measured alike and the table can say how."""
    from chatbot.engines.torch import TorchEngine, choose_precision

    engine = bot.responder.engine
    if not isinstance(engine, TorchEngine):
        return config
    return dataclasses.replace(config, precision=choose_precision(config.precision, engine.device))


def _check_names(bots: Sequence[Bot]) -> None:
    names = [bot.name for bot in bots]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two bots are called {twice}", "name each bot once; of two folders of one name, rename one"
        )
    backward = next((bot.name for bot in bots if bot.responder.examples.backward), None)
    if backward is not None:
        raise ConfigError(
            f"{backward} learned conversations backwards: nothing can be compared with it",
            "its own figures stand in its folder",
        )


def _step(bot: Bot) -> int:
    step = bot.header.get("step")
    return step if isinstance(step, int) else 0


def _described(
    bots: Sequence[Bot], corpus: Corpus, divided_by: str, held_out: HeldOut, config: EvaluationConfig
) -> str:
    """What is measured on, in a line."""
    counts, kept = _counts(held_out, config), "left out" if config.unseen else "kept"
    seen = f"; seen in training and {kept}: {held_out.seen:,} of its dialogues" if held_out.seen else ""
    strangers = [bot.name for bot in bots if not _learned(bot, corpus)]
    drawn = "".join(f"; {name} {value}" for name, value in _changed(bots).items())
    warned = f"; not the corpus, as it is now, that {', '.join(strangers)} learned from" if strangers else ""
    return (
        f"{corpus.name}, {config.fold} part of the split by {divided_by}: "
        f"{counts['replies in the fold']:,} replies; likelihood of {counts['likelihood']:,} "
        f"({config.precision}), "
        f"{counts['ranked']:,} to be found among 20, {counts['generated']:,} to be made{drawn}{seen}{warned}"
    )


def _changed(bots: Sequence[Bot]) -> dict[str, Any]:
    """The settings by which replies are drawn otherwise than a bot of these says of itself."""
    changed: dict[str, Any] = {}  # Any: JSON values
    for bot in bots:
        own = to_dict(from_dict(SamplingConfig, bot.checkpoint.config.sampling))
        changed |= {name: value for name, value in to_dict(bot.sampling).items() if value != own[name]}
    return changed


def _shared_cleaning(bots: Sequence[Bot]) -> CleaningConfig:
    """Bots that learned from differently cleaned texts cannot be measured on the same ones."""
    found = [from_dict(CleaningConfig, bot.checkpoint.config.corpus.get("cleaning", {})) for bot in bots]
    for bot, cleaning in zip(bots, found, strict=True):
        if cleaning != found[0]:
            raise ConfigError(
                f"{bot.name} learned from texts cleaned in another way than {bots[0].name}",
                "measure them one by one",
            )
    return found[0]


def _shared_split(bots: Sequence[Bot], corpus: Corpus) -> str:
    """The split of the bots that were trained on this corpus: on another, they would know the answers.

    Also where it has changed since, if it still has its name.
    """
    facts = {bot.name: bot.checkpoint.config.corpus for bot in bots}
    learned = {bot.name: _learned(bot, corpus) or facts[bot.name].get("name") == corpus.name for bot in bots}
    own = {name: str(facts[name].get("split")) for name in facts if learned[name]}
    if len(set(own.values())) > 1:
        told = ", ".join(f"{name} by {how}" for name, how in own.items())
        raise ConfigError(
            f"these bots were trained on different splits of this corpus: {told}", "measure them one by one"
        )
    return next(iter(own.values()), DEFAULT_SPLIT)


def _learned(bot: Bot, corpus: Corpus) -> bool:
    """Whether the bot was trained on this corpus, wherever it lay and whatever it was called."""
    facts = bot.checkpoint.config.corpus
    then, now = facts.get("report", {}), corpus.report.to_dict()
    counts = ("format", "conversations_listed", "lines_listed", "conversations_read", "lines_read")
    return isinstance(then, dict) and all(then.get(name) == now[name] for name in counts)


def _shared_speaker(bots: Sequence[Bot], dialogues: Sequence[Dialogue]) -> str:
    """Whose replies all of the bots learned, if that is one who speaks in these dialogues; else ""."""
    learned = {bot.responder.examples.speaker for bot in bots}
    spoken = {turn.speaker for dialogue in dialogues for turn in dialogue.turns}
    return next(iter(learned & spoken), "") if len(learned) == 1 else ""


def _held_out(folds: Folds, config: EvaluationConfig, corpus: Corpus, speaker: str = "") -> HeldOut:
    fold = config.fold
    everything = folds.test if fold == "test" else folds.validation
    new = _unseen(everything, folds.train)
    dialogues = new if config.unseen else everything
    if not any(folds):
        raise CorpusError(f"{corpus.path} holds no usable dialogue", "; ".join(corpus.report.lines()))
    exchanged, trained = _exchanged(dialogues, speaker), _exchanged(folds.train, speaker)
    if not exchanged or not trained:
        what = f"no exchange in its {fold} part" if trained else "nothing to take floors from"
        if len(new) < len(everything):
            what += " that is not in its training part too"
        hint = "it needs more dialogues of two turns or more, or --unseen off"
        raise CorpusError(f"{corpus.path} has {what}", hint)
    prompts, replies = zip(*exchanged, strict=True)
    train_prompts, train_replies = zip(*trained, strict=True)
    return HeldOut(
        dialogues=dialogues,
        prompts=prompts,
        replies=replies,
        train=folds.train,
        train_prompts=train_prompts,
        train_replies=train_replies,
        seen=len(everything) - len(new),
        speaker=speaker,
    )


def _unseen(dialogues: Sequence[Dialogue], train: Sequence[Dialogue]) -> list[Dialogue]:
    """Those of which the training part has neither the whole nor one telling exchange."""
    learned = {said(dialogue.turns) for dialogue in train}
    learned.update(exchange for dialogue in train for exchange in _telling(dialogue))
    return [
        dialogue
        for dialogue in dialogues
        if said(dialogue.turns) not in learned and learned.isdisjoint(_telling(dialogue))
    ]


def _telling(dialogue: Dialogue) -> Iterator[str]:
    """Its exchanges that hardly stand anywhere else by chance."""
    for before, reply in pairwise(dialogue.turns):
        if len(reply.text.split()) >= CHANCE:
            yield said((before, reply))


def _exchanged(dialogues: Sequence[Dialogue], speaker: str) -> list[tuple[str, str]]:
    """Every reply, or this speaker's, with the turn before it, in the order of preparation.exchanges."""
    return [
        (before.text, reply.text)
        for dialogue in dialogues
        for before, reply in pairwise(dialogue.turns)
        if speaker in ("", reply.speaker)
    ]


def _counts(held_out: HeldOut, config: EvaluationConfig) -> dict[str, int]:
    names = ("likelihood", "ranked", "generated")
    counts = {name: len(held_out.rows(getattr(config, name))) for name in names}
    if not held_out.rankable:
        counts["ranked"] = 0
    return {"replies in the fold": len(held_out.replies), **counts}


# Bots


def _bot(
    bot: Bot, held_out: HeldOut, training: TrainingReplies, config: EvaluationConfig, begin: Begin
) -> _Measured:
    limits = dataclasses.replace(bot.responder.examples, reply_limit=UNCUT, speaker=held_out.speaker)
    examples = exchanges(encode(held_out.dialogues, bot.checkpoint.tokenizer), limits)
    found = _likelihood(bot, examples, held_out, config, begin(f"{bot.name}: likelihood"))
    found |= _ranking(bot, examples, held_out, config, begin(f"{bot.name}: finding replies"))
    rows = held_out.rows(config.generated)
    sampling = dataclasses.replace(bot.sampling, seed=config.seed)
    replies = bot.responder.with_sampling(sampling).reply_all(
        [examples[i].prompt for i in rows], begin(f"{bot.name}: replying")
    )
    found |= metrics.overlap(replies, [held_out.replies[i] for i in rows])
    found |= metrics.variety(replies, training)
    return _Measured(bot.name, "bot", found, replies, bot.checkpoint.tokenizer.serialized)


def _likelihood(
    bot: Bot, examples: Examples, held_out: HeldOut, config: EvaluationConfig, progress: Progress
) -> Statistics:
    from chatbot.evaluation.likelihood import scores

    rows = held_out.rows(config.likelihood)
    found = scores(bot.responder.engine, [examples[i] for i in rows], progress, config.precision)
    return metrics.likelihood(found, *_extent(examples, rows))


def _ranking(
    bot: Bot, examples: Examples, held_out: HeldOut, config: EvaluationConfig, progress: Progress
) -> Statistics:
    """Of each true reply among 19 others; nothing where there are not as many."""
    if not held_out.rankable:
        return {}
    from chatbot.evaluation.likelihood import candidate_scores

    rows, candidates = _candidates(held_out, config)
    prompts = [examples[row].prompt for row in rows]
    replies = [[examples[candidate].reply for candidate in some] for some in candidates]
    found = candidate_scores(bot.responder.engine, prompts, replies, progress, config.precision)
    return _by_likelihood(found, config.seed)


def _by_likelihood(scores: NDArray[np.float64], seed: int) -> Statistics:
    """By nats per token, so that short replies have no advantage."""
    means = (scores[0] / scores[1]).reshape(-1, CANDIDATES)
    return metrics.ranking(metrics.ranks(-means, seed))


def _candidates(
    held_out: HeldOut, config: EvaluationConfig
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Replies to find, and for each its own row and 19 of the same fold with other words."""
    random = np.random.default_rng(config.seed)
    rows = held_out.rows(config.ranked)
    return rows, [_others(held_out, int(row), random) for row in rows]


def _others(held_out: HeldOut, row: int, random: np.random.Generator) -> NDArray[np.int64]:
    taken, found = [row], {held_out.normalised[row]}
    while len(taken) < CANDIDATES:
        other = int(random.integers(len(held_out.replies)))
        text = held_out.normalised[other]
        if text not in found:
            taken.append(other)
            found.add(text)
    return np.array(taken)


def _extent(examples: Examples, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """White-space words and UTF-8 bytes of replies."""
    turns = examples.spans[rows, 1]
    return examples.data.words[turns].astype(np.int64), examples.data.size[turns].astype(np.int64)


# Humans and floors


def _human(held_out: HeldOut, training: TrainingReplies, config: EvaluationConfig) -> _Measured:
    replies = [held_out.replies[i] for i in held_out.rows(config.generated)]
    return _Measured("humans", "human", metrics.variety(replies, training), replies)


def _floors(
    bots: Sequence[Bot], held_out: HeldOut, training: TrainingReplies, config: EvaluationConfig
) -> Iterator[_Measured]:
    rows = held_out.rows(config.generated)
    references, prompts = [held_out.replies[i] for i in rows], [held_out.prompts[i] for i in rows]

    def of(name: str, replies: Sequence[str], more: Statistics) -> _Measured:
        found = metrics.overlap(replies, references) | metrics.variety(replies, training)
        return _Measured(name, "floor", more | found, replies)

    best = floors.fixed(held_out.train_replies)
    yield of("fixed", [best] * len(rows), {})
    yield of("random", floors.drawn(held_out.train_replies, len(rows), config.seed), {})
    if any(map(words, held_out.train_prompts)):  # else nothing is like anything
        retrieval = floors.Retrieval(held_out.train_prompts, held_out.train_replies)
        yield of("TF-IDF", retrieval.replies(prompts), _retrieval_ranking(retrieval, held_out, config))
    tokenizers = {bot.checkpoint.tokenizer.serialized: bot for bot in reversed(bots)}  # each one's first bot
    for pieces, bot in reversed(tokenizers.items()):
        name = "unigram" if len(tokenizers) == 1 else f"unigram of {bot.name}'s pieces"
        yield _Measured(name, "floor", _unigram(bot, held_out, config), pieces=pieces)


def _retrieval_ranking(
    retrieval: floors.Retrieval, held_out: HeldOut, config: EvaluationConfig
) -> Statistics:
    if not held_out.rankable:
        return {}
    rows, candidates = _candidates(held_out, config)
    prompts = [held_out.prompts[row] for row in rows for _ in range(CANDIDATES)]
    similar = retrieval.similarity(prompts, [held_out.replies[i] for some in candidates for i in some])
    return metrics.ranking(metrics.ranks(similar.reshape(len(rows), -1), config.seed))


def _unigram(bot: Bot, held_out: HeldOut, config: EvaluationConfig) -> Statistics:
    tokenizer = bot.checkpoint.tokenizer
    unigram = floors.Unigram(encode(held_out.train, tokenizer), len(tokenizer))
    limits = dataclasses.replace(bot.responder.examples, reply_limit=UNCUT, speaker=held_out.speaker)
    examples = exchanges(encode(held_out.dialogues, tokenizer), limits)
    rows = held_out.rows(config.likelihood)
    found = metrics.likelihood(unigram.scores([examples[i] for i in rows]), *_extent(examples, rows))
    if not held_out.rankable:
        return found
    _, candidates = _candidates(held_out, config)
    scores = unigram.scores([examples[i] for some in candidates for i in some])
    return found | _by_likelihood(scores, config.seed)


# The table


def _lines(measured: Sequence[_Measured], config: EvaluationConfig) -> list[Line]:
    return [Line(one.name, one.kind, _figures(one, config), _missed(one, measured)) for one in measured]


def _figures(measured: _Measured, config: EvaluationConfig) -> dict[str, Figure]:
    """Those that are numbers: weights that are too large give none."""
    found = measured.statistics
    figures = {name: figure(found[name], config.resamples, config.seed) for name in METRICS if name in found}
    return {name: f for name, f in figures.items() if np.isfinite([f.value, f.low, f.high]).all()}


def _missed(one: _Measured, measured: Sequence[_Measured]) -> tuple[str, ...]:
    """The figures of a bot that are no better than the best floor's, in pieces of its own."""
    if one.kind != "bot":
        return ()
    missed, floor = [], [other for other in measured if other.kind == "floor"]
    floor = [other for other in floor if other.pieces in (b"", one.pieces)]
    for name in METRICS:
        sign = SIGNS[METRICS[name].better]
        rivals = [sign * other.statistics[name].total for other in floor if name in other.statistics]
        if sign and rivals and name in one.statistics and sign * one.statistics[name].total <= max(rivals):
            missed.append(name)
    return tuple(missed)


def _comparisons(bots: Sequence[_Measured], config: EvaluationConfig) -> list[Comparison]:
    """Every two bots, on the same resamples of the same replies."""
    return [
        Comparison(one.name, other.name, _differences(one, other, config))
        for i, one in enumerate(bots)
        for other in bots[i + 1 :]
    ]


def _differences(one: _Measured, other: _Measured, config: EvaluationConfig) -> dict[str, Difference]:
    found = {
        name: difference(one.statistics[name], other.statistics[name], config.resamples, config.seed)
        for name in METRICS
        if _comparable(name, one, other)
    }
    return {name: d for name, d in found.items() if np.isfinite([d.value, d.low, d.high]).all()}


def _comparable(name: str, one: _Measured, other: _Measured) -> bool:
    """Not of a single block; and shares of pieces only where the pieces are the same."""
    known = name in one.statistics and name in other.statistics
    return (
        known
        and len(one.statistics[name].parts) > 1
        and (name != "token_accuracy" or one.pieces == other.pieces)
    )


def _samples(bots: Sequence[_Measured], held_out: HeldOut, config: EvaluationConfig) -> list[Sample]:
    """Ten exchanges, evenly spread, to be read."""
    rows = held_out.rows(config.generated)
    chosen = np.linspace(0, len(rows) - 1, min(10, len(rows))).astype(int)
    return [
        Sample(
            held_out.prompts[rows[i]],
            held_out.replies[rows[i]],
            {bot.name: bot.replies[i] for bot in bots},
        )
        for i in chosen
    ]
