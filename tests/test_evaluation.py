"""Bots measured whole: likelihoods, ranks, floors, the table, and `chatbot eval` as it is called."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from chatbot.batches import IGNORE
from chatbot.bot import Bot
from chatbot.checkpoint import Checkpoint
from chatbot.cli import main
from chatbot.corpus import open_corpus
from chatbot.decoding import Sampler, SamplingConfig, generate, generate_all
from chatbot.engines.torch import TorchEngine, build
from chatbot.errors import ConfigError
from chatbot.evaluation import (
    METRICS,
    Evaluation,
    EvaluationConfig,
    _step,
    evaluate,
    floors,
    likelihood,
    metrics,
)
from chatbot.evaluation.likelihood import candidate_scores, scores
from chatbot.evaluation.statistics import Statistic, weights
from chatbot.models import FAMILIES
from chatbot.preparation import Encoded, Example, ExamplesConfig, exchanges, unigram_figures
from chatbot.report import chart, report
from chatbot.tokenizer import Tokenizer, silenced

WORDS = ["owl", "tree", "house", "river", "bread", "stone", "night", "light", "road", "winter", "song"]
SMALL = {"likelihood": 60, "ranked": 30, "generated": 20, "resamples": 100, "precision": "float32"}
QUICK = (
    *("--size", "nano", "--steps", "12", "--set", "training.evaluations=2"),
    *("--set", "training.batch_tokens=256", "--set", "training.precision=float32"),
    *("--set", "sampling.max_tokens=6"),
)


def engine_of(family: str, vocabulary: int = 40) -> TorchEngine:
    torch.manual_seed(0)
    model = build(family, {"vocabulary": vocabulary, "width": 8, "layers": 2}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return TorchEngine(model)


EXAMPLES = [
    Example([3, 7, 8, 2, 3, 9, 2], [10, 11, 2]),
    Example([3, 7, 2], [12, 13, 14, 15, 16, 2]),
    Example([3, 30, 31, 32, 2], [2]),
    Example([3, 7, 8, 2], [11, 10, 2]),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_loss_reply_by_reply(family: str) -> None:
    engine = engine_of(family)
    found = scores(engine, EXAMPLES)
    for i, example in enumerate(EXAMPLES):
        batch = engine.model.batch.collate([example])
        loss = engine.model.loss(batch)
        features, targets = engine.model.predict(batch)
        said = engine.model.output(features).argmax(-1)
        assert found[0, i] == pytest.approx(loss.total.item(), rel=1e-4)
        assert found[1, i] == loss.tokens == len(example.reply)
        assert found[2, i] == int((said == targets)[targets != IGNORE].sum())


def test_scores_in_bfloat16_are_nearly_those_in_float32() -> None:
    engine = engine_of("gpt")
    exact, fast = (scores(engine, EXAMPLES, precision=kind) for kind in ("float32", "bfloat16"))
    assert not np.array_equal(exact[0], fast[0])
    assert fast[0] == pytest.approx(exact[0], rel=0.01)
    assert np.array_equal(exact[1], fast[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_candidates_score_as_if_each_stood_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "PROMPTS", 3)  # several batches of prompts
    monkeypatch.setattr(likelihood, "TOKENS", 24)  # and of replies
    engine, replies = engine_of(family), [[10, 11, 2], [2], [12, 2], [int(i) for i in range(5, 32)] * 3 + [2]]
    prompts = [example.prompt for example in EXAMPLES]
    candidates = [replies[: 1 + i] for i in range(len(prompts))]
    pairs = [Example(p, r) for p, some in zip(prompts, candidates, strict=True) for r in some]
    seen: list[tuple[int, int]] = []
    found = candidate_scores(engine, prompts, candidates, lambda *done: seen.append(done))
    assert found == pytest.approx(scores(engine, pairs), rel=1e-4)
    assert seen[-1] == (len(pairs), len(pairs))


def test_another_engine_than_torch_has_no_likelihoods() -> None:
    with pytest.raises(ConfigError, match="torch engine"):
        scores(object(), EXAMPLES)  # type: ignore[arg-type]


@pytest.mark.parametrize("guidance", [0.0, 1.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_replies_decoded_together_are_those_decoded_alone(family: str, guidance: float) -> None:
    engine, end = engine_of(family), 2
    config = SamplingConfig(temperature=1.2, guidance=guidance)
    prompts = [example.prompt for example in EXAMPLES]

    def samplers() -> list[Sampler]:
        return [Sampler(dataclasses.replace(config, seed=i), forbidden=(0, 1, 3, 4)) for i in range(4)]

    def alone(prompt: Sequence[int], sampler: Sampler) -> list[int]:
        said: list[int] = []
        for chosen in generate(engine, prompt, sampler, 30, silenced(prompt)):
            said.append(chosen.choice.token)
            if said[-1] == end:
                break
        return said

    together = generate_all(engine, prompts, samplers(), 30, end, list(map(silenced, prompts)))
    assert together == [alone(*pair) for pair in zip(prompts, samplers(), strict=True)]
    assert guidance or len({len(reply) for reply in together}) > 1  # some ended before others


def test_ranks_count_from_one_and_draw_ties_by_lot() -> None:
    table = np.array([[3.0, 1, 2], [1, 3, 2], [2, 3, 1]])
    assert metrics.ranks(table, 0).tolist() == [1, 3, 2]
    drawn = [int(metrics.ranks(np.zeros((1, 4)), seed)[0]) for seed in range(50)]
    assert set(drawn) == {1, 2, 3, 4}


def test_figures_of_ranks() -> None:
    found = metrics.ranking(np.array([1, 2, 6, 20]))
    assert value(found["hits_1"]) == 1 / 4
    assert value(found["hits_5"]) == 2 / 4
    assert value(found["mrr"]) == pytest.approx((1 + 1 / 2 + 1 / 6 + 1 / 20) / 4)


def test_figures_of_likelihood() -> None:
    table = np.array([[2.0, 6.0], [2, 3], [1, 1]])
    found = metrics.likelihood(table, np.array([1, 3]), np.array([10, 6]))
    assert value(found["nats_per_word"]) == 2
    assert value(found["perplexity_per_word"]) == pytest.approx(math.exp(2))
    assert value(found["bits_per_byte"]) == pytest.approx(8 / math.log(2) / 16)
    assert value(found["token_accuracy"]) == 2 / 5


def value(statistic: Statistic) -> float:
    return statistic.total


# floors


def test_the_fixed_reply_is_a_common_one_that_overlaps_most() -> None:
    training = ["no"] * 4 + ["I see you"] * 3 + ["I see them", "you see me", "I see it"]
    assert floors.fixed(training) == "I see you"


def test_random_replies_come_from_the_training_part() -> None:
    found = floors.drawn(["a", "b", "c"], 30, 0)
    assert set(found) == {"a", "b", "c"}
    assert found == floors.drawn(["a", "b", "c"], 30, 0)


def test_retrieval_answers_as_the_most_similar_prompt_was_answered() -> None:
    answers = ["In the oak.", "Yes.", "No."]
    retrieval = floors.Retrieval(["Where is the owl?", "Do you like bread?", "Go!"], answers)
    assert retrieval.replies(["the owl, where", "BREAD", "go", "xyz"]) == [*answers, answers[0]]
    near, far = retrieval.similarity(["the owl", "the owl"], ["an owl?", "bread"])
    assert near > far == 0


def test_the_unigram_floor_is_the_one_of_the_training(encoded: Encoded, tokenizer: Tokenizer) -> None:
    replies = exchanges(encoded, ExamplesConfig())
    found = floors.Unigram(encoded, len(tokenizer)).scores(list(replies))
    expected = unigram_figures(encoded, replies, len(tokenizer))
    assert found[0].sum() / found[1].sum() == pytest.approx(expected.nats_per_token)


# the whole


def write_corpus(folder: Path, count: int = 150) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    with (folder / "dialogues.jsonl").open("w") as file:
        for number in range(count):
            texts = [" ".join(random.choice(WORDS, random.integers(2, 6))) for _ in range(4)]
            said = [{"speaker": "AB"[i % 2], "text": text.capitalize() + "."} for i, text in enumerate(texts)]
            file.write(json.dumps({"turns": said, "source": f"day {number}"}) + "\n")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a bot of each family."""
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder / "owls")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run("train", "owls", *QUICK)
        assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, to work in."""
    monkeypatch.chdir(trained)
    return trained


def measured(names: Sequence[str], corpus: str = "owls", **settings: Any) -> Evaluation:
    bots = [Bot.load(name, engine="torch") for name in names]
    config = EvaluationConfig(**{**SMALL, **settings})
    return evaluate(bots, open_corpus(Path(corpus)), config, lambda stage: lambda done, total: None)


BOTS = ("owls-gpt", "owls-seq2seq")


@pytest.fixture(scope="module")
def both(trained: Path) -> Evaluation:
    """Both bots, measured once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        return measured(BOTS)


