"""Embedding models made of a few bytes: folders as sentence-transformers saves them, whose weights nobody loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "a", "mat", "dog", "query", "passage", ":", "s"]
MODULE = "sentence_transformers.models."


def write_json(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def safetensors(shapes: Mapping[str, list[int]], seed: int = 0) -> bytes:
    """Returns a file of float32 tensors, all of the same byte."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes([seed]) * offset


def tokenizer(truncation: int = 0) -> dict[str, object]:
    """Returns a tokenizer of whole words, cut where one is asked for."""
    special = [
        {"id": number, "content": word, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for number, word in enumerate(WORDS[:4])
    ]  # fmt: skip
    around = {word: {"id": word, "ids": [WORDS.index(word)], "tokens": [word]} for word in ("[CLS]", "[SEP]")}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    end = [{"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    cut = {"max_length": truncation, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    return {
        "version": "1.0",
        "truncation": cut if truncation else None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single + end,
            "pair": single + end + pair,
            "special_tokens": around,
        },
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(WORDS)},
            "unk_token": "[UNK]",
        },
    }


def write_model(
    folder: Path,
    *,
    modules: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"),
    pooling: Mapping[str, object] | None = None,
    settings: Mapping[str, object] | None = None,
    limit: int = 16,
    seed: int = 0,
) -> Path:
    """Writes the folder of a model with 8 numbers to a vector.

    Args:
        folder: where.
        modules: their kinds, in order.
        pooling: the settings of the pooling.
        settings: `config_sentence_transformers.json`.
        limit: tokens of an input.
        seed: of the weights.
    """
    paths = ["" if number == 0 else f"{number}_{kind}" for number, kind in enumerate(modules)]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": MODULE + kind}
        for number, (kind, path) in enumerate(zip(modules, paths, strict=True))
    ]
    write_json(folder / "modules.json", listed)
    write_json(folder / "config.json", {"model_type": "bert", "max_position_embeddings": 32})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": limit})
    write_json(folder / "tokenizer.json", tokenizer())
    (folder / "model.safetensors").write_bytes(safetensors({"embeddings": [4, 8]}, seed))
    if "Pooling" in modules:
        chosen = dict(pooling or {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True})
        write_json(folder / paths[modules.index("Pooling")] / "config.json", chosen)
    if settings is not None:
        write_json(folder / "config_sentence_transformers.json", settings)
    return folder


def write_hub(hub: Path, name: str, revision: str = "abc", current: bool = True) -> Path:
    """Writes a model into a Hugging Face cache, as its client does: a file of links. Returns its snapshot."""
    repository = hub / f"models--{name.replace('/', '--')}"
    snapshot = write_model(repository / "snapshots" / revision)
    blob = repository / "blobs" / "weights"
    blob.parent.mkdir(exist_ok=True)
    (snapshot / "model.safetensors").replace(blob)
    (snapshot / "model.safetensors").symlink_to(blob)
    if current:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(revision, encoding="ascii")
    return snapshot
