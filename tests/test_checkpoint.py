"""A bot's folder: what is written can be read, and whatever is wrong with it is said in a line."""

from __future__ import annotations

import json
import os
import pickle
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot import checkpoint as module
from chatbot.bot import Bot
from chatbot.checkpoint import (
    STARTERS,
    BotConfig,
    Checkpoint,
    Summary,
    available,
    checksum,
    claimed,
    find,
    introduced,
    newest,
)
from chatbot.cli import main
from chatbot.engines.torch import build
from chatbot.errors import CheckpointError
from chatbot.tokenizer import Tokenizer

FIGURES = {"nats_per_word": 4.5, "bits_per_byte": 1.25}
Edit = Callable[[dict[str, Any]], object]  # Any: JSON values


def config_for(tokenizer: Tokenizer) -> BotConfig:
    model = {"vocabulary": len(tokenizer), "width": 8, "layers": 1}
    return BotConfig(format=1, family="gpt", model=model, corpus={"name": "owls"})


def tensors_of(config: BotConfig) -> dict[str, np.ndarray[Any, Any]]:  # Any: any shape and type
    return {name: value.numpy() for name, value in build(config.family, config.model).state_dict().items()}


def trained(folder: Path, tokenizer: Tokenizer) -> Checkpoint:
    """A whole bot that could be talked to."""
    checkpoint = Checkpoint.create(folder, config_for(tokenizer), tokenizer)
    checkpoint.save_weights(tensors_of(checkpoint.config), step=7, figures=FIGURES)
    checkpoint.save_training_state({"a": np.arange(3.0), "b": np.ones((2, 3))}, position={"step": 7})
    checkpoint.log(step=7, nats_per_word=4.5)
    return checkpoint


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer) -> Checkpoint:
    """The bot `owls-gpt` in ./checkpoints, its tensors always the same."""
    monkeypatch.chdir(tmp_path)
    return trained(Path("checkpoints/owls-gpt"), tokenizer)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    assert one.keys() == other.keys()
    return all(
        a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
        for a, b in ((np.asarray(one[name]), np.asarray(other[name])) for name in one)
    )


def change_config(bot: Checkpoint, edit: Edit) -> None:
    file = bot.folder / module.CONFIG
    values = json.loads(file.read_text())
    edit(values)
    file.write_text(json.dumps(values))


# what is written can be read


def test_a_bot_that_was_saved_is_loaded_the_same(bot: Checkpoint) -> None:
    tensors = {name: np.asarray(value) for name, value in bot.weights().tensors.items()}
    loaded = Checkpoint.load(bot.folder)
    assert loaded.config == bot.config
    assert loaded.name == "owls-gpt"
    assert loaded.tokenizer.serialized == bot.tokenizer.serialized
    weights = loaded.weights()
    assert same(weights.tensors, tensors)
    assert weights.header["step"] == 7
    assert weights.header["figures"] == FIGURES
    assert weights.header["trained"].endswith("+00:00")


def test_training_state_keeps_shapes_and_types_also_of_single_numbers(bot: Checkpoint) -> None:
    values: dict[str, Any] = {  # Any: any shape and type
        "number": np.array(3, np.float32),
        "bytes": np.arange(5, dtype=np.uint8),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "nothing": np.zeros((0, 4), np.float32),
    }
    bot.save_training_state(values, position={"step": 9})
    state = bot.training_state()
    assert state is not None
    assert same(state[0], values)
    assert state[1] == {"position": {"step": 9}}


def test_a_bot_that_never_trained_has_no_training_state(tmp_path: Path, tokenizer: Tokenizer) -> None:
    fresh = Checkpoint.create(tmp_path / "new", config_for(tokenizer), tokenizer)
    assert fresh.training_state() is None
    fresh.forget_after(3)
    assert names(fresh.folder) == {"config.json", "tokenizer.model"}


def test_a_folder_that_exists_is_never_overwritten(bot: Checkpoint) -> None:
    before = (bot.folder / module.CONFIG).read_bytes()
    with pytest.raises(CheckpointError, match="owls-gpt exists already") as error:
        Checkpoint.create(bot.folder, bot.config, bot.tokenizer)
    assert "--resume" in error.value.hint
    assert (bot.folder / module.CONFIG).read_bytes() == before


