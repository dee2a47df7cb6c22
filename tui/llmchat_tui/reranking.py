"""The cross-encoder that reads passages once more: opened when it is wanted, aside where somebody waits for an answer.

Knows the document room's model; no search, no screen. One caller at a time.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from llmchat_rag.types import Reranker

Wanted = bool | Literal["auto"]
"""Whether passages are read once more; "auto" does where a model is there."""
_READY_SECONDS = 1.0
"""For a cross-encoder that only has to be opened: a tenth of it."""
_RERANK_SECONDS, _PATIENT_SECONDS = 0.8, 5.0
"""In a chat, and where somebody asked for it: 20 passages take 0.4 to 0.7 s with a small model."""


def seconds_for(wanted: Wanted) -> float:
    """Returns how long the re-ranking of one question may take."""
    return _RERANK_SECONDS if wanted == "auto" else _PATIENT_SECONDS


class Reranking:
    """One cross-encoder, kept."""

    def __init__(self, model: str, models: Path) -> None:
        """Opens nothing.

        Args:
            model: its name or path; empty is the first that is found.
            models: where its export is kept.
        """
        self._model, self._models = model, models
        self._reranker: Reranker | None = None
        self._opening: threading.Thread | None = None

    def wanted(self, wanted: Wanted) -> Reranker | None:
        """Returns the cross-encoder where one is wanted and there by now.

        Raises:
            EmbedderError: it was asked for, and there is none or it cannot be used.
        """
        if wanted == "auto":
            self._open_aside()
        elif wanted and self._reranker is None:
            from llmchat_rag.embed.reranker import open_reranker

            self._reranker = open_reranker(self._model, self._models)
        return self._reranker if wanted else None

    def close(self) -> None:
        """Forgets it; the next question that wants it opens it anew."""
        self._reranker = self._opening = None

    def _open_aside(self) -> None:
        """Opens it in a thread; one that is written as ONNX first is there for a later question."""
        if self._opening is not None or self._reranker is not None:
            return

        def run() -> None:
            from llmchat_rag.embed.reranker import open_reranker
            from llmchat_rag.errors import EmbedderError

            with suppress(EmbedderError):
                self._reranker = open_reranker(self._model, self._models, quick=True)

        self._opening = threading.Thread(target=run, name="llmchat-reranker", daemon=True)
        self._opening.start()
        self._opening.join(_READY_SECONDS)
