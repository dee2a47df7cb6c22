"""What lists tell about model files: what the whole header says, quickly, and remembered until the file changes."""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engine.test_gguf_rules import ARR, STR, U32, Array, Draft
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.errors import ModelUnreadable
from llmchat_engine.models import brief as briefs
from llmchat_engine.models import remembered
from llmchat_engine.models.brief import Brief, read_brief
from llmchat_engine.models.gguf import read_header, skim_header

MAKERS: dict[str, Callable[[Path], Path]] = {
    "llama": lambda path: tiny_llama(path, vocab=2000),
    "gemma3": lambda path: tiny_gemma3_swa(path, vocab=2000),
    "mamba": lambda path: tiny_mamba(path, vocab=2000),
    "lfm2": lambda path: tiny_lfm2(path, vocab=2000),
    "small vocabulary": lambda path: tiny_llama(path, vocab=400),
}
WORDS = 49_152
"""Tokens, and nearly as many merges: what SmolLM2's vocabulary has."""


def big_draft() -> Draft:
    """Returns a model with SmolLM2's vocabulary and table, and no bytes in its tensors."""
    draft = Draft()
    words: list[int | float | str | bytes] = [f"w{number}" for number in range(WORDS)]
    draft.set("tokenizer.ggml.model", STR, "gpt2")
    draft.set("tokenizer.ggml.tokens", ARR, Array(STR, words))
    draft.set("tokenizer.ggml.token_type", ARR, Array(5, [1] * WORDS))
    draft.set("tokenizer.ggml.merges", ARR, Array(STR, [f"w {number}" for number in range(48_900)]))
    draft.set("tokenizer.ggml.bos_token_id", U32, 1)
    draft.set("tokenizer.chat_template", STR, "{{ x }}" * 1000)
    draft.set("general.file_type", U32, 15)
    draft.drop("tokenizer.ggml.scores")
    draft.rows = [draft.rows[0]._replace(dims=[8, WORDS])]
    at = 8 * WORDS * 4
    for number in range(271):
        draft.rows.append(draft.rows[0]._replace(name=b"blk.%d.weight" % number, dims=[8], offset=at + 32 * number))
    draft.data = bytes(at + 32 * 271)
    return draft


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes a header that is read fail the test from then on."""

    def fail(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    return lambda: monkeypatch.setattr(briefs, "skim_header", fail)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_skimmed_header_is_the_header(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / "a.gguf")
    assert skim_header(path) == read_header(path)


def test_a_large_vocabulary_is_leapt_over(tmp_path: Path) -> None:
    path = big_draft().write(tmp_path / "a.gguf")
    header = read_header(path)
    assert skim_header(path) == header
    assert header.quantization == "Q4_K_M"
    told = read_brief(path, None)
    assert (told.n_params, told.context_length, told.architecture) == (header.n_params, 128, "llama")
    assert told.header is not None
    assert "tokenizer.chat_template" not in told.header.metadata


@pytest.mark.parametrize("trap", [b"general.", b"\0" * 8 + b"tokenizer.", b"\x08\0\0\0\0\0\0\0general." + b"\0" * 40])
def test_a_text_that_looks_like_a_key_misleads_nobody(tmp_path: Path, trap: bytes) -> None:
    draft = big_draft()
    for name in ("tokens", "merges"):
        key = f"tokenizer.ggml.{name}"
        array = next(value for raw, _, value in draft.keys if raw == key.encode())
        assert isinstance(array, Array)
        array.items[40_000] = trap
    path = draft.write(tmp_path / "a.gguf")
    assert skim_header(path) == read_header(path)


def test_a_vocabulary_that_ends_the_header_is_read_text_by_text(tmp_path: Path) -> None:
    draft = big_draft()
    for name in ("tokenizer.ggml.bos_token_id", "tokenizer.chat_template", "general.file_type"):
        draft.drop(name)
    path = draft.write(tmp_path / "a.gguf")
    assert skim_header(path) == read_header(path)


@pytest.mark.parametrize("cut", [10, 200, 400_000, 1_500_000, -3])
def test_a_damaged_file_has_the_same_sentence(tmp_path: Path, cut: int) -> None:
    path = big_draft().write(tmp_path / "a.gguf")
    os.truncate(path, cut if cut > 0 else path.stat().st_size + cut)
    with pytest.raises(ModelUnreadable) as caught:
        read_header(path)
    assert read_brief(path, tmp_path) == Brief(problem=caught.value.why)


def test_what_is_no_chat_model_says_so(tmp_path: Path) -> None:
    draft = Draft()
    draft.set("general.architecture", STR, "nomic-bert")
    assert "it is an embedding model" in read_brief(draft.write(tmp_path / "a.gguf"), None).problem
    assert read_brief(tmp_path / "gone.gguf", tmp_path).problem == "there is no such file"


def test_it_is_remembered_until_the_file_changes(tmp_path: Path, no_reading: Callable[[], None]) -> None:
    path, cache = tiny_llama(tmp_path / "a.gguf"), tmp_path / "cache"
    first = read_brief(path, cache)
    link = tmp_path / "link.gguf"
    link.symlink_to(path)
    no_reading()
    assert read_brief(path, cache) == read_brief(link, cache) == first
    assert first.header is not None
    for change in (lambda: os.utime(path, (1, 1)), lambda: path.write_bytes(b"GGUF"), path.unlink):
        change()
        with pytest.raises(AssertionError, match="was read"):
            read_brief(path, cache)


def test_a_problem_is_remembered_too(tmp_path: Path, no_reading: Callable[[], None]) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(b"<html>404</html>")
    told = read_brief(path, tmp_path)
    assert "it is a web page" in told.problem
    no_reading()
    assert read_brief(path, tmp_path) == told


def test_of_a_split_model_nothing_is_remembered(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a-00001-of-00002.gguf", extra={"split.count": 2, "split.no": 0})
    assert "part 2 of 2 is missing" in read_brief(path, tmp_path).problem
    assert not (tmp_path / "briefs").exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"identity":["",0,0,0],"mark":"1","value":{}}', b"\xff"])
def test_a_damaged_memory_is_ignored(tmp_path: Path, text: bytes) -> None:
    path, cache = tiny_llama(tmp_path / "a.gguf"), tmp_path / "cache"
    told = read_brief(path, cache)
    (kept,) = (cache / "briefs").iterdir()
    kept.write_bytes(text)
    assert read_brief(path, cache) == told
    assert kept.read_bytes() != text


def test_other_words_for_the_same_file_are_asked_for_anew(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    remembered.remember(tmp_path / "briefs", path, {"problem": "old"}, "an older form")
    assert not read_brief(path, tmp_path).problem


def test_what_is_kept_is_private_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 20)
    place = tmp_path / "home" / "kept"
    for number in range(50):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(b"x")
        remembered.remember(place, path, number)
        assert remembered.recall(place, path, int) == number
    kept = list(place.iterdir())
    assert len(kept) <= 20
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    remembered.remember(place, path, "x" * (2 << 20))
    assert remembered.recall(place, path, int) == 49


def test_a_disk_that_refuses_costs_nothing_but_time(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    (tmp_path / "file").write_bytes(b"")
    assert read_brief(path, tmp_path / "file").architecture == "llama"
    assert read_brief(path, tmp_path / "file").architecture == "llama"


def test_names_that_are_no_unicode_are_remembered(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.gguf"))
    path.write_bytes(b"x")
    remembered.remember(tmp_path / "kept", path, "it")
    assert remembered.recall(tmp_path / "kept", path, str) == "it"


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.process_time()  # of this process alone: other tests run beside it
    yield
    assert time.process_time() - began < seconds


def test_a_hundred_files_are_told_of_quickly(tmp_path: Path) -> None:
    whole = big_draft().write(tmp_path / "a.gguf").read_bytes()
    paths = [tmp_path / f"{number}.gguf" for number in range(100)]
    header = read_header(tmp_path / "a.gguf").header_bytes
    for number, path in enumerate(paths):
        with path.open("wb") as file:
            file.write(whole[:header])
            file.truncate(len(whole))
            file.seek(whole.index(struct.pack("<I", 128)))
            file.write(struct.pack("<I", 1000 + number))
    with at_most(4.0):  # 0.3 s measured; read_header takes 2.5 s
        first = [read_brief(path, tmp_path / "cache") for path in paths]
    with at_most(1.0):  # 0.02 s measured
        second = [read_brief(path, tmp_path / "cache") for path in paths]
    assert [brief.context_length for brief in first] == [1000 + number for number in range(100)]
    assert second == first