def test_nothing_but_the_five_files_is_left_in_a_folder(bot: Checkpoint) -> None:
    five = {"config.json", "tokenizer.model", "model.safetensors", "training.safetensors", "metrics.jsonl"}
    assert names(bot.folder) == five
    assert names(bot.folder.parent) == {"owls-gpt"}


def test_the_same_state_gives_the_same_bytes_whatever_its_order(bot: Checkpoint) -> None:
    file, pairs = bot.folder / module.TRAINING, [("a", np.ones(3)), ("b", np.zeros((2, 2)))]
    bot.save_training_state(dict(pairs), step=1)
    first = file.read_bytes()
    bot.save_training_state(dict(reversed(pairs)), step=1)
    assert file.read_bytes() == first


def test_files_may_be_read_by_whom_the_umask_says(bot: Checkpoint) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in bot.folder.iterdir()}
    assert modes == dict.fromkeys(modes, modes[module.CONFIG])


def test_a_checksum_sees_names_shapes_types_and_values() -> None:
    different: list[dict[str, Any]] = [  # Any: any shape and type
        {"a": np.zeros((2, 3), np.float32)},
        {"b": np.zeros((2, 3), np.float32)},
        {"a": np.zeros((3, 2), np.float32)},
        {"a": np.zeros((2, 3), np.int32)},
        {"a": np.eye(2, 3, dtype=np.float32)},
    ]
    assert len({checksum(tensors) for tensors in different}) == len(different)
    assert checksum({"a": np.eye(3)[::2]}) == checksum({"a": np.eye(3)[::2].copy()})


