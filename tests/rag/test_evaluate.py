"""Measures of a ranking, checked against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from llmchat_rag.errors import RagError, RootMissing
from llmchat_rag.evaluate import (
    Scored,
    Text,
    ndcg,
    quality,
    ranked,
    read_corpus,
    read_questions,
    recall,
    reciprocal_rank,
    sweep,
)


def test_ndcg_is_as_trec_eval_has_it() -> None:
    wanted = {"a": 2, "b": 1}
    assert ndcg(["a", "b"], wanted) == 1.0
    assert ndcg(["x", "a", "b"], wanted) == pytest.approx(
        (2 / math.log2(3) + 1 / math.log2(4)) / (2 / math.log2(2) + 1 / math.log2(3))
    )
    assert ndcg(["x"] * 10 + ["a"], wanted) == pytest.approx(2 / math.log2(3) / (2 + 1 / math.log2(3))), (
        "a document that is found twice counts once"
    )
    assert ndcg([], wanted) == 0.0


def test_recall_and_reciprocal_rank() -> None:
    wanted = {"a": 1, "b": 1, "c": 0}
    assert recall(["x", "a", "c"], wanted) == 0.5
    assert recall(["x", "a"], wanted, at=1) == 0.0
    assert reciprocal_rank(["x", "c", "b"], wanted) == pytest.approx(1 / 3)
    assert reciprocal_rank(["c"], wanted) == 0.0


def test_a_question_that_was_not_ranked_counts_as_nothing() -> None:
    found = quality({"1": ["a"]}, {"1": {"a": 1}, "2": {"b": 1}, "3": {"c": 0}})
    assert (found.ndcg, found.recall, found.mrr, found.questions) == (0.5, 0.5, 0.5, 2)
    assert quality({}, {}).questions == 0


def test_the_sweep_finds_the_weight_that_is_best() -> None:
    scored = {
        "1": [Scored("right", 0.9, 1.0), Scored("wrong", 0.1, 9.0)],
        "2": [Scored("right", 0.4, 8.0), Scored("wrong", 0.5, 0.0)],
    }
    found = dict(sweep(scored, {"1": {"right": 1}, "2": {"right": 1}}, alphas=(0.0, 0.7, 1.0)))
    assert found[0.7].ndcg == 1.0
    assert found[0.0].ndcg == found[1.0].ndcg < 1.0


def test_a_negative_cosine_is_none_and_words_may_find_nothing() -> None:
    assert ranked([Scored("a", -0.5, 0.0), Scored("b", 0.1, 0.0)], 0.5) == ["b", "a"]
    assert ranked([], 0.5) == []


def beir(folder: Path) -> Path:
    (folder / "qrels").mkdir()
    corpus = [{"_id": "d1", "title": "Rome", "text": "It is old."}, {"_id": "d2", "text": "No title."}]
    queries = [{"_id": "q1", "text": "How old?"}, {"_id": "q2", "text": "No answer?"}]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)) + "\n", encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n", encoding="utf-8")
    return folder


def test_beir_is_read(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    assert list(read_corpus(folder)) == [Text("d1", "Rome", "It is old."), Text("d2", "", "No title.")]
    questions = read_questions(folder)
    assert questions.texts == {"q1": "How old?"}
    assert questions.relevant == {"q1": {"d1": 1}}


def test_what_is_not_beir_is_told(tmp_path: Path) -> None:
    with pytest.raises(RootMissing, match=r"corpus\.jsonl"):
        list(read_corpus(tmp_path))
    folder = beir(tmp_path)
    (folder / "corpus.jsonl").write_text('{"_id": 1}\nnot json\n', encoding="utf-8")
    with pytest.raises(RagError, match="line 2"):
        list(read_corpus(folder))
    (folder / "qrels" / "test.tsv").write_text("q1 d1 1\n", encoding="utf-8")
    with pytest.raises(RagError, match="three columns"):
        read_questions(folder)
