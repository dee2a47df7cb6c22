"""The thoughts of a reasoning model, which are no part of its answer. Knows text only."""

from __future__ import annotations

import re

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def without_thoughts(text: str) -> str:
    """Returns a reply with spaces in place of its thoughts: what is left stands where it stood."""
    return _THOUGHTS.sub(lambda found: " " * len(found[0]), text)
