"""The perplexity of a text once more, in numpy and float64, from the logits that llama_cpp gives: a program of its own.

`python independent_reading.py MODEL TEXT WINDOW ROWS` prints a JSON object. Knows nothing of llmchat; the windows are
those of llama.cpp's llama-perplexity. ROWS is how many tokens of the half that counts are decoded at once: by batches
of another size the last bits of the logits differ.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import llama_cpp as c
import numpy as np
import numpy.typing as npt


def _nothing(_level: int, _text: bytes, _data: object) -> None:
    """Keeps llama.cpp's log off stderr."""


SILENT = c.llama_log_callback(_nothing)


def rows_of(context: Any, ids: list[int], start: int, n_vocab: int) -> npt.NDArray[np.float64]:
    """Decodes ids from a position on and returns all their logits."""
    batch = c.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for index, token in enumerate(ids):
        batch.token[index], batch.pos[index] = token, start + index
        batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, 0, 1
    assert c.llama_decode(context, batch) == 0
    found = [np.ctypeslib.as_array(c.llama_get_logits_ith(context, index), (n_vocab,)) for index in range(len(ids))]
    rows = np.array(found, np.float64)
    c.llama_batch_free(batch)
    return rows


def main(path: str, text: str, window: int, rows: int) -> dict[str, float]:
    """Returns the perplexity, its standard error and how many tokens counted."""
    c.llama_log_set(SILENT, ctypes.c_void_p(0))
    c.llama_backend_init()
    params = c.llama_model_default_params()
    params.n_gpu_layers, params.use_extra_bufts = 0, False
    model = c.llama_model_load_from_file(path.encode(), params)
    vocab = c.llama_model_get_vocab(model)
    n_vocab = c.llama_vocab_n_tokens(vocab)
    data = text.encode()
    found = (ctypes.c_int32 * (len(data) + 2))()
    ids = list(found[: c.llama_tokenize(vocab, data, len(data), found, len(found), True, False)])
    shape = c.llama_context_default_params()
    shape.n_ctx = shape.n_batch = shape.n_ubatch = max(window, 512)
    shape.n_threads = shape.n_threads_batch = 1
    shape.flash_attn_type = 0
    context = c.llama_init_from_model(model, shape)
    values: list[float] = []
    first, begins = window // 2, c.llama_vocab_get_add_bos(vocab)
    for at in range(0, len(ids) - window + 1, window):
        piece = ids[at : at + window]
        read = [c.llama_vocab_bos(vocab) if begins else piece[0], *piece[1:]]
        c.llama_memory_clear(c.llama_get_memory(context), True)
        rows_of(context, read[:first], 0, n_vocab)
        for start in range(first, window - 1, rows):
            end = min(start + rows, window - 1)
            logits = rows_of(context, read[start:end], start, n_vocab)
            highest = logits.max(axis=1)
            totals = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            values += list(totals - logits[np.arange(end - start), piece[start + 1 : end + 1]])
    nll = np.array(values)
    value = float(np.exp(nll.mean()))
    return {"perplexity": value, "error": value * float(nll.std() / np.sqrt(len(nll) - 1)), "scored": len(nll)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]).read_text("utf-8"), int(sys.argv[3]), int(sys.argv[4]))))
