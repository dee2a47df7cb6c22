"""Questions about whole documents: which are, which are not, and which documents they mean."""

from __future__ import annotations

import pytest

from llmchat_rag.whole import recognise

FILES = ["docs/user-guide.md", "reports/annual report 2024.pdf", "src/main.py"]
ONE = ["docs/user-guide.md"]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Summarize this document.", "summary"),
        ("summarise it", "summary"),
        ("Give me a summary", "summary"),
        ("tl;dr", "summary"),
        ("What are the key points?", "summary"),
        ("What is this about?", "about"),
        ("what is the context about?", "about"),
        ("What's this document about?", "about"),
        ("Describe the document", "about"),
        ("Give me an outline of the document", "outline"),
        ("How is the document structured?", "outline"),
        ("Fasse das Dokument zusammen", "summary"),
        ("Worum geht es in diesem Text?", "about"),
        ("Gib mir eine Gliederung", "outline"),
        ("Résume ce document", "summary"),
        ("De quoi parle ce texte ?", "about"),
        ("Resume el documento", "summary"),
        ("¿De qué trata este archivo?", "about"),
        ("Riassumi il documento", "summary"),
        ("Faça um resumo", "summary"),
        ("Vat dit document samen", "summary"),
        ("О чём этот документ?", "about"),
        ("总结这份文件", "summary"),
        ("この文書を要約してください", "summary"),
    ],
)
def test_the_only_document_is_meant(question: str, kind: str) -> None:
    found = recognise(question, ONE)
    assert found is not None
    assert (found.kind, found.paths) == (kind, ("docs/user-guide.md",))
    assert recognise(question, FILES) is None


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("Summarize docs/user-guide.md", "docs/user-guide.md"),
        ("summarize user-guide.md please", "docs/user-guide.md"),
        ("What is the user guide about?", "docs/user-guide.md"),
        ("Outline of the Annual Report 2024.pdf", "reports/annual report 2024.pdf"),
        ("What is main.py about?", "src/main.py"),
        ("Fasse user-guide.md zusammen", "docs/user-guide.md"),
    ],
)
def test_a_document_is_named(question: str, path: str) -> None:
    found = recognise(question, FILES)
    assert found is not None
    assert found.paths == (path,)


@pytest.mark.parametrize(
    "question",
    [
        "How do I boil an egg?",
        "What does the document say about tides?",
        "What does user-guide.md say about printing?",
        "Summarize the section on printing",
        "Who wrote the report?",
        "Give me a summary of the causes of the war",
        "When does the office open?",
        "What is a vector?",
        "What is the war about?",
    ],
)
def test_a_question_for_one_thing_is_searched(question: str) -> None:
    assert recognise(question, ONE) is None
