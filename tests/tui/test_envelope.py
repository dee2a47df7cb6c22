"""`--json`: the values of a real envelope, and that docs/json.md explains every field and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.asking import ROOT, ask, stored
from tests.tui.real_host import real_home

from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.cli.envelope import VERSION, envelope
from llmchat_tui.cli.talk import Outcome
from llmchat_tui.turn import Turn

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8").split("\n# ")[0]
EXPLAINED = set(re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE))

PLAIN = {name for name in EXPLAINED if not name.startswith("documents.")}
"""Those of an answer that no documents were asked for."""


def fields(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from fields(item, f"{prefix}{key}.")
        else:
            yield prefix + key


def printed(home: Path, *arguments: str, engine: FakeEngine | None = None) -> dict[str, Any]:
    asked = ask(home, "--json", *arguments, engine=engine)
    assert (asked.code, asked.out.count("\n")) == (0, 1)
    found: dict[str, Any] = json.loads(asked.out)
    return found


def test_the_ids_lead_to_what_is_on_disk(home: Path) -> None:
    found = printed(home, "-s", "Be brief.", "hi", engine=FakeEngine([Script("One two.")]))
    question, reply = stored(home)
    assert (found["conversation_id"], found["question_id"], found["reply_id"]) == (
        question.conversation_id,
        question.id,
        reply.id,
    )
    assert (found["version"], found["kept"], found["system"]) == (VERSION, True, "Be brief.")
    assert (found["prompt"], found["reply"], found["token_ids"]) == ("hi", "One two.", [0, 1])


def test_the_rest(home: Path) -> None:
    flags = ("--seed", "7", "--stop", "END")
    found = printed(home, *flags, "hi", engine=FakeEngine([Script("One two.", notice="a notice")]))
    assert found["stop_reason"] == "eog"
    assert found["model"]["key"] == FAKE_MODEL.key
    assert (found["sampling"]["seed"], found["sampling"]["stop"]) == (7, ["END"])
    assert found["usage"] == {
        "prompt_tokens": 2,
        "cached_tokens": 0,
        "prefilled_tokens": 2,
        "reply_tokens": 2,
        "thought_tokens": 0,
        "exact": True,
        "restored_tokens": 0,
        "restored_from": "",
        "shifted_tokens": 0,
        "recomputed": "",
    }
    assert found["timing"]["load_seconds"] == 0.1
    assert found["warnings"] == ["a notice"]


def test_with_no_log_it_is_not_kept(home: Path) -> None:
    assert not printed(home, "-n", "hi")["kept"]


def test_why_it_ended(home: Path) -> None:
    assert printed(home, "--max-tokens", "1", "hi")["stop_reason"] == "max_tokens"
    timed_out = ask(home, "--json", "--timeout", "0.1", "hi", engine=FakeEngine([Script("one two", hang_after=1)]))
    assert timed_out.code == 1
    assert (json.loads(timed_out.out)["stop_reason"], json.loads(timed_out.out)["reply"]) == ("cancelled", "one")


def test_the_page_explains_every_field_and_no_other(home: Path) -> None:
    assert set(fields(printed(home, "hi"))) == PLAIN
    assert len(EXPLAINED) > 30


def test_a_real_engine_fills_every_field() -> None:
    with real_home("0") as real:
        asked = real.llmchat("ask", "--json", "--max-tokens", "4", "hi")
    found = json.loads(asked.out)
    assert set(fields(found)) == PLAIN
    assert [name for name, value in found["sampling"].items() if value is None] == []
    assert found["usage"]["reply_tokens"] == len(found["token_ids"]) == found["sampling"]["max_tokens"] == 4
    assert found["model"]["path"].endswith("tiny.gguf")


def test_an_outcome_without_a_reply_has_none() -> None:
    with pytest.raises(ValueError, match="no reply"):
        envelope(Outcome(), Turn("hi"), [])
