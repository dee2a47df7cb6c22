"""Embedding and re-ranking models that were pulled are found by the names that the hub gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmchat_tui.pulled_folders import embedder_in, reranker_in

RANKS = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}


def pulled(models: Path, name: str, config: object = None) -> str:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or {}))
    (folder / "tokenizer.json").write_text("{}")
    return str(folder)


@pytest.mark.parametrize("spec", ["intfloat/e5-small-v2", "IntFloat/E5-small-v2", "e5-small-v2"])
def test_a_pulled_embedder_is_found_by_name(tmp_path: Path, spec: str) -> None:
    folder = pulled(tmp_path, "intfloat/e5-small-v2")
    assert embedder_in(tmp_path, spec) == folder


@pytest.mark.parametrize("spec", ["other/e5", "./intfloat/e5-small-v2", "/intfloat/e5-small-v2", "~/e5-small-v2", ""])
def test_other_names_and_paths_stay_as_they_are(tmp_path: Path, spec: str) -> None:
    pulled(tmp_path, "intfloat/e5-small-v2")
    (tmp_path / "other" / "e5").mkdir(parents=True)
    assert embedder_in(tmp_path, spec) == spec
    assert embedder_in(tmp_path / "nowhere", spec) == spec


def test_the_default_embedder_is_found_where_it_was_pulled(tmp_path: Path) -> None:
    folder = pulled(tmp_path, "sentence-transformers/all-MiniLM-L6-v2")
    assert embedder_in(tmp_path, "") == folder


def test_the_first_that_ranks_is_the_reranker_where_none_is_named(tmp_path: Path) -> None:
    assert reranker_in(tmp_path, "") == ""
    pulled(tmp_path, "a/classifier", {**RANKS, "id2label": {"0": "good", "1": "bad"}})
    assert reranker_in(tmp_path, "") == ""
    folder = pulled(tmp_path, "cross-encoder/ms-marco", RANKS)
    assert reranker_in(tmp_path, "") == folder
    assert reranker_in(tmp_path, "ms-marco") == folder
    assert reranker_in(tmp_path, "another") == "another"
