"""What goes before a question and before a passage: the model's own word first, then its makers' card."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.rag.embed_models import write_json

from llmchat_rag.embed.prefixes import prefixes_of

BGE = "Represent this sentence for searching relevant passages: "


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"prompts": {"query": "Q: ", "document": "D: "}}, ("Q: ", "D: ")),
        ({"prompts": {"query": "Q: ", "passage": "P: "}}, ("Q: ", "P: ")),
        ({"prompts": {"s2p": "S: ", "query": "Q: "}, "default_prompt_name": "s2p"}, ("Q: ", "S: ")),
        ({"prompts": {"clustering": "C: "}}, ("", "")),
        ({"prompts": {"query": "", "document": ""}}, ("", "")),
        ({"prompts": {"query": 3, "document": "D: "}}, ("", "D: ")),
        ({"prompts": "none"}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_the_models_configuration_decides(tmp_path: Path, settings: object, expected: tuple[str, str]) -> None:
    write_json(tmp_path / "config_sentence_transformers.json", settings)

    assert prefixes_of(tmp_path, "anything") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intfloat/e5-small-v2", ("query: ", "passage: ")),
        ("intfloat/multilingual-e5-base", ("query: ", "passage: ")),
        ("BAAI/bge-small-en-v1.5", (BGE, "")),
        ("BAAI/bge-m3", ("", "")),
        ("BAAI/bge-large-zh-v1.5", ("为这个句子生成表示以用于检索相关文章：", "")),
        ("nomic-ai/nomic-embed-text-v1.5", ("search_query: ", "search_document: ")),
        ("sentence-transformers/all-MiniLM-L6-v2", ("", "")),
        ("someone/my-e5-small-v2-tuned", ("", "")),
    ],
)
def test_families_are_known_by_their_names(tmp_path: Path, name: str, expected: tuple[str, str]) -> None:
    assert prefixes_of(tmp_path, name) == expected


def test_prompts_win_over_the_family(tmp_path: Path) -> None:
    write_json(tmp_path / "config_sentence_transformers.json", {"prompts": {"query": "mine: "}})

    assert prefixes_of(tmp_path, "intfloat/e5-small-v2") == ("mine: ", "")


def test_empty_prompts_do_not_hide_the_family(tmp_path: Path) -> None:
    write_json(tmp_path / "config_sentence_transformers.json", {"prompts": {"query": "", "document": ""}})

    assert prefixes_of(tmp_path, "intfloat/e5-small-v2") == ("query: ", "passage: ")


@pytest.mark.parametrize(
    "card",
    ["---\nmodel-index:\n- name: e5-small-v2\n---\n", "---\ntags: []\n---\n\n# intfloat/e5-small-v2\n"],
)
def test_a_renamed_copy_is_known_by_its_model_card(tmp_path: Path, card: str) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")

    assert prefixes_of(tmp_path, "model") == ("query: ", "passage: ")


def test_a_copy_is_known_by_the_name_in_its_configuration(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"_name_or_path": "BAAI/bge-small-en"})

    assert prefixes_of(tmp_path, "model") == (BGE, "")


def test_a_model_that_was_only_trained_on_another_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# SentenceTransformer based on intfloat/e5-small-v2\n", encoding="utf-8")

    assert prefixes_of(tmp_path, "model") == ("", "")
