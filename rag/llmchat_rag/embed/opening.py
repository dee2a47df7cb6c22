"""One embedder out of two halves: ONNX for questions, sentence-transformers for passages, each loaded when needed.

Imports no model library itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from llmchat_rag.embed import bulk
from llmchat_rag.embed.exports import find_export
from llmchat_rag.embed.finding import find_model, install_command
from llmchat_rag.embed.fingerprint import fingerprint, weights_digest
from llmchat_rag.embed.machine import physical_cores
from llmchat_rag.embed.models import Model
from llmchat_rag.embed.query import OnnxEncoder, Tokens
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors

_GATES = {
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": 0.30,  # all-MiniLM-L6-v2
}
"""By the digest of the weights that it was measured with; other cosines mean something else, and none is refused."""


class LocalEmbedder:
    """An embedding model on this machine; see `Embedder`. Nothing is loaded before it is needed."""

    def __init__(self, model: Model, home: Path) -> None:
        """Takes a model.

        Args:
            model: an embedding model.
            home: where its export and the digests of weights are kept.

        Raises:
            EmbedderBroken: its files cannot be read.
        """
        self.model = model
        self.name = model.name
        self.dimension = model.dimension
        self.fingerprint = fingerprint(model, home)
        self.gate = _GATES.get(weights_digest(model.weights, home), 0.0)
        self._home = home
        self._tokens = Tokens(model.tokenizer, model.limit)
        self._loading = Lock()
        self._bulk: bulk.BulkEncoder | None = None
        self._onnx: OnnxEncoder | None = None
        self._wide: OnnxEncoder | None = None

    @cached_property
    def limit(self) -> int:
        """Tokens of a passage that it sees, as `count` counts them: without its prefix and those around it."""
        (prefix,) = self.count([self.model.passage_prefix])
        return self.model.limit - self._tokens.around() - prefix

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns the tokens of each text, without those that the model puts around it."""
        return self._tokens.count(texts)

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a question."""
        return (self._query() or self._passages()).encode_query(text)

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """Returns the vectors of passages, in their order; the first time the model is exported too."""
        return self._passages().encode_passages(texts, progress, cancelled)

    def check(self, passages: bool) -> None:
        """Loads what is quick to load, and finds out whether the rest could be.

        Args:
            passages: whether passages are to be encoded too.

        Raises:
            EmbedderMissing: nothing that is installed can run the model; it names the command.
            EmbedderBroken: what can is damaged.
        """
        there = find_export(self.model, self.fingerprint, self._home)
        if not bulk.can_run() and not (there and there.path):
            raise self._nothing_runs()
        if not passages:
            self._query()

    def _query(self) -> OnnxEncoder | None:
        """Returns the export, opened; None where there is none."""
        with self._loading:
            if self._onnx is None:
                found = find_export(self.model, self.fingerprint, self._home)
                self._onnx = self._open(found.path) if found and found.path else None
            return self._onnx

    def _passages(self) -> bulk.BulkEncoder | OnnxEncoder:
        """Returns what encodes passages: the model itself, or its export without sentence-transformers."""
        with self._loading:
            if self._bulk is None and bulk.can_run():
                from llmchat_rag.embed.export import adopt

                self._bulk = bulk.BulkEncoder(self.model)
                adopt(self.model, self.fingerprint, self._home, self._bulk.reference)
            if self._bulk is not None:
                return self._bulk
            if self._wide is None:
                found = find_export(self.model, self.fingerprint, self._home)
                if found is None or found.path is None:
                    raise self._nothing_runs()
                self._wide = OnnxEncoder(self.model, found.path, physical_cores())
            return self._wide

    def _open(self, path: Path) -> OnnxEncoder | None:
        """Opens an export; one that is damaged is no loss where the model itself can run."""
        try:
            return OnnxEncoder(self.model, path)
        except EmbedderBroken:
            if bulk.can_run():
                return None
            raise

    def _nothing_runs(self) -> EmbedderMissing:
        hint = install_command("sentence-transformers", "onnx")
        return EmbedderMissing(f"nothing can run {self.name}", "sentence-transformers is not installed", hint)


def open_embedder(spec: str, home: Path, hub: Path | None = None) -> LocalEmbedder:
    """Returns what makes vectors of passages and questions. It loads the model when it is first used.

    Args:
        spec: empty for all-MiniLM-L6-v2; a folder; a name as the hub calls it.
        home: where exports are kept.
        hub: the Hugging Face cache; this user's where none is given.

    Raises:
        EmbedderMissing: it is not on this machine, or nothing can run it; it names the command.
        EmbedderBroken: its files cannot be used.
    """
    found = LocalEmbedder(find_model(spec, hub), home)
    found.check(passages=True)
    return found


def open_query_encoder(spec: str, home: Path, hub: Path | None = None) -> LocalEmbedder:
    """Returns what makes vectors of questions, with its export opened; torch is never imported where there is one.

    Args:
        spec: as for `open_embedder`.
        home: where exports are kept.
        hub: the Hugging Face cache.

    Raises:
        EmbedderMissing: as for `open_embedder`.
        EmbedderBroken: its files cannot be used.
    """
    found = LocalEmbedder(find_model(spec, hub), home)
    found.check(passages=False)
    return found
