"""The mean of bots: the middle of their weights, a bot that loads, and none where they differ in shape."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from benchmarks.starter.average import added, average, changed, main
from chatbot import Bot
from chatbot.checkpoint import MODEL, TRAINING

SHIPPED = Path(__file__).parent.parent / "checkpoints"


def test_it_is_the_middle_in_float32() -> None:
    one, other = (torch.full((2, 3), value, dtype=torch.bfloat16) for value in (1.0, 4.0))
    mean = average([{"w": one}, {"w": other}, {"w": other}])["w"]
    assert mean.dtype == torch.float32
    assert torch.equal(mean, torch.full((2, 3), 3.0))


def test_what_was_learned_is_added_up() -> None:
    origin, one, other = ({"w": torch.tensor([value], dtype=torch.bfloat16)} for value in (1.0, 4.0, -1.0))
    assert added(origin, [one, other], 0.5)["w"].tolist() == [1 + 0.5 * 3 - 0.5 * 2]
    assert added(origin, [], 1.0)["w"].dtype == torch.float32


def test_a_part_of_what_another_bot_learned_is_added() -> None:
    mean, old, new = ({"w": torch.tensor([value])} for value in (1.0, 4.0, 6.0))
    assert changed(mean, old, new, 0.25)["w"].tolist() == [1.5]
    with pytest.raises(click.ClickException, match="not the same"):
        changed(mean, old, {"v": new["w"]}, 0.25)


def test_what_one_learned_since_the_other_makes_the_other_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old-gpt", "new-gpt"):
        shutil.copytree(SHIPPED / "starter-gpt", tmp_path / "checkpoints" / name)
    folder = tmp_path / "checkpoints"
    new = {name: weight.float() + 1 for name, weight in load_file(folder / "new-gpt" / MODEL).items()}
    save_file(new, folder / "new-gpt" / MODEL)
    asked = ["old-gpt", "made-gpt", "--learned", "old-gpt", "new-gpt"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    made = load_file(folder / "made-gpt" / MODEL)
    assert all(torch.allclose(new[name], made[name], atol=1e-6) for name in new)
    refused = CliRunner().invoke(main, [*asked, "--onto", "old-gpt"])
    assert refused.exit_code == 1
    assert "one at a time" in refused.output


def test_a_bot_onto_another_is_that_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one-gpt", "old-gpt"):
        shutil.copytree(SHIPPED / "starter-gpt", tmp_path / "checkpoints" / name)
    old = {
        name: weight.float() + 1
        for name, weight in load_file(tmp_path / "checkpoints/old-gpt" / MODEL).items()
    }
    save_file(old, tmp_path / "checkpoints" / "old-gpt" / MODEL)
    done = CliRunner().invoke(main, ["one-gpt", "made-gpt", "--onto", "old-gpt"])
    assert done.exit_code == 0, done.output
    one, made = (load_file(tmp_path / "checkpoints" / name / MODEL) for name in ("one-gpt", "made-gpt"))
    assert all(torch.allclose(one[name].float(), made[name], atol=1e-6) for name in one)


def test_the_mean_of_a_bot_with_itself_is_that_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHIPPED / "starter-gpt", tmp_path / "checkpoints" / "one-gpt")
    done = CliRunner().invoke(main, ["one-gpt", "one-gpt", "mean-gpt"])
    assert done.exit_code == 0, done.output
    one, mean = (load_file(tmp_path / "checkpoints" / name / MODEL) for name in ("one-gpt", "mean-gpt"))
    assert all(torch.equal(one[name].float(), mean[name]) for name in one)
    assert Bot.load("mean-gpt").reply("hi", temperature=0.0).text  # its checksum is right


def test_of_some_the_last_weights_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHIPPED / "starter-gpt", tmp_path / "checkpoints" / "one-gpt")
    folder = tmp_path / "checkpoints" / "one-gpt"
    last = {name: weight.float() + 1 for name, weight in load_file(folder / MODEL).items()}
    save_file({f"model.{name}": weight for name, weight in last.items()}, folder / TRAINING)
    done = CliRunner().invoke(main, ["one-gpt", "last-gpt", "--last", "one-gpt"])
    assert done.exit_code == 0, done.output
    made = load_file(tmp_path / "checkpoints" / "last-gpt" / MODEL)
    assert all(torch.equal(last[name], made[name]) for name in last)
    assert not (tmp_path / "checkpoints" / "last-gpt" / TRAINING).exists()


def test_bots_of_other_shapes_have_no_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("starter-gpt", "starter-seq2seq"):
        shutil.copytree(SHIPPED / name, tmp_path / "checkpoints" / name)
    done = CliRunner().invoke(main, ["starter-gpt", "starter-seq2seq", "mean-gpt"])
    assert done.exit_code == 1
    assert "not the same" in done.output
    assert not (tmp_path / "checkpoints" / "mean-gpt").exists()


def test_the_last_weights_are_those_of_a_bot_that_is_averaged() -> None:
    done = CliRunner().invoke(main, ["one-gpt", "mean-gpt", "--last", "other-gpt"])
    assert done.exit_code == 1
    assert "not among the bots: other-gpt" in done.output
