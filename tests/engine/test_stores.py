"""The models of other programs: found where each program keeps them, called what it calls them, each file once."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from llmchat_engine.models import stores
from llmchat_engine.models.library import BUNDLED_PACKAGE, LocalModel, find_models, resolve

SHA = "0123456789abcdef" * 4


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without models, on a machine without the bundled one and without a system-wide Ollama."""
    monkeypatch.setitem(sys.modules, BUNDLED_PACKAGE, None)
    monkeypatch.setattr(stores, "_SYSTEM_OLLAMA", tmp_path / "system")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def file(path: Path, content: bytes = b"GGUF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(home: Path, **environ: str) -> list[LocalModel]:
    return find_models(home / "ours", {"HOME": str(home), **environ})


def names(home: Path, **environ: str) -> list[str]:
    return [model.name for model in found(home, **environ)]


def hub_file(cache: Path, repo: str, commit: str, name: str, sha: str = SHA, content: bytes = b"GGUF") -> Path:
    """Puts a file where huggingface_hub would: a link of a snapshot to a blob."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    blob = folder / "blobs" / sha
    if not blob.exists():
        file(blob, content)
    link = folder / "snapshots" / commit / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return link


def manifest(store: Path, place: str, sha: str = SHA, media: str = "application/vnd.ollama.image.model") -> Path:
    """Puts a manifest where Ollama would, with its blob."""
    file(store / "blobs" / f"sha256-{sha}", b"GGUF" + sha.encode())
    layers = [{"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'f' * 64}", "size": 3}]
    layers += [{"mediaType": media, "digest": f"sha256:{sha}", "size": 68}]
    return file(store / "manifests" / place, json.dumps({"schemaVersion": 2, "layers": layers}).encode())


def test_nothing_is_looked_for_without_an_environment_or_a_home(home: Path) -> None:
    file(home / ".lmstudio/models/a/b/c.gguf")
    assert find_models(home / "ours") == []
    assert find_models(home / "ours", {}) == []
    assert find_models(home / "ours", {"HOME": "relative"}) == []
    assert names(home) == ["c"]


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, ".cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/huggingface/hub"),
        ({"HF_HOME": "~/hf", "XDG_CACHE_HOME": "{home}/xdg"}, "hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "{home}/old", "HF_HOME": "~/hf"}, "old"),
        ({"HF_HUB_CACHE": "~/cache", "HF_HOME": "~/hf"}, "cache"),
    ],
)
def test_hugging_face_keeps_its_cache_where_it_is_told(home: Path, environ: dict[str, str], place: str) -> None:
    link = hub_file(home / place, "user/some--repo", "c1", "Q4/Some-Q4_K_M.gguf")
    hub_file(home / "elsewhere", "user/other", "c1", "other.gguf")
    told = {key: value.format(home=home) for key, value in environ.items()}
    assert found(home, **told) == [LocalModel("Some-Q4_K_M", link, "hugging face", 4, "user/some--repo")]


def test_commits_that_share_a_file_show_it_once_at_the_newest(home: Path) -> None:
    cache = home / ".cache/huggingface/hub"
    links = [hub_file(cache, "u/r", commit, "a.gguf") for commit in ("old", "new", "middle")]
    hub_file(cache, "u/r", "old", "a-before.gguf", sha="e" * 64)
    for link, age in zip(links, (300, 0, 100), strict=True):
        os.utime(link.parent, (1e9 - age, 1e9 - age))
    assert [model.path for model in found(home)] == [links[1], links[0].with_name("a-before.gguf")]


def test_what_is_no_model_in_the_cache_is_left_out(home: Path) -> None:
    cache = home / ".cache/huggingface/hub"
    for name in ("mmproj-f16.gguf", "big-00002-of-00002.gguf", "config.json"):
        hub_file(cache, "u/r", "c", name, sha=name)
    first = hub_file(cache, "u/r", "c", "big-00001-of-00002.gguf", sha="first")
    broken = hub_file(cache, "u/r", "c", "gone.gguf", sha="gone")
    broken.resolve().unlink()
    file(cache / "datasets--u--d/snapshots/c/data.gguf")
    file(cache / "models--u--r/blobs/half.incomplete")
    file(cache / "version.txt")
    assert [model.path for model in found(home)] == [first]


def test_ollama_models_have_its_names_and_open_its_blobs(home: Path) -> None:
    store = home / ".ollama/models"
    manifest(store, "registry.ollama.ai/library/llama3.2/3b", "a" * 64)
    manifest(store, "registry.ollama.ai/jane/own/q4", "b" * 64)
    manifest(store, "hf.co/user/Repo-GGUF/Q4_K_M", "c" * 64)
    seen = {model.name: model.path for model in found(home)}
    assert seen == {
        "llama3.2:3b": store / "blobs" / f"sha256-{'a' * 64}",
        "jane/own:q4": store / "blobs" / f"sha256-{'b' * 64}",
        "hf.co/user/Repo-GGUF:Q4_K_M": store / "blobs" / f"sha256-{'c' * 64}",
    }
    assert {model.origin for model in found(home)} == {"ollama"}
    assert resolve("jane/own:q4", found(home)).path == seen["jane/own:q4"]
    assert resolve("llama3.2", found(home)).path == seen["llama3.2:3b"]


def test_two_tags_of_one_blob_are_one_model_and_latest_is_not_its_name(home: Path) -> None:
    for tag in ("3b", "latest"):
        manifest(home / ".ollama/models", f"registry.ollama.ai/library/llama3.2/{tag}")
    assert names(home) == ["llama3.2:3b"]


def test_ollama_is_looked_for_where_it_is_told_and_system_wide(home: Path, tmp_path: Path) -> None:
    manifest(home / "told", "registry.ollama.ai/library/told/1b", "a" * 64)
    manifest(tmp_path / "system", "registry.ollama.ai/library/system/1b", "b" * 64)
    assert names(home, OLLAMA_MODELS="~/told") == ["told:1b", "system:1b"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[]",
        b'{"layers": 3}',
        b'{"layers": [{"mediaType": 1}]}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../etc/passwd"}]}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:' + b"d" * 64 + b'"}]}',
        b'{"layers": [' + b" " * (2 << 20) + b"]}",
        b"\xff\xfe",
    ],
)
def test_damaged_manifests_name_no_model(home: Path, text: bytes) -> None:
    store = home / ".ollama/models"
    manifest(store, "registry.ollama.ai/library/good/1b", "a" * 64)
    file(store / "manifests/registry.ollama.ai/library/bad/1b", text)
    file(store / "manifests/stray", text)
    manifest(store, "registry.ollama.ai/library/picture/1b", "b" * 64, "application/vnd.ollama.image.projector")
    assert names(home) == ["good:1b"]


@pytest.mark.timeout(10)
def test_a_pipe_in_a_store_hangs_nothing(home: Path) -> None:
    (home / ".ollama/models/manifests/registry.ollama.ai/library/a").mkdir(parents=True)
    (home / ".lmstudio/models").mkdir(parents=True)
    os.mkfifo(home / ".ollama/models/manifests/registry.ollama.ai/library/a/1b")
    os.mkfifo(home / ".lmstudio/models/a.gguf")
    os.mkfifo(home / ".lmstudio-home-pointer")
    assert names(home) == []


def test_lm_studio_is_found_in_its_three_places(home: Path, tmp_path: Path) -> None:
    file(home / ".lmstudio/models/jane/New-GGUF/new.gguf")
    file(home / ".cache/lm-studio/models/jane/Old-GGUF/old.gguf")
    file(tmp_path / "moved/models/jane/Moved-GGUF/moved.gguf")
    file(home / ".lmstudio-home-pointer", f"{tmp_path}/moved\n".encode())
    seen = [(model.name, model.repo, model.origin) for model in found(home)]
    told = [("new", "jane/New-GGUF"), ("old", "jane/Old-GGUF"), ("moved", "jane/Moved-GGUF")]
    assert seen == [(name, repo, "lm studio") for name, repo in told]
    assert resolve("jane/old-gguf", found(home)).name == "old"


def test_llama_cpp_is_found_where_it_is_told(home: Path) -> None:
    for place in ("told", "xdg/llama.cpp", ".cache/llama.cpp", "Library/Caches/llama.cpp"):
        file(home / place / f"{place.split('/')[0].strip('.')}.gguf")
    seen = found(home, LLAMA_CACHE=f"{home}/told", XDG_CACHE_HOME=f"{home}/xdg")
    assert [model.name for model in seen] == ["told", "xdg", "cache", "Library"]
    assert {model.origin for model in seen} == {"llama.cpp"}


def test_one_file_in_two_stores_is_listed_once_ours_first(home: Path) -> None:
    link = hub_file(home / ".cache/huggingface/hub", "u/r", "c", "a.gguf")
    os.link(link.resolve(), file(home / ".lmstudio/models/u/r/x").with_name("a.gguf"))
    assert [model.origin for model in found(home)] == ["hugging face"]
    (home / "ours").mkdir()
    (home / "ours/mine.gguf").symlink_to(link)
    assert [(model.name, model.origin) for model in found(home)] == [("mine", "models")]


@pytest.mark.timeout(20)
def test_loops_depth_and_width_are_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home / ".lmstudio/models"
    file(root / "u/r/a.gguf")
    (root / "u/loop").symlink_to(root)
    deep = root
    for _ in range(40):
        deep = deep / "d"
    file(deep / "deep.gguf")
    assert names(home) == ["a"]
    monkeypatch.setattr(stores, "MOST_MODELS", 3)
    for number in range(5):
        file(root / f"b{number}.gguf")
    assert names(home) == ["b0", "b1", "b2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_read_are_passed_by(home: Path) -> None:
    closed = file(home / ".lmstudio/models/u/r/a.gguf").parent
    file(home / ".lmstudio/models/b/r/b.gguf")
    closed.chmod(0)
    try:
        assert names(home) == ["b"]
    finally:
        closed.chmod(stat.S_IRWXU)


def test_nothing_is_written_into_a_store(home: Path) -> None:
    hub_file(home / ".cache/huggingface/hub", "u/r", "c", "a.gguf")
    manifest(home / ".ollama/models", "registry.ollama.ai/library/b/1b")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*"))
    assert len(found(home)) == 2
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*")) == before
