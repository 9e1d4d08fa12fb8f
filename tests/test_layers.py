"""The architecture, checked: a module imports from its own line or lower ones, and never in a circle.

A new module needs a line in the table: that is when to think about where it belongs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import chatbot

ROOT = Path(chatbot.__file__).parent

LINES = {
    "chatbot": 0,
    "chatbot.config": 0,
    "chatbot.danger": 0,
    "chatbot.dialogue": 0,
    "chatbot.errors": 0,
    "chatbot.interrupts": 0,
    "chatbot.manners": 0,
    "chatbot.paths": 0,
    "chatbot.registry": 0,
    "chatbot.sizes": 0,
    "chatbot.corpus": 1,
    "chatbot.tokenizer": 1,
    "chatbot.preparation": 2,
    "chatbot.batches": 2,
    "chatbot.models": 3,
    "chatbot.engines": 3,
    "chatbot.decoding": 4,
    "chatbot.checkpoint": 4,
    "chatbot.recall": 4.5,
    "chatbot.nearest": 4,
    "chatbot.replying": 5,
    "chatbot.explaining": 5.1,
    "chatbot.training": 5.5,  # its samples are replies
    "chatbot.bot": 5.5,
    "chatbot.attribution": 5.6,
    "chatbot.verification": 5.6,
    "chatbot.evaluation": 5.7,
    "chatbot.logs": 5.7,  # of trainings
    "chatbot.terminal": 6,
    "chatbot.report": 6.5,
    "chatbot.drawing": 6.5,
    "chatbot.cli": 7,
    "chatbot.__main__": 7,
}
WITHIN = {  # the order inside of a package
    "chatbot.decoding.spelling": 0,
    "chatbot.decoding.rule": 0.1,
    "chatbot.decoding.guidance": 0.2,
    "chatbot.decoding.penalties": 0.2,
    "chatbot.decoding.repeats": 0.2,
    "chatbot.decoding.truncation": 0.2,
    "chatbot.decoding.wording": 0.2,
    "chatbot.decoding.config": 0.3,
    "chatbot.decoding.sampler": 0.4,
    "chatbot.decoding.loop": 0.5,
    "chatbot.decoding.scores": 0.55,
    "chatbot.decoding.search": 0.6,
    "chatbot.decoding": 0.7,
    "chatbot.models.config": -1,
    "chatbot.models.attention": 0,
    "chatbot.models.blocks": 0,
    "chatbot.models.dropout": 0,
    "chatbot.models.gru": 0,
    "chatbot.models.loss": 0,
    "chatbot.models.base": 0,
    "chatbot.training.config": 0,
    "chatbot.training.events": 0,
    "chatbot.training.muon": 0.5,
    "chatbot.training.optimization": 0.7,
    "chatbot.training.memory": 0,
    "chatbot.training.world": 0,
    "chatbot.training.compiling": 0.5,
    "chatbot.training.expectation": 0,
    "chatbot.training.pace": 0.7,
    "chatbot.training.choice": 0.8,
    "chatbot.training.trainer": 1,
}
DOOR = ("chatbot", "chatbot.bot")  # `from chatbot import Bot`, imported when it is asked for


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(ROOT.rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """The full names of all modules that a module imports, at any time."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            source = str(node.module)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in MODULES else source


def ours(module: str) -> set[str]:
    found = {name for name in imports(module) if name.partition(".")[0] == "chatbot"}
    return {name for name in found if (module, name) != DOOR}


def outside(module: str) -> set[str]:
    """The packages of others that a module imports."""
    return {name.partition(".")[0] for name in imports(module)} - {"chatbot"}


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def line(module: str) -> float:
    """The line of the longest name in the table that the module is, or is in."""
    known = [name for name in LINES if inside(module, name) and (name != "chatbot" or module == "chatbot")]
    assert known, f"{module} has no line in the table of layers"
    return LINES[max(known, key=len)]


def importers(package: str) -> set[str]:
    """Who imports a package of others."""
    return {module for module in MODULES if package in outside(module)}


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert "chatbot.dialogue" in ours("chatbot.replying")
    assert "torch" in outside("chatbot.models.gpt")
    assert set(LINES) <= set(MODULES), "a line for a module that is gone"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_line_or_lower_ones(module: str) -> None:
    for imported in ours(module):
        assert imported in MODULES, f"{module} imports {imported}, which is no file"
        assert line(imported) <= line(module), f"{module} imports {imported}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    def walk(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in done:
            for imported in ours(module):
                walk(imported, (*above, module))
            done.add(module)

    done: set[str] = set()
    for module in MODULES:
        walk(module, ())


