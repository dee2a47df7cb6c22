"""Which documents a question asks about as a whole, of many: only those that it can name are looked at closely.

Knows their paths, not what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmchat_rag.whole import Whole

_NOT_ONE = ("\0", "\0")
"""Paths that no question names: what is left of many documents, be it one or none, is not the only one there is."""


def about_whole(question: str, paths: Sequence[str]) -> Whole | None:
    """Returns what `recognise` says of a question, in a moment also where there are 100,000 documents."""
    from llmchat_rag.whole import recognise

    if len(paths) > 1:
        lowered = question.lower()
        paths = [*(path for path in paths if _can_be_named(path, lowered)), *_NOT_ONE]
    return recognise(question, paths)


def _can_be_named(path: str, question: str) -> bool:
    """Returns whether each word of a file's name stands in a question, in any order: quick, and never wrongly false."""
    name = path.rpartition("/")[2]
    stem = (name.rpartition(".")[0] or name).lower()  # PurePosixPath takes 3 µs, and there may be 100,000
    return all(word in question for word in re.split(r"[-_ ]+", stem))
