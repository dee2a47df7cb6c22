"""What a repository is for, and which of its files an embedding or re-ranking model needs: never a pickle."""

from __future__ import annotations

from typing import TypedDict, Unpack

import pytest

from llmchat_engine.errors import HubMissing
from llmchat_engine.models.hub.kinds import files_to_pull, kind_of
from llmchat_engine.models.hub.types import HubFile, HubRepo, RepoKind

WHOLE = ("config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors")
"""The least that an embedding model consists of."""


class Card(TypedDict, total=False):
    library: str
    task: str
    tags: tuple[str, ...]
    architectures: tuple[str, ...]


def kind(name: str, *paths: str, **card: Unpack[Card]) -> RepoKind:
    return kind_of(
        name, paths, library=card.get("library", ""), task=card.get("task", ""), tags=card.get("tags", ()),
        architectures=card.get("architectures", ()),
    )  # fmt: skip


def repo(*paths: str, kind: RepoKind = "embedder") -> HubRepo:
    return HubRepo("user/model", "a" * 40, tuple(HubFile(path, 1) for path in paths), kind)


def pulled(*paths: str) -> set[str]:
    return {file.path for file in files_to_pull(repo(*paths))}


def test_gguf_files_decide() -> None:
    assert kind("u/m", "a/M.GGUF", "modules.json", task="text-ranking") == "gguf"


@pytest.mark.parametrize(
    "card",
    [Card(task="text-ranking"), Card(tags=("cross-encoder",)), Card(architectures=("XForSequenceClassification",))],
)
def test_a_reranker_is_known_by_its_card(card: Card) -> None:
    # sentence-transformers is the library of both kinds.
    assert kind("u/bge-reranker-base", "modules.json", "model.safetensors", **card) == "reranker"


def test_a_classifier_that_does_not_rank_is_nothing_of_ours() -> None:
    assert kind("u/sentiment", "model.safetensors", architectures=("BertForSequenceClassification",)) == "other"


@pytest.mark.parametrize(
    "card", [Card(library="sentence-transformers"), Card(task="feature-extraction"), Card(task="sentence-similarity")]
)
def test_an_embedding_model_is_known_by_its_card(card: Card) -> None:
    assert kind("u/m", "model.safetensors", **card) == "embedder"


def test_an_embedding_model_is_known_by_its_modules() -> None:
    assert kind("u/m", "modules.json") == "embedder"
    assert kind("u/m", "model.safetensors", task="text-generation") == "other"


def test_what_sentence_transformers_reads_is_pulled() -> None:
    more = (
        "README.md", "config_sentence_transformers.json", "sentence_bert_config.json", "special_tokens_map.json",
        "tokenizer_config.json", "vocab.txt", "2_Dense/config.json", "2_Dense/model.safetensors",
    )  # fmt: skip
    left = (
        ".gitattributes", "pytorch_model.bin", "tf_model.h5", "rust_model.ot", "train_script.py",
        "2_Dense/pytorch_model.bin", "openvino/openvino_model.xml", "onnx/model_O4.onnx", "onnx/model_qint8_arm64.onnx",
        "data/config.json", "flax_model.msgpack", "model.onnx", "training_args.bin",
    )  # fmt: skip
    assert pulled(*WHOLE, *more, *left) == {*WHOLE, *more}


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("model.onnx", "model_int8.onnx", "model_quantized.onnx"), {"onnx/model_int8.onnx"}),
        (("model.onnx", "model_quantized.onnx", "model_fp16.onnx"), {"onnx/model_quantized.onnx"}),
        (("model.onnx", "model_qint8_avx512_vnni.onnx"), {"onnx/model_qint8_avx512_vnni.onnx"}),
        (("model.onnx", "model.onnx_data"), {"onnx/model.onnx", "onnx/model.onnx_data"}),
        (("model_fp16.onnx", "model_q4.onnx"), set()),
    ],
)
def test_the_smallest_onnx_file_that_can_be_used_is_pulled(there: tuple[str, ...], taken: set[str]) -> None:
    assert pulled(*WHOLE, *(f"onnx/{name}" for name in there)) == {*WHOLE, *taken}


def test_the_onnx_file_names_are_those_that_questions_are_answered_with() -> None:
    """The room of documents decides which ones it can use; this one may not import it."""
    from llmchat_engine.models.hub.kinds import _READY
    from llmchat_rag.embed import exports

    assert exports._READY == _READY


def test_a_split_model_is_pulled_whole() -> None:
    parts = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
    assert pulled("tokenizer.json", *parts) == {"tokenizer.json", *parts}
    assert pulled(*WHOLE, *parts[:2]) == {*WHOLE}


def test_a_model_in_the_folder_of_its_module_is_pulled() -> None:
    static = ("modules.json", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json")
    assert pulled(*static, "README.md") == {*static, "README.md"}


@pytest.mark.parametrize(
    "pickle", ["pytorch_model.bin", "model.pt", "1_Dense/pytorch_model.bin", "pytorch_model-00001-of-00002.bin"]
)
def test_weights_that_are_pickles_alone_are_refused(pickle: str) -> None:
    others = [path for path in WHOLE if "/" in pickle or path != "model.safetensors"]
    with pytest.raises(HubMissing, match="which can run code when it is opened") as refused:
        pulled(*others, pickle)
    assert pickle in str(refused.value) and "llmchat pull sentence-transformers/" in refused.value.hint


@pytest.mark.parametrize(
    ("missing", "told"), [("model.safetensors", "no model.safetensors"), ("tokenizer.json", "no tokenizer.json")]
)
def test_a_model_that_is_not_whole_is_refused(missing: str, told: str) -> None:
    with pytest.raises(HubMissing, match=told):
        pulled(*(path for path in WHOLE if path != missing))


def test_another_reranker_is_suggested_for_one_that_cannot_be_used() -> None:
    with pytest.raises(HubMissing) as refused:
        files_to_pull(repo("config.json", "pytorch_model.bin", kind="reranker"))
    assert "cross-encoder/" in refused.value.hint
