"""One model's reading of a text: how likely it is, and how far each prediction is from another model's.

Knows a loaded model and a file of rows; the windows are text_rows.py's, the numbers divergence.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from llmchat_engine.host.context import Context, Shape
from llmchat_engine.host.divergence import Divergences, Likelihood
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.logprobs import IMPOSSIBLE, log_total
from llmchat_engine.host.model import Model, Vocab
from llmchat_engine.host.rows_file import RowsFile
from llmchat_engine.host.text_rows import Place, TextReader, rows_at_once, window_of
from llmchat_engine.models.quantizing.tasks import Divergence, MeasureTask, TextFacts

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

OTHER_VOCABULARY = "their vocabularies differ"
OTHER_IDS = "they read the text as different tokens"


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a text."""

    facts: TextFacts
    divergence: Divergence | None
    why_no_divergence: str = ""


def read_text(llama: Llama, model: Model, task: MeasureTask, told: Callable[[int, int, float], None]) -> Reading:
    """Returns how likely the task's text is, and how far the model is from the one whose rows there are.

    Args:
        llama: The library.
        model: The weights.
        task: The text, the window, and what is done with rows.
        told: Takes tokens that are done, all there are, and tokens a second.

    Raises:
        RequestInvalid: the text is too short.
        NotEnoughMemory: the context does not fit.
        NotEnoughDisk: the rows do not.
    """
    vocab = model.vocab
    ids = [*([vocab.bos] if vocab.add_bos else []), *vocab.tokenize(task.text, special=False)]
    window = window_of(len(ids), task.window)
    windows = len(ids) // window
    key = sha256(repr(ids).encode()).hexdigest()
    file = RowsFile(task.rows_file, vocab.size) if task.rows != "none" else None
    why = ""
    if task.rows == "read" and (why := _why_not(task, vocab, key)):
        file = None
    if task.rows == "write" and file is not None:
        file.reserve(windows * (window - window // 2 - 1))
    tally = _Tally(file, writes=task.rows == "write")
    shape = replace(Shape.of(task.load), n_ctx=window, outputs=rows_at_once(vocab.size))
    with closing(Context(llama, model, shape)) as context:
        if window > context.cells:
            context.grow(window, keep=0)
        rows = min(rows_at_once(vocab.size), context.n_batch)
        reader = TextReader(context, rows, vocab.bos if vocab.add_bos else None)
        began = time.perf_counter()
        for place in reader.places(ids, window):
            tally.take(place)
            told(reader.computed, windows * (window - 1), reader.computed / (time.perf_counter() - began))
        seconds = time.perf_counter() - began
    nll, error = tally.likelihood.mean()
    facts = TextFacts(
        ids_key=key,
        tokens=len(ids),
        window=window,
        windows=windows,
        scored=tally.likelihood.count,
        nll=nll,
        nll_error=error,
        seconds=seconds,
        computed=reader.computed,
        prefill=reader.plain_tokens / reader.plain_seconds if reader.plain_seconds > 0 else 0.0,
    )
    return Reading(facts, tally.divergences.result() if tally.compares else None, why)


class _Tally:
    """Takes places, and does with each what is wanted."""

    def __init__(self, file: RowsFile | None, *, writes: bool) -> None:
        self.likelihood, self.divergences = Likelihood(), Divergences()
        self.compares = file is not None and not writes
        self._file = file

    def take(self, place: Place) -> None:
        """Adds up one place."""
        import numpy as np

        logprobs: Row = place.row - np.float32(log_total(place.row))
        self.likelihood.add(max(float(logprobs[place.token]), IMPOSSIBLE))
        if self._file is None:
            return
        if self.compares:
            self.divergences.add(self._file.next(), logprobs, place.token)
        else:
            self._file.append(logprobs)


def _why_not(task: MeasureTask, vocab: Vocab, ids_key: str) -> str:
    """Returns why the rows of the other model say nothing about this one; empty where they do."""
    if task.base_vocab != vocabulary_key(vocab):
        return OTHER_VOCABULARY
    return OTHER_IDS if task.base_ids != ids_key else ""


def vocabulary_key(vocab: Vocab) -> str:
    """Returns SHA-256 (hex) of the bytes of all tokens, in order."""
    digest = sha256()
    for token in range(vocab.size):
        piece = vocab.piece(token, special=True)
        digest.update(len(piece).to_bytes(4, "little") + piece)
    return digest.hexdigest()
