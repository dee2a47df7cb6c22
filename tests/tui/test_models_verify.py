"""`llmchat models verify`: bytes against what was pulled, headers, and loading; exit 3 where one is bad."""

from __future__ import annotations

import json

from tests.tui.model_stage import REPO, Stage, put

from llmchat_engine.models.trials import Trial


def test_what_was_pulled_is_intact(stage: Stage) -> None:
    stage.run("pull", REPO)
    stage.tried.clear()
    checked = stage.run("models", "verify", "tiny")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.startswith("ok   tiny-Q8_0  its sha256 is the one that was pulled; loaded in 0.2 s")
    assert len(stage.tried) == 1
    assert stage.run("models", "verify", "tiny", "--no-load").code == 0
    assert len(stage.tried) == 1


def test_one_flipped_byte_is_found_and_it_is_not_loaded(stage: Stage) -> None:
    stage.run("pull", REPO)
    (path,) = stage.models.rglob("*.gguf")
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    put(stage.models / "own.gguf")
    stage.tried.clear()
    checked = stage.run("models", "verify", "--all")
    assert checked.code == 3
    good, bad = sorted(checked.out.splitlines(), reverse=True)
    assert bad.startswith("BAD  tiny-Q8_0  its bytes are not those that was pulled") or "sha256" in bad
    assert good.startswith("ok   own  ")
    assert [one.name for one in stage.tried] == ["own.gguf"]


def test_what_crashes_is_bad_and_what_could_not_be_tried_is_not(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    stage.trial = Trial(False, "llama.cpp crashes on this file (SIGSEGV)", 0.1)
    assert stage.run("models", "verify", "own").code == 3
    stage.trial = Trial(False, "it was not tried: too large", 0.1, lasting=False)
    checked = stage.run("models", "verify", "own", "--json")
    assert checked.code == 0
    (one,) = json.loads(checked.out)
    assert (one["name"], one["ok"], one["trial"]["ok"]) == ("own", True, False)
    assert len(one["sha256"]) == 64


def test_what_is_no_model_is_bad(stage: Stage) -> None:
    stage.models.mkdir(parents=True)
    (stage.models / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    checked = stage.run("models", "verify", "cut")
    assert (checked.code, checked.out[:10], checked.err) == (3, "BAD  cut  ", "")


def test_something_has_to_be_named(stage: Stage) -> None:
    assert stage.run("models", "verify").code == 2
    assert stage.run("models", "verify", "--all", "own").code == 2
    assert stage.run("models", "verify", "another").code == 3
