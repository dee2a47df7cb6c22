"""A search of the documents in a thread of its own: meanwhile the model is loaded, and the user can stop.

Knows no engine and no history.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_rag.errors import RagError
from llmchat_tui.errors import UserError

if TYPE_CHECKING:
    from llmchat_tui.documents import Asked, Documents, Retrieval

TICK = 0.1
"""Seconds between two looks whether it is done: the pace at which an engine that says nothing is heard of."""


class Search:
    """One search, on its way since it was made."""

    def __init__(
        self, documents: Documents, question: str, asked: Asked, history: Sequence[str], *, whole: bool = True
    ) -> None:
        """Begins; the arguments are those of `Documents.retrieve`."""
        self._found: Retrieval | None = None
        self._error: Exception | None = None
        self._done = threading.Event()

        def search() -> None:
            try:
                self._found = documents.retrieve(question, asked, history, whole=whole)
            except (RagError, UserError, RuntimeError, ValueError, OSError, MemoryError) as error:
                self._error = error  # raised again by whoever waits for it
            finally:
                self._done.set()

        threading.Thread(target=search, name="llmchat-search", daemon=True).start()

    def wait(self, seconds: float = TICK) -> bool:
        """Returns whether it is done, as soon as it is."""
        return self._done.wait(seconds)

    def result(self) -> Retrieval:
        """Waits, and returns what was found.

        Raises:
            RagError: see `Documents.retrieve`.
        """
        self._done.wait()
        if self._found is None:
            raise self._error or RagError("the documents could not be searched", "", "llmchat docs doctor")
        return self._found
