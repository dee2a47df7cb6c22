"""`llmchat ls`: every model with what its header and the memory say, ours and other programs', a hundred at once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from tests.tui.model_stage import REPO, Stage, put, staged

from llmchat_engine.models.trials import Trial, remember_trial


def test_nothing_is_here_yet(stage: Stage) -> None:
    assert stage.run("ls").code == 0
    assert stage.run("ls", "--json").out.strip() == "[]"


def test_each_model_has_a_line(stage: Stage) -> None:
    stage.run("pull", REPO)
    put(stage.models / "own.gguf")
    head, *lines = stage.run("ls").out.splitlines()
    assert head.split() == ["name", "size", "quant", "params", "context", "architecture", "fits", "about", "from"]
    assert [line.split()[0] for line in lines] == ["own", "tiny-Q8_0"]
    assert lines[1].split()[-1] == REPO
    assert lines[0].split()[-1] == "models"
    assert all("llama" in line and " yes " in line and "tok/s" in line for line in lines)


def test_as_json_with_alias_and_default(stage: Stage) -> None:
    path = put(stage.models / "user" / "repo" / "own.gguf")
    put(stage.models / "other.gguf", "b")
    stage.home.joinpath("config.toml").write_text('model = "own"\n[aliases]\nmine = "own"\n')
    rows = {row["name"]: row for row in json.loads(stage.run("ls", "--json").out)}
    own = rows["own"]
    assert own["path"] == str(path)
    assert (own["origin"], own["repo"], own["aliases"], own["default"]) == ("models", "user/repo", ["mine"], True)
    assert (own["size"], own["architecture"], own["context"]) == (path.stat().st_size, "llama", 2048)
    assert (own["fits"], own["problem"]) == ("yes", "")
    assert own["parameters"] > 100_000
    assert rows["other"]["default"] is False
    assert "*own (mine)" in stage.run("ls").out


@pytest.mark.parametrize(
    ("words", "found"), [(["OWN"], ["own"]), (["mine"], ["own"]), (["llama", "oth"], ["other"]), (["nothing"], [])]
)
def test_words_narrow_the_list(stage: Stage, words: list[str], found: list[str]) -> None:
    put(stage.models / "own.gguf")
    put(stage.models / "other.gguf", "b")
    stage.home.joinpath("config.toml").write_text('[aliases]\nmine = "own"\n')
    assert [row["name"] for row in json.loads(stage.run("ls", "--json", *words).out)] == found


def test_what_is_broken_says_why(stage: Stage) -> None:
    stage.models.mkdir(parents=True)
    (stage.models / "page.gguf").write_bytes(b"<!DOCTYPE html>\n<html>")
    crashes = put(stage.models / "crash.gguf")
    state_dir = stage.home / "state"
    state_dir.mkdir()
    remember_trial(crashes, Trial(False, "llama.cpp crashes on this file (SIGABRT)", 0.1), state_dir)
    rows = {row["name"]: row for row in json.loads(stage.run("ls", "--json").out)}
    assert rows["page"]["problem"]
    assert rows["page"]["fits"] is None
    assert "SIGABRT" in rows["crash"]["problem"]
    shown = stage.run("ls").out
    assert shown.count("broken") == 2
    assert "     llama.cpp crashes on this file (SIGABRT)\n" in shown


def test_what_does_not_fit_can_be_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(stage.models / "own.gguf")
    with staged(stage.home, monkeypatch, room=1 << 10) as small:
        assert json.loads(small.run("ls", "--json").out)[0]["fits"] == "no"
        assert json.loads(small.run("ls", "--json", "--fits").out) == []
        assert "tok/s" not in small.run("ls").out


def test_names_are_data(stage: Stage) -> None:
    put(stage.models / "a\x1b[31m\nb.gguf")
    shown = stage.run("ls")
    assert "\x1b" not in shown.out
    assert len(shown.out.splitlines()) == 2


def test_a_name_that_is_no_utf8_is_told_so_that_it_can_be_opened(stage: Stage) -> None:
    path = put(stage.models / os.fsdecode(b"b\xffd.gguf"))
    assert stage.run("ls").code == 0
    for words in (["ls", "--json"], ["models", "verify", "--all", "--no-load", "--json"]):
        (row,) = json.loads(stage.run(*words).out)
        assert Path(row["path"]) == path and path.is_file()


def test_other_programs_models_are_listed_too(stage: Stage) -> None:
    put(stage.home / ".cache" / "llama.cpp" / "other-Q4_0.gguf")
    (row,) = json.loads(stage.run("ls", "--json").out)
    assert (row["name"], row["origin"]) == ("other-Q4_0", "llama.cpp")


def test_models_list_is_the_same(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    assert stage.run("models", "list").out == stage.run("ls").out


def test_a_hundred_files_take_less_than_a_second_of_work(stage: Stage) -> None:
    for number in range(100):
        put(stage.models / f"model-{number:03}.gguf")
    began = time.process_time()
    assert len(stage.run("ls").out.splitlines()) == 101
    assert time.process_time() - began < 5  # 0.4 s where nothing else runs
    began = time.process_time()
    stage.run("ls")
    assert time.process_time() - began < 5