def test_every_line_has_the_figures_that_it_can_have(here: Path) -> None:
    found = measured(BOTS)
    lines = {line.name: set(line.figures) for line in found.lines}
    variety = {*metrics.VARIETY, "copied", "verbatim"}
    ranking, overlap = {"hits_1", "hits_5", "mrr"}, set(metrics.OVERLAP)
    likelihood = {"bits_per_byte", "nats_per_word", "perplexity_per_word", "token_accuracy"}
    assert lines == {
        **{name: set(METRICS) for name in BOTS},
        "humans": variety,
        "fixed": variety | overlap,
        "random": variety | overlap,
        "TF-IDF": variety | overlap | ranking,
        "unigram": likelihood | ranking,
    }
    for line in found.lines:
        for figure in line.figures.values():
            assert figure.low <= figure.high


def test_two_runs_give_the_same_figures(here: Path) -> None:
    first = measured(["owls-gpt"])
    weights.cache_clear()
    assert measured(["owls-gpt"]) == first


def test_figures_do_not_depend_on_who_else_is_measured(here: Path) -> None:
    assert measured(BOTS).lines[0] == measured(["owls-gpt"]).lines[0]


def test_the_likelihood_is_the_one_that_the_training_found(here: Path) -> None:
    checkpoint = Checkpoint.load(Path("checkpoints/owls-gpt"))
    found = measured(["owls-gpt"], fold="validation", likelihood=0).lines[0]
    expected = checkpoint.weights().header["figures"]
    assert found.figures["nats_per_word"].value == pytest.approx(expected["nats_per_word"], rel=1e-5)
    assert found.figures["bits_per_byte"].value == pytest.approx(expected["bits_per_byte"], rel=1e-5)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.better != "human"])
