"""`llmchat rm`: what was pulled goes with all its parts; nothing else does, and whose that is gets told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hub.faults import Fault
from tests.tui.model_stage import REPO, Stage, put, tiny

from llmchat_tui.cli import rm


def test_a_pulled_model_goes_and_its_folder_too(stage: Stage) -> None:
    stage.run("pull", f"{REPO}:Q8_0")
    stage.run("pull", f"{REPO}:F16")
    assert stage.run("rm", "-y", "tiny-F16").code == 0
    assert [path.name for path in stage.models.rglob("*.gguf")] == ["tiny-Q8_0.gguf"]
    assert stage.run("rm", "-y", f"{REPO}:Q8_0").code == 0
    assert list(stage.models.rglob("*")) == []


def test_a_whole_repository_and_an_embedding_model(stage: Stage) -> None:
    stage.run("pull", f"{REPO}:Q8_0")
    stage.run("pull", f"{REPO}:F16")
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "modules.json": b"[]", "model.safetensors": b"x" * 9}
    stage.hub.add("intfloat/e5", files, library="sentence-transformers", pipeline="sentence-similarity")
    assert stage.run("pull", "intfloat/e5").code == 0
    assert stage.run("rm", "-y", "intfloat/e5").code == 0
    assert not (stage.models / "intfloat").exists()
    assert stage.run("rm", "-y", "tiny-F16", "tiny-Q8_0").code == 0


def test_nobody_there_to_ask_removes_nothing(stage: Stage) -> None:
    stage.run("pull", REPO)
    refused = stage.run("rm", "tiny-Q8_0")
    assert refused.code == 2
    assert "hint: llmchat rm -y tiny-Q8_0" in refused.err
    assert list(stage.models.rglob("*.gguf"))


def test_one_wrong_name_removes_nothing(stage: Stage) -> None:
    stage.run("pull", REPO)
    assert stage.run("rm", "-y", "tiny-Q8_0", "another").code == 3
    assert list(stage.models.rglob("*.gguf"))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("models/own.gguf", "llmchat did not pull it"),
        ("models/user/repo/own.gguf", "llmchat did not pull it"),
        (".cache/llama.cpp/own.gguf", "cache of llama.cpp"),
        ("elsewhere/own.gguf", "llmchat did not pull it"),
    ],
)
def test_what_is_not_ours_stays(stage: Stage, place: str, words: str) -> None:
    path = put(stage.home / place)
    name = str(path) if "elsewhere" in place else "own"
    refused = stage.run("rm", "-y", name)
    assert refused.code == 3
    assert words in refused.err
    assert path.exists()


def unfinished(stage: Stage) -> Path:
    """Leaves a part of a download; returns the path that the file would have."""
    stage.hub.add("user/big-GGUF", {"big-Q8_0.gguf": tiny("big")})
    stage.hub.faults.content.append(Fault(cut=100_000))
    stage.hub.faults.always = Fault(status=404)
    assert stage.run("pull", "user/big-GGUF").code == 6
    stage.hub.faults.always = Fault()
    assert list(stage.models.rglob("*.part"))
    return stage.models / "user/big-GGUF/big-Q8_0.gguf"


@pytest.mark.parametrize("name", ["user/big-GGUF", "big-Q8_0", "big-Q8_0.gguf", ""])
def test_an_unfinished_download_goes_by_its_name(stage: Stage, name: str) -> None:
    path = unfinished(stage)
    assert stage.run("rm", "-y", name or str(path)).code == 0
    assert not (stage.models / "user").exists()


def test_the_whole_name_of_an_unfinished_download_goes_before_a_part_of_another(stage: Stage) -> None:
    stage.hub.add("user/fine-GGUF", {"big-Q8_0-fine.gguf": tiny("fine")})
    assert stage.run("pull", "user/fine-GGUF").code == 0
    unfinished(stage)
    assert stage.run("rm", "-y", "big-Q8_0").code == 0
    assert [path.name for path in stage.models.rglob("*.gguf*")] == ["big-Q8_0-fine.gguf"]


def test_a_loaded_one_is_told_and_asked_about(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run("pull", REPO)
    (path,) = stage.models.rglob("*.gguf")
    monkeypatch.setattr(rm, "_loaded", lambda _app, paths: [one for one in paths if one == path])
    refused = stage.run("rm", "tiny-Q8_0")
    assert "tiny-Q8_0.gguf is loaded" in refused.err
    assert path.exists()
    assert stage.run("rm", "-y", "tiny-Q8_0").code == 0
    assert not Path(path).exists()
