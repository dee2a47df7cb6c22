"""The perplexity that is told is the one that numpy computes in float64 from the logits, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFWriter
from tests.engine.measuring import TEXT, finished
from tests.engine.test_scoring_real import smollm
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_llama, tiny_mamba

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.probe import verdict_path
from llmchat_engine.host.text_rows import rows_at_once
from llmchat_engine.launch import Places
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.quantizing.compare import Side, default_text, measure_perplexity, perplexity_of
from llmchat_engine.types import ModelSpec

ADD_BOS = "tokenizer.ggml.add_bos_token"
PROGRAM = Path(__file__).with_name("independent_reading.py")
MODELS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_llama,
    "gemma3 with a window": tiny_gemma3_swa,
    "mamba": tiny_mamba,
}
TOLERANCE = 1e-4
"""Of the perplexity, relative: what the same logits must agree to. Measured: at most 6e-8."""
ROUGHLY = 1e-3
"""The same where tokens are decoded one by one: measured 5e-6."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, llama: Llama) -> Path:
    """Where it stands that AMX crashes here: with it, weights have another layout and logits other last bits."""
    state = tmp_path_factory.mktemp("state")
    verdict_path(llama.system_info(), state).write_text("crashes")
    return state


def independent(model: Path, text: Path, window: int, rows: int) -> dict[str, float]:
    command = [sys.executable, str(PROGRAM), str(model), str(text), str(window), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def told(model: Path, text: str, window: int, state: Path) -> Side:
    places = Places(state, state, state)
    return finished(measure_perplexity(ModelSpec(model, gpu_layers=0, threads=1), places, text, window))


def agrees(model: Path, text: str, window: int, tmp_path: Path, state: Path) -> None:
    """Checks that both say the same of a text."""
    file = tmp_path / "text.txt"
    file.write_text(text)
    facts = told(model, text, window, state).measured.text
    assert facts is not None
    value, error = perplexity_of(facts)
    exact = independent(model, file, facts.window, rows_at_once(read_header(model).n_vocab))
    assert facts.scored == exact["scored"] == facts.windows * (facts.window - facts.window // 2 - 1)
    assert abs(value / exact["perplexity"] - 1) < TOLERANCE
    assert abs(error / exact["error"] - 1) < TOLERANCE


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("window", [64, 129])
def test_a_tiny_model_agrees(name: str, window: int, models: Path, tmp_path: Path, state: Path) -> None:
    agrees(MODELS[name](models / f"ppl-{name[:4]}.gguf"), TEXT, window, tmp_path, state)


def test_a_model_that_begins_with_bos_agrees(
    models: Path, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(GGUFWriter, "add_add_bos_token", lambda writer, _: writer.add_bool(ADD_BOS, True))
        path = tiny_llama(models / "ppl-bos.gguf")
    agrees(path, TEXT, 64, tmp_path, state)
    other = told(tiny_llama(models / "ppl-none.gguf"), TEXT, 64, state).measured
    mine = told(path, TEXT, 64, state).measured
    assert mine.text is not None
    assert other.text is not None
    assert mine.text.tokens == other.text.tokens + 1
    assert mine.text.nll != other.text.nll


def test_other_batches_change_the_last_bits_alone(models: Path, tmp_path: Path, state: Path) -> None:
    model, file = tiny_llama(models / "ppl-llam.gguf"), tmp_path / "text.txt"
    file.write_text(TEXT)
    facts = told(model, TEXT, 128, state).measured.text
    assert facts is not None
    assert abs(perplexity_of(facts)[0] / independent(model, file, 128, 1)["perplexity"] - 1) < ROUGHLY


def test_the_real_model_agrees(tmp_path: Path, state: Path) -> None:
    agrees(smollm(), default_text()[:1600], 128, tmp_path, state)


def test_a_window_larger_than_the_first_cells_of_a_cache(models: Path, state: Path) -> None:
    model = tiny_llama(models / "ppl-long.gguf", n_ctx_train=8192)
    facts = told(model, TEXT * 10, 3000, state).measured.text
    assert facts is not None
    assert (facts.window, facts.windows) == (3000, facts.tokens // 3000)


def test_a_short_text_is_one_window(models: Path, state: Path) -> None:
    model = tiny_llama(models / "ppl-llam.gguf")
    facts = told(model, "twelve words and a few more", 512, state).measured.text
    assert facts is not None
    assert (facts.windows, facts.window) == (1, facts.tokens)
    with pytest.raises(RequestInvalid, match="the text is too short"):
        told(model, "ab", 512, state)


def test_a_window_that_the_model_was_not_made_for_is_refused(models: Path, state: Path) -> None:
    model = tiny_llama(models / "ppl-short.gguf", n_ctx_train=256)
    with pytest.raises(RequestInvalid, match="trained on 256 tokens"):
        told(model, TEXT, 512, state)
