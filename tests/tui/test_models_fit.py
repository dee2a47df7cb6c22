"""`llmchat models fit`: a table of contexts and cache types, what a question would choose, and the same as numbers."""

from __future__ import annotations

import json

import pytest
from tests.engine.shaped_gguf import Shape, write_shape
from tests.tui.model_stage import ROOM, Stage, put

from llmchat_engine.models.fit import machine
from llmchat_engine.models.fit.machine import CARD_MARGIN, Card, Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_tui.cli.models_fit import contexts_of

FREE = Free(ROOM, "the memory of this machine")


@pytest.mark.parametrize(
    ("trained", "contexts"),
    [(512, (512,)), (2048, (2048,)), (5000, (2048, 4096, 5000)), (8192, (2048, 4096, 8192))],
)
def test_contexts_double_up_to_the_trained_one(trained: int, contexts: tuple[int, ...]) -> None:
    assert contexts_of(trained) == contexts


def test_a_table_of_contexts_and_cache_types(stage: Stage) -> None:
    put(stage.models / "own.gguf", n_ctx_train=4096)
    lines = stage.run("models", "fit", "own").out.splitlines()
    assert lines[0] == "memory     8.6 GB free, limited by the memory of this machine"
    assert lines[1] == "card       none that this build of llama.cpp would use"
    assert lines[2] == "bandwidth  20 GB/s are read by 1 threads"
    assert "own: 441 kB, F32, trained for 4,096 tokens" in lines
    at = next(at for at, line in enumerate(lines) if line.split()[:1] == ["context"])
    assert lines[at].split() == ["context", "cache", "type", "weights", "cache", "buffers", "total", "fits", "about"]
    rows = [line.split() for line in lines[at + 1 : at + 5]]
    assert [row[:2] for row in rows] == [["2,048", "f16"], ["2,048", "q8_0"], ["4,096", "f16"], ["4,096", "q8_0"]]
    assert all("yes" in row and row[-1] == "tok/s" for row in rows)
    assert lines[-1].startswith("llmchat ask would take a context of 4,096 tokens, about ")


def test_the_numbers_add_up_and_are_exact(stage: Stage) -> None:
    path = put(stage.models / "own.gguf", n_ctx_train=4096)
    found = json.loads(stage.run("models", "fit", "own", "--json").out)
    assert found["machine"] == {
        "free": ROOM,
        "limited_by": FREE.limited_by,
        "cards": [],
        "card_unknown": False,
        "bandwidth": 20e9,
        "threads": 1,
    }
    assert found["model"]["path"] == str(path)
    assert found["chosen"]["context"] == 4096
    assert len(found["ways"]) == 4
    for way in found["ways"]:
        parts = ("weights", "repacked", "cache", "buffers", "runtime")
        assert way["total"] == sum(way[part] for part in parts)
        assert way["weights"] == path.stat().st_size
    full, half = found["ways"][2:]
    assert half["cache"] == full["cache"] * 34 // 64


def test_one_context_and_one_cache_type_alone(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    words = ("models", "fit", "own", "--ctx", "700", "--cache-type-v", "q4_0")
    (way,) = json.loads(stage.run(*words, "--json").out)["ways"]
    assert (way["context"], way["cache_type_k"], way["cache_type_v"]) == (700, "f16", "q4_0")
    assert "f16/q4_0" in stage.run(*words).out


def test_the_settings_decide_what_a_question_would_choose(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    chosen = json.loads(stage.run("models", "fit", "own", "--json", LLMCHAT_CTX="1024").out)["chosen"]
    assert chosen["context"] == 1024


def test_what_does_not_fit_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(stage.models / "own.gguf")
    monkeypatch.setattr(machine, "read_machine", lambda *_, measure=True: Machine(Free(1 << 20, "the test")))
    ran = stage.run("models", "fit", "own")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].startswith("llmchat ask would refuse it: it needs ")
    assert "bandwidth  could not be measured" in ran.out
    assert "tok/s" not in ran.out


def test_layers_on_cards_have_columns(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.models.mkdir(parents=True)
    shape = Shape(layers=8, width=256, heads=4, kv_heads=4, feed_forward=1024, vocab=512, n_ctx_train=8192)
    write_shape(stage.models / "own.gguf", shape)
    card = Card("H100", "gpu", CARD_MARGIN + (40 << 20), 80 << 30)
    monkeypatch.setattr(machine, "read_machine", lambda *_, measure=True: Machine(FREE, (card,), 20e9))
    out = stage.run("models", "fit", "own").out
    assert "card       H100: 1.1 GB of 85.9 GB free" in out
    assert "layers on cards" in out
    assert " of 9 layers on cards (" in out.splitlines()[-1]
    ways = json.loads(stage.run("models", "fit", "own", "--json").out)["ways"]
    assert all(0 < way["gpu_layers"] <= 9 and way["on_cards"] <= 40 << 20 for way in ways)


def test_without_a_model_all_are_told(stage: Stage) -> None:
    put(stage.models / "own.gguf")
    (stage.models / "page.gguf").write_bytes(b"<!DOCTYPE html>\n<html>")
    out = stage.run("models", "fit").out
    head, own, page = out.splitlines()[-3:]
    assert head.split() == ["name", "size", "quant", "takes", "fits", "about", "why"]
    assert own.split()[0] == "own"
    assert "yes" in own
    assert "broken" in page
    models = json.loads(stage.run("models", "fit", "--json").out)["models"]
    assert [model["name"] for model in models] == ["own", "page"]
    assert models[0]["chosen"]["fits"] == "yes"
    assert models[1]["problem"]


def test_without_any_model(stage: Stage) -> None:
    assert "there is no model yet: llmchat pull" in stage.run("models", "fit").out


def test_a_hostile_name_is_harmless(stage: Stage) -> None:
    put(stage.models / "a\x1b[31mb.gguf")
    for words in (("models", "fit"), ("models", "fit", "31mb")):
        out = stage.run(*words).out
        assert "\x1b" not in out
        assert "31mb" in out


def test_a_server_has_no_memory_here(stage: Stage) -> None:
    ran = stage.run("models", "fit", "openai:gpt", LLMCHAT_BASE_URL="http://127.0.0.1:1/v1")
    assert ran.code == 2
    assert "is on a server" in ran.err


def test_a_name_that_nothing_has(stage: Stage) -> None:
    assert stage.run("models", "fit", "nothing-like-it").code == 3
