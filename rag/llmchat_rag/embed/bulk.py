"""Passages to vectors with sentence-transformers: any model, sorted by length, bfloat16 where the processor has it.

The only importer of torch and sentence_transformers beside the export. Knows no exports.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_rag.embed.batches import batches, clean
from llmchat_rag.embed.machine import has_bf16, physical_cores
from llmchat_rag.embed.models import Model
from llmchat_rag.embed.probes import PROBES, agreement, unit
from llmchat_rag.embed.query import Tokens
from llmchat_rag.errors import EmbedderBroken
from llmchat_rag.types import Cancelled

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors

_CPU_TOKENS = 4096
"""Of a batch: between 2,000 and 8,000 the rate is the same within the noise; 16,000 is a third slower."""
_GPU_TOKENS = 65536
_SAME = 0.999
"""The cosine with float32 under which bfloat16 is not used; all-MiniLM-L6-v2 has 0.9999."""


def can_run() -> bool:
    """Returns whether sentence-transformers is installed; it is not imported."""
    return find_spec("sentence_transformers") is not None


class BulkEncoder:
    """A model in sentence-transformers. Loading it takes seconds."""

    def __init__(self, model: Model, bf16: bool | None = None) -> None:
        """Loads the model, and leaves float32 where the processor is faster without and the vectors stay the same.

        Args:
            model: on this machine.
            bf16: whether to try bfloat16; decided by the processor where none is given.

        Raises:
            EmbedderBroken: it cannot be loaded.
        """
        self._model = model
        self._tokens = Tokens(model.tokenizer, model.limit)
        self._network = self._load()
        self.reference: Vectors = self._probe()
        """The vectors of the probes as questions, in float32: what an export is compared with."""
        self.bf16 = (self._on_gpu or has_bf16() if bf16 is None else bf16) and self._take_bf16()

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a question, on one thread."""
        found: Vector = self._encode([text], self._model.query_prefix, 1)[0]
        return found

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """Returns the vectors of passages, on all cores; see `Embedder`."""
        import numpy as np

        found = np.empty((len(texts), self._model.dimension), np.float32)
        threads, done = physical_cores(), 0
        lengths = [min(count, self._model.limit) for count in self._tokens.count(texts)]
        for batch in batches(lengths, _GPU_TOKENS if self._on_gpu else _CPU_TOKENS):
            if cancelled and cancelled():
                raise Cancelled
            found[batch] = self._encode([texts[position] for position in batch], self._model.passage_prefix, threads)
            done += len(batch)
            if progress:
                progress(done)
        return found

    @property
    def _on_gpu(self) -> bool:
        return str(self._network.device).startswith("cuda")

    def _load(self) -> Any:
        torch = load_torch()
        with _loading(self._model.name):
            network = _library().SentenceTransformer(
                str(self._model.folder),
                device="cuda" if torch.cuda.is_available() else "cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
            if network.max_seq_length != self._model.limit and self._model.plain:
                network.max_seq_length = self._model.limit
            return network

    def _probe(self) -> Vectors:
        return self._encode(PROBES, self._model.query_prefix, 1)

    def _take_bf16(self) -> bool:
        """Turns to bfloat16; a model that suffers is loaded again, because rounding cannot be undone."""
        try:
            self._network.bfloat16()
            if agreement(self._probe(), self.reference) >= _SAME:
                return True
        except EmbedderBroken:
            pass
        self._network = self._load()
        return False

    def _encode(self, texts: Sequence[str], prefix: str, threads: int) -> Vectors:
        torch = load_torch()
        torch.set_num_threads(threads)
        try:
            found = self._network.encode(
                [clean(text) for text in texts],
                batch_size=len(texts),
                prompt=prefix,
                convert_to_tensor=True,
                show_progress_bar=False,
            )
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
            raise EmbedderBroken(f"{self._model.name} cannot be run", str(error)) from error
        vectors: Vectors = found.float().cpu().numpy()
        if vectors.shape != (len(texts), self._model.dimension) or not bool(torch.isfinite(found).all()):
            raise EmbedderBroken(
                f"{self._model.name} cannot be used", "it makes vectors of a wrong length or no numbers"
            )
        return unit(vectors)


class CrossEncoder:
    """A re-ranking model in sentence-transformers. Loading it takes seconds."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Loads the model.

        Args:
            folder: of the model.
            limit: tokens of a question and a passage together.

        Raises:
            EmbedderBroken: it cannot be loaded.
        """
        self._name = folder.name
        with _loading(self._name):
            self._network = _library().CrossEncoder(
                str(folder),
                device="cpu",
                max_length=limit,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )

    def score(self, question: str, texts: Sequence[str]) -> Vector:
        """Returns the score of each text, on one thread, before any function that squeezes it into 0 to 1."""
        torch = load_torch()
        torch.set_num_threads(1)
        pairs = [(clean(question), clean(text)) for text in texts]
        try:
            found: Vector = self._network.predict(
                pairs,
                batch_size=len(pairs),
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
                convert_to_tensor=True,
            )
            scores: Vector = found.float().numpy().reshape(len(pairs))  # type: ignore[attr-defined]
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
            raise EmbedderBroken(f"{self._name} cannot be run", str(error)) from error
        return scores


def load_torch() -> Any:
    """Returns torch, whose threads then give the processor away while they wait; the only place that imports it."""
    if "torch" not in sys.modules:
        # libgomp reads it when it is loaded, and otherwise spins at its barriers: beside other work 9 texts a second
        # instead of 76.
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    import torch

    return torch


def _library() -> Any:
    """Returns sentence_transformers, silent: it and transformers paint progress bars and reports on stderr."""
    load_torch()
    import sentence_transformers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return sentence_transformers


@contextmanager
def _loading(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        first = str(error).strip().partition("\n")[0]
        raise EmbedderBroken(f"{name} cannot be loaded", first or type(error).__name__) from error
