"""Questions made of a user's own documents: their titles, and half of the words of one of their sentences.

Both share words with what answers them, as people's questions seldom do: they compare settings, and promise nothing.
Knows no store.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from llmchat_rag.checking.sentences import sentences
from llmchat_rag.evaluate import Questions
from llmchat_rag.question import content_words

_LEAST_WORDS = 8
"""Of a sentence, without those that say nothing: half of fewer words is no question."""
_MOST_WORDS = 8
"""Of a question: people type few."""
_LEAST_BODY = 20
"""Words of a document that answers its title."""
_WINDOW = 4000
"""Characters of a document that a sentence is looked for in."""


class Titled(Protocol):
    """What has documents with titles."""

    def titles(self) -> Iterable[tuple[str, str]]:
        """Returns the key and the title of every document."""

    def body(self, key: str) -> str:
        """Returns the text of a document."""


def made_questions(library: Titled, most: int = 200, seed: int = 0) -> Questions:
    """Returns questions that are each answered by one document: its title, and words from somewhere in it.

    Args:
        library: the user's own documents.
        most: how many.
        seed: of the choice.

    Returns:
        Titles only of three words or more that are no file names and that no two documents share.
    """
    chosen = random.Random(seed)  # noqa: S311 - the choice is no secret
    documents = [(key, " ".join(title.split())) for key, title in library.titles()]
    known = Counter(title.casefold() for _, title in documents)
    texts: dict[str, str] = {}
    relevant: dict[str, dict[str, int]] = {}
    for key, title in chosen.sample(documents, len(documents)):
        body = library.body(key)
        unique = _asks(title) and known[title.casefold()] == 1 and len(body.split()) >= _LEAST_BODY
        start = chosen.randrange(max(1, len(body) - _WINDOW))
        words = half_a_sentence(body[start : start + _WINDOW], chosen)
        for name, question in (("title", title if unique else ""), ("words", words)):
            if question and len(texts) < most:
                texts[f"{name}-{key}"] = question
                relevant[f"{name}-{key}"] = {key: 1}
        if len(texts) == most:
            break
    return Questions(texts, relevant)


def half_a_sentence(text: str, chosen: random.Random) -> str:
    """Returns half of the words of a sentence of a text, in their order; nothing where no sentence has enough.

    Args:
        text: a document or a passage.
        chosen: makes the choice.
    """
    long = [words for one in sentences(text) if len(words := content_words(one.text)) >= _LEAST_WORDS]
    if not long:
        return ""
    words = chosen.choice(long)
    kept = sorted(chosen.sample(range(len(words)), min(len(words) // 2, _MOST_WORDS)))
    return " ".join(words[place] for place in kept)


def _asks(title: str) -> bool:
    words = re.findall(r"[^\W\d_]{2,}", title)
    return len(words) >= 3 and (" " in title or "." not in title)
