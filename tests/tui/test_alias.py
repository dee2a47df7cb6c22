"""`llmchat models alias` and `models options`: what the config says of models by name, set and taken back."""

from __future__ import annotations

import json
import tomllib

import pytest
from tests.tui.model_stage import REPO, Stage, put

from llmchat_tui.cli.app import App


def written(stage: Stage) -> dict[str, object]:
    return tomllib.loads((stage.home / "config.toml").read_text())


def test_an_alias_is_set_used_listed_and_forgotten(stage: Stage) -> None:
    path = put(stage.models / "qwen2.5-0.5b.gguf")
    put(stage.models / "llama.gguf", "b")
    assert stage.run("models", "alias", "small", "qwen2").code == 0
    assert written(stage) == {"aliases": {"small": "qwen2.5-0.5b"}}, "what names it alone is kept"
    spec = App(environ=stage.environ()).spec("small")
    assert getattr(spec, "path", None) == path
    assert stage.run("models", "alias").out.split() == ["alias", "model", "small", "qwen2.5-0.5b"]
    assert json.loads(stage.run("models", "alias", "--json").out) == {"small": "qwen2.5-0.5b"}
    assert "qwen2.5-0.5b" in stage.run("models", "alias", "small").out
    assert stage.run("models", "alias", "small", "--rm").code == 0
    assert written(stage) == {"aliases": {}}
    assert stage.run("models", "alias", "small").code == 1
    assert stage.run("models", "alias", "small", "--rm").code == 1


def test_what_an_alias_may_stand_for(stage: Stage) -> None:
    own, other = put(stage.models / "a" / "b" / "same.gguf"), put(stage.models / "c" / "d" / "same.gguf", "b")
    assert stage.run("models", "alias", "one", str(own)).code == 0
    assert stage.run("models", "alias", "v2.0 é", "c/d").code == 0
    assert stage.run("models", "alias", "server", "openai:work").code == 0
    assert stage.run("models", "alias", "again", "one").code == 0
    assert written(stage) == {
        "aliases": {"one": str(own), "v2.0 é": str(other), "server": "openai:work", "again": "one"}
    }
    assert stage.run("models", "alias", "no", "such-model").code == 3
    assert stage.run("models", "alias", "--rm").code == 2


def test_an_alias_means_what_was_found_though_another_alias_hides_its_name(stage: Stage) -> None:
    hidden, other = put(stage.models / "llama-3.gguf"), put(stage.models / "qwen.gguf", "b")
    stage.run("models", "alias", "llama-3", "qwen")
    assert stage.run("models", "alias", "big", "lama-3").code == 0
    run = App(environ=stage.environ())
    assert getattr(run.spec("big"), "path", None) == hidden
    assert getattr(run.spec("llama-3"), "path", None) == other


def test_aliases_do_not_mean_each_other(stage: Stage) -> None:
    put(stage.models / "qwen.gguf")
    for name, model in (("a", "qwen"), ("b", "a"), ("c", "b")):
        assert stage.run("models", "alias", name, model).code == 0
    refused = stage.run("models", "alias", "a", "c")
    assert (refused.code, "c means a already" in refused.err) == (2, True)
    assert written(stage) == {"aliases": {"a": "qwen", "b": "a", "c": "b"}}
    assert stage.run("models", "alias", "qwen", "qwen").code == 0, "it hides the model of its name, which it is"


def test_options_of_a_model(stage: Stage) -> None:
    put(stage.models / "qwen2.5-0.5b.gguf")
    shown = stage.run("models", "options", "qwen", "temperature", "0.2", "cache-type-k", "q8_0")
    assert shown.out == 'temperature = 0.2\ncache_type_k = "q8_0"\n'
    assert written(stage) == {"models": {"qwen2.5-0.5b": {"temperature": 0.2, "cache_type_k": "q8_0"}}}
    assert json.loads(stage.run("models", "options", "qwen2.5-0.5b", "--unset", "temperature", "--json").out) == {
        "cache_type_k": "q8_0"
    }
    assert stage.run("models", "options", "qwen").out == 'cache_type_k = "q8_0"\n'


def test_options_under_an_alias_hold_for_the_alias(stage: Stage) -> None:
    put(stage.models / "qwen.gguf")
    stage.run("models", "alias", "calm", "qwen")
    assert stage.run("models", "options", "calm", "seed", "7").code == 0
    assert written(stage) == {"aliases": {"calm": "qwen"}, "models": {"calm": {"seed": 7}}}


@pytest.mark.parametrize(
    ("words", "code"),
    [(["temperature"], 2), (["temprature", "1"], 2), (["top_p", "2"], 2), (["--unset", "temprature"], 0)],
)
def test_options_that_are_wrong_change_nothing(stage: Stage, words: list[str], code: int) -> None:
    put(stage.models / "qwen.gguf")
    assert stage.run("models", "options", "qwen", *words).code == code
    assert not (stage.home / "config.toml").exists() or "qwen" not in (stage.home / "config.toml").read_text()


def test_names_are_completed(stage: Stage) -> None:
    put(stage.models / "qwen.gguf")
    put(stage.models / "q\x1b[31m\nodd.gguf", "b")
    stage.run("models", "alias", "queen", "qwen")
    stage.run("config", "set", "remotes.quick.base_url", "http://127.0.0.1:1/v1")
    from click import Context

    from llmchat_tui.cli.ask import ask
    from llmchat_tui.cli.model_completion import complete_model

    context = Context(ask, obj=App(environ=stage.environ()))
    option = next(one for one in ask.params if one.name == "model")
    names = [item.value for item in complete_model(context, option, "Q")]
    assert names == ["queen", "qwen"]
    assert [item.value for item in option.shell_complete(context, "openai:")] == ["openai:quick"]
    assert complete_model(context, option, "./a")[0].type == "file"
    (stage.home / "config.toml").write_text("broken =")
    context = Context(ask, obj=App(environ=stage.environ()))
    assert [item.value for item in complete_model(context, option, "q")] == ["qwen"]


def test_a_pulled_model_is_asked_by_its_repository(stage: Stage) -> None:
    stage.run("pull", REPO)
    spec = App(environ=stage.environ()).spec(f"{REPO}:Q8_0")
    assert getattr(spec, "path", None) == stage.models / REPO / "tiny-Q8_0.gguf"
    sent = stage.hub.sent
    refused = stage.run("ask", "-m", "other/repo:Q8_0", "hi")
    assert (refused.code, refused.out, stage.hub.sent) == (3, "", sent)
    assert "hint: llmchat pull other/repo:Q8_0\n" in refused.err
