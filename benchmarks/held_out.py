"""How well bots predict held-out replies, beside a unigram model, and what their prompts are worth.

    python benchmarks/held_out.py corpora/cornell cornell-seq2seq cornell-gpt

4,000 whole replies, evenly spread over the test fold that the bots were trained with. "wrong prompt"
gives each reply the prompt of another: what is lost is what the bot took from the right one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from chatbot.bot import Bot
from chatbot.checkpoint import Checkpoint, find
from chatbot.config import from_dict
from chatbot.corpus import open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.splits import Folds, split
from chatbot.engines.torch import AnyModel, TorchEngine
from chatbot.preparation import (
    Example,
    Examples,
    ExamplesConfig,
    Figures,
    encode,
    exchanges,
    unigram_figures,
)

ROWS, REPLIES = 32, 4000


def main() -> None:
    """A Markdown table, a line a bot and one for the floor."""
    corpus, *names = sys.argv[1:]
    print("| | nats a word | bits a byte | nats a token | with a wrong prompt |\n|---|---|---|---|---|")
    folds = None
    for name in names:
        checkpoint = Checkpoint.load(find(name))
        folds = folds or _folds(Path(corpus), checkpoint)
        limits = from_dict(ExamplesConfig, {**checkpoint.config.examples, "reply_limit": 1 << 20})
        replies = exchanges(encode(folds.test, checkpoint.tokenizer), limits).some(REPLIES)
        engine = Bot.load(checkpoint.folder).responder.engine
        assert isinstance(engine, TorchEngine)
        _line(name, measured(engine.model, replies, 0), measured(engine.model, replies, ROWS + 1))
        if name == names[-1]:
            train = encode(folds.train, checkpoint.tokenizer)
            _line("unigram model", unigram_figures(train, replies, len(checkpoint.tokenizer)), None)
            print(f"\n{len(replies):,} replies, {replies.words():,} words, {replies.size():,} bytes")


@torch.inference_mode()
def measured(model: AnyModel, replies: Examples, shift: int) -> Figures:
    """The figures of all replies, each with the prompt of the one `shift` places further."""
    nats, tokens = 0.0, 0
    for at in range(0, len(replies), ROWS):
        rows = range(at, min(at + ROWS, len(replies)))
        pairs = [(replies[(i + shift) % len(replies)].prompt, replies[i].reply) for i in rows]
        loss = model.loss(model.batch.collate([Example(*pair) for pair in pairs]))
        nats, tokens = nats + loss.total.item(), tokens + loss.tokens
    return Figures.of(nats, tokens, replies)


def _folds(corpus: Path, checkpoint: Checkpoint) -> Folds:
    """Divided as the bot's corpus was."""
    facts, opened = checkpoint.config.corpus, open_corpus(corpus)
    cleaning = from_dict(CleaningConfig, facts["cleaning"])
    return split(clean(opened, cleaning, opened.report), facts["split"])


def _line(name: str, figures: Figures, wrong: Figures | None) -> None:
    lost = f"{wrong.nats_per_word:.3f} nats a word" if wrong else ""
    columns = f"{figures.nats_per_word:.3f} | {figures.bits_per_byte:.3f} | {figures.nats_per_token:.3f}"
    print(f"| {name} | {columns} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
