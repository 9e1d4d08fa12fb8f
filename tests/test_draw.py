"""Replies that are drawn to be judged."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.draw import USUAL, main
from chatbot.checkpoint import FORMAT, BotConfig, Checkpoint
from chatbot.config import to_dict
from chatbot.engines.torch import build
from chatbot.models import FAMILIES
from chatbot.sizes import size_named
from chatbot.tokenizer import Tokenizer


def test_every_line_is_answered_several_times(tmp_path: Path, tokenizer: Tokenizer) -> None:
    network = build("gpt", to_dict(FAMILIES.load("gpt").Config.sized(size_named("nano"), len(tokenizer))), 0)
    config = BotConfig(format=FORMAT, family="gpt", model=to_dict(network.config), sampling={"max_tokens": 4})
    made = Checkpoint.create(tmp_path / "owl-gpt", config, tokenizer)
    made.save_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()})
    lines, out = tmp_path / "lines.txt", tmp_path / "drawn.jsonl"
    lines.write_text("hello there\nwhere are the keys?\n\nwhy?\n", encoding="utf-8")
    result = CliRunner().invoke(main, [str(made.folder), str(lines), str(out), "--count", "3"])
    assert result.exit_code == 0, result.output
    found = [json.loads(row) for row in out.read_text(encoding="utf-8").splitlines()]
    assert [[turn["text"] for turn in one["turns"]][::2] for one in found] == [
        ["hello there"],
        ["why?"],
        ["hello there", "where are the keys?"],
    ]
    assert all(sum(one["replies"].values()) == USUAL + 3 for one in found)
    usual = max(found[0]["replies"], key=found[0]["replies"].get)
    assert found[2]["turns"][1] == {"speaker": "bot", "text": usual}