def test_metrics_after_a_step_are_forgotten_and_the_rest_stays(bot: Checkpoint) -> None:
    for step in (10, 20, 30):
        bot.log(step=step, nats_per_word=4.0)
    bot.forget_after(20)
    lines = (bot.folder / module.METRICS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [7, 10, 20]


def test_a_bot_is_trained_by_one_program_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints/owls-gpt"  # not there yet
    with claimed(folder):
        with pytest.raises(CheckpointError, match="is being trained already"), claimed(folder):
            pass
        with claimed(tmp_path / "checkpoints/owls-seq2seq"):
            pass
    with claimed(folder):
        pass
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "file/owls"])
def test_where_no_bot_can_be_is_said_before_it_is_trained(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written: "), claimed(tmp_path / name):
        pass


def test_a_broken_line_of_metrics_does_not_stop_a_training(bot: Checkpoint) -> None:
    with (bot.folder / module.METRICS).open("a") as file:
        file.write('{"step": 1')  # the power went
    bot.forget_after(7)
    assert len((bot.folder / module.METRICS).read_text().splitlines()) == 2


# whatever is wrong with it is said


def refused(folder: Path, what: str) -> CheckpointError:
    with pytest.raises(CheckpointError, match=what) as error:
        Bot.load(folder)
    assert "\n" not in error.value.what
    return error.value


def test_a_folder_without_a_config_is_no_bot(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a bot: config.json is missing"):
        Checkpoint.load(tmp_path)


def test_a_bot_without_a_tokenizer_is_incomplete(bot: Checkpoint) -> None:
    (bot.folder / module.TOKENIZER).unlink()
    refused(bot.folder, "is incomplete: tokenizer.model is missing")


def test_a_bot_without_weights_is_incomplete_and_can_be_trained_on(bot: Checkpoint) -> None:
    (bot.folder / module.MODEL).unlink()
    error = refused(bot.folder, "is incomplete: model.safetensors is missing")
    assert error.hint == "if its training was cut short, go on with --resume; else train under another --name"


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"format": 1,}', "\0", "[" * 100_000, '{"format": 1} {}', b"\xff\xfe{}".decode("latin-1")],
    ids=["empty", "open", "comma", "nul", "deep", "two", "latin"],
)
def test_a_config_that_is_not_json_is_damaged(bot: Checkpoint, text: str) -> None:
    (bot.folder / module.CONFIG).write_text(text, encoding="latin-1")
    refused(bot.folder, "config.json is damaged: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
def test_a_config_that_is_a_pipe_is_not_waited_for(bot: Checkpoint) -> None:
    (bot.folder / module.CONFIG).unlink()
    os.mkfifo(bot.folder / module.CONFIG)
    with pytest.raises(CheckpointError, match="is not a file"):
        Checkpoint.load(bot.folder)
    assert "is not a file" in available()[0].problem


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
@pytest.mark.parametrize("name", [module.TOKENIZER, module.MODEL, module.METRICS])
def test_no_other_part_that_is_a_pipe_is_waited_for(bot: Checkpoint, name: str) -> None:
    (bot.folder / name).unlink()
    os.mkfifo(bot.folder / name)

    def use() -> None:
        loaded = Checkpoint.load(bot.folder)
        loaded.weights()
        loaded.log(step=1)

    with pytest.raises(CheckpointError, match=f"{name} is damaged: it is not a file"):
        use()


@pytest.mark.parametrize("name", [module.CONFIG, module.MODEL])
def test_what_may_not_be_read_is_not_called_damaged(
    bot: Checkpoint, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    honest = Path.read_text

    def read_text(self: Path, *arguments: Any, **more: Any) -> str:
        if self.name == name:
            raise PermissionError(13, "Permission denied")
        return honest(self, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "access", lambda file, mode: Path(file).name != name)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read: permission denied"):
        Checkpoint.load(bot.folder).weights()


@pytest.mark.parametrize("missing", [module.TOKENIZER, module.MODEL])
def test_a_bot_that_lacks_a_file_is_listed_with_its_problem(bot: Checkpoint, missing: str) -> None:
    (bot.folder / missing).unlink()
    assert f": {missing} is missing" in available()[0].problem


@pytest.mark.parametrize(
    "text", ["[]", "null", "3", '{"family": "gpt"}', '{"format": "1"}', '{"format": null}']
)
def test_a_config_without_a_format_is_damaged(bot: Checkpoint, text: str) -> None:
    (bot.folder / module.CONFIG).write_text(text)
    refused(bot.folder, "config.json is damaged: it names no format")


def test_a_newer_format_asks_for_a_newer_chatbot(bot: Checkpoint) -> None:
    change_config(bot, lambda values: values.update(format=2, memory="long"))
    error = refused(bot.folder, "was written by a newer chatbot .format 2; this one reads 1.")
    assert error.hint == "install a newer chatbot"


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda v: v.update(famly="gpt"), "config.json is damaged: config.json has no setting 'famly'"),
        (lambda v: v.pop("family"), "config.json is damaged: .*incomplete.*family"),
        (lambda v: v.update(family=3), "config.json is damaged: config.json.family must be text"),
        (lambda v: v.update(model=[1]), "config.json is damaged: config.json.model must be"),
        (lambda v: v.update(model=None), "config.json is damaged: config.json.model must be"),
    ],
)
def test_a_config_with_wrong_fields_is_damaged(bot: Checkpoint, edit: Edit, what: str) -> None:
    change_config(bot, edit)
    refused(bot.folder, what)


def test_a_misspelt_field_gets_a_suggestion(bot: Checkpoint) -> None:
    change_config(bot, lambda values: values.update(samplin={}))
    assert refused(bot.folder, "no setting 'samplin'").hint == "did you mean 'sampling'?"


@pytest.mark.parametrize("vocabulary", [5, 10**15, None, "400"])
def test_a_model_with_other_pieces_than_the_tokenizer_is_damaged(bot: Checkpoint, vocabulary: object) -> None:
    change_config(bot, lambda values: values["model"].update(vocabulary=vocabulary))
    refused(bot.folder, f"its model has {vocabulary} pieces, its tokenizer {len(bot.tokenizer)}")


