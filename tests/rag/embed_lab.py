"""What embedding models really do, noted by a process of its own: `python -m tests.rag.embed_lab FOLDER`.

torch stays out of the process of the tests, where its threads would be in the way of every test that forks.
Writes FOLDER/notes.json and FOLDER/vectors.npz; leaves the models and their exports there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
import transformers
from tests.rag.embed_models import WORDS, tokenizer, write_json

from llmchat_rag.embed import open_embedder, open_reranker
from llmchat_rag.embed.bulk import BulkEncoder, CrossEncoder
from llmchat_rag.embed.exports import find_export
from llmchat_rag.embed.finding import bundled_model
from llmchat_rag.embed.reranker_export import prepare_reranker
from llmchat_rag.types import Cancelled

TEXTS = (
    "The cat sat on the mat.",
    "",
    "Paris is the capital of France, on the river Seine. " * 40,
    "dog",
    "a broken emoji \ud83d and a whole one 😀",
    "Die Katze schläft.",
)
QUESTION = "Where did the cat sit?"
PROMPTS = {"prompts": {"query": "query : ", "document": "passage : "}}
_BERT = {
    "vocab_size": len(WORDS), "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
}  # fmt: skip


def bert(
    folder: Path, kind: str, size: int, layers: int, typed: bool = True, spread: float = 0.5, **options: Any
) -> Path:
    """Writes a small transformer with random weights."""
    torch.manual_seed(7)
    shape = transformers.BertConfig(
        hidden_size=size, num_hidden_layers=layers, initializer_range=spread, **_BERT, **options
    )
    getattr(transformers, kind)(shape).save_pretrained(folder)
    write_json(folder / "tokenizer.json", tokenizer(truncation=4))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32, "model_input_names": inputs}
    write_json(folder / "tokenizer_config.json", settings | special)
    return folder


def embedding_model(folder: Path, pooling: str, size: int = 24, prompts: bool = False, dense: int = 0) -> Path:
    """Writes a small embedding model as sentence-transformers saves it."""
    bert(folder, "BertModel", size, layers=2)
    modules = ["Transformer", "Pooling", *(["Dense"] if dense else ["Normalize"])]
    paths = ["", "1_Pooling", f"2_{modules[2]}"]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(zip(modules, paths, strict=True))
    ]
    write_json(folder / "modules.json", listed)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": size, "pooling_mode": pooling})
    if prompts:
        write_json(folder / "config_sentence_transformers.json", PROMPTS)
    if dense:
        layer = sentence_transformers.sentence_transformer.modules.Dense(size, dense)
        (folder / "2_Dense").mkdir()
        layer.save(str(folder / "2_Dense"))
    return folder


def note_embedder(spec: str, home: Path, name: str, vectors: dict[str, Any]) -> dict[str, Any]:
    """Encodes with the product and with sentence-transformers itself, and notes how."""
    embedder, told, threads = open_embedder(spec, home), list[int](), set[int]()

    def progress(done: int) -> None:
        told.append(done)
        threads.add(torch.get_num_threads())

    vectors[f"{name}.passages"] = embedder.encode_passages(TEXTS, progress)
    found = find_export(embedder.model, embedder.fingerprint, home)
    own = sentence_transformers.SentenceTransformer(str(embedder.model.folder), device="cpu", local_files_only=True)
    texts = [text.encode("utf-8", "replace").decode() for text in TEXTS]
    vectors[f"{name}.own"] = own.encode_document(texts, normalize_embeddings=True)
    vectors[f"{name}.question"] = own.encode_query(QUESTION, normalize_embeddings=True)
    vectors[f"{name}.onnx"] = embedder.encode_query(QUESTION)
    vectors[f"{name}.bare"] = own.encode(QUESTION, prompt="", normalize_embeddings=True)
    slow = BulkEncoder(embedder.model, bf16=False)
    vectors[f"{name}.torch"] = slow.encode_query(QUESTION)
    return {
        "fingerprint": embedder.fingerprint,
        "progress": told,
        "threads": sorted(threads),
        "threads_of_a_question": torch.get_num_threads(),
        "export": found.kind if found else None,
        "agreement": found.agreement if found else None,
        "cancelled": stops(embedder),
    }


def stops(embedder: Any) -> bool:
    try:
        embedder.encode_passages(TEXTS, cancelled=lambda: True)
    except Cancelled:
        return True
    return False


def note_reranker(folder: Path, home: Path, name: str, vectors: dict[str, Any]) -> dict[str, Any]:
    """Scores with torch, exports, and scores with the export."""
    texts = ["the cat sat on the mat", "a dog", "the the the the the the the the the"]
    vectors[f"{name}.torch"] = CrossEncoder(folder, 32).score("the cat", texts)
    found = prepare_reranker(str(folder), home)
    after = open_reranker(str(folder), home)
    vectors[f"{name}.onnx"] = after.score("the cat", texts, 60)
    own = sentence_transformers.CrossEncoder(str(folder), device="cpu", local_files_only=True)
    pairs = [("the cat", text) for text in texts]
    vectors[f"{name}.own"] = own.predict(pairs, activation_fn=torch.nn.Identity())
    return {"export": found.kind, "limited": after.score("the cat", texts, 0) is None}


def main(folder: Path) -> None:
    """Makes the models, and notes what they do."""
    home, models = folder / "home", folder / "models"
    vectors: dict[str, Any] = {}
    notes: dict[str, Any] = {
        name: note_embedder(str(path), home, name, vectors)
        for name, path in {
            "cls": embedding_model(models / "cls", "cls", prompts=True),
            "mean": embedding_model(models / "mean", "mean", size=16),
            "max": embedding_model(models / "max", "max"),
            "dense": embedding_model(models / "dense", "mean", dense=10),
        }.items()
    }
    for name, typed in {"pairs": True, "untyped": False}.items():
        scorer = bert(models / name, "BertForSequenceClassification", 24, 1, typed, spread=0.2, num_labels=1)
        notes[name] = note_reranker(scorer, home, name, vectors)
    if bundled_model():
        notes["minilm"] = note_embedder("", home, "minilm", vectors)
    np.savez(folder / "vectors.npz", **vectors)
    write_json(folder / "notes.json", notes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    print(json.dumps({"done": True}))
