"""Registries: names that cost nothing until they are used, and every entry is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chatbot.cli import COMMANDS
from chatbot.corpus import FORMATS
from chatbot.engines.base import ENGINES, LIGHT, LOOPS, ONNX
from chatbot.errors import ConfigError
from chatbot.models import FAMILIES
from chatbot.registry import Registry

ALL = [FAMILIES, FORMATS, ENGINES, LIGHT, ONNX, LOOPS, COMMANDS]
ATTRIBUTES = {
    "model family": ("Config", "batch", "loss", "start", "step"),
    "corpus format": ("matches", "read"),
    "engine": ("load", "start", "step", "select"),
    "light model": ("read", "step"),
    "graph": ("read", "step"),
    "model in loops": ("read", "step"),
    "command": ("callback", "params"),
}


def test_ctrl_c_waits_for_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut_short.py").write_text("import signal as s\ns.raise_signal(s.SIGINT)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Registry("thing", {"one": "cut_short:whole"}).load("one")
    assert sys.modules.pop("cut_short").whole


@pytest.mark.parametrize(
    ("registry", "name"),
    [(r, name) for r in ALL for name in r],
    ids=lambda x: x if isinstance(x, str) else x.kind,
)
def test_every_entry_loads_and_is_of_its_kind(registry: Registry, name: str) -> None:
    loaded = registry.load(name)
    for attribute in ATTRIBUTES[registry.kind]:
        assert hasattr(loaded, attribute), attribute


def test_a_module_and_its_attribute_are_loaded() -> None:
    registry = Registry("tool", {"path": "os.path", "join": "os.path:join"})
    assert registry.load("path").join is registry.load("join")


def test_a_name_added_later_is_there() -> None:
    registry = Registry("tool", {"path": "os.path"})
    registry["json"] = "json:loads"
    assert list(registry) == ["path", "json"]
    assert len(registry) == 2
    assert registry["json"] == "json:loads"
    assert registry.load("json")("[3]") == [3]


def test_registries_made_of_one_table_are_apart() -> None:
    table = {"path": "os.path"}
    one, two = Registry("tool", table), Registry("tool", table)
    one["json"] = "json"
    assert (len(one), len(two), len(table)) == (2, 1, 1)


def test_an_unknown_name_is_a_config_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError) as error:
        FAMILIES.load("seqseq")
    assert error.value.what == "there is no model family 'seqseq'"
    assert error.value.hint == "did you mean 'seq2seq'?"


def test_a_missing_attribute_is_our_mistake_and_not_hidden() -> None:
    with pytest.raises(AttributeError):
        Registry("tool", {"wrong": "os.path:nothing"}).load("wrong")


def test_listing_names_imports_nothing() -> None:
    code = (
        "import sys\n"
        "from chatbot.models import FAMILIES\n"
        "from chatbot.registry import Registry\n"
        "print(*FAMILIES, *Registry('tool', {'numpy': 'numpy'}).values())\n"
        "print(*{'torch', 'numpy', 'chatbot.models.gpt'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == " ".join([*FAMILIES, "numpy"]) + "\n\n"
