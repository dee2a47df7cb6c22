"""A transformer in ONNX Runtime: questions to vectors without torch.

The only importer of tokenizers, and of onnxruntime beside the export. Knows no folder of exports: it is handed a file.
One thread: four on a busy machine take seconds where one takes 3 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_rag.embed.batches import batches, clean
from llmchat_rag.embed.models import Model
from llmchat_rag.embed.probes import unit
from llmchat_rag.errors import EmbedderBroken
from llmchat_rag.types import Cancelled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from llmchat_rag.types import Vector, Vectors

_BATCH_TOKENS = 4096


class Tokens:
    """The tokenizer of a model: counts without a limit, and cuts what the model reads."""

    def __init__(self, path: Path, limit: int) -> None:
        """Loads nothing yet.

        Args:
            path: a `tokenizer.json`.
            limit: tokens of an input, with those around it.
        """
        self._path = path
        self._limit = limit

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns the tokens of each text, without those around it."""
        encoded = self._counting.encode_batch_fast([clean(text) for text in texts], add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]

    def around(self) -> int:
        """Returns how many tokens the model puts around a text."""
        return int(self._counting.num_special_tokens_to_add(False))

    def encode(self, text: str, beside: str | None = None) -> Any:
        """Returns the encoding of a text, or of a text and another, cut to the limit."""
        return self._cutting.encode(clean(text), None if beside is None else clean(beside))

    @cached_property
    def _counting(self) -> Any:
        return _open_tokenizer(self._path)

    @cached_property
    def _cutting(self) -> Any:
        # One of its own: a file's own truncation (MiniLM's says 128) is state, and counting must not cut.
        tokenizer = _open_tokenizer(self._path)
        tokenizer.enable_truncation(self._limit)
        return tokenizer


class Session:
    """An ONNX file that is run with rows of token ids."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Opens the file.

        Args:
            path: of the ONNX file.
            threads: one for a question; more only for bulk work.

        Raises:
            EmbedderBroken: ONNX Runtime cannot read it.
        """
        import onnxruntime

        self._failures = _failures(onnxruntime)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path = path
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except self._failures as error:
            raise EmbedderBroken(f"{path} cannot be used", str(error)) from error
        self.inputs = {put.name for put in self._session.get_inputs()}
        self.outputs = [put.name for put in self._session.get_outputs()]

    @property
    def threads(self) -> int:
        """How many threads it computes with."""
        return int(self._session.get_session_options().intra_op_num_threads)

    def run(self, encodings: Sequence[Any], output: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Returns an output for a batch, and its mask.

        Args:
            encodings: of `Tokens`.
            output: its name.

        Raises:
            EmbedderBroken: ONNX Runtime fails.
        """
        import numpy as np

        width = max(len(encoding.ids) for encoding in encodings)
        rows: dict[str, npt.NDArray[np.int64]] = {
            name: np.zeros((len(encodings), width), np.int64)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            rows["input_ids"][row, :length] = encoding.ids
            rows["attention_mask"][row, :length] = 1
            rows["token_type_ids"][row, :length] = encoding.type_ids
        try:
            (found,) = self._session.run([output], {name: rows[name] for name in rows.keys() & self.inputs})
        except self._failures as error:
            raise EmbedderBroken(f"{self._path} cannot be run", str(error)) from error
        return np.asarray(found, np.float32), rows["attention_mask"].astype(np.float32)


class OnnxEncoder:
    """The exported form of an embedding model."""

    def __init__(self, model: Model, path: Path, threads: int = 1) -> None:
        """Opens the file.

        Args:
            model: whose tokenizer, pooling and prefixes are used.
            path: of the ONNX file.
            threads: one for a question.

        Raises:
            EmbedderBroken: it cannot be used, or has none of the outputs that are known.
        """
        self._model = model
        self._tokens = Tokens(model.tokenizer, model.limit)
        self.session = Session(path, threads)
        known = ("last_hidden_state", "token_embeddings", "sentence_embedding")
        self._output = next((name for name in known if name in self.session.outputs), "")
        if not self._output:
            raise EmbedderBroken(f"{path} cannot be used", f"its outputs are {', '.join(self.session.outputs)}")

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a question."""
        found: Vector = self._vectors([self._tokens.encode(self._model.query_prefix + text)])[0]
        return found

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """Returns the vectors of passages; see `Embedder`."""
        import numpy as np

        encodings = [self._tokens.encode(self._model.passage_prefix + text) for text in texts]
        found = np.empty((len(texts), self._model.dimension), np.float32)
        done = 0
        for batch in batches([len(encoding.ids) for encoding in encodings], _BATCH_TOKENS):
            if cancelled and cancelled():
                raise Cancelled
            found[batch] = self._vectors([encodings[position] for position in batch])
            done += len(batch)
            if progress:
                progress(done)
        return found

    def _vectors(self, encodings: Sequence[Any]) -> Vectors:
        found, mask = self.session.run(encodings, self._output)
        vectors = found if found.ndim == 2 else _pool(found, mask, self._model.pooling)
        if vectors.shape[1] != self._model.dimension:
            raise EmbedderBroken(f"the export of {self._model.name} is another model's", f"{vectors.shape[1]} numbers")
        return unit(vectors)


def _pool(hidden: npt.NDArray[np.float32], mask: npt.NDArray[np.float32], pooling: str) -> Vectors:
    """Returns one vector for the tokens of each row: padding is on the right, so the first token is the first."""
    import numpy as np

    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "max":
        highest: Vectors = np.where(mask[:, :, None] > 0, hidden, -np.inf).max(axis=1).astype(np.float32)
        return highest
    mean: Vectors = (hidden * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    return mean


def _open_tokenizer(path: Path) -> Any:
    """Returns the tokenizer of a file, neither cutting nor padding.

    Raises:
        EmbedderBroken: it cannot be used.
    """
    # Otherwise it warns on stderr, over the screen, whenever this process forks later; it reads no other knob.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers

    try:
        data = path.read_bytes()
    except OSError as error:
        raise EmbedderBroken(f"{path} cannot be read", error.strerror or str(error)) from error
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
    except ValueError as error:
        raise EmbedderBroken(f"{path} cannot be used", str(error)) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _failures(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """Returns what ONNX Runtime raises: a dozen classes without a base of their own."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    own: Iterable[object] = vars(state).values()
    return (RuntimeError, ValueError, *(kind for kind in own if isinstance(kind, type) and issubclass(kind, Exception)))