def test_weights_of_another_bot_do_not_fit(bot: Checkpoint) -> None:
    change_config(bot, lambda values: values["model"].update(width=16))
    refused(
        bot.folder, "owls-gpt is damaged: its weights do not fit its config: embed.weight is .400, 8., not"
    )


@pytest.mark.parametrize("family", ["bard", "../gpt", "os:system", "chatbot.models.gpt:GPT"])
def test_an_unknown_family_is_a_damaged_bot(bot: Checkpoint, family: str) -> None:
    change_config(bot, lambda values: values.update(family=family))
    refused(bot.folder, "owls-gpt is damaged: its config is wrong: there is no model family")


def test_a_tokenizer_that_is_none_is_said(bot: Checkpoint) -> None:
    (bot.folder / module.TOKENIZER).write_bytes(b"not a tokenizer")
    refused(bot.folder, "tokenizer.model cannot be read: ")


# damaged tensors

SAFETENSORS = [module.MODEL, module.TRAINING]


def read(bot: Checkpoint, name: str) -> None:
    if name == module.MODEL:
        bot.weights()
    else:
        bot.training_state()


@pytest.mark.parametrize("name", SAFETENSORS)
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(bot: Checkpoint, name: str, share: float) -> None:
    file = bot.folder / name
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=f"{name} is damaged") as error:
        read(bot, name)
    assert error.value.hint


@pytest.mark.parametrize("name", SAFETENSORS)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_flipped_bit_is_refused_or_harmless(bot: Checkpoint, name: str, where: float, bit: int) -> None:
    file = bot.folder / name
    data = file.read_bytes()
    values = safetensors.numpy.load(data)
    flipped = bytearray(data)
    flipped[int(len(data) * where)] ^= 1 << bit
    file.write_bytes(flipped)
    try:
        tensors, _ = module._read_tensors(file, "")
    except CheckpointError:
        return
    finally:
        file.write_bytes(data)
    assert same(tensors, values), "only our notes in the header may have changed"


@pytest.mark.parametrize("name", SAFETENSORS)
def test_a_flipped_bit_in_a_weight_is_refused(bot: Checkpoint, name: str) -> None:
    file = bot.folder / name
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=f"{name} is damaged: its checksum is not that of its values"):
        read(bot, name)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"chatbot": "[]"}, {"chatbot": "{"}])
@pytest.mark.parametrize("name", SAFETENSORS)
def test_tensors_of_another_program_are_refused(
    bot: Checkpoint, name: str, metadata: dict[str, str] | None
) -> None:
    safetensors.numpy.save_file({"a": np.ones(3)}, bot.folder / name, metadata)
    with pytest.raises(CheckpointError, match=f"{name} is damaged: its header was not written by chatbot"):
        read(bot, name)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:  # Any: pickle's own protocol
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", [*SAFETENSORS, module.TOKENIZER, module.CONFIG])
def test_a_pickle_is_refused_and_never_run(bot: Checkpoint, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(mark))
    (bot.folder / name).write_bytes(bomb)
    with pytest.raises(CheckpointError):
        read(Checkpoint.load(bot.folder), name)
    assert not mark.exists()
    pickle.loads(bomb)
    assert mark.exists(), "the bomb works"


# a failed write


