"""`llmchat show`: a model's card, its template, what was noted when it was pulled and how loading it went."""

from __future__ import annotations

import json

from tests.tui.model_stage import REPO, Stage, put


def test_what_was_pulled_is_told(stage: Stage) -> None:
    stage.run("pull", REPO)
    stage.home.joinpath("config.toml").write_text('[aliases]\nmine = "tiny-Q8_0"\n[models.mine]\ntemperature = 0.2\n')
    shown = stage.run("show", "mine")
    assert shown.code == 0, shown.err
    for words in ("tiny-Q8_0", REPO, "apache-2.0", "llama", "2,048 tokens", "mine", "sha256", "yes, in 0.2 s", "0.2"):
        assert words in shown.out, words
    told = json.loads(stage.run("show", "tiny", "--json").out)
    assert (told["licence"], told["repo"], told["aliases"]) == ("apache-2.0", REPO, ["mine"])
    assert told["trial"] == {"ok": True, "why": "", "seconds": 0.25}
    assert told["template"].startswith("{% for message")


def test_the_default_model_is_meant_where_none_is_named(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    assert stage.run("show").out.startswith("own\n")
    assert "not yet: llmchat models verify tries it" in stage.run("show").out


def test_the_template_alone(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    shown = stage.run("show", "own", "--template")
    assert shown.out.startswith("{% for message in messages %}")
    put(stage.models / "base.gguf", "base", template=None)
    without = stage.run("show", "base", "--template")
    assert (without.code, without.out) == (1, "")
    assert "has no chat template" in without.err


def test_what_is_not_there_or_no_file(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    assert stage.run("show", "another").code == 3
    stage.home.joinpath("config.toml").write_text('[remotes.work]\nbase_url = "http://127.0.0.1:1/v1"\n')
    refused = stage.run("show", "openai:work")
    assert (refused.code, "runs on a server" in refused.err) == (2, True)