def test_what_does_not_beat_the_floors_is_marked(both: Evaluation, name: str) -> None:
    best = max if METRICS[name].better == "more" else min
    floor = [one.figures[name].value for one in both.lines if one.kind == "floor" and name in one.figures]
    for line in both.lines:
        value = line.figures[name].value if name in line.figures else math.nan
        beaten = value != best(floor) and best([value, *floor]) == value
        assert (name in line.missed) == (line.kind == "bot" and not beaten)


def test_bots_are_compared_in_pairs(here: Path) -> None:
    found = measured(BOTS)
    (pair,) = found.comparisons
    assert (pair.one, pair.other) == BOTS
    one, other = (found.lines[i].figures["nats_per_word"].value for i in (0, 1))
    assert pair.differences["nats_per_word"].value == pytest.approx(one - other)


def test_samples_are_real_exchanges(here: Path) -> None:
    found = measured(BOTS)
    said = (here / "owls" / "dialogues.jsonl").read_text()
    assert len(found.samples) == 10
    assert all(sample.prompt in said and sample.human in said for sample in found.samples)
    assert set(found.samples[0].replies) == set(BOTS)


def test_who_learned_one_speakers_replies_is_measured_on_those(here: Path) -> None:
    speaker = next(iter(open_corpus(Path("owls")))).turns[1].speaker
    settings = ("--model", "gpt", "--name", "one", "--set", f"examples.speaker={speaker}")
    assert run("train", "owls", *settings, *QUICK).exit_code == 0
    alone, beside = measured(["one-gpt"]), measured(["owls-gpt"])
    assert 0 < alone.counts["replies in the fold"] < beside.counts["replies in the fold"]
    together = measured(["one-gpt", "owls-gpt"])
    assert together.counts == beside.counts, "what is fair to both"


def test_bots_are_measured_on_what_their_own_split_held_out(here: Path) -> None:
    result = run("train", "owls", "--name", "other", "--split", "parlai", "--model", "gpt", *QUICK)
    assert result.exit_code == 0
    assert measured(["other-gpt"]).split == "parlai"
    with pytest.raises(ConfigError, match="splits of this corpus: owls-gpt by source, other-gpt by parlai"):
        measured(["owls-gpt", "other-gpt"])


