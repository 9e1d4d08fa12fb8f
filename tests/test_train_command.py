"""`chatbot train` as it is called: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from chatbot.bot import Bot
from chatbot.checkpoint import Checkpoint, claimed
from chatbot.cli import main
from chatbot.cli.request import Duration
from chatbot.models import FAMILIES
from chatbot.sizes import SIZES
from chatbot.training import StepDone, Trainer
from tests.conftest import SENTENCES

ROOT = Path(__file__).parent.parent
QUICK = (
    *("--size", "nano", "--set", "training.evaluations=2", "--set", "training.batch_tokens=512"),
    *("--set", "training.precision=float32", "--set", "sampling.max_tokens=6"),
)
CLEANING = "cleaning.longest_turn=77"


def write_corpus(folder: Path, sentences: Sequence[str] = SENTENCES) -> None:
    """Forty dialogues of three turns each."""
    folder.mkdir()
    random = np.random.default_rng(0)
    with (folder / "dialogues.jsonl").open("w") as file:
        for number in range(40):
            said = [{"speaker": "AB"[i % 2], "text": random.choice(sentences)} for i in range(3)]
            file.write(json.dumps({"turns": said, "source": f"day {number}"}) + "\n")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def train(*arguments: str) -> Result:
    """A training that has to succeed."""
    result = run(*arguments, *QUICK)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result


def failure(*arguments: str) -> str:
    """What a call that the user got wrong says."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, ""), (result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    """A folder in which both families were trained for six steps, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder / "owls")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder, train("owls", "--steps", "6")


