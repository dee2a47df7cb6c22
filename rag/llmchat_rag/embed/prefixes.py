"""What a model wants to read before a question and before a passage.

The model's own configuration decides; where it says nothing, the families whose makers only wrote it in the model card.
Loads no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from llmchat_rag.embed.folders import read_settings

_ASK_BGE = "Represent this sentence for searching relevant passages: "
_ASK_BGE_ZH = "为这个句子生成表示以用于检索相关文章："
_ASK_E5 = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
_SIZE = "(?:small|base|large)"
_FAMILIES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), query, passage)
    for pattern, query, passage in (
        (rf"(?:multilingual-)?e5-{_SIZE}(?:-v2)?(?:-unsupervised)?", "query: ", "passage: "),
        (r"multilingual-e5-large-instruct", _ASK_E5, ""),
        (rf"bge-{_SIZE}-en(?:-v1\.5)?", _ASK_BGE, ""),
        (rf"bge-{_SIZE}-zh(?:-v1\.5)?", _ASK_BGE_ZH, ""),
        (r"nomic-embed-text-v\d(?:\.\d)?(?:-moe|-unsupervised)?", "search_query: ", "search_document: "),
    )
)
_CARD_NAME = re.compile(r"^(?:#|-?\s*name:)\s*[\"']?([\w./-]+)[\"']?\s*$", re.MULTILINE)
_CARD_LINES = 4000
"""A card of E5 lists its results for 3,000 lines before its heading."""


def prefixes_of(folder: Path, name: str = "") -> tuple[str, str]:
    """Returns what goes before a question and before a passage; empty where nothing does.

    Args:
        folder: of the model.
        name: what the model is called where it was found.
    """
    settings = read_settings(folder / "config_sentence_transformers.json")
    prompts = settings.get("prompts")
    if isinstance(prompts, dict) and any(isinstance(text, str) and text for text in prompts.values()):
        return _from_prompts(prompts, settings.get("default_prompt_name"))
    for called in _names(folder, name):
        for pattern, query, passage in _FAMILIES:
            if pattern.fullmatch(called.rpartition("/")[2]):
                return query, passage
    return "", ""


def _from_prompts(prompts: dict[str, object], default: object) -> tuple[str, str]:
    """Takes the prompts that sentence-transformers itself takes for a question and for a document."""

    def first(*keys: object) -> str:
        return next((text for key in keys if isinstance(text := prompts.get(str(key)), str)), "")

    return first("query", default), first("document", "passage", "corpus", default)


def _names(folder: Path, name: str) -> Iterator[str]:
    """Yields what a model may be called: by whoever found it, in its configuration, in its model card."""
    yield name or folder.resolve().name
    called = read_settings(folder / "config.json").get("_name_or_path")
    if isinstance(called, str):
        yield called
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as card:
            text = "".join(islice(card, _CARD_LINES))
    except OSError:
        return
    yield from _CARD_NAME.findall(text)
