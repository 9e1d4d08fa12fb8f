"""Learning from judged replies: the loss by hand, what a bot takes on, and `chatbot prefer` as called."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from chatbot.bot import Bot
from chatbot.checkpoint import FORMAT, BotConfig, Checkpoint
from chatbot.cli import main
from chatbot.config import to_dict
from chatbot.corpus.judged import Judged, read_all
from chatbot.corpus.report import Report
from chatbot.dialogue import Dialogue, Turn
from chatbot.engines.torch import AnyModel, TorchEngine, build
from chatbot.errors import ConfigError, CorpusError, TrainingError
from chatbot.evaluation.likelihood import scores
from chatbot.manners import offends
from chatbot.models import FAMILIES
from chatbot.preparation import Encoded, Example, ExamplesConfig, encode
from chatbot.sizes import size_named
from chatbot.tokenizer import END, Tokenizer
from chatbot.training import Evaluated, Preferred, StepDone, Stopped
from chatbot.training.preference import PreferenceConfig, Preferring, log_probabilities, preference_loss

from .conftest import SENTENCES

EXAMPLES = ExamplesConfig()
JUDGED = Path(__file__).parent.parent / "corpora" / "judged"
QUICK = PreferenceConfig(learning_rate=3e-3, epochs=3, batch_pairs=8, warmup_steps=1)


def judgements(count: int) -> list[Judged]:
    """To every question a good reply and a bad one, always the same two."""
    questions = [*SENTENCES, *(f"And {text.lower()}" for text in SENTENCES)][:count]
    return [Judged((Turn("user", text),), ("They are on the table.",), ("No.",)) for text in questions]


def model(family: str, tokenizer: Tokenizer) -> AnyModel:
    config = FAMILIES.load(family).Config.sized(size_named("nano"), len(tokenizer))
    return build(family, to_dict(config), seed=1).eval()


def example(tokenizer: Tokenizer, said: str, reply: str) -> Example:
    prompt = [piece.token for piece in tokenizer.prompt([Turn("user", said)], 64)]
    return Example(prompt, [*tokenizer.encode(reply), END])


def probability(model: AnyModel, tokenizer: Tokenizer, said: str, reply: str) -> float:
    return float(-scores(TorchEngine(model.eval()), [example(tokenizer, said, reply)])[0, 0])


# the loss


def test_the_loss_by_hand() -> None:
    now = torch.tensor([[-4.0], [-9.0]])
    before = torch.tensor([[-5.0], [-7.0]])  # the good one gained 1 nat, the bad one lost 2
    by_hand = -math.log(1 / (1 + math.exp(-0.5 * 3))) + 0.2 * 4 / 8
    found = preference_loss(now, before, torch.tensor([8.0]), beta=0.5, good=0.2)
    assert found.item() == pytest.approx(by_hand, abs=1e-6)
    same = preference_loss(now, now, torch.tensor([8.0]), beta=0.5, good=0.0)
    assert same.item() == pytest.approx(math.log(2), abs=1e-6)


def test_it_raises_the_good_reply_and_lowers_the_bad_one() -> None:
    now = torch.tensor([[-4.0, -3.0], [-9.0, -2.0]], requires_grad=True)
    torch.autograd.backward(preference_loss(now, now.detach(), torch.ones(2), 0.1, 0.0))
    assert now.grad is not None
    assert torch.all(now.grad[0] < 0)
    assert torch.all(now.grad[1] > 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_of_many_lengths_are_as_likely_together_as_alone(family: str, tokenizer: Tokenizer) -> None:
    pairs = [(SENTENCES[i], SENTENCES[i + 1]) for i in (0, 4, 12, 30)]
    made, network = [example(tokenizer, *pair) for pair in pairs], model(family, tokenizer)
    alone = [float(-scores(TorchEngine(network), [one])[0, 0]) for one in made]
    assert log_probabilities(network, made).tolist() == pytest.approx(alone, rel=1e-4)


# learning


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_preferred_is_preferred_for_other_questions_too(family: str, tokenizer: Tokenizer) -> None:
    network = model(family, tokenizer)
    asked, good, bad = "Is there an owl in the house?", "They are on the table.", "No."
    before = probability(network, tokenizer, asked, good) - probability(network, tokenizer, asked, bad)
    learner = Preferring(network, tokenizer, EXAMPLES, judgements(60), QUICK)
    learner.measure()
    events = list(learner.run())
    after = probability(network, tokenizer, asked, good) - probability(network, tokenizer, asked, bad)
    assert after > before + 2
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert losses[-1] < losses[0]
    first, last = (event for event in events if isinstance(event, Preferred))
    assert first.held == last.held == len(learner.held) > 0
    assert (first.right, last.right) == (0, last.held)


def test_the_same_seed_gives_the_same_bot(tokenizer: Tokenizer) -> None:
    def learned(seed: int) -> torch.Tensor:
        network = model("gpt", tokenizer)
        config = PreferenceConfig(epochs=1, batch_pairs=8, seed=seed)
        learner = Preferring(network, tokenizer, EXAMPLES, judgements(30), config)
        learner.measure()
        list(learner.run())
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    assert torch.equal(learned(0), learned(0))
    assert not torch.equal(learned(0), learned(1))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_corpus_that_is_read_besides_is_learned_too(
    family: str, tokenizer: Tokenizer, encoded: Encoded
) -> None:
    def after(corpus: tuple[Encoded, Encoded] | None) -> float:
        network = model(family, tokenizer)
        learner = Preferring(network, tokenizer, EXAMPLES, judgements(30), QUICK, corpus)
        learner.measure()
        told = [event.nats_per_word for event in learner.run() if isinstance(event, Evaluated)]
        if corpus:
            assert told[0] > told[1] + 0.5
            assert learner.figures is not None
            assert learner.figures.nats_per_word == told[1]
        return probability(network, tokenizer, SENTENCES[0], SENTENCES[1])

    assert after((encoded, encoded)) > after(None) + 2


def test_an_interruption_ends_it_after_the_step(tokenizer: Tokenizer) -> None:
    learner = Preferring(model("gpt", tokenizer), tokenizer, EXAMPLES, judgements(40), QUICK)
    learner.measure()
    events = []
    for event in learner.run():
        events.append(event)
        if isinstance(event, StepDone):
            learner.interrupt()
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, stopped.step) == ("interrupted", 1)


def test_time_ends_it(tokenizer: Tokenizer) -> None:
    config = PreferenceConfig(minutes=1e-9, epochs=1e9)
    learner = Preferring(model("gpt", tokenizer), tokenizer, EXAMPLES, judgements(40), config)
    learner.measure()
    *_, stopped = learner.run()
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, stopped.step) == ("finished", 0)


def test_a_part_of_an_epoch_is_a_part_of_its_steps(tokenizer: Tokenizer) -> None:
    config = PreferenceConfig(epochs=1.5, pairs=1, batch_pairs=8)
    learner = Preferring(model("gpt", tokenizer), tokenizer, EXAMPLES, judgements(63), config)
    learner.measure()
    *_, stopped = learner.run()
    assert isinstance(stopped, Stopped)
    assert stopped.step == math.ceil(1.5 * len(learner.learned) / 8)


def test_a_speaker_who_never_replies_in_the_corpus_is_said(tokenizer: Tokenizer, encoded: Encoded) -> None:
    nobody = replace(EXAMPLES, speaker="nobody")
    with pytest.raises(ConfigError, match="nobody called 'nobody'"):
        Preferring(model("gpt", tokenizer), tokenizer, nobody, judgements(30), QUICK, (encoded, encoded))
    first = encode([Dialogue((Turn("ann", "Is it cold?"), Turn("bot", "Very cold.")))] * 4, tokenizer)
    ann = replace(EXAMPLES, speaker="ann")
    with pytest.raises(TrainingError, match="too little to learn from"):
        Preferring(model("gpt", tokenizer), tokenizer, ann, judgements(30), QUICK, (first, first))


def test_replies_that_differ_only_where_they_are_cut_are_no_pair(tokenizer: Tokenizer) -> None:
    good, bad = "Yes, it is.", "Yes, it was not."
    limit = replace(EXAMPLES, reply_limit=2)
    assert tokenizer.encode(good)[:2] == tokenizer.encode(bad)[:2]
    with pytest.raises(TrainingError, match="too little to learn from"):
        Preferring(
            model("gpt", tokenizer),
            tokenizer,
            limit,
            [Judged((Turn("user", "Hm?"),), (good,), (bad,))],
            QUICK,
        )


def test_the_same_question_is_never_learned_and_held_out(tokenizer: Tokenizer) -> None:
    learner = Preferring(model("gpt", tokenizer), tokenizer, EXAMPLES, judgements(60) * 3, QUICK)
    learned, held = (
        {tuple(case.good[0].prompt) for case in cases} for cases in (learner.learned, learner.held)
    )
    assert held
    assert not held & learned


def test_a_loss_that_is_no_number_is_an_error(tokenizer: Tokenizer) -> None:
    network = model("gpt", tokenizer)
    learner = Preferring(network, tokenizer, EXAMPLES, judgements(30), QUICK)
    learner.measure()
    torch.nn.init.constant_(network.embed.weight, math.nan)
    with pytest.raises(TrainingError, match="the loss became nan at step 1"):
        list(learner.run())


@pytest.mark.parametrize(
    "changed", [{"beta": 0.0}, {"epochs": -1.0}, {"learning_rate": math.nan}, {"pairs": 10**400}]
)
def test_settings_that_make_no_sense(changed: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changed))):
        PreferenceConfig(**changed)  # type: ignore[arg-type]


def test_what_stands_there_more_often_comes_more_often(tokenizer: Tokenizer) -> None:
    often = [Judged((Turn("user", "Hm?"),), ("Yes.",), ("No.", "No.", "No.", "Never."))] * 400
    learner = Preferring(model("gpt", tokenizer), tokenizer, EXAMPLES, often, PreferenceConfig())
    assert [len(case.bad) for case in learner.learned[:2]] == [2, 2]
    drawn = [learner._drawn(i)[2] for i in range(len(learner.learned))]
    assert 0.65 < drawn.count(0) / len(drawn) < 0.85


# judged replies


def write(file: Path, lines: Iterable[Any]) -> Path:
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def judged(*texts: str, good: Any = ("Yes.",), bad: Any = ("No.",)) -> dict[str, Any]:
    turns = [{"speaker": ("user", "bot")[i % 2], "text": text} for i, text in enumerate(texts)]
    return {"turns": turns, "good": good, "bad": bad}


def test_judged_replies_are_read(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    other = {"messages": [*messages, {"role": "user", "content": "Why?"}], "good": ["So."], "bad": ["No."]}
    file = write(tmp_path / "j.jsonl", [judged("Is it cold?", good=["It  is.", "Very."]), other])
    first, second = read_all([file], Report())
    assert first == Judged((Turn("user", "Is it cold?"),), ("It is.", "Very."), ("No.",))
    assert [turn.speaker for turn in second.turns] == ["user", "bot", "user"]


def test_lines_that_are_no_judgements_are_counted(tmp_path: Path) -> None:
    lines = [
        judged("Hm?"),
        "{",
        judged("Hm?", good=[]),
        judged("Hm?", bad="No."),
        judged("Hm?", good=["No."]),
        judged(" "),
        judged("Hm?", bad=["\x1b"]),
        judged("Hm?", "Yes."),
        judged("Hm?", "Yes.", "\u200b"),
    ]
    report = Report()
    assert len(read_all([write(tmp_path / "j.jsonl", lines)], report)) == 1
    assert sum(report.dropped.values()) == 8
    assert report.first["conversations: no list of good replies"] == "j.jsonl:3"
    assert report.first["conversations: nothing is said in its last turn"] == "j.jsonl:6"
    assert report.first["conversations: its last turn is the bot's own"] == "j.jsonl:8"


@pytest.mark.parametrize("names", [("Ann", "Pip"), ("A", "B"), ("user", "Bot"), (None, None)])
def test_who_does_not_speak_last_is_the_bot(tmp_path: Path, names: tuple[str | None, str | None]) -> None:
    said = [{"speaker": names[i % 2], "text": text} for i, text in enumerate(["Hi", "Hello!", "Why?"])]
    turns = [{k: v for k, v in turn.items() if v} for turn in said]
    file = write(tmp_path / "j.jsonl", [{"turns": turns, "good": ["So."], "bad": ["No."]}])
    (found,) = read_all([file], Report())
    assert [turn.speaker for turn in found.turns] == ["user", "bot", "user"]


@pytest.mark.parametrize("lines", [[], ["{"], [{"turns": []}]])
def test_a_file_without_judgements(tmp_path: Path, lines: list[Any]) -> None:
    with pytest.raises(CorpusError, match="holds no judged replies"):
        read_all([write(tmp_path / "j.jsonl", lines)], Report())


# the command


@pytest.fixture
def owl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer) -> str:
    """A bot that has learned nothing, in a folder with 60 judgements."""
    monkeypatch.chdir(tmp_path)
    network = model("gpt", tokenizer)
    config = BotConfig(
        format=FORMAT, family="gpt", model=to_dict(network.config), examples=to_dict(EXAMPLES), called="Owl"
    )
    made = Checkpoint.create(tmp_path / "checkpoints" / "owl-gpt", config, tokenizer)
    made.save_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()})
    lines = [judged(one.turns[0].text, good=one.good, bad=one.bad) for one in judgements(60)]
    write(tmp_path / "judged.jsonl", lines)
    return "owl-gpt"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["prefer", *arguments])


QUICKLY = [
    part
    for name in ("learning_rate=0.003", "epochs=3", "batch_pairs=8", "warmup_steps=1")
    for part in ("--set", f"preference.{name}")
]


def test_the_command_makes_another_bot(owl: str) -> None:
    before = contents(Path("checkpoints") / owl)
    result = run("judged.jsonl", "--from", owl, "--name", "wise", *QUICKLY)
    assert result.exit_code == 0, result.output
    assert "60 judged conversations, for owl-gpt" in result.stderr
    first, last = re.findall(r"a good reply is likeliest in (\d+) of (\d+) held out", result.stderr)
    assert first[0] == "0" < first[1] == last[0] == last[1]
    assert contents(Path("checkpoints") / owl) == before
    wise = Bot.load("wise-gpt")
    assert wise.checkpoint.config.origin == owl
    assert wise.checkpoint.config.called == "Owl"
    assert wise.header["judged"] == 60
    assert wise.header["preference"]["epochs"] == 3
    assert wise.reply("Where is the bread?", temperature=0).text == "They are on the table."


def test_a_corpus_can_be_read_besides(owl: str) -> None:
    turns = [[{"speaker": "user", "text": a}, {"speaker": "bot", "text": b}] for a in SENTENCES for b in "ab"]
    write(Path("corpus.jsonl"), [{"turns": each} for each in turns])
    result = run("judged.jsonl", "--from", owl, "--name", "wise", "--with", "corpus.jsonl")
    assert result.exit_code == 0, result.output
    wise = Bot.load("wise-gpt")
    assert wise.reply("Hm?").tokens
    assert wise.header["figures"]["nats_per_word"] > 0
    assert "nats/word" in result.stderr
    assert "so few steps teach little" in result.stderr
    assert wise.checkpoint.config.corpus["name"] == "corpus"
    assert wise.header["floor"]["nats_per_word"] > 0


def test_an_interruption_leaves_what_was_learned(owl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Preferring, "_learn", interrupting(Preferring._learn))
    result = run("judged.jsonl", "--from", owl, "--name", "wise", *QUICKLY)
    assert result.exit_code == 130
    assert Bot.load("wise-gpt").header["step"] == 1


def test_what_cannot_be_written_leaves_nothing(owl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chatbot.checkpoint.save_file", full)
    result = run("judged.jsonl", "--from", owl, "--name", "wise", *QUICKLY)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "No space left" in result.stderr
    assert [folder.name for folder in Path("checkpoints").iterdir()] == [owl]


def test_it_cannot_be_resumed_over_what_it_learned(owl: str) -> None:
    before = contents(Path("checkpoints") / owl)
    write(Path("owl.jsonl"), [{"turns": judged(a, "Yes.")["turns"]} for a in SENTENCES])
    result = CliRunner().invoke(main, ["train", "owl.jsonl", "--model", "gpt", "--resume", "--steps", "2"])
    assert result.exit_code == 1
    assert "has weights, but no training to go on with" in result.stderr
    assert "--from owl-gpt" in result.stderr
    assert contents(Path("checkpoints") / owl) == before


def test_a_bot_that_learned_backwards_is_refused(owl: str) -> None:
    made = Checkpoint.load(Path("checkpoints") / owl)
    made.configure(replace(made.config, examples={**made.config.examples, "backward": True}))
    result = run("judged.jsonl", "--from", owl, "--name", "wise")
    assert result.exit_code == 1
    assert "learned conversations backwards" in result.stderr


def interrupting(learn: Any) -> Any:
    """The same, and Ctrl-C is pressed meanwhile."""

    def learned(self: Preferring, *arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return learn(self, *arguments)

    return learned


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("judged.jsonl", "--from", "nobody", "--name", "wise"), "there is no bot 'nobody'"),
        (("judged.jsonl", "--from", "owl-gpt", "--name", "owl"), "exists already"),
        (("judged.jsonl", "--from", "owl-gpt", "--name", "../wise"), "cannot be a bot's name"),
        (("none.jsonl", "--from", "owl-gpt", "--name", "wise"), "none.jsonl cannot be read"),
        (("checkpoints", "--from", "owl-gpt", "--name", "wise"), "checkpoints is no file"),
        (("judged.jsonl", "--from", "owl-gpt", "--name", "wise", "--time", "0.0001s"), "nothing was learned"),
        (
            ("judged.jsonl", "--from", "owl-gpt", "--name", "wise", "--set", "preference.learning_rate=1e9"),
            "with a lower --set preference.learning_rate",
        ),
        (
            ("judged.jsonl", "--from", "owl-gpt", "--name", "wise", "--set", "preference.bet=1"),
            "no setting 'bet'",
        ),
        (
            ("judged.jsonl", "--from", "owl-gpt", "--name", "wise", "--set", "beta=1"),
            "is not OWNER.NAME=VALUE",
        ),
        (("judged.jsonl", "--from", "owl-gpt", "--name", "wise", "--with", "none"), "none"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(owl: str, arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert {folder.name for folder in Path("checkpoints").iterdir()} == {owl}


def test_the_judged_replies_that_come_along_are_whole_and_mannerly() -> None:
    files, report = sorted(JUDGED.glob("*.jsonl")), Report()
    found = read_all(files, report)
    assert len(found) == report.conversations_listed > 20_000
    assert not report.dropped
    assert not [text for one in found for text in one.good if offends(text)]
    told = (JUDGED / "README.md").read_text(encoding="utf-8")
    for file in files:
        assert f"`{file.name}`" in told