@pytest.fixture
def here(trained: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, where the test may do what it likes."""
    folder = tmp_path / "here"
    shutil.copytree(trained[0], folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a corpus and no bots."""
    write_corpus(tmp_path / "owls")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bots(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").glob("*")}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "checkpoints").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def steps(bot: str) -> list[int]:
    """The steps at which a bot was validated."""
    lines = (Path("checkpoints") / bot / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def state(bot: str) -> dict[str, Any]:  # Any: arrays
    saved = Checkpoint.load(Path("checkpoints") / bot).training_state()
    assert saved is not None
    return dict(saved[0])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


# training


def test_both_families_are_trained_and_can_be_talked_to(here: Path) -> None:
    assert bots(here) == {"owls-seq2seq", "owls-gpt"}
    for family in FAMILIES:
        bot = Bot.load(f"owls-{family}")
        reply = bot.reply("Where are the keys?", seed=0)
        assert bot.family == family
        assert 1 <= len(reply.tokens) <= 6
        assert reply.text == bot.reply("Where are the keys?", seed=0).text
        assert sum(reply.tokens[0].attention) == pytest.approx(1, abs=1e-3)
        assert steps(bot.name) == [3, 6]


def test_it_says_what_it_found_and_how_to_go_on(trained: tuple[Path, Result]) -> None:
    _, result = trained
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert any(line.startswith("kept 40 dialogues: 120 turns") for line in lines)
    assert "talk to it: chatbot chat owls-seq2seq" in lines
    assert "talk to it: chatbot chat owls-gpt" in lines


def test_a_trained_bot_answers_a_pipe(here: Path) -> None:
    result = CliRunner().invoke(main, ["chat", "owls-gpt", "--seed", "1"], input="Where are the keys?\n")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1


def test_everything_that_was_asked_for_is_in_the_config(bare: Path) -> None:
    train(
        *("owls", "--model", "gpt", "--steps", "1", "--name", "wise", "--seed", "5", "--split", "parlai"),
        *("--set", "gpt.heads=4", "--set", "examples.context=2", "--set", CLEANING),
        *("--set", "tokenizer.vocabulary=350", "--set", "training.clip=0.5"),
    )
    assert bots(bare) == {"wise-gpt"}
    config = json.loads((bare / "checkpoints/wise-gpt/config.json").read_text())
    assert config["family"] == "gpt"
    assert (config["model"]["heads"], config["model"]["width"]) == (4, 64)
    assert config["model"]["vocabulary"] <= 350
    assert config["tokenizer"]["vocabulary"] == 350
    assert config["examples"]["context"] == 2
    assert config["corpus"]["cleaning"]["longest_turn"] == 77
    assert config["sampling"]["max_tokens"] == 6
    expected = {"steps": 1, "minutes": 0.0, "seed": 5, "clip": 0.5, "evaluations": 2}
    assert {name: config["training"][name] for name in expected} == expected
    assert (config["corpus"]["name"], config["corpus"]["split"]) == ("owls", "parlai")


def test_a_training_by_time_ends_by_itself(bare: Path) -> None:
    train("owls", "--model", "gpt", "--time", "1s")
    config = Checkpoint.load(bare / "checkpoints/owls-gpt").config
    assert (config.training["minutes"], config.training["steps"]) == (pytest.approx(1 / 60), 0)


@pytest.mark.parametrize(
    ("text", "minutes"), [("90s", 1.5), ("20m", 20), ("1h", 60), ("1.5h", 90), ("7", 7), (" 3m ", 3)]
)
def test_times_are_minutes_unless_they_say_otherwise(text: str, minutes: float) -> None:
    assert Duration().convert(text, None, None) == pytest.approx(minutes)


@pytest.mark.parametrize("text", ["", "soon", "-3m", "5 m", "1d", "0", "0s", "1e3", "inf", "nan", "1h30m"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time; write 90s, 20m or 1h"):
        Duration().convert(text, None, None)
    result = run("owls", "--time", text)
    assert result.exit_code == 2
    assert "is not a time" in result.stderr


# bots that are there already


def test_a_bot_is_never_overwritten(here: Path) -> None:
    before = contents(here)
    said = failure("owls", "--steps", "6")
    assert "checkpoints/owls-seq2seq and checkpoints/owls-gpt exist already" in said
    assert "--resume" in said
    assert contents(here) == before


def test_not_even_one_of_two_is_overwritten(here: Path) -> None:
    shutil.rmtree(here / "checkpoints/owls-seq2seq")
    before = contents(here)
    assert "checkpoints/owls-gpt exists already" in failure("owls", "--steps", "6")
    assert contents(here) == before


def test_what_is_trained_already_is_left_alone(here: Path) -> None:
    before = contents(here)
    result = train("owls", "--steps", "6", "--resume")
    assert "checkpoints/owls-gpt is trained already" in result.stderr.splitlines()
    assert contents(here) == before


def test_resume_trains_on_when_there_is_more_to_do(here: Path) -> None:
    train("owls", "--model", "gpt", "--steps", "12", "--resume")
    assert steps("owls-gpt") == [3, 6, 12]
    assert steps("owls-seq2seq") == [3, 6]


def test_resume_trains_what_is_still_missing_with_the_same_tokenizer(here: Path) -> None:
    whole = state("owls-gpt")
    shutil.rmtree(here / "checkpoints/owls-gpt")
    train("owls", "--steps", "6", "--resume")
    tokenizers = {(here / "checkpoints" / bot / "tokenizer.model").read_bytes() for bot in bots(here)}
    assert len(tokenizers) == 1
    assert same(state("owls-gpt"), whole)


def test_resume_needs_none_of_the_settings_again(bare: Path) -> None:
    changes = ("--set", "tokenizer.vocabulary=350", "--set", CLEANING)
    train("owls", "--model", "gpt", "--steps", "1", *changes)
    assert run("owls", "--model", "gpt", "--steps", "2", "--resume").exit_code == 0
    assert steps("owls-gpt")[-1] == 2


def test_resume_begins_the_missing_family_as_the_other_one_was_begun(bare: Path) -> None:
    given = ("--size", "nano", "--steps", "2", "--set", "examples.context=2", "--set", "training.clip=0.5")
    assert run("owls", "--model", "gpt", *given).exit_code == 0
    assert run("owls", "--resume").exit_code == 0
    config = json.loads(Path("checkpoints/owls-seq2seq/config.json").read_text())
    assert (config["size"], config["model"]["width"]) == ("nano", SIZES["nano"].width)
    assert (config["training"]["steps"], config["training"]["clip"]) == (2, 0.5)
    assert config["examples"]["context"] == 2


def test_resume_with_another_size_is_refused(here: Path) -> None:
    said = failure("owls", "--model", "gpt", "--resume", "--size", "micro")
    assert "checkpoints/owls-gpt is of size nano, not micro" in said


def test_a_corpus_without_a_usable_dialogue_is_reported(bare: Path) -> None:
    Path("bad.jsonl").write_text('{"turns": [{"speaker": "A", "text": "Alone."}]}\n{"turns": []}\n')
    said = failure("bad.jsonl", "--size", "nano", "--steps", "2")
    assert "bad.jsonl holds no usable" in said
    assert "first: " in said
    assert not bots(bare)


def test_resume_with_nothing_to_resume_says_so_and_begins(bare: Path) -> None:
    result = run("owls", "--model", "gpt", "--size", "nano", "--steps", "2", "--resume")
    assert result.exit_code == 0
    assert "there is nothing to resume at checkpoints/owls-gpt" in result.stderr
    assert bots(bare) == {"owls-gpt"}


def test_what_a_resumed_training_was_set_to_is_written_down(here: Path) -> None:
    train("owls", "--model", "gpt", "--steps", "9", "--resume")
    config = json.loads(Path("checkpoints/owls-gpt/config.json").read_text())
    assert config["training"]["steps"] == 9


def test_resume_with_another_corpus_is_refused(here: Path) -> None:
    write_corpus(here / "larks", [sentence.upper() for sentence in SENTENCES])
    before = contents(here)
    said = failure("larks", "--name", "owls", "--steps", "12", "--resume")
    assert "larks is not what checkpoints/owls-seq2seq was trained on" in said
    assert "give the corpus that it began with, or another --name" in said
    assert contents(here) == before


@pytest.mark.parametrize("change", ["gpt.width=32", "examples.context=1", "sampling.top_k=3", CLEANING])
def test_resume_does_not_ignore_a_setting_that_would_make_another_bot(here: Path, change: str) -> None:
    said = failure("owls", "--model", "gpt", "--resume", "--size", "nano", "--set", change)
    owner = change.partition(".")[0]
    assert f"checkpoints/owls-gpt was begun with other settings of {owner}" in said


def test_resume_does_not_ignore_another_split(here: Path) -> None:
    before = contents(here)
    said = failure("owls", "--steps", "9", "--resume", "--split", "parlai")
    assert "was trained on the split by source, not parlai" in said
    assert contents(here) == before
    train("owls", "--steps", "9", "--resume", "--split", "source")


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_another_training_of_the_same_bot_is_refused(here: Path, more: list[str]) -> None:
    before = contents(here)
    with claimed(Path("checkpoints/owls-gpt")):
        said = failure("owls", "--steps", "9", *more)
    assert "checkpoints/owls-gpt is being trained already" in said
    assert contents(here) == before


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        ({"corpus": {"cleaning": 5}}, "cleaning must be an object, not '5'"),
        ({"training": {"clip": "tight"}}, "training.clip must be a number, not 'tight'"),
    ],
)
def test_resume_of_a_bot_with_a_broken_section_is_refused(
    here: Path, edit: dict[str, dict[str, object]], what: str
) -> None:
    file = Path("checkpoints/owls-gpt/config.json")
    values = json.loads(file.read_text())
    for section, changes in edit.items():
        values[section] |= changes
    file.write_text(json.dumps(values))
    said = failure("owls", "--steps", "9", "--resume")
    assert f"{file} is damaged: {what}" in said
    assert "reading" not in said


def test_resume_of_a_damaged_bot_is_refused(here: Path) -> None:
    file = here / "checkpoints/owls-gpt/training.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    said = failure("owls", "--model", "gpt", "--steps", "12", "--resume")
    assert "training.safetensors is damaged" in said


# Ctrl-C


def pressing(monkeypatch: pytest.MonkeyPatch, number: int, at: int) -> None:
    """Send ourselves this signal while the step is taken, once."""
    honest = Trainer._learn

    def learn(self: Trainer, *arguments: Any) -> StepDone:
        if self.at.step + 1 == at:
            signal.raise_signal(number)
        return honest(self, *arguments)

    monkeypatch.setattr(Trainer, "_learn", learn)


HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # a terminal that was closed; Windows has none


@pytest.fixture
def heard() -> Iterator[None]:
    """Signals that whoever runs the tests may have had us ignore, as nohup does."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM, HANG_UP)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, HANG_UP])
def test_ctrl_c_saves_and_the_same_command_with_resume_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    whole = {bot: state(bot) for bot in bots(here)}
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    shutil.rmtree(here / "checkpoints")
    with monkeypatch.context() as patch:
        pressing(patch, number, at=4)
        result = run("owls", "--steps", "6", *QUICK)
    assert (result.exit_code, result.stdout) == (130, "")
    last = "saved in checkpoints/owls-seq2seq; to go on, give the same command with --resume"
    assert result.stderr.splitlines()[-1] == last
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert bots(here) == {"owls-seq2seq"}
    assert Bot.load("owls-seq2seq").reply("Hello?").tokens
    train("owls", "--steps", "6", "--resume")
    assert {bot: same(state(bot), whole[bot]) for bot in whole} == dict.fromkeys(whole, True)


def test_nohup_is_obeyed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(HANG_UP, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patch:
            pressing(patch, HANG_UP, at=8)
            train("owls", "--steps", "9", "--resume")
        assert signal.getsignal(HANG_UP) == signal.SIG_IGN
    finally:
        signal.signal(HANG_UP, before)
    assert steps("owls-gpt")[-1] == 9


@pytest.mark.slow
def test_a_real_ctrl_c_leaves_a_working_bot(bare: Path) -> None:
    command = [sys.executable, "-m", "chatbot", "train", "owls", "--model", "gpt", "--time", "10m", *QUICK]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=_hear_ctrl_c
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if line.startswith("step "))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130, rest
    assert said.startswith("step 1 ")
    assert "Traceback" not in rest
    assert Bot.load("owls-gpt").reply("Hello?").tokens


def _hear_ctrl_c() -> None:
    """Tests that run in the background were started deaf to it, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# what the user got wrong


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        ("trainning.clip=1", "--set knows no 'trainning'", "did you mean 'training'?"),
        ("training.clipp=1", "training has no setting 'clipp'", "did you mean 'clip'?"),
        ("gpt.widht=8", "gpt has no setting 'widht'", "did you mean 'width'?"),
        ("training.clip=long", "training.clip must be a number, not 'long'", ""),
        ("training.clip=-1", "clip must be over 0", ""),
        ("seq2seq.attention=bahdanau", "seq2seq.attention must be one of dot, general, concat", ""),
        ("gpt.heads=5", "width 64 must be a multiple of twice the heads (5)", ""),
        ("gpt.vocabulary=99", "gpt has as many pieces as the tokenizer", "use --set tokenizer.vocabulary"),
        ("training", "--set 'training' is not OWNER.NAME=VALUE", "for example: --set training.clip=0.5"),
        ("training.clip", "is not OWNER.NAME=VALUE", ""),
    ],
)
def test_a_wrong_setting_is_found_before_the_corpus_is_read(
    bare: Path, change: str, what: str, hint: str
) -> None:
    said = failure("nowhere", "--size", "nano", "--set", change)
    assert what in said
    assert hint in said
    assert not (bare / "checkpoints").exists()


def test_settings_are_checked_against_the_size_that_was_chosen(bare: Path) -> None:
    # 6 heads fit the 384 values of medium, not the 256 of small
    assert "there is no nowhere" in failure("nowhere", "--size", "medium", "--set", "gpt.heads=6")
    assert "must be a multiple" in failure("nowhere", "--size", "small", "--set", "gpt.heads=6")


@pytest.mark.parametrize("name", ["../owls", "a/b", ".hidden", "-x", "two words", "\x1b[31m"])
def test_a_name_is_never_a_path(bare: Path, name: str) -> None:
    said = failure("owls", "--name", name)
    assert "cannot be a bot's name" in said
    assert "\x1b" not in said
    assert {path.name for path in bare.iterdir()} <= {"owls", "home"}


def test_a_corpus_that_is_not_there_is_said(bare: Path) -> None:
    assert "there is no nowhere" in failure("nowhere", *QUICK)
    assert not (bare / "checkpoints").exists()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["{", "not JSON"],
        ['{"turns": []}'],
        ['{"turns": [{"speaker": "A", "text": ""}, {"speaker": "B", "text": " "}]}'],
        ['{"turns": [{"speaker": "A", "text": "Alone."}]}'] * 30,
        ['{"turns": [{"speaker": "A", "text": "Hello."}, {"speaker": "B", "text": "Hi."}]}'],
    ],
    ids=["empty", "broken", "no turns", "no words", "nobody answers", "one dialogue"],
)
def test_a_corpus_with_nothing_usable_is_said_and_leaves_nothing_behind(bare: Path, lines: list[str]) -> None:
    (bare / "poor.jsonl").write_text("".join(line + "\n" for line in lines))
    said = failure("poor.jsonl", "--steps", "2", *QUICK)
    assert said.startswith("Error: ") or "\nError: " in said
    assert not list(bare.glob("checkpoints/*"))