def test_what_was_seen_in_training_is_left_out_unless_it_is_wanted(here: Path) -> None:
    lines = [json.loads(line) for line in (here / "owls" / "dialogues.jsonl").read_text().splitlines()]
    folds = ["test" if i % 5 == 0 else "validation" if i % 5 == 1 else "train" for i in range(len(lines))]
    lines[5]["turns"] = lines[2]["turns"]  # three exchanges
    for number, texts in (
        (10, ("What did the owl eat?", "It ate bread with jam.", "Really?", "Yes.")),
        (3, ("Hm.", "What did the owl eat?", "It ate bread with jam.", "Good night.")),
        (15, ("So?", "Really?", "Yes.", "Good night, all of you.")),
        (4, ("Really?", "Yes.", "Good night.")),  # an exchange that two dialogues share by chance
    ):
        lines[number]["turns"] = [{"speaker": "AB"[i % 2], "text": text} for i, text in enumerate(texts)]
    written = [json.dumps({**line, "split": fold}) for line, fold in zip(lines, folds, strict=True)]
    (here / "twice.jsonl").write_text("\n".join(written))
    settings = ("--model", "gpt", "--split", "published", "--set", "cleaning.repeats=on")
    assert run("train", "twice.jsonl", *settings, *QUICK).exit_code == 0
    without, kept = (measured(["twice-gpt"], "twice.jsonl", unseen=unseen) for unseen in (True, False))
    assert (without.seen, kept.seen) == (2, 2)
    assert without.counts["replies in the fold"] == kept.counts["replies in the fold"] - 6
    assert without.described.endswith("; seen in training and left out: 2 of its dialogues")


def test_where_there_are_too_few_replies_to_rank_the_rest_is_measured(here: Path) -> None:
    if not (here / "short").exists():
        write_corpus(here / "short", 60)
    found = measured(["owls-gpt"], "short")
    figures = {line.name: set(line.figures) for line in found.lines}
    assert found.counts["ranked"] == 0
    assert {"nats_per_word", "f1"} <= figures["owls-gpt"]
    assert not any("hits_1" in names for names in figures.values())


def test_another_corpus_than_its_own_is_divided_by_source_and_called_so(here: Path) -> None:
    write_corpus(here / "newer", 160)
    found = measured(["owls-gpt"], "newer")
    assert found.split == "source"
    assert found.described.endswith("; not the corpus, as it is now, that owls-gpt learned from")
    assert "not the corpus" not in measured(["owls-gpt"]).described


def test_its_own_corpus_is_divided_as_it_was_also_when_it_has_grown(here: Path) -> None:
    if not Path("checkpoints/other-gpt").exists():
        assert run("train", "owls", "--name", "other", "--split", "parlai", *QUICK).exit_code == 0
    write_corpus(here / "elsewhere" / "owls", 160)
    found = measured(["other-gpt"], "elsewhere/owls")
    assert found.split == "parlai"
    assert "not the corpus, as it is now, that other-gpt learned from" in found.described


def test_bots_with_other_pieces_each_have_their_floor_and_share_no_token_accuracy(here: Path) -> None:
    settings = ("--name", "fine", "--model", "gpt", "--set", "tokenizer.vocabulary=300")
    assert run("train", "owls", *settings, *QUICK).exit_code == 0
    found = measured(["owls-gpt", "fine-gpt"])
    floor = [line.name for line in found.lines if line.kind == "floor"][-2:]
    assert floor == ["unigram of owls-gpt's pieces", "unigram of fine-gpt's pieces"]
    assert "token_accuracy" not in found.comparisons[0].differences
    alone = measured(["fine-gpt"])
    assert found.lines[1] == alone.lines[0]
    assert found.lines[-1].figures == alone.lines[-1].figures


# the command

ARGUMENTS = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]


def test_the_command_prints_a_table(here: Path) -> None:
    result = run("eval", *BOTS, "owls", *ARGUMENTS)
    assert result.exit_code == 0, result.stderr
    assert "hits@1 of 20, %" in result.stdout
    assert "TF-IDF" in result.stdout
    assert "Traceback" not in result.stderr


def test_replies_can_be_drawn_otherwise_than_the_bot_does(here: Path) -> None:
    wild = ("--temperature", "5", "--top-p", "1", "--top-k", "0")
    usual, greedy, longer = (
        json.loads(run("eval", "owls-gpt", "owls", "--json", *ARGUMENTS, *more).stdout)
        for more in ((), ("--temperature", "0", "--max-tokens", "2"), wild)
    )
    assert "; temperature 0.0; max_tokens 2" in greedy["described"]
    assert "temperature" not in usual["described"]
    assert greedy["sampling"]["owls-gpt"]["temperature"] == 0
    length, likelihood = (
        [one["lines"][0]["figures"][name]["value"] for one in (usual, greedy, longer)]
        for name in ("length", "nats_per_word")
    )
    assert length[2] > length[1]  # a bot of six steps says little by itself
    assert likelihood[0] == likelihood[1] == likelihood[2]


