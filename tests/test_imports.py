"""What a command may make its user wait for."""

import subprocess
import sys
from pathlib import Path

import pytest

REPORT = """
import sys
try:
    {code}
except SystemExit:
    pass
print(",".join(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
"""
HEAVY = {"torch", "numpy", "rich", "prompt_toolkit", "sentencepiece", "safetensors"}
MAIN = "from chatbot.cli import main; main({arguments})"


def loaded(code: str, folder: Path) -> set[str]:
    """The packages that are imported after the code has run."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        env={
            "CHATBOT_HOME": str(folder),
            "CHATBOT_STARTERS": str(folder / "starters"),  # bots that were trained in the checkout are none
            "PYTHONPATH": str(Path(__file__).parent.parent),
        },
        cwd=folder,
        timeout=60,
    )
    return set(done.stderr.strip().splitlines()[-1].split(","))


def test_importing_chatbot_loads_nothing_heavy(tmp_path: Path) -> None:
    assert not loaded("import chatbot", tmp_path) & {*HEAVY, "click"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert not loaded(MAIN.format(arguments=arguments), tmp_path) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["attend", "--help"],
        ["attend", "hello"],
        ["chat", "--help"],
        ["chat", "-p", "hello"],
        ["train", "--help"],
    ],
)
def test_without_a_bot_nothing_loads_torch(arguments: list[str], tmp_path: Path) -> None:
    assert not loaded(MAIN.format(arguments=arguments), tmp_path) & {"torch", "prompt_toolkit"}


def test_ctrl_c_while_the_program_is_imported_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "chatbot", "--version"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{root}"},
        cwd=tmp_path,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert '"chatbot.__main__:main"' in (root / "pyproject.toml").read_text()


def test_the_report_sees_what_is_loaded(tmp_path: Path) -> None:
    assert "numpy" in loaded("import numpy.linalg", tmp_path)


@pytest.mark.parametrize("family", ["gpt", "seq2seq"])
def test_loading_a_model_does_not_load_torchs_compiler(family: str, tmp_path: Path) -> None:
    code = """
    import sys, numpy
    from chatbot.engines.torch import TorchEngine, build
    config = {"vocabulary": 300, "width": 32, "layers": 2}
    tensors = {k: v.detach().numpy() for k, v in build(FAMILY, config, 0).state_dict().items()}
    TorchEngine.load(FAMILY, config, tensors, "cpu").start([[1, 7]])
    assert "torch.nn" in sys.modules and "torch._dynamo" not in sys.modules
    """
    code = code.replace("FAMILY", repr(family)).strip()
    assert "torch" in loaded(code, tmp_path)
