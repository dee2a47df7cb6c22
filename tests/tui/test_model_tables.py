"""Other names of models and settings of one model, as they are used: which goes over which, for every way to ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, environment
from tests.tui.screen.chatting import desk_of

from llmchat_engine import ModelSpec
from llmchat_engine.testing import FakeEngine
from llmchat_tui.cli.app import App
from llmchat_tui.config import load_config
from llmchat_tui.model_options import meant, names_of, options_of, sampling_of
from llmchat_tui.model_tables import ModelTables

WRITTEN = """\
ctx = 100
system = "Of all."
keepalive = "1m"

[sampling]
temperature = 0.9
top_k = 50

[aliases]
small = "qwen2.5-0.5b"
tiny = "small"
file = "{file}"

[models."qwen2.5-0.5b"]
ctx = 200
temperature = 0.5
cache_type_k = "q8_0"
keepalive = "2m"
system = "Of this one."
stop = ["END"]

[models."{file}"]
threads = 3

[models.small]
temperature = 0.3
"""


@pytest.fixture
def file(home: Path) -> Path:
    """A model under the name qwen2.5-0.5b, with settings of its own, and another one."""
    path = home / "models" / "user" / "repo" / "qwen2.5-0.5b.gguf"
    path.parent.mkdir(parents=True)
    path.touch()
    path.with_name("llama.gguf").touch()
    (home / "config.toml").write_text(WRITTEN.replace("{file}", str(path)))
    return path


def app(home: Path, **environ: str) -> App:
    return App(environ={"LLMCHAT_HOME": str(home), **environ})


def chosen(home: Path, name: str, **environ: str) -> ModelSpec:
    spec = app(home, **environ).spec(name)
    assert isinstance(spec, ModelSpec)
    return spec


@pytest.mark.parametrize("name", ["small", "tiny", "file", "qwen2.5-0.5b", "QWEN", "user/repo:qwen2.5-0.5b"])
def test_names_lead_to_the_file_and_an_alias_goes_before_all(home: Path, file: Path, name: str) -> None:
    assert chosen(home, name).path == file


def test_an_alias_hides_the_model_of_its_name(home: Path, file: Path) -> None:
    (home / "config.toml").write_text('model = "llama"\n[aliases]\nllama = "qwen2.5-0.5b"\n')
    assert chosen(home, "").path == file


def test_aliases_that_lead_in_a_circle_end() -> None:
    assert meant("a", ModelTables(aliases={"a": "b", "b": "a"})) == ("a", "b")


def test_loading_flag_then_variable_then_model_then_config(home: Path, file: Path) -> None:
    own = chosen(home, "qwen2.5-0.5b")
    assert (own.n_ctx, own.cache_type_k, own.threads, own.batch) == (200, "q8_0", 3, 512)
    assert app(home).spec("qwen2.5-0.5b", ctx=300, cache_type_k="f16") == replace(own, n_ctx=300, cache_type_k="f16")
    assert chosen(home, "qwen2.5-0.5b", LLMCHAT_CTX="400").n_ctx == 400
    other = chosen(home, "llama")
    assert (other.n_ctx, other.cache_type_k, other.threads) == (100, "f16", 0)


def test_what_stands_under_the_alias_goes_over_what_stands_under_the_name(home: Path, file: Path) -> None:
    run = app(home)
    assert run.own_options(run.spec("qwen2.5-0.5b"))["temperature"] == 0.5
    for alias in ("small", "tiny"):
        own = run.own_options(run.spec(alias))
        assert (own["temperature"], own["ctx"]) == (0.3, 200)
    assert run.own_options(run.spec("llama")) == {}
    assert run.own_options(ModelSpec(file))["threads"] == 3


def test_names_from_the_least_to_the_most_particular() -> None:
    path = Path("/a/sha256-12")
    assert names_of(path, "llama3.2:3b", ("tiny", "small")) == (
        "sha256-12", "llama3.2:3b", "/a/sha256-12", "small", "tiny",
    )  # fmt: skip


def test_the_environment_goes_over_a_models_own(home: Path, file: Path) -> None:
    config = load_config(home / "config.toml", {"LLMCHAT_TEMPERATURE": "1.5"})
    own = options_of(config, ["qwen2.5-0.5b"])
    assert "temperature" not in own
    sampling = sampling_of(config, own)
    assert (sampling.temperature, sampling.top_k, sampling.stop) == (1.5, 50, ("END",))


def sent(home: Path, *arguments: str, **environ: str) -> tuple[FakeEngine, Opened]:
    """Asks a question, and returns what the engine was given."""
    engine = FakeEngine()
    opened = Opened(engine)
    own = {key: value for key, value in environment(home, **environ).items() if key != "LLMCHAT_MODEL"}
    asked = ask(home, *arguments, "-n", "hi", engine=opened, environ=own)
    assert asked.code == 0, asked.err
    return engine, opened


def test_a_question_has_the_models_sampling_system_prompt_and_keepalive(home: Path, file: Path) -> None:
    engine, opened = sent(home, "-m", "small")
    request = engine.requests[-1]
    assert (request.sampling.temperature, request.sampling.top_k, request.sampling.stop) == (0.3, 50, ("END",))
    assert request.messages[0].text == "Of this one."
    assert opened.specs[0][1] == 120
    engine, opened = sent(home, "-m", "llama")
    assert engine.requests[-1].sampling.temperature == 0.9
    assert engine.requests[-1].messages[0].text == "Of all."
    assert opened.specs[0][1] == 60


def test_flag_variable_and_template_go_over_the_model(home: Path, file: Path) -> None:
    (home / "templates").mkdir()
    (home / "templates" / "calm.toml").write_text('system = "Of the template."\n[sampling]\ntemperature = 0.1\n')
    assert sent(home, "-m", "small", "--temp", "2")[0].requests[-1].sampling.temperature == 2
    assert sent(home, "-m", "small", LLMCHAT_TEMPERATURE="1.5")[0].requests[-1].sampling.temperature == 1.5
    assert sent(home, "-m", "small", "--keepalive", "3m")[1].specs[0][1] == 180
    assert sent(home, "-m", "small", LLMCHAT_SYSTEM="Of the shell.")[0].requests[-1].messages[0].text == "Of the shell."
    assert sent(home, "-m", "small", "-s", "Mine.")[0].requests[-1].messages[0].text == "Mine."
    request = sent(home, "-m", "small", "-t", "calm")[0].requests[-1]
    assert (request.sampling.temperature, request.messages[0].text) == (0.1, "Of the template.")


def test_the_chat_follows_the_model_in_use(home: Path, file: Path) -> None:
    run = app(home)
    desk = desk_of(home, FakeEngine(), make_spec=run.spec, own_options=run.own_options, config=run.config)
    try:
        assert (desk.system, desk.sampling().temperature) == ("Of all.", 0.9)
        desk.in_use = desk.make_spec("small")
        assert (desk.system, desk.sampling().temperature, desk.sampling().top_k) == ("Of this one.", 0.3, 50)
        desk.wanted_system = ""
        assert desk.system == ""
        desk.in_use = desk.make_spec("llama")
        assert desk.sampling().temperature == 0.9
    finally:
        desk.history.close()