def full_disk(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def half_written(tensors: object, file: Path, metadata: object) -> NoReturn:
    file.write_bytes(b"half")
    full_disk()


@pytest.mark.parametrize("save", [full_disk, half_written])
def test_a_failed_write_leaves_the_file_before_it(
    bot: Checkpoint, monkeypatch: pytest.MonkeyPatch, save: Callable[..., NoReturn]
) -> None:
    before = {name: (bot.folder / name).read_bytes() for name in names(bot.folder)}
    monkeypatch.setattr(module, "save_file", save)
    for write in (bot.save_weights, bot.save_training_state):
        with pytest.raises(CheckpointError, match=r"cannot be written: .*No space left") as error:
            write({"a": np.ones(3)})
        assert error.value.hint == "what was there before is still there"
    assert {name: (bot.folder / name).read_bytes() for name in names(bot.folder)} == before


def test_a_failed_rename_leaves_the_file_before_it(bot: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bot.weights()
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(CheckpointError, match="cannot be written"):
        bot.save_weights({"a": np.ones(3)})
    assert same(bot.weights().tensors, before.tensors)


def test_a_log_that_cannot_be_written_is_said(bot: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", full_disk)
    with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be written: No space left"):
        bot.log(step=8)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        Checkpoint.create(tmp_path / "file" / "bot", config_for(tokenizer), tokenizer)


def test_a_bot_begun_before_a_crash_does_not_stand_in_the_way(tmp_path: Path, tokenizer: Tokenizer) -> None:
    partial = tmp_path / ".owls.partial"
    partial.mkdir()
    (partial / module.CONFIG).write_text("{")
    folder = tmp_path / "owls"
    Checkpoint.create(folder, config_for(tokenizer), tokenizer)
    assert Checkpoint.load(folder).name == "owls"
    assert names(tmp_path) == {"owls", partial.name}, "what is not ours stays as it is"


# finding


def test_there_may_be_no_bot_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert available() == []
    with pytest.raises(
        CheckpointError, match=r"there is no bot to talk to yet.*chatbot train corpora/smalltalk"
    ):
        find()


def test_find_takes_a_name_or_a_path(bot: Checkpoint) -> None:
    assert find("owls-gpt") == bot.folder
    assert find("checkpoints/owls-gpt") == bot.folder
    assert find(str(bot.folder.resolve())) == bot.folder.resolve()


def test_an_unknown_name_gets_a_suggestion(bot: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="there is no bot 'owl-gpt'") as error:
        find("owl-gpt")
    assert error.value.hint == "did you mean 'owls-gpt'?"


@pytest.mark.parametrize("name", ["../..", "/", "", "a\0b", "long" * 2000, "\udcff", "owls-gpt/config.json"])
def test_a_name_that_can_be_no_folder_is_just_not_found(bot: Checkpoint, name: str) -> None:
    with pytest.raises(CheckpointError, match="there is no bot"):
        find(name)


def test_find_picks_the_bot_that_was_trained_last(bot: Checkpoint, tokenizer: Tokenizer) -> None:
    for name, date in (("old", "2024-05-06T07:08:09+00:00"), ("new", "2999-01-01T00:00:00+00:00")):
        other = trained(bot.folder.parent / name, tokenizer)
        module._write_tensors(other.folder / module.MODEL, tensors_of(other.config), {"trained": date})
    assert find().name == "new"
    (bot.folder.parent / "new" / module.MODEL).write_bytes(b"damaged")
    assert find() == bot.folder


def test_a_bot_here_hides_one_of_that_name_at_home(bot: Checkpoint, home: Path, tokenizer: Tokenizer) -> None:
    trained(home / "checkpoints" / "owls-gpt", tokenizer)
    trained(home / "checkpoints" / "away-gpt", tokenizer)
    assert find("owls-gpt") == bot.folder
    assert find("away-gpt") == home / "checkpoints" / "away-gpt"
    assert [(b.name, b.folder.parent) for b in available()] == [
        ("away-gpt", home / "checkpoints"),
        ("owls-gpt", Path("checkpoints")),
    ]


def test_bots_that_come_with_the_program_are_found_last_and_are_for_who_has_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in STARTERS:
        trained(tmp_path / "starters" / name, tokenizer)
    assert find().name == "starter-gpt"
    assert [bot.name for bot in available()] == sorted(STARTERS)
    own = trained(tmp_path / "checkpoints" / "owls", tokenizer)
    module._write_tensors(own.folder / module.MODEL, tensors_of(own.config), {"trained": "1999-01-01"})
    assert find() == Path("checkpoints/owls"), "however new those are"
    assert find("starter-gpt") == tmp_path / "starters" / "starter-gpt"


def test_a_packed_bot_is_half_as_large_and_nearly_the_same(bot: Checkpoint) -> None:
    bot.save_text("notes.md", "Of owls.")
    bot.save_training_state({"state": np.zeros(3)})
    packed = bot.pack(bot.folder.parent / "packed")
    assert names(packed.folder) == {
        module.CONFIG,
        module.TOKENIZER,
        module.MODEL,
        module.METRICS,
        module.NOTES,
    }
    before, after = bot.weights(), Checkpoint.load(packed.folder).weights()
    assert after.header == before.header
    assert before.tensors.keys() == after.tensors.keys()
    for name, tensor in before.tensors.items():
        assert after.tensors[name].dtype == np.float32, "computed with as ever"
        np.testing.assert_allclose(after.tensors[name], tensor, rtol=2**-11, atol=2**-25)
    sizes = [(folder / module.MODEL).stat().st_size for folder in (packed.folder, bot.folder)]
    assert 0.4 < sizes[0] / sizes[1] < 0.8  # the header is as long in both
    with pytest.raises(CheckpointError, match="exists already"):
        bot.pack(packed.folder)


def test_a_pack_that_fails_leaves_nothing(bot: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **settings: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    before = names(bot.folder.parent)
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", full)
        with pytest.raises(CheckpointError, match="packed cannot be written: No space left") as error:
            bot.pack(bot.folder.parent / "packed")
    assert not error.value.hint
    assert names(bot.folder.parent) == before
    with pytest.raises(CheckpointError, match="name too long"):
        bot.pack(bot.folder.parent / ("n" * 300))


def test_weights_too_large_for_half_precision_are_not_packed(bot: Checkpoint) -> None:
    tensors = {name: tensor * 1e9 for name, tensor in bot.weights().tensors.items()}
    bot.save_weights(tensors)
    with pytest.raises(CheckpointError, match="too large"):
        bot.pack(bot.folder.parent / "packed")
    assert not (bot.folder.parent / "packed").exists()


def test_available_says_what_a_bot_is(bot: Checkpoint) -> None:
    (summary,) = available()
    assert (summary.name, summary.family, summary.corpus) == ("owls-gpt", "gpt", "owls")
    assert summary.parameters == sum(t.size for t in bot.weights().tensors.values())
    assert summary.figures == FIGURES
    assert summary.trained == bot.weights().header["trained"]
    assert summary.problem == ""


def test_available_lists_damaged_bots_with_their_problem(bot: Checkpoint, tokenizer: Tokenizer) -> None:
    for name in ("broken", "unfinished", "odd"):
        trained(bot.folder.parent / name, tokenizer)
    (bot.folder.parent / "broken" / module.CONFIG).write_text("{")
    (bot.folder.parent / "unfinished" / module.MODEL).unlink()
    odd = bot.folder.parent / "odd" / module.MODEL
    module._write_tensors(odd, tensors_of(bot.config), {"figures": {"nats_per_word": "low"}})
    problems = {summary.name: summary.problem for summary in available()}
    assert list(problems) == ["broken", "odd", "owls-gpt", "unfinished"]
    assert "config.json is damaged" in problems["broken"]
    assert problems["unfinished"].startswith("its training has just begun, or was cut short")
    assert "low" in problems["odd"]
    assert problems["owls-gpt"] == ""


@pytest.mark.parametrize("figures", [{"nats_per_word": "x"}, [1], {"nats_per_word": 10**400}, {"a": None}])
def test_absurd_figures_spoil_no_other_bots_line(bot: Checkpoint, tokenizer: Tokenizer, figures: Any) -> None:
    other = trained(Path("checkpoints/absurd"), tokenizer)
    other.save_weights(tensors_of(other.config), figures=figures)
    absurd, fine = available()
    assert (absurd.name, fine.name, fine.problem) == ("absurd", "owls-gpt", "")
    assert absurd.problem
    assert find() == bot.folder


def test_a_folder_that_may_not_be_entered_holds_no_bots(
    bot: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def glob(self: Path, pattern: str) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", glob)
    assert available() == []


def test_a_bot_that_is_a_link_has_the_links_name_everywhere(bot: Checkpoint) -> None:
    link = bot.folder.parent / "linked"
    link.symlink_to(bot.folder.absolute())
    assert [summary.name for summary in available()] == ["linked", "owls-gpt"]
    assert Checkpoint.load(find("linked")).name == "linked"


def test_a_bot_can_be_moved_and_renamed(bot: Checkpoint, tmp_path: Path) -> None:
    moved = bot.folder.rename(tmp_path / "parrot")
    assert Bot.load(moved).name == "parrot"
    assert Bot.load(moved).reply("Hello?", max_tokens=3, seed=0).reason in ("length", "finished")


@pytest.mark.parametrize("name", [".evaluation.json.partial", "metrics.jsonl", "evaluation.json"])
def test_nothing_is_written_through_a_link_out_of_the_folder(
    bot: Checkpoint, tmp_path: Path, name: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (bot.folder / name).unlink(missing_ok=True)
    (bot.folder / name).symlink_to(elsewhere)
    if name == "metrics.jsonl":
        with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be written"):
            bot.log(step=1)
    else:
        bot.save_text("evaluation.json", "{}")
        assert (bot.folder / "evaluation.json").read_text() == "{}"
        assert not (bot.folder / "evaluation.json").is_symlink()
    assert elsewhere.read_text() == "mine"


def test_a_folder_in_the_place_of_a_part_is_said(bot: Checkpoint) -> None:
    (bot.folder / ".evaluation.json.partial").mkdir()
    with pytest.raises(CheckpointError, match=r"evaluation.json cannot be written: Is a directory"):
        bot.save_text("evaluation.json", "{}")


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation.json"])
def test_what_may_not_be_read_is_said(bot: Checkpoint, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (bot.folder / name).write_text("{}")

    def refused(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read: Permission denied"):
        _ = bot.metrics() if name == "metrics.jsonl" else bot.evaluation()


def test_one_that_has_learned_nothing_is_talked_to_only_where_there_is_no_other(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    figures = {"poor": (8.4, 9.1), "good": (6.1, 9.1), "unknown": (9.2, None)}

    def bot(name: str) -> Summary:
        own, floor = figures[name]
        return Summary(
            name,
            tmp_path / name,
            trained="2026",
            figures={"nats_per_word": own},
            floor={"nats_per_word": floor} if floor else {},
        )

    starter = Summary("starter-gpt", tmp_path, trained="2025")
    assert [bot(name).has_learned for name in figures] == [False, True, True]
    assert newest([bot("poor"), starter]) == starter
    assert newest([bot("poor")]) == bot("poor")
    assert newest([bot("good"), starter]) == bot("good")
    assert newest([bot("unknown"), starter]) == bot("unknown")


def test_what_a_bot_calls_itself_is_kept_when_it_is_packed(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoint = trained(tmp_path / "owl", tokenizer)
    assert introduced(checkpoint.folder) == "owl"
    packed = checkpoint.pack(tmp_path / "barn", "Hoot")
    assert packed.config.called == "Hoot"
    assert introduced(packed.folder) == "Hoot (barn)"
    assert packed.pack(tmp_path / "again").config.called == "Hoot"
    (tmp_path / "barn" / "config.json").write_text("{")
    assert introduced(packed.folder) == "barn"  # whoever loads it hears of it


@pytest.mark.parametrize(("called", "told"), [("   ", "owl"), ("\x1b\x07", "owl"), ("a\n b", "a b (owl)")])
def test_an_odd_name_of_its_own_is_no_name(
    called: str, told: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    checkpoint = trained(tmp_path / "owl", tokenizer)
    checkpoint.configure(replace(checkpoint.config, called=called))
    assert introduced(checkpoint.folder) == told
    checkpoint.configure(replace(checkpoint.config, called="x" * 3000))
    assert introduced(checkpoint.folder) == "x" * 40 + " (owl)"


@pytest.mark.parametrize("called", ["   ", "\x1b[31m", "x" * 41])
def test_a_packed_bot_gets_no_odd_name(called: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    trained(tmp_path / "owl", tokenizer)
    result = CliRunner().invoke(
        main, ["pack", str(tmp_path / "owl"), str(tmp_path / "barn"), "--called", called]
    )
    assert result.exit_code == 2
    assert not (tmp_path / "barn").exists()
