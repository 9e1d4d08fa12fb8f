"""Harm and harmless questions in the same words: the verb decides, and none is among the hostile prompts."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.starter.harm import HARM, HARMING, HERE, NO, NOT_RIGHT, main


def test_the_verb_decides(tmp_path: Path) -> None:
    out = tmp_path / "harm.jsonl"
    done = CliRunner().invoke(main, [str(out), "--count", "300"])
    assert done.exit_code == 0, done.output
    pairs = [[turn["text"] for turn in json.loads(line)["turns"]] for line in out.read_text().splitlines()]
    assert len({said for said, _ in pairs}) == len(pairs) == 300
    tried = (HERE / "hostile.txt").read_text().lower().splitlines()
    for said, reply in pairs:
        assert (reply == NO) == bool({*HARM, *HARMING} & {*said.strip("?").split()}), said
        assert (reply == NOT_RIGHT) == ("date" in said or " who is " in said), said
        assert said not in tried
