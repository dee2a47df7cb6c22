"""What is told of a model that is not loaded: shape, tensors, cache, memory; harmless for people, plain for others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import CHATML, tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba
from tests.tui.screen.screen_stage import EVIL

from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.fit.need import kv_bytes_per_token, memory_needed
from llmchat_engine.models.gguf import read_header
from llmchat_tui.model_card import Card, Named, card_of, params_text, speed_text
from llmchat_tui.sanitize import sanitize_line


def facts(card: Card, heading: str) -> dict[str, str]:
    (section,) = (section for section in card.sections if section.heading == heading)
    return {line.label: line.value for line in section.lines}


def test_a_llama_is_told_whole(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "tiny.gguf", n_ctx_train=16_000, extra={"llama.rope.freq_base": 10_000.0})
    header = read_header(path)
    card = card_of(path, header, None, None, Named("tiny", "models", ("t", "little"), {"temperature": 0.2}))
    assert card.name == "tiny"
    assert card.template == CHATML
    shape = facts(card, "shape")
    assert (shape["layers"], shape["width"], shape["heads"], shape["KV heads"]) == ("2", "64", "4", "2")
    assert (shape["feed-forward"], shape["vocabulary"], shape["context"]) == ("128", "512", "16,000 tokens")
    assert shape["RoPE"] == "16 dimensions, base 10,000"
    assert list(facts(card, "tensors")) == ["F32"]
    assert facts(card, "cache per token")["f16"] == f"{kv_bytes_per_token(header):,} bytes"
    assert list(facts(card, "memory")) == [f"{n:,} tokens" for n in (2_048, 4_096, 8_192, 16_000)]
    assert facts(card, "model")["alias"] == "t, little"
    assert facts(card, "settings of this model") == {"temperature": "0.2"}


def test_the_numbers_are_json_and_those_of_the_header(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "tiny.gguf")
    header = read_header(path)
    numbers = json.loads(json.dumps(card_of(path, header, None, None).numbers, allow_nan=False))
    assert numbers["memory"] == [{"context": 2048, "bytes": memory_needed(header, 2048).total}]
    assert numbers["parameters"] == sum(kind["parameters"] for kind in numbers["tensor_types"]) == header.n_params
    assert (numbers["path"], numbers["repo"], numbers["aliases"]) == (str(path), "", [])


@pytest.mark.parametrize("write", [tiny_gemma3_swa, tiny_mamba, tiny_lfm2])
def test_other_shapes_are_told_too(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = tmp_path / "tiny.gguf"
    write(path)
    card = card_of(path, read_header(path), None, None)
    assert facts(card, "shape")["architecture"] in ("gemma3", "mamba", "lfm2")
    assert ("heads" in facts(card, "shape")) is (write is not tiny_mamba)
    json.dumps(card.numbers, allow_nan=False)


def test_text_of_the_header_is_harmless_for_people(tmp_path: Path) -> None:
    evil = EVIL.replace("\0", "")
    extra: dict[str, int | float | str] = {"general.license": evil * 100, "llama.rope.scaling.factor": float("nan")}
    path = tiny_llama(tmp_path / "tiny.gguf", extra=extra)
    card = card_of(path, read_header(path), None, None, Named(evil, options={evil: evil}))
    told = [
        card.name,
        *(part for section in card.sections for line in section.lines for part in (line.label, line.value)),
    ]
    assert [text for text in told if sanitize_line(text) != text] == []
    assert max(map(len, told)) < 500
    assert json.loads(json.dumps(card.numbers, allow_nan=False))["name"] == evil


def test_on_a_machine_it_is_told_what_fits_and_how_fast(tmp_path: Path) -> None:
    header = read_header(path := tiny_llama(tmp_path / "tiny.gguf"))
    much, little = (Machine(Free(size, "the memory"), bandwidth=1e9) for size in (1 << 40, 1 << 20))
    (fits,) = facts(card_of(path, header, much, None), "memory").values()
    assert " · fits · about " in fits
    card = card_of(path, header, little, None)
    assert facts(card, "memory")["2,048 tokens"].endswith("· does not fit")
    assert card.numbers["memory"][0]["fits"] == "no"


def test_words_for_numbers() -> None:
    assert [params_text(count) for count in (1_000, 134_515_008, 999_600_000, 70_600_000_000)] == [
        "1K", "135M", "1.0B", "70.6B",
    ]  # fmt: skip
    assert [speed_text(speed) for speed in (0.0, -1.0, float("nan"), float("inf"), 0.44, 9.4, 141.2)] == [
        "", "", "", "", "0.4 tok/s", "9.4 tok/s", "141 tok/s",
    ]  # fmt: skip
