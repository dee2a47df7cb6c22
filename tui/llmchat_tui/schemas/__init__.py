"""Schemas that answers follow: what a user gives for one, and whether an answer satisfies it.

Knows JSON and short forms; no engine process, no flags and no screen. Nothing is ever fetched.
"""

from __future__ import annotations

from llmchat_tui.schemas.checking import why_invalid
from llmchat_tui.schemas.reading import ANY_OBJECT, schema_from, several_of

__all__ = ["ANY_OBJECT", "schema_from", "several_of", "why_invalid"]
