"""docs/json.md explains every field that the commands about models print with `--json`, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.tui.model_stage import REPO, Stage

_PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")


def explained(command: str) -> set[str]:
    (section,) = re.findall(rf"^## {re.escape(command)}\n(.*?)(?=^#|\Z)", _PAGE, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def printed(stage: Stage, *words: str, **environ: str) -> Any:
    done = stage.run(*words, "--json", **environ)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_pull(stage: Stage) -> None:
    planned = printed(stage, "pull", REPO, "--dry-run")
    assert {*planned, *printed(stage, "pull", REPO)} == explained("llmchat pull REFERENCE --json")


def test_the_catalogue(stage: Stage) -> None:
    entry, *_ = printed(stage, "pull", HF_HUB_OFFLINE="1")
    assert {*entry} == explained("llmchat pull --json")


def test_what_is_here(stage: Stage) -> None:
    printed(stage, "pull", REPO)
    (row,) = printed(stage, "ls")
    assert {*row} == explained("llmchat ls --json")
    assert {*printed(stage, "show")} == explained("llmchat show --json")
    (checked,) = printed(stage, "models", "verify", "tiny")
    assert {*checked} == explained("llmchat models verify --json")


def test_fit(stage: Stage) -> None:
    printed(stage, "pull", REPO)
    found = printed(stage, "models", "fit", "tiny")
    assert {*found} == {"machine", "model", "chosen", "ways"}
    assert {*found["chosen"]} == {*found["ways"][0]} == explained("llmchat models fit MODEL --json")


def test_search(stage: Stage) -> None:
    (row,) = printed(stage, "models", "search", "tiny")
    assert {*row} == explained("llmchat models search --json")