def test_json_has_everything(here: Path) -> None:
    result = run("eval", *BOTS, "owls", "--json", *ARGUMENTS)
    found = json.loads(result.stdout)
    assert [line["name"] for line in found["lines"][:3]] == [*BOTS, "humans"]
    assert found["lines"][0]["figures"]["nats_per_word"]["value"] > 0
    assert found["fold"] == "test"


def test_a_report_shows_what_was_measured(here: Path, tmp_path: Path) -> None:
    assert run("eval", *BOTS, "owls", *ARGUMENTS).exit_code == 0
    out = tmp_path / "page.html"
    result = run("report", "owls-gpt", "--out", str(out))
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert result.stdout.splitlines() == [str(out), "checkpoints/owls-gpt/README.md"]
    page, card = out.read_text(), Path("checkpoints/owls-gpt/README.md").read_text()
    nats = Checkpoint.load(Path("checkpoints/owls-gpt")).evaluation()["lines"][0]["figures"]["nats_per_word"]  # type: ignore[index]
    assert f"{nats['value']:.3f}" in page
    assert f"{nats['value']:.3f}" in card
    assert "<polyline" in page
    assert 'class="map"' in page
    assert not re.search(r"""(?:src|href)=|@import|url\(""", page)  # nothing beside it is needed
    assert "test part of the split by source" in page
    assert "Measured at step" not in page + card


def test_a_report_says_when_the_bot_was_trained_on_since(here: Path, tmp_path: Path) -> None:
    assert run("eval", "owls-gpt", "owls", *ARGUMENTS).exit_code == 0
    file = Path("checkpoints/owls-gpt/evaluation.json")
    found = json.loads(file.read_text())
    found["steps"]["owls-gpt"] = 1
    file.write_text(json.dumps(found))
    made = report(Bot.load("owls-gpt"))
    assert "Measured at step 1, the bot is that of step 12" in made.page
    assert "Measured at step 1, the bot is that of step 12" in made.card


def test_a_report_of_a_bot_that_was_never_measured_says_so(here: Path, tmp_path: Path) -> None:
    for bot in BOTS:
        (Path("checkpoints") / bot / "evaluation.json").unlink(missing_ok=True)
    result = run("report", "owls-seq2seq", "--out", str(tmp_path / "page.html"))
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert "Not measured yet" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"lines": 3}', '{"lines": [], "corpus": "x"}', '{"lines": [{"figures": {"f1": 1}}]}'],
)
def test_a_damaged_evaluation_is_said(here: Path, tmp_path: Path, text: str) -> None:
    file = Path("checkpoints/owls-gpt/evaluation.json")
    file.write_text(text)
    result = run("report", "owls-gpt", "--out", str(tmp_path / "page.html"))
    file.unlink()
    assert result.exit_code == 1, result.exception
    assert "damaged" in result.stderr
    assert "chatbot eval" in result.stderr


def test_nothing_in_a_report_is_markup_but_our_own(here: Path, tmp_path: Path) -> None:
    bot = Bot.load("owls-gpt")
    evil = "<script>alert(1)</script> [x](javascript:1) | `"
    counts = {"dialogues": evil, "turns": "\x1b[31m"}
    corpus = {**bot.checkpoint.config.corpus, "name": evil, "split": evil, "report": counts}
    config = dataclasses.replace(bot.checkpoint.config, corpus=corpus, size=evil)
    spoiled = Bot(dataclasses.replace(bot.checkpoint, config=config), bot.responder)
    made = report(spoiled)
    assert "<script" not in made.page
    assert "\x1b" not in made.page + made.card
    assert "\\[x\\]\\(javascript" in made.card
    assert "<script" not in made.card.replace("\\<script", "")


def test_a_smaller_evaluation_of_the_same_weights_replaces_no_larger_one(here: Path) -> None:
    def evaluated(generated: int) -> tuple[str, dict[str, Any]]:
        few = ("--likelihood", "30", "--ranked", "20", "--resamples", "100")
        result = run("eval", "owls-gpt", "owls", *few, "--generated", str(generated))
        assert result.exit_code == 0, result.stderr
        kept = json.loads((here / "checkpoints" / "owls-gpt" / "evaluation.json").read_text())
        return result.stderr, dict(kept["counts"])

    assert evaluated(9)[1]["generated"] == 9
    said, kept = evaluated(5)
    assert kept["generated"] == 9
    assert "owls-gpt keeps its larger evaluation" in said
    assert evaluated(12)[1]["generated"] == 12


