"""Replies that the user rated, as a set of questions: what was good is what is expected, what was bad is told.

Knows stored messages and JSON lines; no database.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmchat_tui.history.values import StoredMessage

GOOD = 1


def as_line(question: StoredMessage, reply: StoredMessage) -> dict[str, Any]:
    """Returns the line of a rated reply: a bad one has no answer, because what would be right nobody said."""
    good = reply.rating == GOOD
    line: dict[str, Any] = {"id": reply.id, "kind": "exact" if good else "none", "question": question.text}
    line["answer" if good else "rejected"] = reply.text
    line["rated"] = "good" if good else "bad"
    return line | ({"note": reply.rating_note} if reply.rating_note else {})


def as_set(rated: Sequence[tuple[StoredMessage, StoredMessage]]) -> str:
    """Returns the lines of a set; replies without a word, and questions, are left out."""
    pairs = [pair for pair in rated if pair[0].text.strip() and pair[1].text.strip()]
    return "".join(json.dumps(as_line(*pair), ensure_ascii=False) + "\n" for pair in pairs)
