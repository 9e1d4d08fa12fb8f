"""What is installed is what is here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is newer")
def test_every_package_is_named_and_the_starters_are_mapped() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    here = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "chatbot").rglob("__init__.py")}
    assert set(settings["packages"]) == here | {"chatbot.starters"}
    assert settings["package-dir"] == {"chatbot.starters": "checkpoints"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is newer")
def test_every_file_that_is_no_code_is_packaged() -> None:
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    every = (file for file in (ROOT / "chatbot").rglob("*.*") if file.parent.name != "__pycache__")
    files = [file for file in every if file.suffix != ".py"]
    assert len(files) > 5
    for file in files:
        package = ".".join(file.parent.relative_to(ROOT).parts)
        assert any(file.match(pattern) for pattern in declared.get(package, ())), file