@pytest.mark.parametrize("text", ["?!", "the the"])
def test_prompts_without_words_have_no_tfidf(text: str, here: Path) -> None:
    said = [[{"speaker": "A", "text": text}, {"speaker": "B", "text": f"owl {n}"}] for n in range(200)]
    lines = [json.dumps({"turns": turns, "source": str(n)}) for n, turns in enumerate(said)]
    (here / "wordless.jsonl").write_text("\n".join(lines))
    result = run("eval", "owls-gpt", "wordless.jsonl", "--json", "--unseen", "off", "--resamples", "100")
    assert result.exit_code == 0, result.exception
    names = [line["name"] for line in json.loads(result.stdout)["lines"]]
    assert names == ["owls-gpt", "humans", "fixed", "random", "unigram"]


def test_words_of_hundreds_of_nats_have_no_perplexity() -> None:
    tokens, ones = np.array([90, 80]), np.ones(2, np.int64)
    for nats, said in ((np.array([40.0, 9.0]), True), (np.array([800.0, 900.0]), False)):
        found = metrics.likelihood(np.stack([nats, tokens, ones]), ones, ones)
        assert ("perplexity_per_word" in found) == said


def test_who_names_the_corpus_first_is_told_so(here: Path) -> None:
    result = run("eval", "owls", "owls-gpt")
    assert result.exit_code == 1
    assert "owls-gpt is a bot\nthe corpus comes last" in result.stderr


def test_a_report_replaces_no_part_of_a_bot(here: Path) -> None:
    before = (here / "checkpoints" / "owls-gpt" / "config.json").read_bytes()
    result = run("report", "owls-gpt", "--out", "checkpoints/owls-gpt/config.json")
    assert result.exit_code == 1
    assert "is a part of the bot" in result.stderr
    assert (here / "checkpoints" / "owls-gpt" / "config.json").read_bytes() == before


@pytest.mark.parametrize("step", [None, "x", math.nan, math.inf, [1]])
def test_a_step_that_is_none_is_not_believed(step: object, here: Path) -> None:
    bot = Bot.load("owls-gpt")
    bot.header = {"step": step}
    assert _step(bot) == 0


def test_a_chart_needs_two_validations_and_leaves_broken_lines_out() -> None:
    lines: list[dict[str, Any]] = [
        {"seconds": 60, "nats_per_token": 8.0},
        {"seconds": "x"},
        {"seconds": 120, "nats_per_token": 6.0, "loss": 5.0},
        {"seconds": 120, "nats_per_token": 7.0, "loss": float("nan")},
    ]
    found = chart(lines)
    assert found is not None
    assert (found.minutes, found.highest, found.lowest) == (2, 8, 5)
    assert found.validation == ((320, 0), (640, 160), (640, 80))
    assert found.training == ((640, 240),)
    assert chart(lines[:2]) is None
    assert not chart([lines[0], lines[0]]).training  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("owls-gpt", "nowhere"), "there is no nowhere"),
        (("owls-gtp", "owls"), "there is no bot 'owls-gtp'"),
        (("owls-gpt", "checkpoints/owls-gpt", "owls"), "two bots are called owls-gpt"),
        (("owls-gpt", "single"), "no exchange in its test part"),
        (
            ("owls-gpt", "endless.jsonl"),
            "endless.jsonl holds no usable dialogue\nfound 1 conversation",
        ),
    ],
)
def test_a_corpus_or_bot_that_cannot_be_measured_is_one_line(
    here: Path, arguments: tuple[str, ...], what: str
) -> None:
    for name, count in (("short", 60), ("single", 1)):
        if not (here / name).exists():
            write_corpus(here / name, count)
    turns = [{"speaker": who, "text": "on and " * 500} for who in "AB"]
    (here / "endless.jsonl").write_text(json.dumps({"turns": turns}))
    result = run("eval", *arguments)
    assert result.exit_code == 1, result.exception
    assert what in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("--fold", "train", "fold must be one of validation, test"),
        ("--unseen", "maybe", "unseen must be on or off"),
        ("--ranked", "-1", "ranked must not be negative"),
        ("--resamples", "5", "resamples must be 100 to 10,000"),
        ("--resamples", "100000000000000", "resamples must be 100 to 10,000"),
    ],
)
def test_a_wrong_value_is_wrong_usage(option: str, value: str, what: str) -> None:
    result = run("eval", "owls-gpt", "owls", option, value)
    assert result.exit_code == 2, result.exception
    assert what in result.stderr