def test_a_model_too_large_for_any_machine_is_said(bare: Path) -> None:
    said = failure("owls", *QUICK, "--model", "seq2seq", "--set", "seq2seq.width=100000000000000")
    assert "Error: a seq2seq of these sizes does not fit into memory" in said
    assert not list(bare.glob("checkpoints/*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here_is_said_before_anything_is_made(bare: Path) -> None:
    assert "there is no device 'cuda' here" in failure("nowhere", "--device", "cuda", *QUICK)
    assert not (bare / "checkpoints").exists()


def test_an_unknown_family_or_size_is_a_usage_error(bare: Path) -> None:
    for arguments in (["--model", "bert"], ["--size", "huge"], ["--split", "coin"], ["--steps", "0"]):
        result = run("owls", *arguments)
        assert result.exit_code == 2, arguments
        assert arguments[1] in result.stderr


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are timed on a single round of batches."""
    monkeypatch.setattr("chatbot.training.choice.MOMENT", 0.0)


CHOSEN = ("--set", "training.evaluations=2", "--set", "training.batch_tokens=128", *QUICK[6:])


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_a_training_by_time_takes_a_size_and_says_which(bare: Path) -> None:
    endless = ("--set", "training.epochs=0")
    result = run("owls", "--model", "seq2seq", "--time", "2s", *CHOSEN, *endless)
    assert result.exit_code == 0, result.stderr
    listed = re.search(r"of each size after 0:02 \(on Cornell; other corpora differ\): (.*)\n", result.stderr)
    taken = re.search(r"taking size (\w+): about ([\d,]+) steps in 0:02, [\d.]+ times through", result.stderr)
    assert listed is not None
    assert taken is not None
    figures = dict(part.split(" ") for part in listed[1].split(", "))
    assert figures.keys() <= SIZES.keys()
    assert figures
    assert min(figures, key=lambda size: float(figures[size])) == taken[1]
    config = json.loads((bare / "checkpoints/owls-seq2seq/config.json").read_text())
    assert (config["size"], config["model"]["width"]) == (taken[1], SIZES[taken[1]].width)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_a_small_corpus_is_not_learned_by_heart(bare: Path) -> None:
    result = run("owls", "--model", "gpt", "--time", "20m", *CHOSEN)
    assert result.exit_code == 0, result.stderr
    assert "3.0 times through" in result.stderr
    assert "more would be learned by heart: see --set training.epochs (here 3)" in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("given", [("--size", "nano"), ("--steps", "2"), ("--set", "gpt.width=32")])
def test_a_size_or_steps_that_are_given_leave_nothing_to_choose(bare: Path, given: tuple[str, str]) -> None:
    length = () if given[0] == "--steps" else ("--time", "1s")
    result = run("owls", "--model", "gpt", *length, *given, *CHOSEN)
    assert result.exit_code == 0, result.stderr
    assert "taking" not in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_the_other_family_goes_on_with_what_one_was_begun_with(bare: Path) -> None:
    changes = ("--set", "examples.reply_limit=5", "--set", "training.minutes=0.02")
    run("owls", "--model", "gpt", "--size", "nano", *changes, *CHOSEN)
    result = run("owls", "--resume", *CHOSEN)
    assert result.exit_code == 0, result.stderr
    config = json.loads((bare / "checkpoints/owls-seq2seq/config.json").read_text())
    assert (config["examples"]["reply_limit"], config["training"]["minutes"]) == (5, 0.02)
    assert f"taking size {config['size']}" in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_what_was_begun_is_gone_on_with_in_its_size(bare: Path) -> None:
    run("owls", "--model", "gpt", "--time", "1s", "--size", "nano", *CHOSEN)
    result = run("owls", "--model", "gpt", "--time", "2s", "--resume", *CHOSEN)
    assert result.exit_code == 0, result.stderr
    assert "taking" not in result.stderr
    assert json.loads((bare / "checkpoints/owls-gpt/config.json").read_text())["size"] == "nano"


@pytest.mark.usefixtures("quickly")
def test_a_dry_run_says_what_would_be_and_leaves_nothing(bare: Path) -> None:
    before = sorted(bare.rglob("*"))
    said = train("owls", "--steps", "60", "--dry-run").stderr
    for family in FAMILIES:
        assert re.search(
            rf"checkpoints/owls-{family} would be a {family} of [\d,]+ parameters: about 60 steps", said
        )
    assert sorted(bare.rglob("*")) == before


def test_too_little_memory_is_said_before_there_is_a_bot(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot.training.memory.available", lambda device: 1000.0)
    assert "GB of memory" in failure("owls", "--model", "gpt", "--size", "nano", "--steps", "2")
    assert not bots(bare)


def test_a_bot_begins_with_what_another_knows(here: Path) -> None:
    write_corpus(here / "cats", [sentence.replace("owl", "cat") for sentence in SENTENCES])
    before = Checkpoint.load(here / "checkpoints/owls-gpt")
    few = ("--set", "training.precision=float32", "--set", "training.batch_tokens=512")
    result = run("cats", "--from", "owls-gpt", "--steps", "1", *few)
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert bots(here) == {"owls-gpt", "owls-seq2seq", "cats-gpt"}
    after = Checkpoint.load(here / "checkpoints/cats-gpt")
    config = after.config
    assert (config.origin, config.corpus["name"]) == ("owls-gpt", "cats")
    assert (config.model, config.size) == (before.config.model, "nano")
    assert config.training["gentle"] < 1
    assert after.tokenizer.serialized == before.tokenizer.serialized
    old, new = before.weights().tensors, after.weights().tensors
    moved = {name: float(np.abs(new[name] - old[name]).max()) for name in old}
    assert 0 < max(moved.values()) < 0.05  # one gentle step from there, and not from chance
    run("cats", "--from", "owls-gpt", "--name", "drop", "--set", "gpt.dropout=0.2", "--steps", "1", *few)
    assert Checkpoint.load(here / "checkpoints/drop-gpt").config.model["dropout"] == 0.2
    for family in ("gpt", "seq2seq"):
        origin = Checkpoint.load(here / f"checkpoints/owls-{family}")
        settings = ("--set", f"{family}.layers=3", "--steps", "1", *few)
        result = run("cats", "--from", origin.name, "--name", "deep", *settings)
        assert result.exit_code == 0, (result.stderr, result.exception)
        deep = Checkpoint.load(here / f"checkpoints/deep-{family}")
        assert deep.config.model["layers"] == 3 > origin.config.model["layers"]
        read = [bot.weights().tensors["embed.weight"] for bot in (origin, deep)]
        assert float(np.abs(read[1] - read[0]).max()) < 0.05
    assert run("cats", "--model", "gpt", "--resume", "--steps", "2", *few).exit_code == 0
    assert Checkpoint.load(here / "checkpoints/cats-gpt").config.origin == "owls-gpt"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--from", "nobody"), "there is no bot 'nobody'"),
        (("--from", "owls-gpt", "--model", "seq2seq"), "owls-gpt is a gpt"),
        (("--from", "owls-gpt", "--size", "micro"), "leave out --size"),
        (("--from", "owls-gpt", "--set", "gpt.width=64"), "leave out --set gpt"),
        (("--from", "owls-gpt", "--set", "gpt.layers=1"), "owls-gpt has 2 layers: what begins from it"),
        (("--from", "owls-seq2seq", "--set", "seq2seq.width=64"), "leave out --set seq2seq"),
        (("--from", "owls-gpt", "--set", "tokenizer.vocabulary=999"), "leave out --set tokenizer"),
    ],
)
def test_what_a_bot_is_cannot_be_changed_by_what_begins_from_it(
    here: Path, arguments: tuple[str, ...], what: str
) -> None:
    assert what in failure("owls", "--name", "new", "--steps", "1", *arguments)
    assert bots(here) == {"owls-gpt", "owls-seq2seq"}


def test_several_corpora_are_one(here: Path) -> None:
    write_corpus(here / "cats", [sentence.replace("owl", "cat") for sentence in SENTENCES])
    result = train("owls", "cats", "--model", "gpt", "--steps", "1")
    assert bots(here) == {"owls-gpt", "owls-seq2seq", "owls-cats-gpt"}
    corpus = Checkpoint.load(here / "checkpoints/owls-cats-gpt").config.corpus
    assert corpus["name"] == "owls-cats"
    assert corpus["report"]["conversations_read"] == 80
    assert "found 80 conversations" in result.stderr
    assert "owls is named twice" in failure("owls", "./owls", "--name", "new", "--steps", "1")
    assert "there is no dogs" in failure("owls", "dogs", "--name", "new", "--steps", "1")
