"""What the README says can be typed, can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from chatbot.cli import COMMANDS, main
from chatbot.cli.list import count
from chatbot.corpus import open_corpus
from chatbot.sizes import SIZES
from chatbot.tokenizer import TokenizerConfig

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:.*[|&] )?(?:\.venv/bin/)?chatbot( [^#|<>&]*)?")
SHELL = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
TYPED = [found[1] or "" for line in SHELL if (found := COMMAND.match(line.strip()))]


def test_the_two_commands_that_set_everything_up_come_first() -> None:
    first, second = SHELL[:2]
    assert first == "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/chatbot chat"
    assert second == ".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"


def test_there_are_commands_to_check() -> None:
    assert len(TYPED) >= 8
    assert {words.split()[0] for words in TYPED if words.split()} >= set(COMMANDS)


@pytest.mark.parametrize("words", TYPED)
def test_every_command_in_the_readme_has_the_options_it_is_shown_with(words: str) -> None:
    name, *arguments = shlex.split(words) or ["--help"]
    if name.startswith("-"):
        assert CliRunner().invoke(main, [name]).exit_code == 0
        return
    if " " in name:  # a text to answer
        name, arguments = "chat", ["--prompt", name, *arguments]
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    if {"-h", "--help"} & set(arguments):
        return
    with command.make_context(name, arguments) as context:  # parses, and runs nothing
        assert context.command is command


def test_the_example_of_a_corpus_of_ones_own_is_one(tmp_path: Path) -> None:
    (example,) = [block for kind, block in BLOCKS if kind == "json"]
    file = tmp_path / "chats.jsonl"
    file.write_text(example, encoding="utf-8")
    corpus = open_corpus(file)
    dialogues = list(corpus)
    assert len(dialogues) == len(example.splitlines())
    assert not corpus.report.dropped
    assert all(len(dialogue.turns) >= 2 for dialogue in dialogues)


@pytest.mark.parametrize("name", SIZES)
def test_the_table_of_sizes_is_what_the_models_come_to(name: str) -> None:
    import torch

    from chatbot.models import FAMILIES

    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
    for family in FAMILIES:
        model = FAMILIES.load(family)
        with torch.device("meta"):
            built = model(model.Config.sized(SIZES[name], TokenizerConfig().vocabulary))
        assert f" {count(sum(p.numel() for p in built.parameters()))} " in row, family