def test_the_parts_of_models_do_not_know_the_families() -> None:
    families = {name for name in MODULES if inside(name, "chatbot.models")} - {*WITHIN, "chatbot.models"}
    assert families
    for part in (*(name for name in WITHIN if inside(name, "chatbot.models")), *families):
        assert not ours(part) & (families | {"chatbot.models"}), part


def test_models_see_ids_and_nothing_of_texts() -> None:
    hidden = ("chatbot.tokenizer", "chatbot.corpus", "chatbot.decoding", "chatbot.dialogue")
    for module in MODULES:
        if inside(module, "chatbot.models"):
            assert not [name for name in ours(module) if any(inside(name, h) for h in hidden)], module


def test_the_foundations_need_nothing_but_python() -> None:
    for module in MODULES:
        if line(module) == 0:
            assert outside(module) <= {*sys.stdlib_module_names, "platformdirs"}, module


def test_few_modules_need_torch() -> None:
    expected = {
        "chatbot.attribution.methods",
        "chatbot.batches",
        "chatbot.engines.torch",
        "chatbot.logs.tensorboard",
        "chatbot.training.choice",
        "chatbot.training.compiling",
        "chatbot.training.memory",
        "chatbot.training.muon",
        "chatbot.training.optimization",
        "chatbot.training.pace",
        "chatbot.training.preference",
        "chatbot.training.trainer",
        "chatbot.training.world",
        "chatbot.evaluation.likelihood",
    }
    assert {m for m in importers("torch") if not inside(m, "chatbot.models")} == expected


def test_only_training_attribution_and_the_torch_engine_know_models() -> None:
    users = {
        module
        for module in MODULES
        for imported in ours(module)
        if imported.startswith("chatbot.models.")
        and not inside(module, "chatbot.models")
        and not imported.startswith("chatbot.models.config")  # plain settings
    }
    assert users <= {"chatbot.attribution.methods", "chatbot.engines.torch", "chatbot.training.trainer"}


def test_the_screen_never_sees_a_model() -> None:
    for module in MODULES:
        if inside(module, "chatbot.terminal"):
            assert not [name for name in ours(module) if inside(name, "chatbot.models")], module


@pytest.mark.parametrize(
    ("package", "users"),
    [
        ("rich", ("chatbot.terminal", "chatbot.cli", "chatbot.drawing.picture")),  # there: widths of text
        ("prompt_toolkit", ("chatbot.terminal",)),
        ("click", ("chatbot.cli",)),
        ("sentencepiece", ("chatbot.tokenizer",)),
        ("safetensors", ("chatbot.checkpoint",)),
        ("platformdirs", ("chatbot.paths",)),
        ("matplotlib", ("chatbot.drawing.picture",)),
    ],
)
def test_a_library_is_used_in_its_place_only(package: str, users: tuple[str, ...]) -> None:
    found = importers(package)
    assert found
    assert not [module for module in found if not any(inside(module, user) for user in users)]


def prints(module: str) -> list[int]:
    """The lines where a module writes to the screen."""
    found = []
    for node in ast.walk(tree(module)):
        called = node.func if isinstance(node, ast.Call) else None
        if (isinstance(called, ast.Name) and called.id in ("print", "input")) or (
            isinstance(called, ast.Attribute) and called.attr in ("echo", "secho")
        ):
            found.append(called.lineno)
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr"):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_only_the_terminal_and_the_command_line_print(module: str) -> None:
    if line(module) < LINES["chatbot.terminal"]:
        assert not prints(module)


def test_printing_would_be_seen() -> None:
    assert any(prints(module) for module in MODULES if inside(module, "chatbot.cli"))


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("chatbot.cli.train", {"torch", "numpy", "rich"}),
        ("chatbot.bot", {"torch", "rich", "prompt_toolkit", "click", "chatbot.batches"}),
        ("chatbot.terminal.repl", {"torch", "click"}),
        ("chatbot.terminal.batch", {"torch", "rich", "prompt_toolkit", "click"}),
        ("chatbot.preparation", {"torch", "rich", "click"}),
    ],
)
def test_an_import_does_not_bring_what_is_heavy(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert module in run.stdout.split()
    assert not unwanted & set(run.stdout.split())
